-- What a session has left behind, in words.
SELECT 'temporary ' || relname FROM pg_class WHERE relpersistence = 't'
UNION ALL SELECT 'advisory lock of ' || pid FROM pg_locks WHERE locktype = 'advisory' AND pid IS NOT NULL
UNION ALL SELECT format('%s in a transaction: %s', pid, query) FROM pg_stat_activity
    WHERE usename = 'app' AND xact_start < now() - interval '1 s' AND query NOT LIKE '%pg_settings%'
