-- The template: what every tenant's schema has.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO app;
SET search_path TO public;
%TABLES%
INSERT INTO users (name, email) VALUES ('Template', 'template@example.com');
GRANT SELECT ON users, posts TO app;

-- Shared by all tenants.
CREATE TABLE plans (id integer PRIMARY KEY, name text NOT NULL, price_cents integer NOT NULL);
INSERT INTO plans VALUES (1, 'free', 0), (2, 'team', 4900), (3, 'enterprise', 99900);
GRANT SELECT ON plans TO app;

-- The tenants. Their tables are the application's own: it migrates them.
CREATE SCHEMA acme_corp;
GRANT USAGE, CREATE ON SCHEMA acme_corp TO app;
CREATE SCHEMA globex;
GRANT USAGE, CREATE ON SCHEMA globex TO app;
SET ROLE app;

SET search_path TO acme_corp;
%TABLES%
INSERT INTO users (name, email) VALUES
    ('Alice', 'alice@acme.example'), ('Bob', 'bob@acme.example'), ('Carol', 'carol@acme.example');
INSERT INTO posts (user_id, title, body) VALUES
    (1, 'Rocket skates', 'They work.'), (2, 'Giant magnets', 'They do not.');

SET search_path TO globex;
%TABLES%
INSERT INTO users (name, email) VALUES
    ('Hank', 'hank@globex.example'), ('Mindy', 'mindy@globex.example');
INSERT INTO posts (user_id, title, body) VALUES (1, 'Hammocks', 'There is a place for them.');
RESET ROLE;
