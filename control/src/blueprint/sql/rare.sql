-- What is rare in schema $1, each with the statements that make it. «type 25» stands for the name by which a type is
-- found under the schema's path, and so on: see names.sql.
WITH members AS (
    -- Operators and functions of an operator class, or of a family alone.
    SELECT d.refclassid, d.refobjid, array_agg(d.classid) AS classes, array_agg(d.objid) AS ids, string_agg(
        CASE WHEN p.oid IS NULL THEN 'OPERATOR ' || o.amopstrategy || ' «operands ' || o.amopopr || '»'
            || CASE WHEN o.amopsortfamily <> 0 THEN ' FOR ORDER BY «family ' || o.amopsortfamily || '»' ELSE '' END
        ELSE format('FUNCTION %s («type %s», «type %s») «signature %s»', p.amprocnum, p.amproclefttype::oid, p.amprocrighttype::oid,
            p.amproc::oid) END,
        ', ' ORDER BY o.amopstrategy, p.amprocnum, o.amoplefttype::regtype::text, o.amoprighttype::regtype::text, p.amproclefttype::regtype::text,
            p.amprocrighttype::regtype::text) AS list
    FROM pg_depend d
        LEFT JOIN pg_amop o ON d.classid = 'pg_amop'::regclass AND o.oid = d.objid
        LEFT JOIN pg_amproc p ON d.classid = 'pg_amproc'::regclass AND p.oid = d.objid
    WHERE d.refclassid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass) AND d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass)
        AND d.deptype IN ('a', 'i')
    GROUP BY d.refclassid, d.refobjid
), rare (class, oid, kind, word, name, owner, sql, part_classes, parts) AS (
    SELECT 'pg_collation'::regclass, c.oid, 'collation', 'COLLATION', quote_ident(c.collname), c.collowner,
        format('CREATE COLLATION %I (%s)', c.collname, concat_ws(', ',
            'PROVIDER = ' || CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
            -- What a locale is called differs between versions.
            'LOCALE = ' || quote_literal(coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale')),
            'LC_COLLATE = ' || quote_literal(c.collcollate), 'LC_CTYPE = ' || quote_literal(c.collctype),
            'RULES = ' || quote_literal(to_jsonb(c) ->> 'collicurules'),
            CASE WHEN NOT c.collisdeterministic THEN 'DETERMINISTIC = false' END)), NULL::oid[], NULL::oid[]
    FROM pg_collation c WHERE c.collnamespace = $1
    UNION ALL
    SELECT 'pg_conversion'::regclass, c.oid, 'conversion', 'CONVERSION', quote_ident(c.conname), c.conowner,
        format('CREATE %sCONVERSION %I FOR %L TO %L FROM «function %s»', CASE WHEN c.condefault THEN 'DEFAULT ' ELSE '' END, c.conname,
            pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc::oid), NULL, NULL
    FROM pg_conversion c WHERE c.connamespace = $1
    UNION ALL
    SELECT 'pg_ts_parser'::regclass, p.oid, 'search', 'TEXT SEARCH PARSER', quote_ident(p.prsname), NULL,
        format('CREATE TEXT SEARCH PARSER %I (START = «function %s», GETTOKEN = «function %s», END = «function %s», %sLEXTYPES = «function %s»)',
            p.prsname, p.prsstart::oid, p.prstoken::oid, p.prsend::oid,
            CASE WHEN p.prsheadline <> 0 THEN format('HEADLINE = «function %s», ', p.prsheadline::oid) END, p.prslextype::oid), NULL, NULL
    FROM pg_ts_parser p WHERE p.prsnamespace = $1
    UNION ALL
    SELECT 'pg_ts_template'::regclass, t.oid, 'search', 'TEXT SEARCH TEMPLATE', quote_ident(t.tmplname), NULL,
        format('CREATE TEXT SEARCH TEMPLATE %I (%sLEXIZE = «function %s»)', t.tmplname,
            CASE WHEN t.tmplinit <> 0 THEN format('INIT = «function %s», ', t.tmplinit::oid) END, t.tmpllexize::oid), NULL, NULL
    FROM pg_ts_template t WHERE t.tmplnamespace = $1
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, d.oid, 'search', 'TEXT SEARCH DICTIONARY', quote_ident(d.dictname), d.dictowner,
        format('CREATE TEXT SEARCH DICTIONARY %I (%s)', d.dictname, concat_ws(', ', format('TEMPLATE = «template %s»', d.dicttemplate),
            d.dictinitoption)), NULL, NULL
    FROM pg_ts_dict d WHERE d.dictnamespace = $1
    UNION ALL
    SELECT 'pg_ts_config'::regclass, c.oid, 'search', 'TEXT SEARCH CONFIGURATION', quote_ident(c.cfgname), c.cfgowner,
        concat_ws(E';\n', format('CREATE TEXT SEARCH CONFIGURATION %I (PARSER = «parser %s»)', c.cfgname, c.cfgparser),
            (SELECT string_agg(format('ALTER TEXT SEARCH CONFIGURATION %I ADD MAPPING FOR %I WITH %s', c.cfgname, t.alias, t.list),
                E';\n' ORDER BY t.tokid)
            FROM (SELECT k.tokid, k.alias, string_agg(format('«dictionary %s»', m.mapdict), ', ' ORDER BY m.mapseqno) AS list
                FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) k ON k.tokid = m.maptokentype WHERE m.mapcfg = c.oid GROUP BY k.tokid,
                    k.alias) t)), NULL, NULL
    FROM pg_ts_config c WHERE c.cfgnamespace = $1
    UNION ALL
    -- A shell is what another operator named as its commutator or negator, and nobody made.
    SELECT 'pg_operator'::regclass, o.oid, 'operator', 'OPERATOR', format('%s (%s, «type %s»)', o.oprname,
        coalesce('«type ' || nullif(o.oprleft, 0) || '»', 'NONE'), o.oprright), o.oprowner,
        format('CREATE OPERATOR %s (%s)', o.oprname, concat_ws(', ', format('FUNCTION = «function %s»', o.oprcode::oid),
            'LEFTARG = «type ' || nullif(o.oprleft, 0) || '»', 'RIGHTARG = «type ' || o.oprright || '»',
            -- Not yet there, these could be found in another schema.
            'COMMUTATOR = ' || CASE c.oprnamespace WHEN $1 THEN format('OPERATOR(«schema 0».%s)', c.oprname) ELSE '«operator ' || c.oid || '»' END,
            'NEGATOR = ' || CASE n.oprnamespace WHEN $1 THEN format('OPERATOR(«schema 0».%s)', n.oprname) ELSE '«operator ' || n.oid || '»' END,
            'RESTRICT = «function ' || nullif(o.oprrest::oid, 0) || '»', 'JOIN = «function ' || nullif(o.oprjoin::oid, 0) || '»',
            CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END)), NULL, NULL
    FROM pg_operator o LEFT JOIN pg_operator c ON c.oid = o.oprcom LEFT JOIN pg_operator n ON n.oid = o.oprnegate
    WHERE o.oprnamespace = $1 AND o.oprcode <> 0
    UNION ALL
    SELECT 'pg_opfamily'::regclass, f.oid, 'family', 'OPERATOR FAMILY', format('%I USING %I', f.opfname, a.amname), f.opfowner,
        format('CREATE OPERATOR FAMILY %I USING %I', f.opfname, a.amname), NULL, NULL
    FROM pg_opfamily f JOIN pg_am a ON a.oid = f.opfmethod WHERE f.opfnamespace = $1
    UNION ALL
    SELECT 0, f.oid, 'member', '', format('%I USING %I', f.opfname, a.amname), NULL,
        format('ALTER OPERATOR FAMILY %I USING %I ADD %s', f.opfname, a.amname, m.list), m.classes, m.ids
    FROM pg_opfamily f JOIN pg_am a ON a.oid = f.opfmethod JOIN members m ON m.refclassid = 'pg_opfamily'::regclass AND m.refobjid = f.oid
        WHERE f.opfnamespace = $1
    UNION ALL
    -- What was added to a family elsewhere for types of the schema. Classes have theirs themselves.
    SELECT 0, f.oid, 'member', '', '«family ' || f.oid || '» USING ' || quote_ident(a.amname), NULL,
        format('ALTER OPERATOR FAMILY «family %s» USING %I ADD %s', f.oid, a.amname, string_agg(m.sql, ', ' ORDER BY m.place, m.operands)),
            array_agg(m.class), array_agg(m.oid)
    FROM (
        SELECT 'pg_amop'::regclass::oid, o.oid, o.amopfamily, o.amopstrategy, o.amoplefttype::regtype::text || o.amoprighttype::regtype::text,
            'OPERATOR ' || o.amopstrategy || ' «operands ' || o.amopopr || '»'
            || CASE WHEN o.amopsortfamily <> 0 THEN ' FOR ORDER BY «family ' || o.amopsortfamily || '»' ELSE '' END
        FROM pg_amop o JOIN pg_operator p ON p.oid = o.amopopr WHERE p.oprnamespace = $1
        UNION ALL
        SELECT 'pg_amproc'::regclass, o.oid, o.amprocfamily, 100 + o.amprocnum, o.amproclefttype::regtype::text || o.amprocrighttype::regtype::text,
            format('FUNCTION %s («type %s», «type %s») «signature %s»', o.amprocnum, o.amproclefttype::oid, o.amprocrighttype::oid, o.amproc::oid)
        FROM pg_amproc o JOIN pg_proc p ON p.oid = o.amproc WHERE p.pronamespace = $1
    ) m (class, oid, family, place, operands, sql) JOIN pg_opfamily f ON f.oid = m.family JOIN pg_am a ON a.oid = f.opfmethod
    WHERE f.opfnamespace <> $1 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = m.class AND d.objid = m.oid
        AND d.refclassid = 'pg_opclass'::regclass AND d.deptype IN ('a', 'i'))
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = m.class AND d.objid = m.oid AND d.deptype = 'e')
    GROUP BY f.oid, a.amname
    UNION ALL
    SELECT 'pg_opclass'::regclass, c.oid, 'class', 'OPERATOR CLASS', format('%I USING %I', c.opcname, a.amname), c.opcowner,
        format('CREATE OPERATOR CLASS %I %sFOR TYPE «type %s» USING %I FAMILY «family %s» AS %s', c.opcname, CASE WHEN c.opcdefault THEN 'DEFAULT '
            ELSE '' END,
            -- One of the three there must be.
            c.opcintype, a.amname, c.opcfamily, concat_ws(', ', CASE WHEN c.opckeytype <> 0 OR m.list IS NULL THEN format('STORAGE «type %s»',
                coalesce(nullif(c.opckeytype, 0), c.opcintype)) END, m.list)), m.classes, m.ids
    FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod LEFT JOIN members m ON m.refclassid = 'pg_opclass'::regclass AND m.refobjid = c.oid
        WHERE c.opcnamespace = $1
    UNION ALL
    -- Casts are the database's; those from or to a type of the schema come with it.
    SELECT 'pg_cast'::regclass, c.oid, 'cast', 'CAST', format('(«type %s» AS «type %s»)', c.castsource, c.casttarget), NULL,
        format('CREATE CAST («type %s» AS «type %s») %s%s', c.castsource, c.casttarget,
            CASE c.castmethod WHEN 'f' THEN format('WITH FUNCTION «signature %s»', c.castfunc) WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
            CASE c.castcontext WHEN 'i' THEN ' AS IMPLICIT' WHEN 'a' THEN ' AS ASSIGNMENT' ELSE '' END), NULL, NULL
    FROM pg_cast c WHERE EXISTS (SELECT FROM pg_type t WHERE t.oid IN (c.castsource, c.casttarget) AND t.typnamespace = $1)
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 'aggregate', '', '«arguments ' || p.oid || '»', NULL,
        format('CREATE AGGREGATE «arguments %s» (%s)', p.oid, concat_ws(', ',
            format('SFUNC = «function %s», STYPE = «type %s»', a.aggtransfn::oid, a.aggtranstype),
            'SSPACE = ' || nullif(a.aggtransspace, 0), 'FINALFUNC = «function ' || nullif(a.aggfinalfn::oid, 0) || '»', CASE
                WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
            CASE WHEN a.aggfinalfn <> 0 THEN 'FINALFUNC_MODIFY = ' || CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE'
                ELSE 'READ_WRITE' END END,
            'COMBINEFUNC = «function ' || nullif(a.aggcombinefn::oid, 0) || '»', 'SERIALFUNC = «function ' || nullif(a.aggserialfn::oid, 0) || '»',
            'DESERIALFUNC = «function ' || nullif(a.aggdeserialfn::oid, 0) || '»', 'INITCOND = ' || quote_literal(a.agginitval),
            'MSFUNC = «function ' || nullif(a.aggmtransfn::oid, 0) || '»', 'MINVFUNC = «function ' || nullif(a.aggminvtransfn::oid, 0) || '»',
            'MSTYPE = «type ' || nullif(a.aggmtranstype, 0) || '»', 'MSSPACE = ' || nullif(a.aggmtransspace, 0), 'MFINALFUNC = «function '
                || nullif(a.aggmfinalfn::oid, 0) || '»',
            CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
            CASE WHEN a.aggmfinalfn <> 0 THEN 'MFINALFUNC_MODIFY = ' || CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE'
                ELSE 'READ_WRITE' END END,
            'MINITCOND = ' || quote_literal(a.aggminitval), 'SORTOP = «operator ' || nullif(a.aggsortop, 0) || '»',
            CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END, 'PARALLEL = ' || CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED'
                ELSE 'UNSAFE' END)), NULL, NULL
    FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid WHERE p.pronamespace = $1
    UNION ALL
    -- A base type is a shell first: its functions need it, and it needs them.
    SELECT CASE WHEN t.typisdefined THEN 0 ELSE 'pg_type'::regclass::oid END, t.oid, 'shell', CASE WHEN t.typisdefined THEN '' ELSE 'TYPE' END,
        quote_ident(t.typname), NULL, format('CREATE TYPE %I', t.typname), NULL, NULL
    FROM pg_type t WHERE t.typnamespace = $1 AND (NOT t.typisdefined OR t.typtype = 'b'
        AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid))
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 'base', 'TYPE', quote_ident(t.typname), NULL,
        format('CREATE TYPE %I (%s)', t.typname, concat_ws(', ', format('INPUT = «function %s», OUTPUT = «function %s»', t.typinput::oid,
            t.typoutput::oid),
            'RECEIVE = «function ' || nullif(t.typreceive::oid, 0) || '»', 'SEND = «function ' || nullif(t.typsend::oid, 0) || '»',
            'TYPMOD_IN = «function ' || nullif(t.typmodin::oid, 0) || '»', 'TYPMOD_OUT = «function ' || nullif(t.typmodout::oid, 0) || '»',
            'ANALYZE = «function ' || nullif(t.typanalyze::oid, 0) || '»', 'SUBSCRIPT = «function ' || nullif(t.typsubscript::oid, 0) || '»',
            'INTERNALLENGTH = ' || CASE WHEN t.typlen < 0 THEN 'VARIABLE' ELSE t.typlen::text END, CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END,
            'ALIGNMENT = ' || CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END,
            'STORAGE = ' || CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END,
            'CATEGORY = ' || quote_literal(t.typcategory::text), CASE WHEN t.typispreferred THEN 'PREFERRED = true' END, 'DEFAULT = '
                || quote_literal(t.typdefault),
            'ELEMENT = «type ' || nullif(t.typelem, 0) || '»', 'DELIMITER = ' || quote_literal(t.typdelim::text), CASE
                WHEN t.typcollation <> 0 THEN 'COLLATABLE = true' END)),
        array_fill('pg_proc'::regclass::oid, ARRAY[7]), ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout,
            t.typanalyze]::oid[]
    FROM pg_type t WHERE t.typnamespace = $1 AND t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid)
)
SELECT r.class::oid, r.oid, r.kind, r.word, r.name, r.owner, r.sql, coalesce(r.part_classes, '{}') AS part_classes, coalesce(r.parts, '{}') AS parts
FROM rare r
-- No extension's, nor what comes along with a range.
WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = CASE r.kind WHEN 'member' THEN 'pg_opfamily'::regclass
    WHEN 'shell' THEN 'pg_type'::regclass ELSE r.class END AND e.objid = r.oid AND e.deptype IN ('e', 'i'))
ORDER BY r.kind, r.name
