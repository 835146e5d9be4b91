//! Pieces that are likely to run, and those that reach for another tenant.

use super::names;
use super::random::Random;

/// What gives another tenant's values away, or touches what it has, if it is ever run. The guard must refuse
/// each, or PostgreSQL.
const REACHES: &[&str] = &[
    "select secret from globex.users",
    "table globex.users",
    "copy globex.users to stdout",
    "select * from globex.ledger",
    "do $$ begin raise notice '%', (select secret from globex.users limit 1); end $$",
    "do $$ begin execute 'insert into globex.ledger(note) values (1)'; end $$",
    "insert into globex.ledger (note) values ('x')",
    "update globex.users set name = 'x'",
    "delete from globex.users",
    "truncate globex.ledger",
    "drop table globex.ledger",
    "drop schema globex cascade",
    "alter table globex.users add column y int",
    "create table globex.made (i int)",
    "create table public.made (i int)",
    "create view public.v as select 1 as i",
    "insert into plans values (9, 'x', 1)",
    "insert into public.notices values ('x')",
    "select nextval('globex.users_id_seq')",
    "select setval('globex.users_id_seq', 1)",
    "set search_path = globex; select secret from users",
    "set local search_path to globex; select secret from users",
    "select set_config('search_path', 'globex', false); select secret from users",
    "reset role; select secret from globex.users",
    "reset role; set role tenant_globex; select secret from globex.users",
    "set session authorization tenant_globex",
    "set role tenant_globex; select secret from globex.users",
    "lock table globex.users",
    "comment on table globex.users is 'x'",
    "grant select on globex.users to public",
    "revoke all on globex.users from app",
    "select query_to_xml('select secret from globex.users', true, true, '')",
    "select schema_to_xml('globex', true, true, '')",
    "select lo_get(oid) from pg_largeobject_metadata",
    "select lo_create(0)",
    "select most_common_vals from pg_stats where schemaname = 'globex'",
    "select pg_notify('globex.orders', 'x')",
    "listen \"globex.orders\"",
    "select globex.tell()",
    "call globex.act()",
    "execute p",
    "prepare p as select secret from globex.users; execute p",
    "declare c cursor with hold for select secret from globex.users; fetch all c",
    "create function h() returns text language sql as 'select secret from globex.users limit 1'; select h()",
    "create function h() returns text language sql return (select secret from globex.users limit 1); select h()",
    "create view w as select * from globex.users; select * from w",
    "create table m (like globex.users including all)",
    "create table m () inherits (globex.users)",
    "create table m (i int references globex.users)",
    "select secret from only globex.users",
    "select (globex.users).secret from globex.users",
    "explain (analyze, verbose) select secret from globex.users where secret > ''",
    "explain analyze create table public.made as select 1",
    "alter default privileges grant all on tables to public",
    "drop owned by app",
    "create role made",
    "alter role app set search_path = globex",
    "alter database app set search_path = globex",
    "create extension citext",
    "create cast (text as mood) with inout",
    "vacuum globex.users",
    "analyze globex.users",
    "cluster globex.users using users_pkey",
    "reindex table globex.users",
    "refresh materialized view globex.summary",
    "select currval('globex.users_id_seq')",
    "select lastval()",
    "select current_setting('app.secret', true)",
    "select pg_terminate_backend(pid) from pg_stat_activity",
    "commit prepared 'globex.held'",
    "rollback prepared 'globex.held'",
    "security label on table globex.users is 'x'",
    "update pg_settings set setting = 'globex' where name = 'search_path'; select secret from users",
    "merge into globex.users u using items on u.id = items.id when matched then delete",
    "with w as (insert into globex.ledger(note) values ('x') returning *) select * from w",
    "select attmissingval from pg_attribute where attmissingval is not null",
    "set tenant = globex; select secret from users",
];
/// The same where an expression may stand.
const REACHING: &[&str] = &[
    "(select secret from globex.users limit 1)",
    "(select max(secret) from globex.users)",
    "globex.tell()",
    "nextval('globex.users_id_seq')",
    "nextval(cast('glo' as text) || 'bex.users_id_seq')",
    "query_to_xml('select secret from globex.users', true, true, '')",
    "set_config('search_path', 'globex', true)",
    "array(select secret from globex.users)",
    "(table globex.users limit 1)",
    "row(1) operator(globex.===) row(1)",
    "1 operator(globex.===) 2",
    "'x' collate globex.by_name",
    "'a'::globex.mood",
    "cast('a' as globex.mood)",
    "globex.mood 'a'",
    "pg_notify('globex.orders', 'x')",
    "currval('globex.users_id_seq')",
    "lastval()",
    "ts_stat('select secret::tsvector from globex.users')",
    "table_to_xml('globex.users', true, true, '')",
    "current_setting('app.secret', true)",
    "pg_get_viewdef('globex.peek')",
    "has_table_privilege('globex.users', 'select')",
    "lo_import('/etc/passwd')",
    "pg_sequence_last_value('globex.users_id_seq')",
    "xpath('/', query_to_xml('table globex.users', true, true, ''))",
];
const OPERANDS: &[&str] = &[
    "id", "name", "1", "'a'", "null", "true", "users.id", "u.id", "count(*)", "(select 1)",
    "(select max(id) from users)", "array[1, 2]", "row(1, 2)", "current_user", "current_schema",
    "case when true then 1 end", "$1", "1 + 1", "u", "exists (select from items)", "cast(id as text)",
    "id::text", "'users'::regclass", "nextval('tickets')", "now()", "(array[1,2])[1]", "current_date",
    "interval '1 day'", "json_object('a': 1)", "xmlelement(name a)", "coalesce(id, 1)", "grouping(id)",
    "row_number() over w", "sum(id) over (order by id)", "title_count(1)", "default", "-1", "not true",
];
const SELECTS: &[&str] = &[
    "select 1",
    "select * from users",
    "select id, name from users u",
    "table items",
    "values (1, 'a')",
    "select u.name, p.title from users u join posts p on p.user_id = u.id",
    "select 1 as case",
    "select 1 end",
    "select id case from users",
    "select 1 begin",
    "select 1 atomic",
    "select 1 end, 2 case",
    "with w as (select 1 as i) select * from w",
    "select count(*) from users group by grouping sets ((id), ())",
    "select * from users u, lateral (select u.id) x",
    "select * from rows from (generate_series(1, 2), unnest(array[1]))",
    "select 1 union all select 2",
    "select * from users tablesample system (10)",
    "select from users for update",
    "select sum(id) over w from users window w as (order by id)",
    "select 1 into made2",
    "select * from json_table('[1]', '$[*]' columns (a int path '$'))",
    "select * from xmltable('/a' passing '<a/>' columns b text)",
    "select * from users fetch first 1 rows with ties",
    "insert into items (id) values (77) returning *",
    "update users set name = name returning id",
    "delete from items where id = 5 returning *",
    "insert into users (name) values ('n') on conflict do nothing",
    "merge into items i using users u on i.id = u.id when matched then do nothing",
    "select case when true then 1 end case",
    "select distinct on (id) * from users",
    "select lower(name) from users",
];
const TABLES: &[&str] = &[
    "users",
    "users u",
    "users as u",
    "items i",
    "only users",
    "public.plans p",
    "(select 1) s",
    "lateral (select 1) l",
    "generate_series(1, 2) g",
    "users u join items i using (id)",
    "users natural join items",
    "parts",
    "cheap c",
    "rows from (generate_series(1, 2)) r",
    "users tablesample system (5)",
    "users *",
    "(users u cross join items)",
    "xmltable('/a' passing '<a/>' columns b text) x",
    "summary s",
    "\"Odd Name\" o",
    "pg_settings",
    "pg_class c",
];
const DEFINITIONS: &[&str] = &[
    "sfunc = {f}", "stype = {t}", "finalfunc = {f}", "combinefunc = {f}", "initcond = '0'", "msfunc = {f}",
    "minvfunc = {f}", "mstype = {t}", "sortop = {n}", "serialfunc = {f}", "deserialfunc = {f}",
    "basetype = {t}", "procedure = {f}", "function = {f}", "leftarg = {t}", "rightarg = {t}",
    "commutator = {n}", "negator = {n}", "restrict = {f}", "join = {f}", "hashes", "merges", "subtype = {t}",
    "subtype = int4", "subtype_opclass = {n}", "collation = {n}", "canonical = {f}", "subtype_diff = {f}",
    "multirange_type_name = {n}", "input = {f}", "output = {f}", "receive = {f}", "send = {f}",
    "typmod_in = {f}", "analyze = {f}", "subscript = {f}", "like = {t}", "element = {t}", "parser = {n}",
    "copy = {n}", "template = {n}", "start = {f}", "gettoken = {f}", "end = {f}", "lextypes = {f}",
    "headline = {f}", "init = {f}", "lexize = {f}", "dictionary = {n}", "locale = 'C'", "provider = libc",
    "lc_collate = 'C'", "from = {n}", "owned by {n}", "fillfactor = 50", "security_barrier",
    "stopwords = english", "format csv", "header", "force_quote *", "user_catalog_table", "analyze",
    "verbose", "parallel 0",
];
const CALLS: &[&str] = &[
    "lower('A')",
    "count(*)",
    "count(distinct id)",
    "max(id) filter (where true)",
    "now()",
    "title_count(1)",
    "{f}({e})",
    "{f}({e}, {e})",
    "{f}()",
    "{f}(variadic array[1])",
    "{f}(a => {e})",
    "{f}(all id)",
    "{f}(distinct id order by id)",
    "percentile_cont(0.5) within group (order by id)",
    "extract(year from now())",
    "overlay('a' placing 'b' from 1)",
    "position('a' in 'b')",
    "trim(both 'a' from 'b')",
    "json_value('1', '$')",
    "json_query('[1]', '$')",
    "nullif(1, 2)",
    "json_exists('1', '$')",
    "xmlforest(1 as a)",
    "xmlserialize(content '<a/>' as text)",
    "treat(1 as {t})",
    "collation for ('a')",
    "cast({e} as {t})",
    "greatest({e}, {e})",
    "json_arrayagg(id)",
    "normalize('a')",
    "nextval({s})",
    "set_config({s}, {s}, true)",
    "current_setting({s}, true)",
    "to_regclass({s})",
    "pg_notify({s}, {s})",
    "has_table_privilege({s}, 'select')",
    "pg_get_serial_sequence({s}, 'id')",
    "query_to_xml({s}, true, true, '')",
    "pg_advisory_xact_lock(1)",
    "col_description({s}::regclass, 1)",
    "pg_relation_size({s})",
    "ts_stat({s})",
];
const BODIES: &[&str] = &[
    "as 'select 1'",
    "as $$ select 1 $$",
    "as $$ select secret from globex.users limit 1 $$",
    "return 1",
    "return (select max(name) from users)",
    "begin atomic select 1; end",
    "begin atomic select 1 case; end",
    "begin atomic select 1 end; end",
    "begin atomic {q}; {q}; end",
    "begin atomic; ; {q}; end",
    "begin atomic end",
    "begin atomic select case when true then 1 end; end",
    "begin atomic select 1 as begin; select 2 atomic; end",
    "return case when true then 1 end",
    "begin atomic {q} ; select 1 as case ; end",
];
const SETTINGS: &[&str] = &[
    "search_path = globex",
    "search_path to globex, public",
    "search_path = {s}",
    "role = {s}",
    "role to tenant_globex",
    "session authorization default",
    "client_encoding = 'LATIN1'",
    "client_min_messages = debug2",
    "schema 'globex'",
    "time zone 'UTC'",
    "transaction isolation level serializable",
    "statement_timeout = 0",
    "lock_timeout = 10",
    "search_path from current",
    "default_transaction_read_only = on",
    "names 'UTF8'",
    "work_mem = '64kB'",
    "app.x = {s}",
    "session characteristics as transaction read only",
    "datestyle = german",
    "default_tablespace = ''",
    "xml option document",
];

/// A statement, or several, that a tenant may never run with effect.
pub fn reach(random: &mut Random) -> String {
    let text = random.pick(REACHES);
    if random.chance(70) {
        return text.to_owned();
    }
    text.replace("globex.", &format!("{}.", names::other(random)))
}

/// The same as an expression.
pub fn reaching(random: &mut Random) -> String {
    random.pick(REACHING).to_owned()
}

/// An operand of an expression.
pub fn operand(random: &mut Random) -> String {
    match random.below(40) {
        0 => reaching(random),
        1..3 => names::string(random),
        3..6 => call(random),
        _ => random.pick(OPERANDS).to_owned(),
    }
}

/// A statement that a prepared statement or a body may have.
pub fn select(random: &mut Random) -> String {
    match random.below(12) {
        0 => format!("select {} from {}", operand(random), table(random)),
        1 => format!("select {} {}", operand(random), names::keyword(random)),
        2 => format!(
            "select {} as {}, {} {}",
            operand(random),
            names::keyword(random),
            operand(random),
            names::keyword(random)
        ),
        _ => random.pick(SELECTS).to_owned(),
    }
}

/// What may stand behind FROM.
pub fn table(random: &mut Random) -> String {
    match random.below(10) {
        0 => names::relation(random),
        1 => format!("{} {}", names::relation(random), names::simple(random)),
        _ => random.pick(TABLES).to_owned(),
    }
}

/// One of the parts of a definition: `sfunc = int4pl`.
pub fn definition(random: &mut Random) -> String {
    let form = random.pick(DEFINITIONS);
    filled(random, form)
}

/// A call of a function.
pub fn call(random: &mut Random) -> String {
    let form = random.pick(CALLS);
    filled(random, form)
}

/// The body of a function.
pub fn body(random: &mut Random) -> String {
    let form = random.pick(BODIES);
    filled(random, form)
}

/// What may stand behind SET.
pub fn setting(random: &mut Random) -> String {
    let form = random.pick(SETTINGS);
    filled(random, form)
}

/// A form with its gaps filled: `{f}` a function, `{t}` a type, `{n}` a name, `{s}` a string, `{e}` an
/// expression, `{q}` a query, `{r}` a relation, `{i}` an identifier, `{k}` a keyword.
pub fn filled(random: &mut Random, form: &str) -> String {
    let mut out = String::new();
    let mut rest = form;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let gap = rest.as_bytes().get(at + 1).copied();
        let filling = match (gap, rest.as_bytes().get(at + 2)) {
            (Some(b'f'), Some(b'}')) => names::function(random),
            (Some(b't'), Some(b'}')) => names::data_type(random),
            (Some(b'n'), Some(b'}')) => names::any(random),
            (Some(b's'), Some(b'}')) => names::string(random),
            (Some(b'e'), Some(b'}')) => operand(random),
            (Some(b'q'), Some(b'}')) => select(random),
            (Some(b'r'), Some(b'}')) => names::relation(random),
            (Some(b'i'), Some(b'}')) => names::simple(random),
            (Some(b'k'), Some(b'}')) => names::keyword(random).to_owned(),
            _ => {
                out.push('{');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push_str(&filling);
        rest = &rest[at + 3..];
    }
    out + rest
}
