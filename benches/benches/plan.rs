//! What a plan costs: a text whose shape is known, one whose shape is not, and what
//! two parsers take for the same text in the same run.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pg_query::{FingerprintOptions, ParserOptions};
use pgstrata::sql::{Engine, Route, TextMode};
use pgstrata_benches::{TEXTS, scope};
use pgstrata_tenancy::Strategy;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Room for each shape of the benchmarks.
const CACHE_BYTES: u64 = 1 << 20;

fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("hit");
    for strategy in [Strategy::SchemaQualified, Strategy::SearchPath] {
        let (engine, scope) = (Engine::new(CACHE_BYTES), scope(strategy));
        for (name, text) in TEXTS {
            let plan = engine.plan(text.as_bytes(), &scope, TextMode::default());
            assert_eq!(matches!(plan.route, Route::Splice(_)), strategy == Strategy::SchemaQualified, "{name}");
            group.bench_function(format!("{name}, {strategy:?}"), |b| {
                b.iter(|| engine.plan(black_box(text.as_bytes()), &scope, TextMode::default()));
            });
        }
    }
}

fn miss(c: &mut Criterion) {
    let mut group = c.benchmark_group("miss");
    let scope = scope(Strategy::SchemaQualified);
    for (name, text) in TEXTS {
        group.bench_function(name, |b| {
            // A new engine each time, since the second time is a hit; making it is not measured.
            b.iter_batched_ref(
                || Engine::new(CACHE_BYTES),
                |engine| engine.plan(black_box(text.as_bytes()), &scope, TextMode::default()),
                BatchSize::SmallInput,
            );
        });
    }
}

fn fingerprint(text: &str) -> pg_query::Fingerprint {
    pg_query::fingerprint(text, ParserOptions::default(), FingerprintOptions::default()).unwrap()
}

fn parsers(c: &mut Criterion) {
    let mut group = c.benchmark_group("parsers");
    for (name, text) in TEXTS {
        group.bench_function(format!("{name}, sqlparser"), |b| {
            b.iter(|| Parser::parse_sql(&PostgreSqlDialect {}, black_box(text)).unwrap());
        });
        group.bench_function(format!("{name}, pg_query parse"), |b| {
            b.iter(|| pg_query::parse(black_box(text), ParserOptions::default()).unwrap());
        });
        group.bench_function(format!("{name}, pg_query fingerprint"), |b| {
            b.iter(|| fingerprint(black_box(text)));
        });
    }
}

criterion_group!(benches, hit, miss, parsers);
criterion_main!(benches);
