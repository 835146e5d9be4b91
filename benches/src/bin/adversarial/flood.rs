//! One tenant floods the proxy with such texts; another asks for `select 1`.

use crate::{Options, Outcome};

/// Prints the other's p99 with and without the flood.
pub fn measure(_options: &Options) -> Outcome<()> {
    Ok(())
}
