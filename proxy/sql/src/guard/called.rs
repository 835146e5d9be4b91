//! Functions that are not known functions of PostgreSQL: their schema decides.

use super::check::{Checked, Gate};
use crate::scope::CommonFunctions;

const TRUST: &str = "An administrator may allow it: list it in tenancy.trusted_functions.";

impl Gate<'_> {
    /// A call of a function, or a definition that names it.
    ///
    /// The tenant's own functions were checked when they were created, and the administrator is responsible for those
    /// of the shared schemas. Refused are functions whose use of their arguments is unknown: new functions of
    /// PostgreSQL, and C.
    pub(super) fn function(&self, schema: Option<&str>, name: &str, trigger_arguments: bool) -> Checked {
        let Some(functions) = self.scope.functions.as_deref() else { return Ok(()) };
        if self.trusts(schema, name) {
            return Ok(());
        }
        let shared = self.scope.shared.iter().map(|known| &**known);
        let unknown = match schema {
            Some("pg_catalog") => true,
            Some(schema) if *schema == *self.scope.schema => self.is_own_unknown_code(name),
            Some(schema) => {
                let index = shared.enumerate().find(|(_, known)| *known == schema).map(|(index, _)| index);
                index.is_some_and(|index| is_unknown_code(functions, index, name))
            }
            None => {
                functions.builtin.functions.contains(name)
                    || self.is_own_unknown_code(name)
                    || (0..functions.shared.len()).any(|index| is_unknown_code(functions, index, name))
            }
        };
        let what = if trigger_arguments { "create a trigger that calls" } else { "call" };
        match unknown {
            true => Err(self.refusal(&format!("{what} {name}, which is not known to be safe"), Some(TRUST))),
            false => Ok(()),
        }
    }

    /// Whether it is a function in C that an administrator has put into the tenant's own schema.
    fn is_own_unknown_code(&self, name: &str) -> bool {
        self.scope.names.as_deref().is_some_and(|names| names.tenant.unknown_code.contains(name))
    }

    fn trusts(&self, schema: Option<&str>, name: &str) -> bool {
        let matches = |entry: &str| match (entry.rsplit_once('.'), schema) {
            (Some((known, function)), Some(schema)) => known == schema && function == name,
            // Without a schema it may be any function on the path.
            (Some((_, function)), None) => function == name,
            (None, _) => entry == name,
        };
        self.scope.trusted_functions.iter().any(|entry| matches(entry))
    }
}

fn is_unknown_code(functions: &CommonFunctions, index: usize, name: &str) -> bool {
    functions.shared.get(index).is_some_and(|schema| schema.unknown_code.contains(name))
}
