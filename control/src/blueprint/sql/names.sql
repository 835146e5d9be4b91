-- Names by which objects with ids $1 are found. Run under a schema's own path, so all in it is qualified.
SELECT 'type' AS what, t.oid, pg_catalog.format_type(t.oid, NULL) AS name
FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'function', p.oid, CASE WHEN pg_catalog.pg_function_is_visible(p.oid) THEN pg_catalog.quote_ident(p.proname)
    ELSE pg_catalog.format('%s.%I', p.pronamespace::pg_catalog.regnamespace, p.proname) END
FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'signature', p.oid, p.oid::pg_catalog.regprocedure::pg_catalog.text
FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'arguments', p.oid, pg_catalog.format('%I(%s)', p.proname, CASE WHEN p.pronargs OPERATOR(pg_catalog.=) 0 THEN '*'
    ELSE pg_catalog.pg_get_function_arguments(p.oid) END)
FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'operator', o.oid, CASE WHEN pg_catalog.pg_operator_is_visible(o.oid) THEN o.oprname::pg_catalog.text
    ELSE pg_catalog.format('OPERATOR(%s.%s)', o.oprnamespace::pg_catalog.regnamespace, o.oprname) END
FROM pg_catalog.pg_operator o WHERE o.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'operands', o.oid, o.oid::pg_catalog.regoperator::pg_catalog.text
FROM pg_catalog.pg_operator o WHERE o.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'family', f.oid, CASE WHEN pg_catalog.pg_opfamily_is_visible(f.oid) THEN pg_catalog.quote_ident(f.opfname)
    ELSE pg_catalog.format('%s.%I', f.opfnamespace::pg_catalog.regnamespace, f.opfname) END
FROM pg_catalog.pg_opfamily f WHERE f.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'class', c.oid, CASE WHEN pg_catalog.pg_opclass_is_visible(c.oid) THEN pg_catalog.quote_ident(c.opcname)
    ELSE pg_catalog.format('%s.%I', c.opcnamespace::pg_catalog.regnamespace, c.opcname) END
FROM pg_catalog.pg_opclass c WHERE c.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'parser', p.oid, CASE WHEN pg_catalog.pg_ts_parser_is_visible(p.oid) THEN pg_catalog.quote_ident(p.prsname)
    ELSE pg_catalog.format('%s.%I', p.prsnamespace::pg_catalog.regnamespace, p.prsname) END
FROM pg_catalog.pg_ts_parser p WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'template', t.oid, CASE WHEN pg_catalog.pg_ts_template_is_visible(t.oid) THEN pg_catalog.quote_ident(t.tmplname)
    ELSE pg_catalog.format('%s.%I', t.tmplnamespace::pg_catalog.regnamespace, t.tmplname) END
FROM pg_catalog.pg_ts_template t WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1)
UNION ALL
SELECT 'dictionary', d.oid, CASE WHEN pg_catalog.pg_ts_dict_is_visible(d.oid) THEN pg_catalog.quote_ident(d.dictname)
    ELSE pg_catalog.format('%s.%I', d.dictnamespace::pg_catalog.regnamespace, d.dictname) END
FROM pg_catalog.pg_ts_dict d WHERE d.oid OPERATOR(pg_catalog.=) ANY ($1)
