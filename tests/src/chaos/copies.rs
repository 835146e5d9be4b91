//! COPY in both directions.

use rand::RngExt;

use super::client::{Client, Done};
use super::world::Fate;

impl Client {
    pub async fn copy_out(&mut self) -> Done {
        let rows = self.random.random_range(1..3000);
        let text = format!("COPY (SELECT name FROM whoami, generate_series(1, {rows})) TO STDOUT");
        let answer = self.run(&text).await?;
        if self.settle(&answer, &[], &[])? {
            let lines = answer.copied();
            let line = format!("{}\n", self.tenant);
            let right = lines.len() == rows && lines.iter().all(|found| *found == line);
            self.check(right, || format!("{rows} lines expected, and came {}: {lines:?}", lines.len()))?;
        }
        Ok(())
    }

    pub async fn copy_in(&mut self) -> Done {
        let ids: Vec<i64> =
            (0..self.random.random_range(1..40)).map(|_| self.new_id(Fate::Unknown)).collect();
        let text = "COPY ledger (id, tenant) FROM STDIN";
        let simple = self.random.random_bool(0.5);
        if simple {
            self.wire.query(text);
        } else {
            self.wire.parse("", text).bind("", &[]).execute().sync();
        }
        self.wire.flush().await;
        let begun = self.hear(b"GZ").await?;
        if begun.messages.last().is_none_or(|last| last.tag != b'G') {
            self.settle(&begun, &ids, &[])?;
            return Ok(());
        }
        for id in &ids {
            let row = format!("{id}\t{}\n", self.tenant);
            // Rows do not end where messages do.
            let (first, second) = row.split_at(self.random.random_range(0..row.len()));
            self.wire.copy_data(first).copy_data(second);
            if self.random.random_bool(0.1) {
                self.wire.flush().await;
            }
        }
        let expected: &[&str] = match self.random.random_range(0..6) {
            0 => {
                self.wire.copy_fail("changed my mind");
                &["57014"]
            }
            1 => {
                self.wire.copy_data("no number\tx\n").copy_done();
                &["22P02"]
            }
            _ => {
                self.wire.copy_done();
                &[]
            }
        };
        if !simple {
            self.wire.sync();
        }
        let answer = self.ask(text).await?;
        let done = self.settle(&answer, &ids, expected)?;
        self.check(!done || expected.is_empty(), || "gave no error".to_owned())?;
        if done {
            let told = answer.commands();
            let right = format!("COPY {}", ids.len());
            self.check(told == [right.clone()], || format!("{right} expected, and came {told:?}"))?;
        }
        Ok(())
    }
}
