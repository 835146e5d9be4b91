-- All that a run has to know, in one query. Rows are of several kinds.
WITH file AS (
    SELECT version, checksum
    FROM ROWS FROM (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::bytea[])) AS f (version, checksum)
), newest AS (
    SELECT pg_catalog.max(version) AS version FROM file
), target AS (
    -- What is being made or dropped is not migrated.
    SELECT schema, version, state FROM pgstrata_control.schemas
    WHERE state IN ('source', 'active', 'migrating', 'suspended')
)
SELECT 'registry' AS kind, NULL::name AS schema, NULL::bigint AS version,
       pg_catalog.obj_description('pgstrata_control'::regnamespace, 'pg_namespace') AS note
UNION ALL
SELECT 'known', NULL, pg_catalog.count(*), NULL FROM target
UNION ALL
SELECT 'ahead', NULL, pg_catalog.count(*), NULL FROM target, newest WHERE target.version > newest.version
UNION ALL
-- Those that lack something or were left fenced; and the source and those that somebody named, in any case.
SELECT 'schema', s.schema, s.version, s.state FROM pgstrata_control.schemas AS s
WHERE s.schema = $1 OR s.schema = ANY ($4::text[])
UNION ALL
SELECT 'schema', t.schema, t.version, t.state FROM target AS t, newest AS n
WHERE t.schema <> $1 AND t.schema <> ALL ($4::text[]) AND t.state <> 'source'
  AND (t.state = 'migrating' OR t.version < n.version OR (t.version IS NULL AND n.version IS NOT NULL))
UNION ALL
-- Files that are others than those that ran.
SELECT 'changed', m.schema, m.version, m.name FROM pgstrata_control.migrations AS m
JOIN file AS f ON f.version = m.version AND f.checksum <> m.checksum
WHERE m.state = 'done'
UNION ALL
-- Files that would have had to run before others that did. Only the source has a row for each.
SELECT 'late', s.schema, f.version, NULL FROM file AS f
JOIN pgstrata_control.schemas AS s ON s.schema = $1 AND f.version <= s.version
WHERE NOT EXISTS (SELECT FROM pgstrata_control.migrations AS m WHERE m.schema = $1 AND m.version = f.version)
UNION ALL
-- What the source has, has no file any more, and somebody lacks.
SELECT 'missing', t.schema, m.version, m.name FROM pgstrata_control.migrations AS m
JOIN newest AS n ON m.version < n.version
JOIN LATERAL (
    SELECT schema FROM target WHERE target.version < m.version OR target.version IS NULL LIMIT 1
) AS t ON true
WHERE m.schema = $1 AND NOT EXISTS (SELECT FROM file AS f WHERE f.version = m.version)
