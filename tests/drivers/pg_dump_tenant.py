"""pg_dump, pg_restore and psql -f of a tenant: argv[1] and argv[2] are acme_corp's and globex's URLs.

PG_BIN names the folder of PostgreSQL's programs, where it is not the one of the PATH.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TENANTS = ["acme_corp", "globex"]
PUBLIC = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
MORE = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE place AS (street text, number integer);
CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE TABLE visits (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id integer REFERENCES users, mood mood, part percent,
    place place, double integer GENERATED ALWAYS AS (twice(part)) STORED, note text DEFAULT 'none'
);
CREATE INDEX visits_lower ON visits (lower(note));
COMMENT ON TABLE visits IS 'who came';
CREATE VIEW good_visits AS SELECT visits.id, name FROM visits JOIN users ON users.id = user_id WHERE mood = 'good';
CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) FROM visits GROUP BY mood;
CREATE TABLE logs (id integer, kind text) PARTITION BY LIST (kind);
CREATE TABLE logs_a PARTITION OF logs FOR VALUES IN ('a');
CREATE TABLE logs_rest PARTITION OF logs DEFAULT;
ALTER TABLE visits ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON visits USING (part >= 0);
INSERT INTO visits (user_id, mood, part, place, note) SELECT 1, 'good', n, ('road', n)::place, current_schema() || n FROM generate_series(1, 50) n;
INSERT INTO logs VALUES (1, 'a'), (2, 'b');
REFRESH MATERIALIZED VIEW moods;
"""
CONTENT = """
SELECT 'users', u::text FROM users u UNION ALL SELECT 'posts', p::text FROM posts p
UNION ALL SELECT 'visits', v::text FROM visits v UNION ALL SELECT 'good', g::text FROM good_visits g
UNION ALL SELECT 'moods', m::text FROM moods m UNION ALL SELECT 'logs', l::text || tableoid::regclass FROM logs l ORDER BY 1, 2
"""
NEXT = "INSERT INTO users (name, email) VALUES ('next', 'next') RETURNING id"
DROP = """
DROP MATERIALIZED VIEW IF EXISTS moods; DROP VIEW IF EXISTS good_visits; DROP TABLE IF EXISTS logs, visits, posts, users;
DROP FUNCTION IF EXISTS twice(integer); DROP DOMAIN IF EXISTS percent; DROP TYPE IF EXISTS place; DROP TYPE IF EXISTS mood
"""
# The schema is an administrator's: to make it is refused by PostgreSQL too.
OF_SCHEMA = re.compile("(may not run (CREATE|ALTER) SCHEMA|permission denied for database|grant or revoke|must be owner of schema)")


def tool(name, *arguments, **options):
    folder = os.environ.get("PG_BIN")
    program = os.path.join(folder, name) if folder else name
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


def done(result):
    assert result.returncode == 0, f"{result.args}: {result.returncode}\n{result.stdout[-500:]}\n{result.stderr[:2000]}"
    return result.stdout


def psql(url, *commands):
    arguments = [part for command in commands for part in ("-c", command)]
    return done(tool("psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAt", *arguments, url))


def dump(url, tenant, *options):
    return done(tool("pg_dump", "--no-password", "-n", tenant, *options, url))


def own(text, tenant):
    """Nothing of the other tenant is in it."""
    (other,) = set(TENANTS) - {tenant}
    assert tenant in text and other not in text and other.split("_")[0] not in text
    return text


def plain(url, tenant, folder):
    whole = own(dump(url, tenant), tenant)
    assert f"CREATE TABLE {tenant}.visits" in whole and f"COPY {tenant}.users" in whole and "CREATE POLICY visible" in whole
    schema = own(dump(url, tenant, "--schema-only"), tenant)
    assert f"CREATE INDEX visits_lower ON {tenant}.visits" in schema and "COPY" not in schema
    data = own(dump(url, tenant, "--data-only"), tenant)
    assert "CREATE" not in data and f"{tenant}50" in data and f"setval('{tenant}.users_id_seq'" in data
    inserts = own(dump(url, tenant, "--inserts", "--rows-per-insert=7"), tenant)
    assert f"INSERT INTO {tenant}.visits" in inserts and "COPY" not in inserts
    columns = own(dump(url, tenant, "--column-inserts", "--clean", "--if-exists", "--quote-all-identifiers"), tenant)
    assert f'INSERT INTO "{tenant}"."users" ("id", "name", "email") VALUES' in columns
    table = done(tool("pg_dump", "-t", "users", "--serializable-deferrable", url))
    assert f"CREATE TABLE {tenant}.users" in table and f"{tenant}.posts" not in table
    strict = done(tool("pg_dump", "-n", tenant, "-T", "logs*", "--exclude-table-data=visits", "--strict-names", url))
    assert f"CREATE TABLE {tenant}.visits" in strict and f"{tenant}50" not in strict and "logs" not in strict


def others(url, tenant, folder):
    """Another tenant's schema is no more dumped than read."""
    (other,) = set(TENANTS) - {tenant}
    if "search_path" not in url:
        result = tool("pg_dump", "-n", other, url)
        assert result.returncode != 0 and "COPY" not in result.stdout and "CREATE" not in result.stdout


def archives(url, tenant, folder):
    """Each format is restored into the emptied tenant, in each way."""
    before = psql(url, CONTENT)
    custom, directory, tar = (folder / f"{tenant}.{kind}" for kind in ("custom", "directory", "tar"))
    for kind, path in (("custom", custom), ("directory", directory), ("tar", tar)):
        dump(url, tenant, f"--format={kind}", "-f", path)
        listed = own(done(tool("pg_restore", "-l", path)), tenant)
        assert f"TABLE DATA {tenant} visits" in listed and f"VIEW {tenant} good_visits" in listed
    own(done(tool("pg_restore", "-f", "-", custom)), tenant)
    for path, *how in ((custom,), (directory, "-j", "2"), (tar, "--single-transaction"), (custom, "--clean", "--if-exists")):
        if "--clean" not in how:
            psql(url, DROP)
        done(tool("pg_restore", "--exit-on-error", "-O", "-x", "-n", tenant, *how, "-d", url, path))
        assert psql(url, CONTENT) == before
    dump(url, tenant, "--format=custom", "--data-only", "-f", custom)
    psql(url, "TRUNCATE users, posts, visits, logs RESTART IDENTITY")
    done(tool("pg_restore", "--exit-on-error", "--data-only", "-d", url, custom))
    psql(url, "REFRESH MATERIALIZED VIEW moods")
    assert psql(url, CONTENT) == before
    following = len([line for line in before.splitlines() if line.startswith("users|")]) + 1
    assert psql(url, NEXT, "DELETE FROM users WHERE name = 'next'").strip() == str(following)


def scripts(url, tenant, folder):
    """psql -f of what pg_dump writes without any option, owners and all."""
    before = psql(url, CONTENT)
    for options in ((), ("-O", "-x"), ("--inserts",)):
        path = folder / f"{tenant}.sql"
        dump(url, tenant, "-f", path, *options)
        psql(url, DROP)
        result = tool("psql", "--no-psqlrc", "-q", "-f", path, url)
        complaints = [line for line in result.stderr.splitlines() if "ERROR" in line or "FATAL" in line]
        assert all(OF_SCHEMA.search(line) for line in complaints), complaints
        assert psql(url, CONTENT) == before


def main():
    urls = sys.argv[1:3]
    public = psql(urls[0], PUBLIC)
    for url in urls:
        psql(url, *MORE.strip().split(";\n"))
    with tempfile.TemporaryDirectory() as folder:
        for step in (plain, others, archives, scripts):
            for url, tenant in zip(urls, TENANTS):
                try:
                    step(url, tenant, Path(folder))
                except BaseException:
                    print(f"{step.__name__} failed for {tenant}", file=sys.stderr)
                    raise
            print(step.__name__, "passed")
    assert psql(urls[1], PUBLIC) == public


main()
