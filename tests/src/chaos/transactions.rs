//! Transactions with savepoints, errors and settings in them.

use rand::RngExt;

use super::client::{Client, Done, Settings};
use super::reads::READS;
use super::world::{Fate, TENANTS};

/// What a transaction would leave behind.
#[derive(Clone)]
struct Open {
    ids: Vec<i64>,
    /// What holds from its end on.
    settings: Settings,
}

impl Client {
    pub async fn transaction(&mut self) -> Done {
        let begin = self.pick(&["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION"]);
        let answer = self.run(begin).await?;
        if !self.settle(&answer, &[], &[])? {
            return Ok(());
        }
        let mut open = Open { ids: Vec::new(), settings: self.settings.clone() };
        let mut savepoints: Vec<Open> = Vec::new();
        let mut failed = false;
        for _ in 0..self.random.random_range(1..9) {
            if failed {
                break;
            }
            let done = match self.random.random_range(0..12) {
                0..4 => self.insert_in(&mut open).await?,
                4..6 => {
                    let text = self.pick_read();
                    self.in_block(text, &[]).await?
                }
                6 => {
                    let done = self.in_block(format!("SAVEPOINT s{}", savepoints.len()), &[]).await?;
                    savepoints.extend(done.then(|| open.clone()));
                    done
                }
                7 => self.roll_back_to(&mut open, &savepoints).await?,
                8 => match savepoints.pop() {
                    Some(_) => self.in_block(format!("RELEASE SAVEPOINT s{}", savepoints.len()), &[]).await?,
                    None => true,
                },
                9 => self.set_in(&mut open).await?,
                10 => {
                    let key = self.random.random_range(1..4);
                    self.in_block(format!("SELECT pg_advisory_xact_lock({key})"), &[]).await?
                }
                _ => {
                    self.fail_in_block().await?;
                    let mends = !savepoints.is_empty() && self.random.random_bool(0.6);
                    mends && self.roll_back_to(&mut open, &savepoints).await?
                }
            };
            failed = !done;
        }
        self.end_block(open, failed).await
    }

    fn pick_read(&mut self) -> String {
        self.pick(&READS).to_owned()
    }

    /// A statement in the block; nothing of it is committed if the block is lost.
    async fn in_block(&mut self, text: impl Into<String>, expected: &[&str]) -> Done<bool> {
        let text = text.into();
        let answer = self.run(&text).await?;
        let done = self.settle(&answer, &[], expected)?;
        let status = answer.status();
        self.check(status == Some(if done { 'T' } else { 'E' }), || format!("the status is {status:?}"))?;
        if done && READS.contains(&text.as_str()) {
            self.is_mine(&answer, 1)?;
        }
        Ok(done)
    }

    async fn insert_in(&mut self, open: &mut Open) -> Done<bool> {
        let id = self.new_id(Fate::Never);
        let text = self.insert(id);
        let done = self.in_block(text, &[]).await?;
        if done {
            open.ids.push(id);
        }
        Ok(done)
    }

    /// To the last savepoint, if there is one.
    async fn roll_back_to(&mut self, open: &mut Open, savepoints: &[Open]) -> Done<bool> {
        let Some((last, before)) = savepoints.split_last() else { return Ok(true) };
        let answer = self.run(&format!("ROLLBACK TO SAVEPOINT s{}", before.len())).await?;
        // The proxy ties whoever does this with settings changed to its server.
        if open.settings != self.settings {
            self.pins();
        }
        *open = last.clone();
        self.settle(&answer, &[], &[])
    }

    async fn set_in(&mut self, open: &mut Open) -> Done<bool> {
        let (name, value) = self.new_setting();
        if self.random.random_bool(0.3) {
            return self.in_block(format!("SET LOCAL {name} = '{value}'"), &[]).await;
        }
        let done = self.in_block(format!("SET {name} = '{value}'"), &[]).await?;
        if done {
            open.settings.insert(name, value);
        }
        Ok(done)
    }

    async fn fail_in_block(&mut self) -> Done {
        let other = TENANTS[(self.number + 1) % TENANTS.len()];
        let (text, code) = match self.random.random_range(0..4) {
            0 => (format!("SELECT name FROM {other}.whoami"), "42501"),
            1 => ("SELECT * FROM missing".to_owned(), "42P01"),
            2 => ("SELECT 1 / 0".to_owned(), "22012"),
            _ => ("INSERT INTO ledger (id, tenant) VALUES (-1, 'x')".to_owned(), "23514"),
        };
        let act = std::mem::replace(&mut self.act, "another tenant");
        let done = self.in_block(text, &[code]).await;
        self.act = act;
        let done = done?;
        self.check(!done, || "gave no error".to_owned())
    }

    async fn end_block(&mut self, open: Open, failed: bool) -> Done {
        let end = self.pick(&["COMMIT", "COMMIT", "END", "ROLLBACK"]);
        let commits = end != "ROLLBACK" && !failed;
        if commits {
            self.world.note(self.tenant, &open.ids, Fate::Unknown);
        }
        let answer = self.run(end).await?;
        let ids = if commits { &open.ids[..] } else { &[] };
        if self.settle(&answer, ids, &[])? {
            let told = answer.commands();
            let right = if commits { "COMMIT" } else { "ROLLBACK" };
            self.check(told == [right], || format!("{right} expected, and came {told:?}"))?;
            self.check(answer.status() == Some('I'), || "the block goes on".to_owned())?;
            if commits {
                self.settings = open.settings;
            }
        }
        Ok(())
    }

    /// A transaction that is sent as a whole.
    pub async fn transaction_in_one(&mut self) -> Done {
        let ids: Vec<i64> = (0..self.random.random_range(1..5)).map(|_| self.new_id(Fate::Unknown)).collect();
        let commits = self.random.random_bool(0.8);
        let mut texts = vec!["BEGIN".to_owned()];
        for id in &ids {
            texts.push(self.insert(*id));
            texts.push(self.pick_read());
        }
        texts.push(if commits { "COMMIT" } else { "ROLLBACK" }.to_owned());
        let text = texts.join("; ");
        if self.random.random_bool(0.5) {
            self.wire.query(&text);
        } else {
            for text in &texts {
                self.wire.parse("", text).bind("", &[]).execute();
            }
            self.wire.sync();
        }
        let answer = self.ask(&text).await?;
        self.settle(&answer, &ids, &[]).inspect(|_| self.judge_block(&answer, &ids, commits))?;
        let rows = if answer.fault().is_none() { answer.column().len() } else { return Ok(()) };
        self.is_mine(&answer, rows)
    }

    fn judge_block(&self, answer: &crate::Answer, ids: &[i64], commits: bool) {
        if answer.commands().iter().any(|tag| tag == "COMMIT") {
            self.world.note(self.tenant, ids, Fate::Kept);
        } else if !commits {
            self.world.note(self.tenant, ids, Fate::Never);
        }
    }
}
