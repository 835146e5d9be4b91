//! PostgreSQL's own parser says which names are relations, and its scanner where tokens end.

use std::collections::{BTreeMap, BTreeSet};

use super::fixture::*;
use crate::sql::lexer::Lexer;
use crate::sql::{Route, rewrite};

/// Relations of a tree: place, schema, name. Read from its printed form, which leaves none out.
fn relations(text: &str) -> Option<Vec<(usize, String, String)>> {
    let tree = format!("{:?}", pg_query::parse(text, pg_query::ParserOptions::default()).ok()?.protobuf);
    let field = |part: &str, name: &str| {
        let rest = &part[part.find(&format!("{name}: ")).expect(name) + name.len() + 2..];
        rest.trim_start_matches('"').split(['"', ',', ' ', '}']).next().unwrap_or_default().to_owned()
    };
    let place = |part: &str| {
        // Behind a relation's alias, which has no place of its own.
        part[part.find("location: ").expect("location") + 10..]
            .split([' ', '}'])
            .next()
            .and_then(|n| n.parse().ok())
    };
    // `FOR UPDATE OF users` names an alias, though the tree has it as a relation.
    let locked = |at: usize| text[..at].ends_with(" of ");
    let found = tree.split("RangeVar { ").skip(1).filter(|part| part.starts_with("catalogname"));
    Some(
        found
            .map(|p| (place(p).unwrap_or(0), field(p, "schemaname"), field(p, "relname")))
            .filter(|(at, ..)| !locked(*at))
            .collect(),
    )
}

fn ctes(text: &str) -> BTreeSet<String> {
    let tree = format!(
        "{:?}",
        pg_query::parse(text, pg_query::ParserOptions::default()).expect("parsed before").protobuf
    );
    tree.split("ctename: \"").skip(1).filter_map(|part| part.split('"').next()).map(str::to_owned).collect()
}

/// Statements of all forms, made of all that may stand in each place.
fn corpus() -> Vec<(&'static str, String)> {
    let froms = [
        "users",
        "users u",
        "only users as u",
        "users u join items i on u.id = i.user_id",
        "users left join items using (id)",
        "users natural join items",
        "users, items",
        "users u, lateral (select * from items i where i.user_id = u.id) x",
        "(select * from users) u",
        "(users u join items i on true)",
        "users cross join items",
        "generate_series(1, 3) g, users",
        "countries c full join users u on u.c = c.id",
        "(values (1), (2)) v(a), users",
        "users u(a, b)",
        "\"users\"",
        "acme.users, items",
        "unnest(array[1, 2]) with ordinality x(a, b), users",
        "rows from (generate_series(1, 2)) r, users",
        "users tablesample system (10)",
    ];
    let conditions = [
        "true",
        "id = $1",
        "users.id = 1",
        "id in (select user_id from items)",
        "exists (select 1 from items i where i.id = 1)",
        "a between 1 and 2 and not b is null",
        "name like 'a%' or name ilike $2",
        "id = any($1)",
        "(a, b) = (select 1, 2 from items)",
        "a is distinct from b",
        "created > now() - interval '1 day'",
        "data->>'x' = 'y' and data @> '{}'",
        "lower(name) = 'x'",
        "a[1] = 2",
        "case when a then b else c end",
        "a::text = 'x' and cast(b as int) > 1",
        "a collate \"C\" < 'x'",
        "coalesce(a, b) is null",
        "id not in (1, 2, 3)",
        "extract(epoch from a) > 1",
        "substring(a from 1 for 2) = 'x'",
        "date_trunc('day', a) = current_date",
        "a similar to 'x'",
        "(select count(*) from orders) > 1",
        "a at time zone 'UTC' > now()",
        "row(a, b) < row(1, 2)",
        "a is true",
    ];
    let items = [
        "*",
        "1",
        "count(*)",
        "u.*",
        "a as from_a",
        "sum(a) over (partition by b order by c)",
        "(select max(id) from items)",
        "array(select id from items)",
        "string_agg(a, ',' order by b)",
        "count(*) filter (where a > 1)",
        "distinct a",
        "distinct on (a) a, b",
        "a \"From\"",
        "date '2020-01-01'",
        "array[a, b]",
        "row_number() over w",
        "json_agg(t)",
        "position('a' in b)",
        "trim(both 'x' from a)",
        "a || b",
        "-a",
        "(a).b",
    ];
    let tails = [
        "",
        "order by a desc nulls last",
        "limit 10 offset $1",
        "group by a, b having count(*) > 1",
        "for update",
        "for no key update of users skip locked",
        "for share nowait",
        "union all select * from items",
        "except (select 1 from orders)",
        "fetch first 5 rows only",
        "group by rollup (a, b)",
        "window w as (partition by a)",
        "intersect select a from items order by 1",
        "group by grouping sets ((a), ())",
    ];
    let mut out = Vec::new();
    for (n, from) in froms.iter().enumerate() {
        for (m, condition) in conditions.iter().enumerate() {
            let (item, tail) = (items[(n * 7 + m) % items.len()], tails[(n + m * 5) % tails.len()]);
            out.push(("select", format!("select {item} from {from} where {condition} {tail}")));
            out.push(("select", format!("with w as (select * from {from}), z as (select * from w) select {item} from z, items where {condition}")));
            out.push(("update", format!("update items i set a = $1, b = default, c = (select a from orders) from {from} where {condition} returning *")));
            out.push((
                "delete",
                format!("delete from items using {from} where {condition} returning id as x"),
            ));
            out.push((
                "insert",
                format!("insert into items (a, b) select {item} from {from} where {condition}"),
            ));
        }
    }
    for condition in conditions {
        out.push(("update", format!("update users set (a, b) = (1, 2), d[1] = 3 where {condition}")));
        out.push(("delete", format!("delete from users where {condition}")));
        out.push(("insert", format!("insert into users values ($1, default), (2, 3) on conflict (id) do update set a = excluded.a where {condition} returning users.id")));
        out.push(("merge", format!("merge into items i using users u on i.id = u.id when matched and {condition} then update set a = u.a when not matched then insert (a) values (u.a)")));
        out.push(("other", format!("explain (costs off) select 1 from users where {condition}")));
        out.push(("other", format!("with recursive r as (select * from users union all select r.* from r join items i on {condition}) select * from r")));
        out.push(("other", format!("with d as (delete from items where {condition} returning *), i as (insert into orders select * from d returning 1) select * from i, d")));
        out.push(("other", format!("copy (select * from users where {condition}) to stdout")));
    }
    let lone = [
        "insert into users default values",
        "insert into users as u (a) values (1) on conflict on constraint x do nothing",
        "table users",
        "truncate users, items",
        "lock table users in access exclusive mode",
        "copy users (a, b) from stdin",
        "copy users to stdout with (format csv)",
        "values (1), (2)",
        "declare c cursor for select * from users",
        "with x as (with y as (select * from users) select * from y) select * from x",
        "select * from users where id = (with items as (select 1) select * from items) and exists (select 1 from items)",
    ];
    out.extend(lone.map(|text| ("other", text.to_owned())));
    out
}

#[test]
fn spliced_names_are_those_of_postgresql() {
    let mut share: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut missed: BTreeMap<String, usize> = BTreeMap::new();
    for (kind, text) in corpus() {
        let Some(found) = relations(&text) else {
            continue;
        };
        let entry = share.entry(kind).or_default();
        // An alias that nothing declares is refused: PostgreSQL would not run it either.
        if matches!(plan(&text).route, Route::Refuse(_)) {
            continue;
        }
        entry.1 += 1;
        match plan(&text).route {
            Route::Splice(splices) => {
                entry.0 += 1;
                let ctes = ctes(&text);
                let spliced: BTreeSet<usize> = splices.iter().map(|s| s.at).collect();
                let bare: Vec<_> = found.iter().filter(|(_, schema, _)| schema.is_empty()).collect();
                let places: BTreeSet<usize> = bare.iter().map(|(at, ..)| *at).collect();
                assert!(spliced.is_subset(&places), "spliced what is no relation: {text}");
                let left: Vec<_> = bare.iter().filter(|(at, ..)| !spliced.contains(at)).collect();
                assert!(left.iter().all(|(_, _, name)| ctes.contains(name)), "left out {left:?}: {text}");
                let sent = rewrite::splice(text.as_bytes(), &splices, &scope());
                let after = relations(std::str::from_utf8(&sent).unwrap()).expect("still parses");
                assert_eq!(after.len(), found.len(), "{text}");
            }
            _ => *missed.entry(text).or_default() += 1,
        }
    }
    for (kind, (spliced, all)) in &share {
        println!("{kind}: {spliced} of {all} spliced");
    }
    for text in missed.keys().step_by(missed.len() / 12 + 1) {
        println!("by the path: {text}");
    }
    let (spliced, all) = share.values().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
    assert!(all > 1000 && spliced * 2 > all, "{spliced} of {all}");
}

#[test]
fn tokens_end_where_postgresql_says() {
    let odd = [
        "select 'a''b', E'a\\'b', $$x$$, $t$ $$ $t$, U&'x', B'01', X'1f', 1.5e-3, .5, 1_000, 0x1F, $1",
        "select a+-1, a @-1, a->>'x', a<=-b, a=>b, a!=b, a::int",
        "select 'a'\n'b', 'c' -- x\n'd'",
        "select /* a /* b */ c */ 1 -- end",
        "select \"a\"\"b\", é, _x$1, U&\"y\"",
        "select 1..2, a[1:2], x:=1",
        "select a*/*x*/b, a+--x\n1",
        "select $a$b$$a$, 'x' /* \n */ 'y'",
    ];
    let texts = corpus().into_iter().map(|(_, text)| text).chain(odd.map(str::to_owned));
    for text in texts {
        let Ok(scanned) = pg_query::scan(&text) else {
            continue;
        };
        let comment = |kind| {
            kind == pg_query::protobuf::Token::SqlComment as i32
                || kind == pg_query::protobuf::Token::CComment as i32
        };
        let theirs: Vec<_> = scanned
            .tokens
            .iter()
            .filter(|t| !comment(t.token))
            .map(|t| (t.start as u32, t.end as u32))
            .collect();
        let ours: Vec<_> = Lexer::new(text.as_bytes(), true).map(|t| (t.start, t.end)).collect();
        assert_eq!(ours, theirs, "{text}");
    }
}
