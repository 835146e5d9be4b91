//! SET: what may be changed while the proxy runs.

use crate::admin::console::command::Parameter;
use crate::admin::console::show;
use crate::admin::console::table::Cell;
use crate::shared::Shared;
use crate::wire::refusal::{Refusal, sqlstate};

/// Sets `key`; gives what there is to tell about it.
///
/// Drivers set parameters of PostgreSQL that mean nothing here: they are told so, and go on.
pub fn set(shared: &Shared, key: &str) -> Result<Option<String>, Refusal> {
    if Parameter::find(key).is_some() {
        return Ok(Some("SET ignored".into()));
    }
    if is_configured(shared, key) {
        let message = format!("\"{key}\" can not be changed while the proxy runs");
        let refusal = Refusal::new(sqlstate::CANT_CHANGE_RUNTIME_PARAM, message);
        return Err(refusal.hint("Change it in the configuration file."));
    }
    let message = format!("unrecognized configuration parameter \"{key}\"");
    Err(Refusal::new(sqlstate::UNDEFINED_OBJECT, message).hint("SHOW CONFIG lists the parameters."))
}

fn is_configured(shared: &Shared, key: &str) -> bool {
    let Some(config) = show::find("CONFIG") else { return false };
    config.table(shared, "").rows.iter().any(|row| row.first() == Some(&Cell::from(key)))
}
