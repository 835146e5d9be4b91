-- What all tenants share. In the tier `names` PostgreSQL itself would let the role write: the proxy must not.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE TABLE public.users (id integer PRIMARY KEY, name text DEFAULT 'Template', secret text, email text);
INSERT INTO public.users VALUES (1, 'Template', 't', 't');
CREATE TABLE public.posts (id integer PRIMARY KEY, user_id integer, title text, body text);
CREATE TABLE public.plans (id integer PRIMARY KEY, name text NOT NULL, price_cents integer NOT NULL);
INSERT INTO public.plans VALUES (1, 'free', 0), (2, 'team', 4900), (3, 'enterprise', 99900);
CREATE TABLE public.notices (note text);
INSERT INTO public.notices VALUES ('welcome');
CREATE TABLE public.notes (note text);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
