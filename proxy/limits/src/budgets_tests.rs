use std::path::Path;

use super::*;
use crate::Kind;
use crate::places::Places;

fn config(lines: &str) -> Config {
    let text = format!(
        "[databases.app]\nhost = 'db'\nuser = 'app'\npassword = 'p'\n{lines}\n\
         [[users]]\nname = 'app'\npassword = 'p'\ntenants = ['*']\n"
    );
    Config::parse(&text, Path::new("pgstrata.toml")).unwrap()
}

fn tenant(name: &str) -> Tenant {
    Some(name.into())
}

fn most(budgets: &Budgets, name: &str) -> Option<(usize, String)> {
    let limit = budgets.of_tenant(&tenant(name)).limit(Kind::Clients)?;
    Some((limit.value, limit.key.to_string()))
}

const LAYERS: &str = "[tenancy.limits]\nmax_clients = 1\nmax_waiting = 10\n[tenants.'t*'.limits]\nmax_clients = 2\n\
    [tenants.'t*_eu'.limits]\nmax_clients = 3\n[tenants.'t**eu'.limits]\nmax_waiting = 9\n\
    [tenants.trial_1.limits]\nmax_clients = 4\n";

#[test]
fn most_exact_table_that_has_a_key_holds() {
    let budgets = Budgets::new("app", &config(LAYERS));
    let known = |name| most(&budgets, name).unwrap();
    assert_eq!(known("acme"), (1, "tenancy.limits.max_clients".into()));
    assert_eq!(known("trial_2"), (2, "tenants.t*.limits.max_clients".into()));
    assert_eq!(known("trial_2_eu"), (3, "tenants.t*_eu.limits.max_clients".into()));
    assert_eq!(known("trial_1"), (4, "tenants.trial_1.limits.max_clients".into()));
    let waiting = |name| budgets.of_tenant(&tenant(name)).limit(Kind::Waiting).unwrap().value;
    assert_eq!((waiting("trial_2_eu"), waiting("trial_2"), waiting("trial_1")), (9, 10, 10));
    let none = budgets.of_tenant(&None);
    assert_eq!(
        (none.holder().to_string().as_str(), none.limit(Kind::Clients).unwrap().value),
        ("clients with no tenant", 1)
    );
}

#[test]
fn those_that_nobody_uses_are_forgotten() {
    let budgets = Budgets::new("app", &config(LAYERS));
    let kept = budgets.of_tenant(&tenant("kept"));
    for number in 0..10_000 {
        budgets.of_tenant(&tenant(&number.to_string()));
        assert!(budgets.lock().tenants.all.len() <= FEW);
    }
    assert!(Arc::ptr_eq(&kept, &budgets.of_tenant(&tenant("kept"))));
    assert_eq!(budgets.used().len(), 2);
}

#[test]
fn newer_configuration_holds_for_budgets_in_use() {
    let budgets = Budgets::new("app", &config(LAYERS));
    let (acme, user) = (budgets.of_tenant(&tenant("acme")), budgets.of_user("app"));
    let three = Arc::new(Three { tenant: acme, user, database: Arc::clone(budgets.of_database()) });
    let first = Places::take(&three, Kind::Clients).unwrap();
    let met = Places::take(&three, Kind::Clients).unwrap_err();
    assert_eq!(
        (met.holder.to_string().as_str(), met.value, &*met.key),
        ("tenant \"acme\"", 1, "tenancy.limits.max_clients")
    );
    assert_eq!((three.user.used(Kind::Clients), three.tenant.limited(Kind::Clients)), (1, 1));
    budgets.change(&config("[databases.app.limits]\nmax_clients = 2"));
    let second = Places::take(&three, Kind::Clients).unwrap();
    let met = Places::take(&three, Kind::Clients).unwrap_err();
    assert_eq!((met.holder.level(), met.value), ("database", 2));
    assert_eq!(
        three.all().map(|budget| budget.used(Kind::Clients)),
        [2, 2, 2],
        "none is taken by a refused one"
    );
    drop((first, second));
    assert_eq!(three.all().map(|budget| budget.used(Kind::Clients)), [0, 0, 0]);
}
