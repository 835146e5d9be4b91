-- What relations $1 (indexes too) inherit from, or are partitions of.
SELECT i.inhrelid AS child, i.inhparent AS parent, i.inhseqno AS number, c.relispartition AS is_partition
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhrelid = ANY ($1)
ORDER BY i.inhrelid, i.inhseqno
