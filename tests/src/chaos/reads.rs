//! Reads, in each way of the protocol.

use rand::RngExt;

use super::client::{Client, DEFAULTS, Done};

/// Each gives one row: the tenant's name.
pub(super) const READS: [&str; 9] = [
    "SELECT name FROM whoami",
    "SELECT mine()",
    "SELECT name FROM seen",
    "SELECT current_schema()",
    "SELECT w.name FROM whoami w JOIN seen s ON s.name = w.name",
    "WITH w AS (SELECT * FROM whoami) SELECT name FROM w",
    "SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = 'whoami'::regclass",
    "SELECT coalesce(min(tenant), mine()) FROM ledger",
    "SELECT DISTINCT name FROM (SELECT name FROM whoami UNION ALL SELECT tenant FROM ledger) t",
];

impl Client {
    /// A name for the statement with this number, which says what it is.
    pub fn statement(number: usize) -> String {
        format!("read_{number}")
    }

    /// Adds `Parse` of a named read, if this client does not have it.
    fn parse_once(&mut self, number: usize) -> String {
        let name = Self::statement(number);
        if !self.prepared.contains(&name) {
            self.wire.parse(&name, READS[number]);
        }
        name
    }

    pub async fn read(&mut self) -> Done {
        let number = self.random.random_range(0..READS.len());
        match self.random.random_range(0..7) {
            0 | 1 => self.read_once(READS[number]).await,
            2 | 3 => self.read_by_name(number).await,
            4 => self.read_many(number).await,
            5 => self.read_in_parts().await,
            _ => self.close_statement(number).await,
        }
    }

    async fn read_once(&mut self, text: &str) -> Done {
        let answer = self.run(text).await?;
        if self.settle(&answer, &[], &[])? {
            self.is_mine(&answer, 1)?;
        }
        Ok(())
    }

    async fn read_by_name(&mut self, number: usize) -> Done {
        let name = self.parse_once(number);
        if self.random.random_bool(0.3) {
            self.wire.describe(&name);
        }
        self.wire.bind(&name, &[]).execute().sync();
        let answer = self.ask(&format!("{name}: {}", READS[number])).await?;
        // What was confirmed stays, whatever came behind it.
        if answer.tags().starts_with('1') {
            self.prepared.insert(name);
        }
        if self.settle(&answer, &[], &[])? {
            self.is_mine(&answer, 1)?;
        }
        Ok(())
    }

    /// Several statements in one message.
    async fn read_many(&mut self, number: usize) -> Done {
        let count = self.random.random_range(2..6);
        let text = vec![READS[number]; count].join("; ");
        self.wire.query(&text);
        let answer = self.ask(&text).await?;
        if self.settle(&answer, &[], &[])? {
            self.is_mine(&answer, count)?;
        }
        Ok(())
    }

    /// A portal that gives a few rows at a time.
    async fn read_in_parts(&mut self) -> Done {
        let rows: u32 = self.random.random_range(1..400);
        let text = format!("SELECT name FROM whoami, generate_series(1, {rows})");
        self.wire.parse("", &text).bind("", &[]);
        let parts = self.random.random_range(1..5);
        let part = i32::try_from(rows.div_ceil(parts)).unwrap();
        for _ in 0..parts {
            self.wire.execute_some(part);
        }
        self.wire.sync();
        let answer = self.ask(&text).await?;
        if self.settle(&answer, &[], &[])? {
            self.is_mine(&answer, usize::try_from(rows).unwrap())?;
        }
        Ok(())
    }

    async fn close_statement(&mut self, number: usize) -> Done {
        let name = Self::statement(number);
        self.wire.close(&name).sync();
        let answer = self.ask("Close").await?;
        if answer.tags().starts_with('3') {
            self.prepared.remove(&name);
        }
        self.settle(&answer, &[], &[])?;
        Ok(())
    }

    /// What was acknowledged is there, once.
    pub async fn read_of_a_write(&mut self) -> Done {
        let from = self.random.random_range(0..30_000_000_000);
        let Some(id) = self.world.kept_after(self.tenant, from) else { return Ok(()) };
        let text = "SELECT tenant FROM ledger WHERE id = $1";
        self.wire.parse("", text).bind("", &[&id.to_string()]).execute().sync();
        let answer = self.ask(&format!("{text} [{id}]")).await?;
        if self.settle(&answer, &[], &[])? {
            self.is_mine(&answer, 1)?;
        }
        Ok(())
    }

    /// A new client finds nothing that another one left.
    pub async fn finds_nothing(&mut self) -> Done {
        self.shows_its_settings().await?;
        let traces = [
            ("EXECUTE mine", "26000"),
            ("FETCH held", "34000"),
            ("SELECT * FROM scratch", "42P01"),
            ("SELECT * FROM pg_temp.scratch", "42P01"),
        ];
        for (text, code) in traces {
            let answer = self.run(text).await?;
            let done = self.settle(&answer, &[], &[code, "3F000"])?;
            self.check(!done, || "found what another client left".to_owned())?;
        }
        let name = self.statement_of_none();
        self.wire.bind(&name, &[]).execute().sync();
        let answer = self.ask(&format!("Bind {name}")).await?;
        let done = self.settle(&answer, &[], &["26000"])?;
        self.check(!done, || "found another client's prepared statement".to_owned())
    }

    fn statement_of_none(&mut self) -> String {
        let number = self.random.random_range(0..READS.len());
        Self::statement(number)
    }

    /// All settings are what this client has made of them.
    pub async fn shows_its_settings(&mut self) -> Done {
        let columns =
            DEFAULTS.map(|(name, _)| format!("coalesce(current_setting('{name}', true), '')")).join(", ");
        let text = format!("SELECT {columns}");
        let answer = self.run(&text).await?;
        if self.settle(&answer, &[], &[])? {
            let rows = answer.rows();
            let right: Vec<String> = DEFAULTS.iter().map(|(name, _)| self.settings[name].clone()).collect();
            self.check(rows == [right.clone()], || format!("has {right:?}, and is shown {rows:?}"))?;
        }
        Ok(())
    }
}
