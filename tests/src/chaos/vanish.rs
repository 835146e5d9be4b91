//! Clients that are gone from one moment to the next, in each state of the protocol.

use rand::RngExt;
use tokio::time::{Duration, sleep};

use super::client::{Client, Done, Over};
use super::world::Fate;
use crate::stage::tenant_option;
use crate::wire::{V3_0, Wire};

impl Client {
    pub async fn vanish(&mut self) -> Done {
        match self.random.random_range(0..14) {
            0 => self.wire.raw(b"Q\0\0").await,
            1 => self.wire.raw(b"Q\0\0\x10\0SELECT name FROM whoa").await,
            2 => self.in_a_pipeline().await,
            3 => self.in_a_transaction().await?,
            4 => self.in_copy_in().await?,
            5 => self.in_copy_out().await,
            6 => self.before_the_answer().await,
            7 => self.behind_many_requests().await,
            8 => self.in_an_answer_unread().await,
            9 => {
                // Where the network is cut, PostgreSQL runs it to its end.
                self.wire.query("SELECT name FROM whoami, pg_sleep(6)").flush().await;
                self.linger().await;
            }
            10 => {
                let id = self.new_id(Fate::Unknown);
                let text = self.insert(id);
                self.wire.query(&text).terminate().flush().await;
            }
            11 => self.in_a_login().await,
            12 => {
                self.wire.query("BEGIN").query("SELECT name FROM whoami FOR UPDATE").flush().await;
                self.linger().await;
            }
            _ => self.in_a_failed_pipeline().await,
        }
        self.world.stepped("vanish");
        if self.random.random_bool(0.3) {
            self.wire.reset();
        }
        Err(Over)
    }

    /// Long enough for something to happen, or not.
    async fn linger(&mut self) {
        let pause = self.random.random_range(0..40);
        sleep(Duration::from_millis(pause)).await;
    }

    async fn in_a_pipeline(&mut self) {
        for _ in 0..self.random.random_range(1..5) {
            // Without its Sync, none of it is committed.
            let id = self.new_id(Fate::Never);
            let text = self.insert(id);
            self.wire.parse("", &text).bind("", &[]).execute();
        }
        if self.random.random_bool(0.5) {
            self.wire.message(b'H', b"");
        }
        self.wire.flush().await;
        self.linger().await;
    }

    async fn in_a_failed_pipeline(&mut self) {
        let id = self.new_id(Fate::Never);
        let text = self.insert(id);
        self.wire.parse("", "SELECT * FROM missing").bind("", &[]).execute();
        self.wire.parse("", &text).bind("", &[]).execute().message(b'H', b"");
        self.wire.flush().await;
        self.linger().await;
    }

    async fn in_a_transaction(&mut self) -> Done {
        let answer = self.run("BEGIN").await?;
        self.settle(&answer, &[], &[])?;
        if answer.status() == Some('T') {
            for _ in 0..self.random.random_range(1..4) {
                let id = self.new_id(Fate::Never);
                let text = self.insert(id);
                self.wire.query(&text);
            }
            self.wire.flush().await;
            self.linger().await;
        }
        Ok(())
    }

    async fn in_copy_in(&mut self) -> Done {
        let id = self.new_id(Fate::Never);
        let tenant = self.tenant;
        let text = "COPY ledger (id, tenant) FROM STDIN";
        if self.random.random_bool(0.5) {
            self.wire.query(text);
        } else {
            self.wire.parse("", text).bind("", &[]).execute().sync();
        }
        if self.random.random_bool(0.7) {
            self.wire.flush().await;
            let answer = self.hear(b"GZ").await?;
            self.check_faults(&answer, &[])?;
        }
        self.wire.copy_data(&format!("{id}\t{tenant}\n"));
        if self.random.random_bool(0.5) {
            self.wire.flush().await;
            self.wire.raw(b"d\0\0\x10\x00123\tx").await;
        }
        self.wire.flush().await;
        self.linger().await;
        Ok(())
    }

    async fn in_copy_out(&mut self) {
        self.wire.query("COPY (SELECT repeat(name, 100) FROM whoami, generate_series(1, 20000)) TO STDOUT");
        self.wire.flush().await;
        let _ = self.hear(b"dZ").await;
        self.linger().await;
    }

    async fn before_the_answer(&mut self) {
        let id = self.new_id(Fate::Unknown);
        let text = self.insert(id);
        if self.random.random_bool(0.5) {
            self.wire.query(&text);
        } else {
            self.wire.parse("", &text).bind("", &[]).execute().sync();
        }
        self.wire.flush().await;
        if self.random.random_bool(0.5) {
            self.linger().await;
        }
    }

    async fn behind_many_requests(&mut self) {
        for _ in 0..self.random.random_range(2..20) {
            let id = self.new_id(Fate::Unknown);
            let text = self.insert(id);
            self.wire.parse("", &text).bind("", &[]).execute().sync();
        }
        self.wire.flush().await;
        self.linger().await;
    }

    /// More is on its way than fits between here and PostgreSQL.
    async fn in_an_answer_unread(&mut self) {
        self.wire.query("SELECT repeat(name, 1000) FROM whoami, generate_series(1, 5000)").flush().await;
        self.linger().await;
    }

    /// Another connection, which does not get far.
    async fn in_a_login(&mut self) {
        let option = tenant_option(self.tenant);
        let parameters = [("user", "app"), ("database", "app"), ("options", option.as_str())];
        let mut other = Wire::connect(self.world.port).await;
        match self.random.random_range(0..3) {
            0 => other.raw(b"\0\0\0").await,
            1 => other.startup(V3_0, &parameters).await,
            _ => {
                other.startup(V3_0, &parameters).await;
                other.message(b'p', b"SCRAM").flush().await;
            }
        }
        self.linger().await;
    }
}
