-- What the object n (classid, objid) may run or read when it is used.
-- Every branch goes by an index: there may be ten thousand tenants.
SELECT d.refclassid AS classid, d.refobjid AS objid
FROM pg_catalog.pg_depend d
WHERE d.classid = n.classid AND d.objid = n.objid AND d.deptype <> 'e'
  AND n.classid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_type'::regclass,
    'pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_attrdef'::regclass,
    'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_trigger'::regclass,
    'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_statistic_ext'::regclass)
  AND d.refclassid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass,
    'pg_catalog.pg_type'::regclass, 'pg_catalog.pg_operator'::regclass,
    'pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_opfamily'::regclass)
  -- A sequence runs nothing, whatever its table does.
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s
    WHERE n.classid = 'pg_catalog.pg_class'::regclass AND s.oid = n.objid AND s.relkind = 'S')
  -- To look a foreign key up fires nothing in the table that it points to.
  AND NOT (d.refclassid = 'pg_catalog.pg_class'::regclass AND EXISTS (
    SELECT FROM pg_catalog.pg_constraint k
    WHERE n.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = n.objid AND k.contype = 'f'))
UNION ALL
SELECT 'pg_catalog.pg_attrdef'::regclass, a.oid FROM pg_catalog.pg_attrdef a
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND a.adrelid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_constraint'::regclass, k.oid FROM pg_catalog.pg_constraint k
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND k.conrelid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid FROM pg_catalog.pg_index i
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND i.indrelid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_trigger'::regclass, t.oid FROM pg_catalog.pg_trigger t
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND t.tgrelid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_policy'::regclass, p.oid FROM pg_catalog.pg_policy p
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND p.polrelid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid FROM pg_catalog.pg_rewrite r
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND r.ev_class = n.objid
UNION ALL
SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid FROM pg_catalog.pg_statistic_ext s
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND s.stxrelid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, i.inhrelid FROM pg_catalog.pg_inherits i
WHERE n.classid = 'pg_catalog.pg_class'::regclass AND i.inhparent = n.objid
UNION ALL
-- A cascade writes to the table that points here, and fires its triggers.
SELECT 'pg_catalog.pg_class'::regclass, k.conrelid
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_constraint k ON k.oid = d.objid
WHERE n.classid = 'pg_catalog.pg_class'::regclass
  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = n.objid
  AND d.classid = 'pg_catalog.pg_constraint'::regclass
  AND k.contype = 'f' AND k.confrelid = n.objid
  AND (k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r'))
UNION ALL
SELECT 'pg_catalog.pg_constraint'::regclass, k.oid FROM pg_catalog.pg_constraint k
WHERE n.classid = 'pg_catalog.pg_type'::regclass AND k.contypid = n.objid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, t.typrelid FROM pg_catalog.pg_type t
WHERE n.classid = 'pg_catalog.pg_type'::regclass AND t.oid = n.objid AND t.typrelid <> 0
