//! What stays in a session: settings, and what ties a client to its server.

use rand::RngExt;
use tokio::time::{Duration, sleep, timeout};

use super::client::{Client, DEFAULTS, Done, LIMIT, Over};
use crate::wire::{CANCEL_REQUEST, Wire};

impl Client {
    /// One of the settings with a value that no other client gives it.
    pub fn new_setting(&mut self) -> (&'static str, String) {
        let name = self.pick(&DEFAULTS).0;
        let value = match name {
            "statement_timeout" => format!("{}s", self.random.random_range(45..60)),
            "work_mem" => format!("{}MB", 5 + self.number),
            _ => format!("{}/{}/{}", self.tenant, self.number, self.step),
        };
        (name, value)
    }

    pub async fn change_settings(&mut self) -> Done {
        match self.random.random_range(0..8) {
            0..3 => self.set().await?,
            3 => self.reset().await?,
            4 => self.reset_all().await?,
            5 => self.set_and_fail().await?,
            _ => {}
        }
        self.shows_its_settings().await
    }

    async fn set(&mut self) -> Done {
        let (name, value) = self.new_setting();
        let answer = self.run(&format!("SET {name} = '{value}'")).await?;
        if self.settle(&answer, &[], &[])? {
            self.settings.insert(name, value);
        }
        Ok(())
    }

    async fn reset(&mut self) -> Done {
        let name = self.pick(&DEFAULTS).0;
        // PostgreSQL knows no such setting where nobody has set it.
        let answer = self.run(&format!("RESET {name}")).await?;
        if self.settle(&answer, &[], &["42704"])? {
            self.settings.insert(name, self.base[name].clone());
        }
        Ok(())
    }

    async fn reset_all(&mut self) -> Done {
        let discard = self.random.random_bool(0.5);
        let answer = self.run(if discard { "DISCARD ALL" } else { "RESET ALL" }).await?;
        if self.settle(&answer, &[], &[])? {
            self.settings = self.base.clone();
            if discard {
                self.prepared.clear();
            }
        } else if discard {
            // Which statements are left is anybody's guess.
            return Err(Over);
        }
        Ok(())
    }

    /// A setting in a message that fails is as it was before.
    async fn set_and_fail(&mut self) -> Done {
        let (name, value) = self.new_setting();
        let text = format!("SET {name} = '{value}'; SELECT 1 / 0");
        self.wire.query(&text);
        let answer = self.ask(&text).await?;
        self.settle(&answer, &[], &["22012"])?;
        Ok(())
    }

    /// Something that ties the client to its server.
    pub async fn leave_a_mark(&mut self) -> Done {
        self.pins();
        match self.random.random_range(0..5) {
            0 => self.temporary_table().await,
            1 => self.temporary_name().await,
            2 => self.held_cursor().await,
            3 => self.sql_prepared().await,
            _ => self.advisory_lock().await,
        }
    }

    /// Runs what must work if what it builds on is there. `false`: something broke.
    async fn one(&mut self, text: &str, rows: usize) -> Done<bool> {
        let answer = self.run(text).await?;
        let done = self.settle(&answer, &[], &[])?;
        if done && rows > 0 {
            self.is_mine(&answer, rows)?;
        }
        Ok(done)
    }

    async fn temporary_table(&mut self) -> Done {
        let table = format!("scratch_{}_{}_{}", self.world.crashes(), self.number, self.step);
        if self.one(&format!("CREATE TEMP TABLE {table} AS SELECT name FROM whoami"), 0).await? {
            for text in
                [format!("SELECT name FROM {table}"), format!("SELECT name FROM {table} NATURAL JOIN seen")]
            {
                self.one(&text, 1).await?;
            }
            if self.random.random_bool(0.3) {
                self.one(&format!("DROP TABLE {table}"), 0).await?;
            }
        }
        Ok(())
    }

    /// A temporary table in front of the tenant's own.
    async fn temporary_name(&mut self) -> Done {
        if self.one("CREATE TEMP TABLE scratch AS SELECT name FROM whoami, generate_series(1, 3)", 0).await? {
            self.one("SELECT name FROM scratch", 3).await?;
            self.one("DROP TABLE scratch", 0).await?;
        }
        Ok(())
    }

    async fn held_cursor(&mut self) -> Done {
        let declare =
            "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT name FROM whoami, generate_series(1, 9); COMMIT";
        self.wire.query(declare);
        let answer = self.ask(declare).await?;
        if self.settle(&answer, &[], &[])? {
            self.one("FETCH 4 FROM held", 4).await?;
            self.one("FETCH 4 FROM held", 4).await?;
            self.one("CLOSE held", 0).await?;
        }
        Ok(())
    }

    async fn sql_prepared(&mut self) -> Done {
        if self.one("PREPARE mine AS SELECT name FROM whoami", 0).await? {
            self.one("EXECUTE mine", 1).await?;
            self.one("DEALLOCATE mine", 0).await?;
        }
        Ok(())
    }

    async fn advisory_lock(&mut self) -> Done {
        let key = self.random.random_range(1..4);
        if self.one(&format!("SELECT pg_advisory_lock({key})"), 0).await? && self.random.random_bool(0.5) {
            self.one(&format!("SELECT pg_advisory_unlock({key})"), 0).await?;
        }
        Ok(())
    }

    /// Cancels its own query. A cancel that comes late must not hit a neighbour's.
    pub async fn cancel(&mut self) -> Done {
        let text = "SELECT name FROM whoami, pg_sleep(0.05)";
        self.wire.query(text).flush().await;
        let pause = self.random.random_range(0..80);
        sleep(Duration::from_millis(pause)).await;
        let mut other = Wire::connect(self.world.port).await;
        other.packet(CANCEL_REQUEST, &self.wire.key).await;
        // Once it is dealt with, the proxy closes.
        if timeout(LIMIT, other.receive()).await.is_err() {
            return self.wrong("a cancel request was not dealt with".to_owned());
        }
        let answer = self.ask(text).await?;
        if self.settle(&answer, &[], &["57014"])? {
            self.is_mine(&answer, 1)?;
        }
        // It may still be on its way, and hit what this client does next: that is PostgreSQL's way, too.
        sleep(Duration::from_millis(20)).await;
        let answer = self.run("SELECT name FROM whoami").await?;
        self.settle(&answer, &[], &["57014"])?;
        Ok(())
    }
}
