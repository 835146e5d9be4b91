-- psql's backslash commands on a tenant's schema.
CREATE TYPE level AS ENUM ('low', 'high');
CREATE DOMAIN short AS varchar(10) CHECK (VALUE <> '');
CREATE TABLE customers (id serial PRIMARY KEY, name short NOT NULL, level level DEFAULT 'low', note text COLLATE "C");
CREATE TABLE invoices (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int NOT NULL REFERENCES customers ON DELETE CASCADE,
    amount numeric(10, 2) CHECK (amount > 0),
    gross numeric GENERATED ALWAYS AS (amount * 1.2) STORED
);
CREATE INDEX invoices_amount ON invoices (amount) WHERE amount > 100;
CREATE VIEW big AS SELECT c.name, i.amount FROM customers c JOIN invoices i ON i.customer = c.id WHERE amount > 1000;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(amount) AS total FROM invoices GROUP BY customer;
CREATE UNIQUE INDEX totals_customer ON totals (customer);
CREATE FUNCTION total_of(who int) RETURNS numeric LANGUAGE sql STABLE RETURN (SELECT sum(amount) FROM invoices WHERE customer = who);
CREATE PROCEDURE forget(who int) LANGUAGE sql BEGIN ATOMIC DELETE FROM customers WHERE id = who; END;
CREATE AGGREGATE product (numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
CREATE SEQUENCE numbers START 100 INCREMENT 10;
CREATE TABLE history (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE history_25 PARTITION OF history FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE history_rest PARTITION OF history DEFAULT;
CREATE TRIGGER same BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY all_rows ON customers USING (true);
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE customers IS 'Who buys';
COMMENT ON COLUMN customers.name IS 'at most ten letters';
COMMENT ON FUNCTION total_of(int) IS 'What they owe';
CREATE STATISTICS amounts ON customer, amount FROM invoices;
\d
\dt
\dt+ acme_psql_describe.customers
\dv
\dm
\di
\ds
\d customers
\d+ customers
\d invoices
\d+ invoices
\d big
\d+ big
\d totals
\d+ totals
\d numbers
\d customers_id_seq
\d invoices_amount
\d history
\d+ history
\d history_25
\d level
\d missing
\d acme_psql_describe.customers
\d public.plans
\d plans
\dt public.*
\dt acme_psql_describe.*
\dt inv*
\dt *.invoices
\df
\df total_of
\df+ forget
\da product
\dT
\dT+ level
\dD
\dn acme_psql_describe
\dn public
\dp customers
\z invoices
\dd
\dO
\do missing
\dc
\dC missing
\des
\det
\dew
\dF
\dFd
\dP
\dPt
\dX
\dy
\dRp
\sf total_of
\sf missing
\sv big
\sv missing
\l nothing
\du nobody
\db missing
\dL
\dx plpgsql
\dconfig work_mem
\drds missing
\dg missing
\ddp
\encoding
SET search_path TO public;
\dt
\d customers
\d plans
RESET search_path;
BEGIN;
\d numbers
SELECT missing;
\d numbers
ROLLBACK;
\d numbers
\set ECHO_HIDDEN noexec
\dn nothing
\unset ECHO_HIDDEN
\pset footer off
\dt
\pset footer on
DROP VIEW big;
\dv
DROP TABLE customers, invoices, history CASCADE;
\d
