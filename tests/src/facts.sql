-- All that the catalog knows of schema $1, beside the ids of objects: these are left out, or said in words.
-- `members` are the schema's objects, and what goes with them: columns' defaults, constraints, triggers, rules ...
WITH RECURSIVE goes_with AS (
    SELECT classid, objid, refclassid, refobjid FROM pg_depend WHERE deptype IN ('a', 'i', 'P', 'S')
    UNION ALL
    SELECT 'pg_cast'::regclass, c.oid, 'pg_type'::regclass, t.oid FROM pg_cast c JOIN pg_type t ON t.oid IN (c.castsource, c.casttarget)
), schema AS (
    SELECT oid FROM pg_namespace WHERE nspname = $1::text::name
), members (classid, objid) AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN schema ON d.refobjid = schema.oid WHERE d.refclassid = 'pg_namespace'::regclass
    UNION
    SELECT g.classid, g.objid FROM goes_with g JOIN members m ON g.refclassid = m.classid AND g.refobjid = m.objid
), class AS (
    SELECT c.*, c.oid::regclass::text AS id FROM pg_class c JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
        WHERE c.relnamespace <> 'pg_toast'::regnamespace
), facts (what, id, fact) AS (
    SELECT 'class', id, jsonb_strip_nulls(to_jsonb(class) - '{id,oid,relname,relnamespace,reltype,reloftype,relowner,relam,relfilenode,reltablespace,relpages,reltuples,
        relallvisible,relallfrozen,reltoastrelid,relfrozenxid,relminmxid,relrewrite,relacl,relnatts,relpartbound,relhastriggers,relhasindex,relhasrules,relhassubclass}'::text[])::text
        || ' ' || coalesce(pg_get_expr(relpartbound, oid), '') FROM class
    UNION ALL
    SELECT 'column', class.id || ' ' || row_number() OVER (PARTITION BY class.oid ORDER BY a.attnum) || ' ' || CASE
        WHEN class.relkind IN ('i', 'I') THEN '' ELSE quote_ident(a.attname) END,
        format_type(a.atttypid, a.atttypmod) || ' ' || a.attcollation::regcollation || ' ' || jsonb_strip_nulls(jsonb_build_object('attoptions',
            (SELECT array_agg(option ORDER BY n) FROM unnest(a.attoptions) WITH ORDINALITY o (option, n) WHERE option NOT LIKE 'pg\_attver=%'))
            || to_jsonb(a) - '{attoptions,attrelid,attname,attnum,atttypid,attcollation,attacl,attcacheoff,atthasmissing,attmissingval,attndims,attlen,attalign,attbyval,atttypmod,attisdropped}'::text[])::text
        FROM class JOIN pg_attribute a ON a.attrelid = class.oid WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint', c.conrelid::regclass || ' ' || c.contypid::regtype || ' ' || quote_ident(c.conname),
        pg_get_constraintdef(c.oid) || ' by ' || c.conindid::regclass || ' of '
            || coalesce((SELECT p.conrelid::regclass || '.' || p.conname FROM pg_constraint p WHERE p.oid = c.conparentid), '')
        || jsonb_strip_nulls(to_jsonb(c) - '{oid,conname,connamespace,conrelid,contypid,conindid,conparentid,confrelid,conkey,confkey,conpfeqop,conppeqop,conffeqop,conexclop,conbin,confdelsetcols}'::text[]
            - CASE WHEN c.contype IN ('p', 'u', 'x') THEN 'connoinherit' ELSE '' END)::text
        FROM pg_constraint c JOIN members m ON m.classid = 'pg_constraint'::regclass AND m.objid = c.oid
    UNION ALL
    SELECT 'index', class.id, pg_get_indexdef(class.oid) || ' of ' || i.indrelid::regclass
        || jsonb_strip_nulls(to_jsonb(i) - '{indexrelid,indrelid,indkey,indcollation,indclass,indexprs,indpred,indcheckxmin}'::text[])::text
        FROM class JOIN pg_index i ON i.indexrelid = class.oid
    UNION ALL
    SELECT 'trigger', t.tgrelid::regclass || ' ' || regexp_replace(t.tgname, '(ConstraintTrigger|ConstraintTrigger_[ac])_\d+', '\1_'),
        t.tgfoid::regproc || ' ' || t.tgconstrrelid::regclass
        || ' ' || coalesce((SELECT c.conname FROM pg_constraint c WHERE c.oid = t.tgconstraint), '') || ' ' || (t.tgparentid <> 0)
        || jsonb_strip_nulls(to_jsonb(t) - '{oid,tgname,tgrelid,tgparentid,tgfoid,tgconstrrelid,tgconstrindid,tgconstraint,tgattr,tgqual}'::text[])::text
        FROM pg_trigger t JOIN members m ON m.classid = 'pg_trigger'::regclass AND m.objid = t.oid
    UNION ALL
    SELECT 'rule', r.ev_class::regclass || ' ' || r.rulename,
        jsonb_strip_nulls(to_jsonb(r) - '{oid,rulename,ev_class,ev_qual,ev_action}'::text[])::text
        FROM pg_rewrite r JOIN members m ON m.classid = 'pg_rewrite'::regclass AND m.objid = r.oid
    UNION ALL
    SELECT 'type', t.oid::regtype::text, t.typelem::regtype || ' ' || t.typarray::regtype || ' ' || format_type(t.typbasetype, t.typtypmod) || ' '
        || t.typcollation::regcollation || ' '
        || jsonb_strip_nulls(to_jsonb(t) - '{oid,typnamespace,typowner,typrelid,typelem,typarray,typbasetype,typcollation,typdefault,typdefaultbin,typacl,typndims}'::text[])::text
        FROM pg_type t JOIN members m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid WHERE t.typname !~ '^pg_toast'
    UNION ALL
    SELECT 'label', e.enumtypid::regtype::text || ' ' || row_number() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder), e.enumlabel
        FROM pg_enum e JOIN members m ON m.classid = 'pg_type'::regclass AND m.objid = e.enumtypid
    UNION ALL
    SELECT 'range', r.rngtypid::regtype::text, concat_ws(' ', r.rngsubtype::regtype, r.rngmultitypid::regtype, r.rngcollation::regcollation,
        r.rngcanonical, r.rngsubdiff, pg_describe_object('pg_opclass'::regclass, r.rngsubopc, 0))
        FROM pg_range r JOIN members m ON m.classid = 'pg_type'::regclass AND m.objid = r.rngtypid
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, pg_get_function_arguments(p.oid) || ' -> ' || coalesce(pg_get_function_result(p.oid), '') || ' '
        || jsonb_strip_nulls(to_jsonb(p) - '{oid,proname,pronamespace,proowner,prolang,provariadic,prorettype,proargtypes,proallargtypes,proacl,prosqlbody,proargdefaults,proconfig,prosrc}'::text[])::text
        FROM pg_proc p JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    UNION ALL
    SELECT 'aggregate', a.aggfnoid::regprocedure::text, a.aggtranstype::regtype || ' ' || a.aggmtranstype::regtype || ' ' || a.aggsortop::regoperator
        || ' ' || jsonb_strip_nulls(to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype,aggsortop}'::text[])::text
        FROM pg_aggregate a JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = a.aggfnoid
    UNION ALL
    SELECT 'operator', o.oid::regoperator::text, o.oprcom::regoperator || ' ' || o.oprnegate::regoperator || ' ' || o.oprresult::regtype || ' '
        || jsonb_strip_nulls(to_jsonb(o) - '{oid,oprnamespace,oprowner,oprleft,oprright,oprresult,oprcom,oprnegate}'::text[])::text
        FROM pg_operator o JOIN members m ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid WHERE o.oprcode <> 0
    UNION ALL
    SELECT 'operator class', pg_describe_object('pg_opclass'::regclass, o.oid, 0), o.opcintype::regtype || ' ' || o.opckeytype::regtype || ' '
        || o.opcdefault
        FROM pg_opclass o JOIN members m ON m.classid = 'pg_opclass'::regclass AND m.objid = o.oid
    UNION ALL
    SELECT 'cast', pg_describe_object('pg_cast'::regclass, c.oid, 0), concat_ws(' ', c.castfunc::regprocedure, c.castcontext, c.castmethod)
        FROM pg_cast c JOIN members m ON m.classid = 'pg_cast'::regclass AND m.objid = c.oid
    UNION ALL
    SELECT 'collation', c.oid::regcollation::text,
        jsonb_strip_nulls(to_jsonb(c) - '{oid,collnamespace,collowner,collversion,collencoding}'::text[])::text
        FROM pg_collation c JOIN members m ON m.classid = 'pg_collation'::regclass AND m.objid = c.oid
    UNION ALL
    SELECT 'mapping', c.mapcfg::regconfig || ' ' || c.maptokentype || ' ' || c.mapseqno, c.mapdict::regdictionary::text
        FROM pg_ts_config_map c JOIN members m ON m.classid = 'pg_ts_config'::regclass AND m.objid = c.mapcfg
    UNION ALL
    SELECT 'statistics', pg_describe_object('pg_statistic_ext'::regclass, s.oid, 0), pg_get_statisticsobjdef(s.oid)
        || jsonb_strip_nulls(to_jsonb(s) - '{oid,stxrelid,stxname,stxnamespace,stxowner,stxkeys,stxexprs}'::text[])::text
        FROM pg_statistic_ext s JOIN members m ON m.classid = 'pg_statistic_ext'::regclass AND m.objid = s.oid
    UNION ALL
    SELECT 'policy', p.polrelid::regclass || ' ' || quote_ident(p.polname),
        concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
        FROM pg_policy p JOIN members m ON m.classid = 'pg_policy'::regclass AND m.objid = p.oid
    UNION ALL
    SELECT 'parent', i.inhrelid::regclass::text, i.inhseqno || ' ' || i.inhparent::regclass || ' ' || i.inhdetachpending FROM pg_inherits i
        JOIN class ON class.oid = i.inhrelid
    UNION ALL
    SELECT 'partitions', p.partrelid::regclass::text, p.partdefid::regclass || ' ' || pg_get_partkeydef(p.partrelid) FROM pg_partitioned_table p
        JOIN class ON class.oid = p.partrelid
    UNION ALL
    SELECT 'sequence', class.id, jsonb_strip_nulls(to_jsonb(s) - '{seqrelid,seqtypid}'::text[])::text
        FROM class JOIN pg_sequence s ON s.seqrelid = class.oid
    UNION ALL
    SELECT 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description FROM pg_description d
        JOIN members m ON m.classid = d.classoid AND m.objid = d.objoid
    UNION ALL
    SELECT 'role', regexp_replace(pg_describe_object(d.classid, d.objid, d.objsubid), '(pg_toast|ConstraintTrigger|ConstraintTrigger_[ac])_\d+',
        '\1_', 'g'), d.deptype::text || ' ' || d.refobjid::regrole FROM pg_shdepend d JOIN members m ON m.classid = d.classid AND m.objid = d.objid
        WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND d.refclassid = 'pg_authid'::regclass
    UNION ALL
    SELECT 'default privilege', d.defaclrole::regrole || ' ' || d.defaclobjtype::text,
        (SELECT string_agg(concat_ws(' ', a.grantor::regrole, a.grantee::regrole, a.privilege_type, a.is_grantable),
        ', ' ORDER BY a.grantee::regrole::text, a.privilege_type) FROM aclexplode(d.defaclacl) a)
        FROM pg_default_acl d JOIN schema ON schema.oid = d.defaclnamespace
    UNION ALL
    SELECT 'dependency', regexp_replace(pg_describe_object(d.classid, d.objid, d.objsubid),
        '(pg_toast|ConstraintTrigger|ConstraintTrigger_[ac])_\d+', '\1_', 'g'), d.deptype::text || ' '
        || regexp_replace(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), '(pg_toast|ConstraintTrigger|ConstraintTrigger_[ac])_\d+',
        '\1_', 'g')
        FROM pg_depend d JOIN members m ON m.classid = d.classid AND m.objid = d.objid
        -- Foreign keys have triggers by the way in which they came, a shell of an operator is none, and a table keeps
        -- a toast table that it has no need of any more.
        WHERE NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger t WHERE t.oid = d.objid AND t.tgisinternal))
            AND NOT (d.classid = 'pg_operator'::regclass AND EXISTS (SELECT FROM pg_operator o WHERE o.oid = d.objid AND o.oprcode = 0))
            AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace))
)
SELECT what || ' ' || id || ': ' || fact FROM facts ORDER BY what COLLATE "C", id COLLATE "C", fact COLLATE "C"
