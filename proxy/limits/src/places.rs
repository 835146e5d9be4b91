//! Clients, and those among them that wait, counted in their three budgets.

use std::sync::Arc;

use super::budget::{Kind, Met};
use super::budgets::Three;

/// One place in each of a client's budgets, until this is dropped.
#[derive(Debug)]
pub struct Places {
    budgets: Arc<Three>,
    kind: Kind,
}

impl Places {
    /// Takes one in each of them; none, where one of them is full.
    pub fn take(budgets: &Arc<Three>, kind: Kind) -> Result<Self, Met> {
        let all = budgets.all();
        for (at, budget) in all.iter().enumerate() {
            if let Err(met) = budget.enter(kind) {
                all.iter().take(at).for_each(|taken| taken.leave(kind));
                return Err(met);
            }
        }
        Ok(Self { budgets: Arc::clone(budgets), kind })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.budgets.all().iter().for_each(|budget| budget.leave(self.kind));
    }
}
