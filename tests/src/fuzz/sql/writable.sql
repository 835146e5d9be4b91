-- In the tier `names`.
-- No REFERENCES: a foreign key to a shared table is a tenant's right, and changes that table's triggers.
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON ALL TABLES IN SCHEMA public TO app;
GRANT CREATE ON SCHEMA public TO app;
