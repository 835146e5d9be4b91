//! All attacks in one tier with one strategy.

use pgstrata_tenancy::{Strategy, Tier};

use super::attacks::{self, CLASSES, Class};
use super::neighbour::Health;
use super::proxy::{DYNAMIC, Target};
use super::report::Report;
use super::scripts::{SCRIPTS, Script, Step};
use super::tenants::Tenants;
use super::wire::{Answer, Raw};

/// One run.
pub struct Run<'a> {
    /// The proxy.
    pub target: Target,
    /// The two tenants.
    pub tenants: &'a Tenants,
    /// The strategy.
    pub strategy: Strategy,
}

impl Run<'_> {
    /// Runs all attacks, and records the results.
    pub async fn all(&self, report: &mut Report) -> Result<(), String> {
        self.own_data().await?;
        let own = self.tenants.own.clone();
        for class in CLASSES {
            self.class(class, &own, report).await?;
        }
        let read_only = self.tenants.shared_table.is_some();
        if read_only {
            self.class(&attacks::SHARED_TABLES, &own, report).await?;
        }
        if self.tenants.roles.tier != Tier::Names {
            self.class(&attacks::DYNAMIC, DYNAMIC, report).await?;
        }
        self.logins(report).await;
        self.leftovers(report).await?;
        self.shared_schemas(report).await?;
        let health = self.health().await?;
        for script in SCRIPTS.iter().filter(|script| read_only || script.class != attacks::SHARED) {
            self.script(script, &health, report).await?;
        }
        Ok(())
    }

    /// The tier and the strategy, for the report.
    fn place(&self) -> String {
        match self.tenants.roles.tier {
            Tier::Names => self.strategy.to_string(),
            tier => format!("{tier}, {}", self.strategy),
        }
    }

    async fn attacker(&self) -> Result<Raw, String> {
        let own = &self.tenants.own;
        self.target.client(own, own, "").await.map_err(|error| format!("the first tenant: {error}"))
    }

    /// Checks that the attacker can read its own data, because the test would otherwise prove nothing.
    async fn own_data(&self) -> Result<(), String> {
        let answer = self.attacker().await?.query("SELECT * FROM secrets").answer().await;
        match answer.holds(&self.tenants.own_secret) {
            true => Ok(()),
            false => Err(format!("the first tenant cannot read its own table: {}", answer.shown())),
        }
    }

    async fn class(&self, class: &Class, user: &str, report: &mut Report) -> Result<(), String> {
        for text in class.texts {
            let text = self.tenants.fill(text);
            for extended in [false, true] {
                let held = self.attempt(&text, user, extended).await? && self.tenants.is_untouched().await?;
                let protocol = if extended { "extended" } else { "simple" };
                report.attempt(class.name, held, || format!("{} {protocol}: {text}", self.place()));
            }
        }
        Ok(())
    }

    /// Tries one text on a new connection: returns whether it was refused, and no data of the other tenant was
    /// returned.
    async fn attempt(&self, text: &str, user: &str, extended: bool) -> Result<bool, String> {
        let client = self.target.client(user, &self.tenants.own, "").await;
        let mut client = client.map_err(|error| format!("user \"{user}\": {error}"))?;
        let answer = match extended {
            true => client.statement(text).sync().answer().await,
            false => client.query(text).answer().await,
        };
        // The next statement shows a changed session.
        let next = client.query("SELECT value FROM secrets").answer().await;
        Ok(answer.errors > 0 && !self.tells(&answer) && !self.tells(&next))
    }

    /// Whether an answer to the first tenant contains data of the second tenant, or the name of a statement of the
    /// proxy.
    fn tells(&self, answer: &Answer) -> bool {
        names_statement(&answer.bytes) || self.tenants.are_told_in(&answer.bytes)
    }

    /// Tries to log in to the other tenant.
    async fn logins(&self, report: &mut Report) {
        let (own, other) = (&self.tenants.own, &self.tenants.other);
        for (tenant, options) in [
            (other.as_str(), String::new()),
            (own.as_str(), format!("-ctenant={other}")),
            (own.as_str(), format!("-csearch_path={other}")),
            (own.as_str(), format!("--search-path={other}")),
            (own.as_str(), "-crole=postgres".to_owned()),
            ("pg_catalog", String::new()),
            ("public", String::new()),
        ] {
            let let_in = match self.target.client(own, tenant, &options).await {
                Ok(mut client) => {
                    let answer = client.query("SELECT * FROM secrets").answer().await;
                    self.tells(&answer) || answer.errors > 0 && tenant != own
                }
                Err(_) => false,
            };
            report.attempt("login", !let_in, || format!("{}: -ctenant={tenant} {options}", self.place()));
        }
    }

    /// Leaves state of the first tenant on the only server, and looks for it as the second tenant.
    async fn leftovers(&self, report: &mut Report) -> Result<(), String> {
        let other = &self.tenants.other;
        for left in [
            "SET statement_timeout = '1234s'",
            "SELECT set_config('application_name', 'left', false)",
            "CREATE TEMP TABLE secrets AS SELECT 'left' AS value",
            "PREPARE left_over AS SELECT 'left'",
            "BEGIN; INSERT INTO secrets (value) VALUES ('left')",
            "SELECT pg_advisory_lock(4711)",
            "DECLARE left_over CURSOR WITH HOLD FOR SELECT 'left'",
        ] {
            let answer = self.attacker().await?.query(left).answer().await;
            // Temporary tables may be revoked in the database.
            if answer.holds("C42501") {
                continue;
            }
            if answer.errors > 0 {
                return Err(format!("the first tenant cannot run {left}: {}", answer.shown()));
            }
            let client = self.target.client(other, other, "").await;
            let mut client = client.map_err(|error| format!("the second tenant: {error}"))?;
            let mut found = Answer::default();
            for text in [
                "SELECT value FROM secrets",
                "SHOW statement_timeout",
                "SHOW application_name",
                "EXECUTE left_over",
                "FETCH ALL FROM left_over",
                "SELECT pg_try_advisory_xact_lock(4711)::text || 'lock'",
            ] {
                found.bytes.extend(client.query(text).answer().await.rows);
            }
            let traces = ["left", "1234s", "20min", "falselock"];
            let clean = !traces.iter().any(|trace| found.holds(trace)) && found.holds(&self.tenants.secret);
            report.attempt("state left by a client", clean, || {
                format!("{}: {left}, and then: {}", self.place(), found.shown())
            });
        }
        Ok(())
    }

    /// Reads each view in shared schemas as the first tenant, and looks for rows of the second tenant: an administrator
    /// may have created such views.
    async fn shared_schemas(&self, report: &mut Report) -> Result<(), String> {
        const CLASS: &str = "views of shared schemas";
        let (first, second) = self.tenants.secret.split_at(self.tenants.secret.len() / 2);
        for view in self.tenants.shared_views().await? {
            let text = format!(
                "SELECT shown::text FROM {view} AS shown WHERE shown::text LIKE '%' || '{first}' || '{second}' || '%' LIMIT 1"
            );
            let mut client = self.attacker().await?;
            client.query("SET statement_timeout = '10s'").answer().await;
            let answer = client.query(&text).answer().await;
            report.attempt(CLASS, !self.tells(&answer), || format!("{}: {view}", self.place()));
        }
        Ok(())
    }

    async fn script(&self, script: &Script, health: &Health, report: &mut Report) -> Result<(), String> {
        let broken = self.steps(script, health).await;
        let ailment = self.ailment(health).await;
        let changed =
            (!self.tenants.is_untouched().await?).then(|| "the second tenant was changed".to_owned());
        let what = broken.or(ailment).or(changed);
        report.attempt(script.class, what.is_none(), || {
            let steps: Vec<String> =
                script.steps.iter().map(|step| self.tenants.fill(&step.to_string())).collect();
            format!("{}: {}: {}", self.place(), steps.join("; then "), what.unwrap_or_default())
        });
        Ok(())
    }

    /// Runs a script on one connection; returns what went wrong.
    async fn steps(&self, script: &Script, health: &Health) -> Option<String> {
        let mut client = match self.attacker().await {
            Ok(client) => client,
            Err(why) => return Some(format!("{why} (earlier attacks may have caused it)")),
        };
        for (number, step) in script.steps.iter().enumerate() {
            if matches!(step, Step::Anew) {
                drop(client);
                if let Some(ailment) = self.ailment(health).await {
                    return Some(ailment);
                }
                client = match self.attacker().await {
                    Ok(client) => client,
                    Err(why) => return Some(why),
                };
                continue;
            }
            self.put(step, number, &mut client);
            let answer = client.answer().await;
            if self.tells(&answer) {
                return Some(format!("the first tenant got: {}", answer.shown()));
            }
            if matches!(step, Step::Refused(_)) && answer.errors == 0 {
                return Some("the text was not refused".into());
            }
            match answer.broken {
                Some(why) if matches!(step, Step::Long(..)) => return Some(why.into()),
                // A lost connection of the attacker is no success.
                Some(_) => return None,
                None => {}
            }
        }
        None
    }
}

impl Run<'_> {
    /// Writes the messages of a step.
    fn put(&self, step: &Step, number: usize, client: &mut Raw) {
        let fill = |text: &str| self.tenants.fill(text);
        match step {
            Step::Query(text) | Step::Refused(text) => _ = client.query(&fill(text)),
            Step::Pipeline(texts) => {
                texts.iter().for_each(|text| _ = client.statement(&fill(text)));
                client.sync();
            }
            Step::Prepared(texts) => {
                let name = |i| format!("s{number}_{i}");
                texts.iter().enumerate().for_each(|(i, text)| _ = client.prepared(&name(i), &fill(text)));
                client.sync();
            }
            Step::Behind(texts, text) => {
                texts.iter().for_each(|text| _ = client.statement(&fill(text)));
                client.query(&fill(text));
            }
            Step::Part(text) => _ = client.part(&fill(text)).sync(),
            Step::Unfinished(texts) => {
                texts.iter().for_each(|text| _ = client.statement(&fill(text)));
                client.bind_missing();
            }
            Step::Long(piece, count, end) => {
                _ = client.query(&format!("SELECT {}{end}", piece.repeat(*count)))
            }
            Step::Anew => {}
        }
    }
}

/// Whether the bytes contain `pgstrata_0123456789abcdef_`: such a name could denote a statement of another client.
fn names_statement(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"pgstrata_";
    memchr::memmem::find_iter(bytes, BEGIN).any(|at| {
        let behind = bytes.get(at + BEGIN.len()..).unwrap_or_default();
        behind.iter().take_while(|byte| byte.is_ascii_hexdigit()).count() >= 16
    })
}

#[cfg(test)]
mod tests {
    use super::names_statement;

    #[test]
    fn statement_of_the_proxy_is_known_by_its_name() {
        assert!(names_statement(b"NOTICE: execute pgstrata_0123456789abcdef_path"));
        assert!(!names_statement(b"pgstrata_selftest_0123456789abcdef_a, pgstrata_path, pgstrata_"));
    }
}
