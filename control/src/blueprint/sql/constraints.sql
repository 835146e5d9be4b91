-- Constraints of relations $1 and of domains $2; those that come from a parent's are left out.
SELECT c.oid, c.conname::text AS name, c.contype::text AS kind, c.conrelid AS relation, c.contypid AS domain,
    c.conislocal AS local, c.conindid AS index, c.conparentid AS parent,
    CASE WHEN c.contype = 'n' AND c.conrelid <> 0 THEN c.conkey[1] END AS column,
    c.connoinherit AS no_inherit, c.convalidated AS validated
FROM pg_constraint c
WHERE (c.conrelid = ANY ($1) OR c.contypid = ANY ($2)) AND c.contype IN ('c', 'n', 'p', 'u', 'x', 'f', 't')
ORDER BY c.conrelid, c.conname
