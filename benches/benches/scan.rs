//! Bytes in a second: SQL through the lexer, messages through the frame scanner.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgstrata::sql::lexer::Lexer;
use pgstrata::wire::frame;
use pgstrata_benches::{REPORT, TEXTS};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::Tokenizer;

fn lexer(c: &mut Criterion) {
    let mut group = c.benchmark_group("lexer");
    // What an application inserts is mostly literals.
    let insert = format!("INSERT INTO notes (id, body) VALUES (1, '{}')", "It is a long text. ".repeat(200));
    let texts = TEXTS.into_iter().chain([("insert", insert.as_str())]);
    for (name, text) in texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| Lexer::new(black_box(text.as_bytes()), true).count()));
    }
    group.throughput(Throughput::Bytes(REPORT.len() as u64));
    group.bench_function("report, sqlparser's tokenizer", |b| {
        b.iter(|| Tokenizer::new(&PostgreSqlDialect {}, black_box(REPORT)).tokenize().unwrap());
    });
    group.bench_function("report, pg_query scan", |b| {
        b.iter(|| pg_query::scan(black_box(REPORT)).unwrap());
    });
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
    for size in [16, 128, 1024] {
        let buffer = messages(size);
        group.throughput(Throughput::Bytes(buffer.len() as u64));
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

criterion_group!(benches, lexer, frames);
criterion_main!(benches);
