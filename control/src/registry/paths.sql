-- Functions and procedures of schema $1 that have a search path of their own.
SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS word, p.proname::text AS name,
    pg_get_function_identity_arguments(p.oid) AS arguments, substr(c.setting, 13) AS search_path
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, unnest(p.proconfig) c(setting)
WHERE n.nspname = $1::text::name AND c.setting LIKE 'search_path=%'
