//! What each step from a text to its plan costs, and what a parser takes for the same text in the same run.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{BatchSize, Bencher, Criterion, Throughput};
use pgstrata_benches::ratios::{self, LEXER, PARSER, SCANNER};
use pgstrata_benches::{scope, texts};
use pgstrata_grammar::{Tree, oracle};
use pgstrata_sql::lexer::{Lexer, Token};
use pgstrata_sql::rewrite::{Prefixes, rewrite};
use pgstrata_sql::tokens::Tokens;
use pgstrata_sql::{Engine, TextMode, cache};
use pgstrata_tenancy::Strategy;
use pgstrata_wire::frame;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Room for each shape of the benchmarks.
const CACHE_BYTES: u64 = 1 << 20;

/// Measures one function on a text.
type Measure = fn(&mut Bencher<'_>, &str);

/// In the order of the table.
const FUNCTIONS: [(&str, Measure); 10] = [
    (LEXER, lex),
    ("fingerprint", fingerprint),
    ("hit, the same text", hit_again),
    ("hit, schema_qualified", |b, text| hit(b, text, Strategy::SchemaQualified)),
    ("hit, search_path", |b, text| hit(b, text, Strategy::SearchPath)),
    ("splice", splice),
    ("miss", miss),
    (PARSER, parse),
    ("PostgreSQL's parser", postgres_parse),
    (SCANNER, postgres_scan),
];

fn lex(b: &mut Bencher<'_>, text: &str) {
    b.iter(|| Lexer::new(black_box(text.as_bytes()), true).count());
}

fn fingerprint(b: &mut Bencher<'_>, text: &str) {
    let all: Vec<Token> = Lexer::new(text.as_bytes(), true).collect();
    let mut key = Vec::new();
    b.iter(|| {
        let tokens = Tokens { text: text.as_bytes(), all: black_box(&all), conforming: true, closes: &[] };
        assert!(cache::key(&tokens, &mut key));
        key.len()
    });
}

/// With parameters a driver sends the same bytes each time.
fn hit_again(b: &mut Bencher<'_>, text: &str) {
    let (engine, scope) = (Engine::new(CACHE_BYTES), scope(Strategy::SchemaQualified));
    let plan = || engine.plan(black_box(text.as_bytes()), &scope, TextMode::default());
    assert!(!plan().splices.is_empty());
    b.iter(plan);
    assert_eq!(engine.stats().misses, 1);
}

/// With literals each text is another, read into the buffer in which the last one was: the shape alone is known.
fn hit(b: &mut Bencher<'_>, text: &str, strategy: Strategy) {
    let (engine, scope) = (Engine::new(CACHE_BYTES), scope(strategy));
    let plan = engine.plan(text.as_bytes(), &scope, TextMode::default());
    assert_eq!(plan.splices.is_empty(), strategy == Strategy::SearchPath, "{plan:?}");
    let literal = text.find('\'').expect("each text has a literal") + 1;
    let mut buffer = text.as_bytes().to_vec();
    let digits = literal..literal + 8;
    buffer.splice(literal..literal, *b"00000000");
    b.iter(|| {
        count_up(&mut buffer[digits.clone()]);
        engine.plan(black_box(&buffer), &scope, TextMode::default())
    });
    assert!(engine.stats().misses <= 2);
}

/// The next number, in digits.
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

fn splice(b: &mut Bencher<'_>, text: &str) {
    let scope = scope(Strategy::SchemaQualified);
    let plan = Engine::new(CACHE_BYTES).plan(text.as_bytes(), &scope, TextMode::default());
    let prefixes = Prefixes::of(&scope);
    b.iter(|| rewrite(black_box(text.as_bytes()), &plan.splices, &prefixes, &[]).pieces.len());
}

fn miss(b: &mut Bencher<'_>, text: &str) {
    let scope = scope(Strategy::SchemaQualified);
    // A new engine each time, since the second time is a hit; making it is not measured.
    b.iter_batched_ref(
        || Engine::new(CACHE_BYTES),
        |engine| engine.plan(black_box(text.as_bytes()), &scope, TextMode::default()),
        BatchSize::SmallInput,
    );
}

fn parse(b: &mut Bencher<'_>, text: &str) {
    b.iter(|| Parser::parse_sql(&PostgreSqlDialect {}, black_box(text)).unwrap());
}

/// PostgreSQL's parser, as a miss uses it: its tree stays where the parser has made it.
fn postgres_parse(b: &mut Bencher<'_>, text: &str) {
    b.iter(|| Tree::parse(black_box(text)).unwrap());
}

/// PostgreSQL's scanner, and its tokens brought over to Rust.
fn postgres_scan(b: &mut Bencher<'_>, text: &str) {
    b.iter(|| oracle::scan(black_box(text)).unwrap());
}

/// A read buffer full of messages of this size.
fn messages(size: usize) -> Vec<u8> {
    let mut message = vec![b'D'];
    message.extend((size as u32 - 1).to_be_bytes());
    message.resize(size, b'x');
    message.repeat((64 << 10) / size)
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    for size in [16, 1024] {
        let buffer = messages(size);
        group.throughput(Throughput::Elements((buffer.len() / size) as u64));
        group.bench_function(format!("messages of {size} bytes"), |b| {
            b.iter(|| {
                let (mut rest, mut count) = (black_box(buffer.as_slice()), 0);
                while let Ok(Some(header)) = frame::header(rest) {
                    rest = rest.get(header.total..).unwrap_or_default();
                    count += 1;
                }
                count
            });
        });
    }
}

/// Where cargo puts what it makes: this program is `release/deps/functions-..` in it.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}

fn main() {
    let directory = target().join("criterion");
    let criterion = Criterion::default()
        .sample_size(60)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .output_directory(&directory);
    let mut criterion = criterion.configure_from_args();
    for (name, function) in FUNCTIONS {
        let mut group = criterion.benchmark_group(name);
        for (text_name, text) in texts() {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(text_name, |b| function(b, &text));
        }
    }
    frames(&mut criterion);
    criterion.final_summary();
    println!("{}", ratios::table(&directory, &FUNCTIONS.map(|(name, _)| name)));
    println!("\n{}", ratios::throughput(&directory, &[LEXER, SCANNER]));
}
