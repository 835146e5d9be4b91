-- What the schema $1 holds: (what, name, kind or schema, plain) for each thing in it.
--
-- A relation is plain if nothing that it leads to is bad: objects are followed
-- forward from the schema's relations (reach), and the bad ones backward again (bad).
WITH RECURSIVE
ns AS (
  SELECT oid FROM pg_catalog.pg_namespace
  WHERE nspname = $1::pg_catalog.text::pg_catalog.name
),
-- By dependency on the schema: pg_class has no index that starts with the schema.
held AS MATERIALIZED (
  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d, ns
  WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = ns.oid
),
own AS MATERIALIZED (
  SELECT c.oid, c.relname, c.relkind FROM held h, pg_catalog.pg_class c
  WHERE h.classid = 'pg_catalog.pg_class'::regclass AND c.oid = h.objid
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
),
reach(classid, objid) AS (
  SELECT 'pg_catalog.pg_class'::regclass::oid, own.oid FROM own
  UNION
  SELECT e.classid::oid, e.objid FROM reach n CROSS JOIN LATERAL ({edges}) e
),
edges AS MATERIALIZED (
  SELECT n.classid AS from_classid, n.objid AS from_objid, e.classid::oid AS classid, e.objid
  FROM reach n CROSS JOIN LATERAL ({edges}) e
),
triggers AS MATERIALIZED (
  SELECT n.classid, n.objid, t.tgfoid FROM reach n
  CROSS JOIN LATERAL (SELECT tgfoid FROM pg_catalog.pg_trigger WHERE oid = n.objid OFFSET 0) t
  WHERE n.classid = 'pg_catalog.pg_trigger'::regclass
),
-- Functions that are known to resolve no name at run time.
harmless AS MATERIALIZED (
  SELECT p.oid
  FROM (SELECT objid AS oid FROM reach WHERE classid = 'pg_catalog.pg_proc'::regclass
    UNION SELECT o.oprcode FROM reach n, pg_catalog.pg_operator o
      WHERE n.classid = 'pg_catalog.pg_operator'::regclass AND o.oid = n.objid
    UNION SELECT tgfoid FROM triggers) f
  JOIN pg_catalog.pg_proc p ON p.oid = f.oid
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname IN ('internal', 'c')
  WHERE p.oid < 16384 OR EXISTS (
    SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
      -- These run SQL that they are given as text.
      AND x.extname NOT IN ('dblink', 'tablefunc', 'xml2', 'refint'))
),
-- Expressions: dependencies on built-in objects are recorded nowhere but in these. One above 1 MiB is not read.
expressions(classid, objid, tree, size) AS MATERIALIZED (
  SELECT n.classid, n.objid, CASE WHEN pg_catalog.octet_length(x.tree) <= 1048576 THEN x.tree END,
    pg_catalog.octet_length(x.tree)
  FROM reach n CROSS JOIN LATERAL (
    SELECT r.ev_action::text FROM pg_catalog.pg_rewrite r
    WHERE n.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = n.objid
    UNION ALL
    SELECT a.adbin::text FROM pg_catalog.pg_attrdef a
    WHERE n.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = n.objid
    UNION ALL
    SELECT k.conbin::text FROM pg_catalog.pg_constraint k
    WHERE n.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = n.objid
    UNION ALL
    SELECT pg_catalog.concat(i.indexprs::text, i.indpred::text) FROM pg_catalog.pg_index i
    WHERE n.classid = 'pg_catalog.pg_class'::regclass AND i.indexrelid = n.objid
    UNION ALL
    SELECT p.partexprs::text FROM pg_catalog.pg_partitioned_table p
    WHERE n.classid = 'pg_catalog.pg_class'::regclass AND p.partrelid = n.objid
    UNION ALL
    SELECT t.tgqual::text FROM pg_catalog.pg_trigger t
    WHERE n.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = n.objid
    UNION ALL
    SELECT pg_catalog.concat(p.polqual::text, p.polwithcheck::text) FROM pg_catalog.pg_policy p
    WHERE n.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = n.objid
    UNION ALL
    SELECT t.typdefaultbin::text FROM pg_catalog.pg_type t
    WHERE n.classid = 'pg_catalog.pg_type'::regclass AND t.oid = n.objid
    UNION ALL
    SELECT s.stxexprs::text FROM pg_catalog.pg_statistic_ext s
    WHERE n.classid = 'pg_catalog.pg_statistic_ext'::regclass AND s.oid = n.objid
  ) x(tree)
  WHERE x.tree <> ''
),
-- Those that are read: the smallest ones, 8 MiB together. What is not read counts as bad.
weighed AS MATERIALIZED (
  SELECT classid, objid, tree,
    tree IS NOT NULL AND pg_catalog.sum(size) OVER (ORDER BY size, classid, objid) <= 8388608 AS is_read
  FROM expressions
),
trees(classid, objid, tree) AS MATERIALIZED (SELECT classid, objid, tree FROM weighed WHERE is_read),
-- The functions in them. One look at each: OFFSET 0 keeps PostgreSQL from reading all of pg_proc.
called AS MATERIALIZED (
  SELECT f.classid, f.objid, p.proname AS name
  FROM (SELECT DISTINCT t.classid, t.objid, m[1]::oid AS oid FROM trees t
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
      t.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') m) f
  CROSS JOIN LATERAL (SELECT proname FROM pg_catalog.pg_proc WHERE oid = f.oid OFFSET 0) p
),
-- Types whose text is a name, read and written by the path: regclass and its kin.
names(oid) AS MATERIALIZED (
  SELECT x.oid FROM pg_catalog.pg_type t CROSS JOIN LATERAL (VALUES (t.oid), (t.typarray)) x(oid)
  WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname IN ('regclass', 'regcollation',
    'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc',
    'regprocedure', 'regrole', 'regtype')
),
bad(classid, objid) AS (
  SELECT s.classid, s.objid FROM (
    SELECT w.classid, w.objid FROM weighed w WHERE NOT w.is_read
    UNION ALL
    SELECT n.classid, n.objid FROM reach n
    WHERE n.classid = 'pg_catalog.pg_proc'::regclass AND n.objid NOT IN (SELECT oid FROM harmless)
    UNION ALL
    SELECT n.classid, n.objid FROM reach n JOIN pg_catalog.pg_operator o ON o.oid = n.objid
    WHERE n.classid = 'pg_catalog.pg_operator'::regclass
      AND o.oprcode NOT IN (SELECT oid FROM harmless)
    UNION ALL
    SELECT t.classid, t.objid FROM triggers t WHERE t.tgfoid NOT IN (SELECT oid FROM harmless)
    UNION ALL
    SELECT n.classid, n.objid FROM reach n
    WHERE n.classid IN ('pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_opfamily'::regclass)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = n.classid AND d.objid = n.objid AND d.deptype = 'e')
    UNION ALL
    SELECT n.classid, n.objid FROM reach n JOIN pg_catalog.pg_rewrite r ON r.oid = n.objid
    WHERE n.classid = 'pg_catalog.pg_rewrite'::regclass AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT n.classid, n.objid FROM reach n JOIN pg_catalog.pg_class c ON c.oid = n.objid
    WHERE n.classid = 'pg_catalog.pg_class'::regclass AND (c.relkind = 'f'
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid IN (SELECT oid FROM names))
      -- Messages name a type with its schema where the path does not lead there.
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_type m ON m.oid = t.typelem
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND (t.typnamespace IN (SELECT oid FROM ns) OR m.typnamespace IN (SELECT oid FROM ns)))
      OR EXISTS (SELECT FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class k ON k.oid = i.inhrelid
        WHERE i.inhparent = c.oid AND k.relnamespace <> c.relnamespace AND k.relkind NOT IN ('i', 'I')))
    UNION ALL
    SELECT n.classid, n.objid FROM reach n JOIN pg_catalog.pg_type t ON t.oid = n.objid
    WHERE n.classid = 'pg_catalog.pg_type'::regclass
      AND (t.typbasetype IN (SELECT oid FROM names) OR t.typelem IN (SELECT oid FROM names))
    UNION ALL
    -- regclass and its kin in an expression. A constant of one is fine but in what a view shows.
    SELECT t.classid, t.objid
    FROM trees t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.tree, ':([a-z_]*type) ([0-9]+)', 'g') m
    WHERE m[2]::oid IN (SELECT oid FROM names)
      AND (m[1] <> 'consttype' OR t.classid = 'pg_catalog.pg_rewrite'::regclass)
    UNION ALL
    -- A view of the system's catalogs, whose rows depend on who looks; and CURRENT_SCHEMA.
    SELECT t.classid, t.objid FROM trees t
    WHERE t.tree ~ 'SQLVALUEFUNCTION :op 14\y' OR EXISTS (
      SELECT FROM pg_catalog.regexp_matches(t.tree, ':relid ([0-9]+)', 'g') m
      WHERE m[1]::oid BETWEEN 1 AND 16383)
    UNION ALL
    -- Built-in functions that resolve names at run time, or tell of the path.
    SELECT c.classid, c.objid FROM called c WHERE c.name ~
      ('^(current_schemas?|current_setting|set_config|to_reg.*|.*_is_visible|.*_to_xml.*'
      || '|cursor_to_.*|ts_stat|ts_rewrite|ts_debug|format_type|has_.*_privilege|pg_get_.*'
      || '|pg_describe_object|pg_identify_object.*|currtid2|regclass|reg.*in|reg.*out)$')
    UNION ALL
    -- In what a read runs: those that tell of the session, or change it.
    SELECT c.classid, c.objid FROM called c
    WHERE c.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_policy'::regclass)
      AND c.name ~ '^(lastval|currval|setseed|pg_(try_)?advisory_(un)?lock(_shared|_all)?)$'
  ) s
  UNION
  SELECT e.from_classid, e.from_objid FROM bad b JOIN edges e USING (classid, objid)
),
-- Where a write to a relation, or a lock on it, leads: to what its rules name, a view's query among them, and to
-- its partitions and heirs.
leads(oid, leads_to) AS MATERIALIZED (
  SELECT n.objid, e.oid FROM reach n CROSS JOIN LATERAL (
    SELECT d.refobjid FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d
      ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass
    WHERE r.ev_class = n.objid
    UNION ALL
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = n.objid
  ) e(oid)
  WHERE n.classid = 'pg_catalog.pg_class'::regclass
),
outward(oid, relnamespace) AS (
  SELECT l.oid, c.relnamespace FROM leads l JOIN pg_catalog.pg_class c ON c.oid = l.leads_to
  WHERE c.relnamespace NOT IN (SELECT oid FROM ns)
  UNION
  SELECT l.oid, o.relnamespace FROM outward o JOIN leads l ON l.leads_to = o.oid
)
SELECT 'relation', own.relname::text, own.relkind::text,
  own.relkind = 'S'
    OR ('pg_catalog.pg_class'::regclass::oid, own.oid) NOT IN (SELECT classid, objid FROM bad)
FROM own
UNION ALL
-- The schemas that would be written through a relation.
SELECT 'outward', own.relname::text, n.nspname::text, false
FROM own JOIN outward o ON o.oid = own.oid JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace
UNION ALL
-- A foreign key to another schema, or a parent in one: to drop either, PostgreSQL locks what is there.
(SELECT 'refers', '', '', false
FROM own CROSS JOIN LATERAL (
    SELECT k.confrelid FROM pg_catalog.pg_constraint k WHERE k.conrelid = own.oid AND k.contype = 'f'
    UNION ALL
    SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = own.oid
  ) r(oid)
  JOIN pg_catalog.pg_class c ON c.oid = r.oid
WHERE c.relnamespace NOT IN (SELECT oid FROM ns)
LIMIT 1)
UNION ALL
-- 'c': code of which nobody here knows what it does with names in its arguments. The extensions that are
-- listed take none; more are the administrator's to list (tenancy.trusted_functions).
SELECT 'function', p.proname::text,
  CASE WHEN pg_catalog.bool_or(CASE
      -- An aggregate is what its functions are.
      WHEN p.prokind = 'a' THEN EXISTS (
        SELECT FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc f ON f.oid = ANY (ARRAY[
          a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn,
          a.aggminvtransfn, a.aggmfinalfn]::oid[])
        JOIN pg_catalog.pg_language fl ON fl.oid = f.prolang
        WHERE a.aggfnoid = p.oid AND f.oid >= 16384 AND fl.lanname IN ('c', 'internal'))
      -- Those of ranges come with their types.
      ELSE l.lanname IN ('c', 'internal') AND p.prosrc !~ '^(multi)?range_constructor[0-3]$'
    END AND coalesce(x.extname NOT IN (
    'bloom', 'btree_gin', 'btree_gist', 'citext', 'cube', 'dict_int', 'dict_xsyn', 'earthdistance',
    'fuzzystrmatch', 'hstore', 'insert_username', 'intarray', 'isn', 'ltree', 'moddatetime', 'pg_trgm',
    'pgcrypto', 'plpgsql', 'postgis', 'seg', 'sslinfo', 'unaccent', 'uuid-ossp', 'vector', 'xml2'), true)
    AND p.proname NOT IN ('normal_rand', 'lo_oid')
    -- Of those extensions: what outlasts a reset of the session, and what takes the names of tables.
    OR x.extname = 'isn' AND p.proname = 'isn_weak'
    OR x.extname = 'postgis' AND p.proname IN (
      '_postgis_index_extent', '_postgis_join_selectivity', '_postgis_selectivity', '_postgis_stats', 'addauth',
      'addgeometrycolumn', 'checkauth', 'dropgeometrycolumn', 'dropgeometrytable', 'find_srid', 'lockrow',
      'populate_geometry_columns', 'st_estimatedextent', 'st_findextent', 'unlockrows', 'updategeometrysrid'))
    THEN 'c' ELSE '' END, false
FROM held h JOIN pg_catalog.pg_proc p ON p.oid = h.objid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
  AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
WHERE h.classid = 'pg_catalog.pg_proc'::regclass
GROUP BY p.proname
UNION ALL
-- Arrays hang on their elements, not on the schema.
SELECT 'type', x.name::text, '', false
FROM held h JOIN pg_catalog.pg_type t ON t.oid = h.objid
LEFT JOIN pg_catalog.pg_type a ON a.oid = t.typarray
CROSS JOIN LATERAL (VALUES (t.typname), (a.typname)) x(name)
WHERE h.classid = 'pg_catalog.pg_type'::regclass AND x.name IS NOT NULL
UNION ALL
-- Composite types hang on the schema by their pg_class entry, or by both.
SELECT 'type', c.relname::text, '', false FROM held h, pg_catalog.pg_class c
WHERE h.classid = 'pg_catalog.pg_class'::regclass AND c.oid = h.objid AND c.relkind = 'c'
UNION ALL
SELECT 'operators', '', '', false WHERE EXISTS (
  SELECT FROM held h WHERE h.classid IN ('pg_catalog.pg_operator'::regclass,
    'pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_opfamily'::regclass,
    'pg_catalog.pg_collation'::regclass, 'pg_catalog.pg_conversion'::regclass,
    'pg_catalog.pg_ts_config'::regclass, 'pg_catalog.pg_ts_dict'::regclass))
UNION ALL
SELECT 'triggers', '', '', false WHERE EXISTS (
  SELECT FROM own o JOIN edges e
    ON e.from_classid = 'pg_catalog.pg_class'::regclass AND e.from_objid = o.oid
  WHERE (e.classid, e.objid) IN (SELECT classid, objid FROM bad)
    AND e.classid IN ('pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_rewrite'::regclass))
