-- One line for each thing that no tenant but its owner may change: what it is, and a hash of all that is in it.
WITH others AS (SELECT oid FROM pg_namespace WHERE nspname IN ('globex', 'public')),
kept AS (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM others))
SELECT 'rows of globex.users' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM globex.users t
UNION ALL SELECT 'rows of globex.ledger' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM globex.ledger t
UNION ALL SELECT 'rows of globex.pending' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM globex.pending t
UNION ALL SELECT 'rows of globex.zq_hidden_table' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM globex.zq_hidden_table t
UNION ALL SELECT 'rows of globex.summary' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM globex.summary t
UNION ALL SELECT 'rows of public.users' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM public.users t
UNION ALL SELECT 'rows of public.posts' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM public.posts t
UNION ALL SELECT 'rows of public.plans' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM public.plans t
UNION ALL SELECT 'rows of public.notices' AS what, md5(coalesce(string_agg(format('%s %s %s %s', t.ctid, t.xmin, t.xmax, t), ',' ORDER BY t.ctid), '')) AS hash FROM public.notices t
UNION ALL SELECT 'sequence globex.users_id_seq', format('%s %s %s', last_value, log_cnt, is_called) FROM globex.users_id_seq
UNION ALL SELECT 'sequence globex.ledger_id_seq', format('%s %s %s', last_value, log_cnt, is_called) FROM globex.ledger_id_seq
UNION ALL SELECT 'sequence globex.tokens', format('%s %s %s', last_value, log_cnt, is_called) FROM globex.tokens
UNION ALL SELECT format('pg_class %s.%s', relnamespace::regnamespace, relname), row(c.oid, c.xmin, c.relfilenode, c.relpages, c.reltuples, c.relfrozenxid, c.relacl, c.relowner)::text FROM pg_class c WHERE relnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_type', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_type c WHERE typnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_proc', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_proc c WHERE pronamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_operator', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_operator c WHERE oprnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_opclass', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_opclass c WHERE opcnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_opfamily', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_opfamily c WHERE opfnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_collation', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_collation c WHERE collnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_conversion', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_conversion c WHERE connamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_constraint', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_constraint c WHERE connamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_ts_config', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_ts_config c WHERE cfgnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_ts_dict', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_ts_dict c WHERE dictnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_ts_parser', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_ts_parser c WHERE prsnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_ts_template', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_ts_template c WHERE tmplnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_statistic_ext', md5(coalesce(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid), '')) FROM pg_statistic_ext c WHERE stxnamespace IN (SELECT oid FROM others)
UNION ALL SELECT 'pg_attribute by attrelid', md5(coalesce(string_agg(row(c.attrelid, c.xmin)::text, ',' ORDER BY c.attrelid, c.ctid), '')) FROM pg_attribute c WHERE attrelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_attrdef by adrelid', md5(coalesce(string_agg(row(c.adrelid, c.xmin)::text, ',' ORDER BY c.adrelid, c.ctid), '')) FROM pg_attrdef c WHERE adrelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_trigger by tgrelid', md5(coalesce(string_agg(row(c.tgrelid, c.xmin)::text, ',' ORDER BY c.tgrelid, c.ctid), '')) FROM pg_trigger c WHERE tgrelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_rewrite by ev_class', md5(coalesce(string_agg(row(c.ev_class, c.xmin)::text, ',' ORDER BY c.ev_class, c.ctid), '')) FROM pg_rewrite c WHERE ev_class IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_policy by polrelid', md5(coalesce(string_agg(row(c.polrelid, c.xmin)::text, ',' ORDER BY c.polrelid, c.ctid), '')) FROM pg_policy c WHERE polrelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_index by indrelid', md5(coalesce(string_agg(row(c.indrelid, c.xmin)::text, ',' ORDER BY c.indrelid, c.ctid), '')) FROM pg_index c WHERE indrelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_inherits by inhparent', md5(coalesce(string_agg(row(c.inhparent, c.xmin)::text, ',' ORDER BY c.inhparent, c.ctid), '')) FROM pg_inherits c WHERE inhparent IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_inherits by inhrelid', md5(coalesce(string_agg(row(c.inhrelid, c.xmin)::text, ',' ORDER BY c.inhrelid, c.ctid), '')) FROM pg_inherits c WHERE inhrelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_statistic by starelid', md5(coalesce(string_agg(row(c.starelid, c.xmin)::text, ',' ORDER BY c.starelid, c.ctid), '')) FROM pg_statistic c WHERE starelid IN (SELECT oid FROM kept)
UNION ALL SELECT 'pg_authid', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_authid c
UNION ALL SELECT 'pg_auth_members', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_auth_members c
UNION ALL SELECT 'pg_database', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_database c
UNION ALL SELECT 'pg_db_role_setting', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_db_role_setting c
UNION ALL SELECT 'pg_extension', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_extension c
UNION ALL SELECT 'pg_language', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_language c
UNION ALL SELECT 'pg_cast', md5(string_agg(row(c.oid, c.xmin)::text, ',' ORDER BY c.oid)) FROM pg_cast c WHERE NOT EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN (castsource, casttarget) AND n.nspname ~ '^(acme_corp$|pg_temp)')
UNION ALL SELECT 'pg_am', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_am c
UNION ALL SELECT 'pg_publication', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_publication c
UNION ALL SELECT 'pg_subscription', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_subscription c
UNION ALL SELECT 'pg_foreign_data_wrapper', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_foreign_data_wrapper c
UNION ALL SELECT 'pg_foreign_server', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_foreign_server c
UNION ALL SELECT 'pg_user_mapping', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_user_mapping c
UNION ALL SELECT 'pg_event_trigger', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_event_trigger c
UNION ALL SELECT 'pg_transform', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_transform c
UNION ALL SELECT 'pg_tablespace', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_tablespace c
UNION ALL SELECT 'pg_default_acl', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_default_acl c
UNION ALL SELECT 'pg_largeobject_metadata', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_largeobject_metadata c
UNION ALL SELECT 'pg_largeobject', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_largeobject c
UNION ALL SELECT 'pg_parameter_acl', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_parameter_acl c
UNION ALL SELECT 'pg_shdescription', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_shdescription c
UNION ALL SELECT 'pg_shseclabel', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_shseclabel c
UNION ALL SELECT 'pg_description', md5(coalesce(string_agg(row(c.ctid, c.xmin)::text, ',' ORDER BY c.ctid), '')) FROM pg_description c WHERE objoid IN (SELECT oid FROM kept UNION SELECT oid FROM others)
UNION ALL SELECT 'pg_namespace', md5(string_agg(row(c.nspname, c.xmin)::text, ',' ORDER BY c.oid)) FROM pg_namespace c WHERE nspname <> 'acme_corp' AND nspname NOT LIKE 'pg\_%temp\_%'
UNION ALL SELECT 'prepared transactions of globex', string_agg(gid, ',' ORDER BY gid) FROM pg_prepared_xacts WHERE gid LIKE 'globex%'
