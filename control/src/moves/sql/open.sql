-- Which of the transactions ($2: their processes, $3: their virtual identifiers) are open still, and whether each has
-- locked anything of schema $1. Those that have locked relations of other tenants are not this tenant's; $4: the schemas
-- that all share.
WITH locks AS MATERIALIZED (
    SELECT * FROM pg_locks
), touched AS (
    SELECT l.pid, l.virtualtransaction, n.nspname
    FROM locks l JOIN pg_class c ON l.locktype = 'relation' AND c.oid = l.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL
    SELECT l.pid, l.virtualtransaction, n.nspname
    FROM locks l JOIN pg_namespace n ON l.locktype = 'object' AND l.classid = 'pg_namespace'::regclass AND l.objid = n.oid
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL
    -- Of another database.
    SELECT l.pid, l.virtualtransaction, '' FROM locks l
    WHERE l.database <> 0 AND l.database <> (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT s.pid, s.transaction, bool_or(t.nspname = $1::text::name) IS TRUE AS ours
FROM unnest($2::int[], $3::text[]) s(pid, transaction)
    JOIN locks v ON v.locktype = 'virtualxid' AND v.pid = s.pid AND v.virtualtransaction = s.transaction
        AND v.virtualxid = s.transaction
    LEFT JOIN touched t ON t.pid = s.pid AND t.virtualtransaction = s.transaction
GROUP BY s.pid, s.transaction
HAVING bool_or(t.nspname = $1::text::name) IS TRUE
    OR bool_or(t.nspname <> ALL ($4::text[]) AND t.nspname !~ '^pg_') IS NOT TRUE
