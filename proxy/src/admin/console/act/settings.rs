//! SET: parameters that drivers set. Keys of the configuration are changed in its file.

use crate::admin::console::command::Parameter;
use crate::admin::console::show;
use crate::admin::console::table::Cell;
use crate::shared::Shared;
use crate::wire::refusal::{Refusal, sqlstate};

/// Sets `key`; returns a notice.
///
/// Parameters of PostgreSQL have no effect in the console: drivers get a notice, and continue.
pub fn set(shared: &Shared, key: &str) -> Result<Option<String>, Refusal> {
    if Parameter::find(key).is_some() {
        return Ok(Some("SET ignored".into()));
    }
    if let Some(changeable) = changeable(shared, key) {
        let message = format!("\"{key}\" can not be changed by SET");
        let refusal = Refusal::new(sqlstate::CANT_CHANGE_RUNTIME_PARAM, message);
        return Err(refusal.hint(match changeable {
            true => "Change it in the configuration file, and RELOAD.",
            false => "Change it in the configuration file, and restart the proxy.",
        }));
    }
    let message = format!("unrecognized configuration parameter \"{key}\"");
    Err(Refusal::new(sqlstate::UNDEFINED_OBJECT, message).hint("SHOW CONFIG lists the parameters."))
}

/// Whether a reload changes the key; `None`: the key does not exist.
fn changeable(shared: &Shared, key: &str) -> Option<bool> {
    let rows = show::find("CONFIG")?.table(shared, "").rows;
    let row = rows.iter().find(|row| row.first() == Some(&Cell::from(key)))?;
    Some(row.last() == Some(&Cell::from("yes")))
}
