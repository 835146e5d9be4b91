-- Rules of relations $1; _RETURN is what makes a view.
SELECT r.oid, r.rulename::text AS name, r.ev_class AS relation, r.ev_enabled::text AS enabled
FROM pg_rewrite r
WHERE r.ev_class = ANY ($1)
ORDER BY r.rulename
