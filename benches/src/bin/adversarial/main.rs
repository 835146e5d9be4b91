//! What a text costs that is made to cost as much as it can, and what a flood of them costs others.
//!
//! `cargo run --release --bin adversarial -- [--texts 10000] [--seed 1] [--engine]`

mod engine;
mod flood;
mod processor;

use clap::Parser;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// So many texts.
    #[arg(long, default_value_t = 10_000)]
    texts: usize,
    /// The same seed gives the same texts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The longest text, in bytes.
    #[arg(long, default_value_t = 64 << 10)]
    longest: usize,
    /// The engine alone, with no flood.
    #[arg(long)]
    engine: bool,
    /// This family alone, again and again: for a profiler.
    #[arg(long)]
    family: Option<String>,
    /// Each family at its longest, too.
    #[arg(long)]
    families: bool,
    /// So many clients flood the proxy.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// So many threads serve clients; 0: one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// The flood alone.
    #[arg(long)]
    flood: bool,
    /// For how long each turn of the flood is, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    if !options.flood {
        engine::measure(&options)?;
    }
    match options.engine {
        true => Ok(()),
        false => flood::measure(&options),
    }
}
