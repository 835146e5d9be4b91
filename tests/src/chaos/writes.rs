//! Writes that commit by themselves, alone and in pipelines.

use rand::RngExt;

use super::client::{Client, Done, Over};
use super::reads::READS;
use super::world::{Fate, TENANTS};

const INSERT: &str = "INSERT INTO ledger (id, tenant) VALUES ($1, $2)";

/// What a message of a pipeline is there for.
enum Part {
    Read,
    Write(i64),
    /// Fails with this SQLSTATE.
    Fail(&'static str),
}

impl Client {
    /// An insert of this write.
    pub fn insert(&mut self, id: i64) -> String {
        let tenant = self.tenant;
        match self.random.random_range(0..6) {
            0 => format!("INSERT INTO inbox VALUES ({id})"),
            1 => format!("INSERT INTO ledger (id, tenant) SELECT {id}, name FROM whoami"),
            2 => format!("INSERT INTO ledger (id, tenant) VALUES ({id}, mine()) RETURNING tenant"),
            3 => format!(
                "WITH w AS (INSERT INTO ledger (id, tenant) VALUES ({id}, '{tenant}') RETURNING tenant) \
                 SELECT tenant FROM w"
            ),
            _ => format!("INSERT INTO ledger (id, tenant) VALUES ({id}, '{tenant}')"),
        }
    }

    pub async fn write(&mut self) -> Done {
        match self.random.random_range(0..8) {
            0..3 => self.write_once().await,
            3 => self.write_with_parameters().await,
            4 => self.write_by_name().await,
            5 => self.write_many().await,
            6 => self.write_behind_a_commit().await,
            _ => self.write_that_fails().await,
        }
    }

    async fn write_once(&mut self) -> Done {
        let id = self.new_id(Fate::Unknown);
        let text = self.insert(id);
        let answer = self.run(&text).await?;
        if self.settle(&answer, &[id], &[])? && answer.tags().contains('D') {
            self.is_mine(&answer, 1)?;
        }
        Ok(())
    }

    async fn write_with_parameters(&mut self) -> Done {
        let id = self.new_id(Fate::Unknown);
        self.wire.parse("", INSERT).bind("", &[&id.to_string(), self.tenant]).execute().sync();
        let answer = self.ask(INSERT).await?;
        self.settle(&answer, &[id], &[])?;
        Ok(())
    }

    async fn write_by_name(&mut self) -> Done {
        let id = self.new_id(Fate::Unknown);
        if !self.prepared.contains("insert") {
            self.wire.parse("insert", INSERT);
        }
        self.wire.bind("insert", &[&id.to_string(), self.tenant]).execute().sync();
        let answer = self.ask("insert").await?;
        if answer.tags().starts_with('1') {
            self.prepared.insert("insert".to_owned());
        }
        self.settle(&answer, &[id], &[])?;
        Ok(())
    }

    /// Several statements in one message: all of them, or none.
    async fn write_many(&mut self) -> Done {
        let ids: Vec<i64> = (0..self.random.random_range(2..6)).map(|_| self.new_id(Fate::Unknown)).collect();
        let mut texts = Vec::new();
        for id in &ids {
            texts.push(self.insert(*id));
            if self.random.random_bool(0.3) {
                texts.push(self.pick(&READS).to_owned());
            }
        }
        let fails = self.random.random_bool(0.2);
        if fails {
            texts.push("SELECT 1 / 0".to_owned());
        }
        let text = texts.join("; ");
        self.wire.query(&text);
        let answer = self.ask(&text).await?;
        let done = self.settle(&answer, &ids, if fails { &["22012"] } else { &[] })?;
        self.check(!(done && fails), || "1 / 0 gave no error".to_owned())?;
        if done {
            let rows = answer.column().len();
            self.is_mine(&answer, rows)?;
        }
        Ok(())
    }

    /// What was committed in the middle of a message stays, and what is behind it is on its own.
    async fn write_behind_a_commit(&mut self) -> Done {
        let (first, second) = (self.new_id(Fate::Unknown), self.new_id(Fate::Unknown));
        let fails = self.random.random_bool(0.5);
        let end = if fails { "; SELECT 1 / 0" } else { "" };
        let text = format!("BEGIN; {}; COMMIT; {}{end}", self.insert(first), self.insert(second));
        self.wire.query(&text);
        let answer = self.ask(&text).await?;
        let committed = answer.commands().iter().any(|tag| tag == "COMMIT");
        self.settle(&answer, &[first, second], if fails { &["22012"] } else { &[] }).inspect(|_| {
            if committed {
                self.world.note(self.tenant, &[first], Fate::Kept);
            }
        })?;
        Ok(())
    }

    async fn write_that_fails(&mut self) -> Done {
        let id = self.new_id(Fate::Never);
        let tenant = self.tenant;
        let (text, code) = match self.random.random_range(0..3) {
            0 => (format!("INSERT INTO ledger (id, tenant) VALUES ({id}, (1 / 0)::text)"), "22012"),
            1 => (format!("INSERT INTO ledger (id, tenant) VALUES (-{id}, '{tenant}')"), "23514"),
            _ => (format!("INSERT INTO ledger (id, missing) VALUES ({id}, '{tenant}')"), "42703"),
        };
        let answer = self.run(&text).await?;
        let done = self.settle(&answer, &[], &[code])?;
        self.check(!done, || "gave no error".to_owned())
    }

    /// One request of several statements: one transaction.
    pub async fn pipeline(&mut self) -> Done {
        let count = self.random.random_range(2..9);
        let parts: Vec<Part> = (0..count).map(|_| self.part(0.08)).collect();
        let ids = writes(&parts);
        self.send(&parts);
        self.wire.sync();
        let answer = self.ask(&format!("{} parts, one Sync", parts.len())).await?;
        let fails: Vec<&str> = failures(&parts);
        let done = self.settle(&answer, &ids, &fails)?;
        self.check_parts(&answer, &parts, done)
    }

    /// Several requests in one write: each is a transaction of its own.
    pub async fn pipelines(&mut self) -> Done {
        let count = self.random.random_range(2..8);
        let mut requests = Vec::new();
        for _ in 0..count {
            let parts: Vec<Part> = (0..self.random.random_range(1..4)).map(|_| self.part(0.1)).collect();
            self.send(&parts);
            self.wire.sync();
            requests.push(parts);
        }
        self.wire.flush().await;
        for parts in requests {
            let answer = self.ask(&format!("{} parts, one of many Syncs", parts.len())).await?;
            let done = self.settle(&answer, &writes(&parts), &failures(&parts))?;
            self.check_parts(&answer, &parts, done)?;
        }
        Ok(())
    }

    fn part(&mut self, failing: f64) -> Part {
        if self.random.random_bool(failing) {
            return Part::Fail(self.pick(&["22012", "42P01"]));
        }
        if self.random.random_bool(0.5) { Part::Write(self.new_id(Fate::Unknown)) } else { Part::Read }
    }

    fn send(&mut self, parts: &[Part]) {
        for part in parts {
            let text = match part {
                Part::Read => self.pick(&READS).to_owned(),
                Part::Write(id) => {
                    format!("INSERT INTO ledger (id, tenant) VALUES ({id}, mine()) RETURNING tenant")
                }
                Part::Fail("22012") => "SELECT 1 / (SELECT count(*) - 1 FROM whoami)".to_owned(),
                Part::Fail(_) => "SELECT * FROM missing".to_owned(),
            };
            self.wire.parse("", &text).bind("", &[]).execute();
        }
    }

    fn check_parts(&mut self, answer: &crate::Answer, parts: &[Part], done: bool) -> Done {
        let fails = parts.iter().any(|part| matches!(part, Part::Fail(_)));
        self.check(!(done && fails), || "a part that fails gave no error".to_owned())?;
        if done {
            let tags = "12DC".repeat(parts.len()) + "Z";
            self.check(answer.tags() == tags, || format!("{tags} expected, and came {}", answer.tags()))?;
            self.is_mine(answer, parts.len())?;
        }
        Ok(())
    }

    /// What is another tenant's is neither read nor written.
    pub async fn reach_for_another(&mut self) -> Done {
        let others: Vec<&str> = TENANTS.into_iter().filter(|name| *name != self.tenant).collect();
        let other = self.pick(&others);
        let id = self.new_id(Fate::Never);
        let text = match self.random.random_range(0..3) {
            0 => format!("SELECT name FROM {other}.whoami"),
            1 => format!("INSERT INTO {other}.ledger (id, tenant) VALUES ({id}, '{other}')"),
            _ => format!("SET search_path TO {other}"),
        };
        let answer = self.run(&text).await?;
        let done = self.settle(&answer, &[], &["42501"])?;
        self.check(!done, || "was let through".to_owned())?;
        if text.starts_with("SET") {
            // Behind a path that was refused all else is, too.
            let answer = self.run("RESET search_path").await?;
            if !self.settle(&answer, &[], &[])? {
                return Err(Over);
            }
        }
        Ok(())
    }
}

fn writes(parts: &[Part]) -> Vec<i64> {
    parts.iter().filter_map(|part| if let Part::Write(id) = part { Some(*id) } else { None }).collect()
}

fn failures(parts: &[Part]) -> Vec<&'static str> {
    parts.iter().filter_map(|part| if let Part::Fail(code) = part { Some(*code) } else { None }).collect()
}
