//! The `pgstrata` binary.

fn main() {}
