//! A client of no interest: each server that it gets must be as good as new.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::settings::CUSTOM;
use crate::Wire;
use crate::answer::Answer;
use crate::fuzz::world::World;

/// A server is to be had within this, if nobody else has it.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// What a server shows: settings, and a few facts of the session.
pub type Seen = BTreeMap<String, String>;

/// Those of PL/pgSQL are there as soon as anybody has used it.
const SETTINGS: &str = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' OR setting IS DISTINCT FROM boot_val";

/// Why there was nothing to see.
#[derive(Clone, Debug)]
pub enum Blind {
    /// No server in time.
    Late,
    /// An error, or no login.
    Failed(String),
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer in time"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Facts of the session, as name and value.
fn facts() -> String {
    let custom = CUSTOM.map(|name| format!("SELECT '{name}', coalesce(current_setting('{name}', true), '')"));
    format!(
        "SELECT 'schemas', current_schemas(false)::text \
         UNION ALL SELECT 'temporary', (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())::text \
         UNION ALL SELECT 'temporary types', (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema())::text \
         UNION ALL SELECT 'temporary functions', (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema())::text \
         UNION ALL SELECT 'user', current_user || ' ' || session_user \
         UNION ALL SELECT 'channels', (SELECT count(*) FROM pg_listening_channels())::text \
         UNION ALL SELECT 'row', (SELECT max(zq_hidden_column) FROM zq_hidden_table) \
         UNION ALL {}",
        custom.join(" UNION ALL ")
    )
}

/// What the next free server shows to a new client of `tenant`. In a transaction the server is kept until the
/// client is dropped.
///
/// # Errors
/// Why the client got no answer.
pub async fn look(
    world: &World,
    tenant: &str,
    keep: bool,
    patience: Duration,
) -> Result<(Wire, Seen), Blind> {
    timeout(patience, seen(world, tenant, keep)).await.unwrap_or(Err(Blind::Late))
}

async fn seen(world: &World, tenant: &str, keep: bool) -> Result<(Wire, Seen), Blind> {
    let option = format!("-ctenant={tenant}");
    let login = Wire::login(world.port(), "app", "app", &[("options", &option)]).await;
    let mut wire = login.map_err(|fault| Blind::Failed(format!("no login: {fault:?}")))?;
    let mut all = Seen::new();
    let begin = if keep { "BEGIN; " } else { "" };
    let answer = wire.simple(&format!("{begin}{SETTINGS}; {}", facts())).await;
    put(&mut all, &answer)?;
    Ok((wire, all))
}

fn put(all: &mut Seen, answer: &Answer) -> Result<(), Blind> {
    match answer.fault() {
        Some(fault) => Err(Blind::Failed(format!("{fault:?}"))),
        None if answer.status().is_none() => Err(Blind::Failed("the connection was closed".into())),
        None => {
            all.extend(
                answer
                    .rows()
                    .into_iter()
                    .filter_map(|row| <[String; 2]>::try_from(row).ok())
                    .map(<(_, _)>::from),
            );
            Ok(())
        }
    }
}

/// The same of a server that nobody has used, past the proxy.
pub async fn direct(world: &World) -> Seen {
    let path = "-csearch_path=globex,public";
    let mut wire = Wire::login(world.direct_port(), "app", "app", &[("options", path)]).await.unwrap();
    let mut all = Seen::new();
    put(&mut all, &wire.simple(SETTINGS).await).unwrap();
    all
}

/// What differs, if anything does.
pub fn difference(usual: &Seen, now: &Seen) -> Option<String> {
    let names: std::collections::BTreeSet<&String> = usual.keys().chain(now.keys()).collect();
    let differs = names.into_iter().filter(|name| usual.get(*name) != now.get(*name));
    let shown: Vec<String> =
        differs.map(|name| format!("{name}: {:?}, not {:?}", now.get(name), usual.get(name))).collect();
    (!shown.is_empty()).then(|| shown.join("; "))
}
