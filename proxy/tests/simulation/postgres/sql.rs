//! The SQL of the model: the statements that scripts send, and those that the proxy adds. All else is a syntax error.

/// A word, or what else a statement is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A keyword or an unquoted name, in lower case.
    Word(String),
    /// A quoted name.
    Name(String),
    /// A string, without its quotes.
    Text(String),
    /// `$1` is 1.
    Parameter(usize),
    /// Anything else.
    Sign(char),
}

/// A value that stands in a text, or comes with `Bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Literal(String),
    Parameter(usize),
}

impl Value {
    /// What it is with these parameters.
    pub fn with(&self, values: &[Option<String>]) -> Option<String> {
        match self {
            Value::Literal(text) => Some(text.clone()),
            Value::Parameter(number) => values.get(number - 1).cloned().flatten(),
        }
    }
}

/// A relation as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub schema: Option<String>,
    pub name: String,
}

/// What a statement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    Empty,
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    RollbackTo(String),
    Release(String),
    Set {
        name: String,
        value: Value,
        local: bool,
    },
    /// Several `set_config` in one `SELECT`.
    SetConfig(Vec<(String, Value, bool)>),
    Reset(String),
    ResetAll,
    /// `SET SESSION AUTHORIZATION DEFAULT`.
    ResetAuthorization,
    /// Reads a relation, or none, and shows who it was for.
    Select {
        from: Option<Relation>,
        tag: Value,
        sleeps: bool,
    },
    /// Writes to it: `INSERT`, `UPDATE`, `DELETE`.
    Write {
        to: Relation,
        tag: Value,
        verb: &'static str,
    },
    /// Needs a transaction of its own.
    Vacuum(Relation, Value),
    /// Looks its name up when it runs, and not when it is bound.
    Truncate(Relation, Value),
    CopyIn(Relation),
    CopyOut(Relation),
    CreateTemp(String),
    DropTemp(Relation),
    Prepare {
        name: String,
        body: Box<Statement>,
    },
    Execute {
        name: String,
        values: Vec<Value>,
    },
    Deallocate(Option<String>),
    Declare {
        cursor: String,
        hold: bool,
        body: Box<Statement>,
    },
    Fetch(String),
    CloseCursor(Option<String>),
    DiscardAll,
    DiscardTemp,
    /// Code that is in no text: it sets what its client has not set in a text.
    Meddle(Value),
    /// Divides by zero.
    Fails,
    /// Does nothing that the model knows of: its command tag.
    Nothing(&'static str),
    /// Finds a row if the session has such objects.
    Probe(Probe),
    /// Fails if one of these names is a shared table's: the proxy's look at what a write would reach.
    Look(Vec<Relation>),
}

/// What the proxy asks of a session that may be another client's next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    Temp,
    /// Two rows where there is a temporary schema, else none.
    TempSchema,
    Prepared,
    Cursor,
}

/// Splits a text into its statements; comments go.
pub fn split(text: &str) -> Vec<Vec<Token>> {
    let mut all = vec![Vec::new()];
    for token in tokens(text) {
        match token {
            Token::Sign(';') => all.push(Vec::new()),
            token => all.last_mut().unwrap().push(token),
        }
    }
    let several = all.len() > 1;
    all.retain(|statement| !several || !statement.is_empty());
    if all.is_empty() {
        all.push(Vec::new());
    }
    all
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            c if c.is_whitespace() => (None, 1),
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").unwrap_or(rest.len() - 2);
                // Where a statement has no other place for it, its tag stands in a comment.
                let tag = rest[2..end].to_owned();
                (tag.starts_with('#').then_some(Token::Text(tag)), end + 2)
            }
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '\'' => quoted(rest, '\'', Token::Text),
            '"' => quoted(rest, '"', Token::Name),
            '$' => {
                let digits = rest[1..].chars().take_while(char::is_ascii_digit).count();
                (rest[1..=digits].parse().ok().map(Token::Parameter), digits + 1)
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (Some(Token::Word(rest[..end].to_lowercase())), end)
            }
            other => (Some(Token::Sign(other)), other.len_utf8()),
        };
        out.extend(token);
        rest = &rest[length..];
    }
    out
}

fn quoted(rest: &str, quote: char, token: fn(String) -> Token) -> (Option<Token>, usize) {
    let (mut value, mut at) = (String::new(), 1);
    while let Some(c) = rest[at..].chars().next() {
        at += c.len_utf8();
        if c == quote {
            if !rest[at..].starts_with(quote) {
                break;
            }
            at += 1;
        }
        value.push(c);
    }
    (Some(token(value)), at)
}

/// Reads a statement. `None`: it is none that the model knows.
pub fn parse(tokens: &[Token]) -> Option<Statement> {
    Reader(tokens).statement()
}

struct Reader<'a>(&'a [Token]);

impl Reader<'_> {
    fn next(&mut self) -> Option<&Token> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Takes these words, if they come next.
    fn take(&mut self, words: &str) -> bool {
        let words: Vec<&str> = words.split(' ').collect();
        let fits = words.len() <= self.0.len()
            && words.iter().zip(self.0).all(|(word, token)| matches!(token, Token::Word(own) if own == word));
        if fits {
            self.0 = &self.0[words.len()..];
        }
        fits
    }

    fn sign(&mut self, sign: char) -> bool {
        let fits = self.0.first() == Some(&Token::Sign(sign));
        if fits {
            self.0 = &self.0[1..];
        }
        fits
    }

    fn name(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(name) | Token::Name(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// A name that may have a dot in it.
    fn setting(&mut self) -> Option<String> {
        let mut name = self.name()?;
        while self.sign('.') {
            name = format!("{name}.{}", self.name()?);
        }
        Some(name.to_lowercase())
    }

    fn relation(&mut self) -> Option<Relation> {
        let first = self.name()?;
        Some(match self.sign('.') {
            true => Relation { schema: Some(first), name: self.name()? },
            false => Relation { schema: None, name: first },
        })
    }

    fn value(&mut self) -> Option<Value> {
        let value = match self.next()? {
            Token::Text(text) | Token::Word(text) => Value::Literal(text.clone()),
            Token::Parameter(number) => Value::Parameter(*number),
            _ => return None,
        };
        Some(value)
    }

    /// The first value that is somewhere in what is left.
    fn tag(&self) -> Value {
        let value = self.0.iter().find_map(|token| match token {
            Token::Text(text) => Some(Value::Literal(text.clone())),
            Token::Parameter(number) => Some(Value::Parameter(*number)),
            _ => None,
        });
        value.unwrap_or(Value::Literal(String::new()))
    }

    /// Whether the word stands anywhere in what is left.
    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|token| matches!(token, Token::Word(own) if own == word))
    }

    /// The relation behind the word, wherever that is.
    fn behind(&self, word: &str) -> Option<Relation> {
        let at = self.0.iter().position(|token| matches!(token, Token::Word(own) if own == word))?;
        Reader(&self.0[at + 1..]).relation()
    }

    fn statement(&mut self) -> Option<Statement> {
        if self.0.is_empty() {
            return Some(Statement::Empty);
        }
        self.transaction().or_else(|| self.settings()).or_else(|| self.session()).or_else(|| self.data())
    }

    fn transaction(&mut self) -> Option<Statement> {
        Some(match () {
            () if self.take("begin") => Statement::Begin,
            () if self.take("commit") => Statement::Commit,
            () if self.take("rollback to") => Statement::RollbackTo(self.name()?),
            () if self.take("rollback") => Statement::Rollback,
            () if self.take("savepoint") => Statement::Savepoint(self.name()?),
            () if self.take("release") => Statement::Release(self.name()?),
            () => return None,
        })
    }

    fn settings(&mut self) -> Option<Statement> {
        if self.take("set session authorization default") {
            return Some(Statement::ResetAuthorization);
        }
        if self.take("reset all") {
            return Some(Statement::ResetAll);
        }
        if self.take("reset") {
            return Some(Statement::Reset(self.setting()?));
        }
        if !self.take("set") {
            return None;
        }
        let local = self.take("local");
        let name = self.setting()?;
        if !self.take("to") {
            self.sign('=');
        }
        let mut values = vec![self.list_item(&name)?];
        while self.sign(',') {
            values.push(self.list_item(&name)?);
        }
        Some(Statement::Set { name, value: Value::Literal(values.join(", ")), local })
    }

    /// A value of `SET`: of a path, it is quoted as PostgreSQL keeps it.
    fn list_item(&mut self, name: &str) -> Option<String> {
        let value = match self.next()? {
            Token::Word(text) | Token::Name(text) | Token::Text(text) => text.clone(),
            _ => return None,
        };
        Some(if name == "search_path" { format!("\"{value}\"") } else { value })
    }

    fn session(&mut self) -> Option<Statement> {
        use Statement::*;
        Some(match () {
            () if self.take("discard all") => DiscardAll,
            () if self.take("discard temp") => DiscardTemp,
            () if self.take("discard sequences") => Nothing("DISCARD SEQUENCES"),
            () if self.take("deallocate all") => Deallocate(None),
            () if self.take("deallocate") => Deallocate(Some(self.name()?)),
            () if self.take("close all") => CloseCursor(None),
            () if self.take("close") => CloseCursor(Some(self.name()?)),
            () if self.take("unlisten") => Nothing("UNLISTEN"),
            () if self.take("prepare") => {
                let name = self.name()?;
                while !self.take("as") {
                    self.next()?;
                }
                Prepare { name, body: Box::new(self.statement()?) }
            }
            () if self.take("execute") => {
                let (name, mut values) = (self.name()?, Vec::new());
                while self.sign('(') || self.sign(',') {
                    values.push(self.value()?);
                }
                Execute { name, values }
            }
            () if self.take("declare") => {
                let cursor = self.name()?;
                let hold = self.has("hold");
                while !self.take("for") {
                    self.next()?;
                }
                Declare { cursor, hold, body: Box::new(self.statement()?) }
            }
            () if self.take("fetch") => {
                while !self.take("from") {
                    self.next()?;
                }
                Fetch(self.name()?)
            }
            () => return None,
        })
    }

    fn data(&mut self) -> Option<Statement> {
        use Statement::*;
        Some(match () {
            () if self.take("select") => return self.select(),
            () if self.take("insert into") => self.write("INSERT 0")?,
            () if self.take("update") => self.write("UPDATE")?,
            () if self.take("delete from") => self.write("DELETE")?,
            () if self.take("vacuum") => Vacuum(self.relation()?, self.tag()),
            () if self.take("truncate") => Truncate(self.relation()?, self.tag()),
            () if self.take("with recursive") => Look(self.looked_at()),
            () if self.take("create temp table") => CreateTemp(self.name()?),
            () if self.take("drop table") => DropTemp(self.relation()?),
            () if self.take("copy") => {
                let relation = self.relation()?;
                if self.take("from") { CopyIn(relation) } else { CopyOut(relation) }
            }
            () => return None,
        })
    }

    /// The names that `to_regclass` is asked for.
    fn looked_at(&mut self) -> Vec<Relation> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            if !self.take("to_regclass") {
                self.next();
                continue;
            }
            let escaped = self.sign('(') && self.take("u") && self.sign('&');
            if let Some(Token::Text(name)) = self.next().filter(|_| escaped) {
                // The proxy writes all but letters as their numbers.
                let name = name.replace("\\+000022", "\"").replace("\\+00002e", ".");
                all.extend(Reader(&tokens(&name)).relation());
            }
        }
        all
    }

    fn write(&mut self, verb: &'static str) -> Option<Statement> {
        let to = self.relation()?;
        Some(Statement::Write { to, tag: self.tag(), verb })
    }

    fn select(&mut self) -> Option<Statement> {
        if self.has("operator") && self.has("refused") || self.0.contains(&Token::Sign('/')) {
            return Some(Statement::Fails);
        }
        // Whether a time limit is above the administrator's. In the model there is none.
        if self.has("parse_ident") {
            return Some(Statement::Nothing("SELECT 0"));
        }
        if self.has("set_config") {
            return self.set_config();
        }
        let finds = [
            ("pg_depend", Probe::Temp),
            ("pg_prepared_statements", Probe::Prepared),
            ("pg_cursors", Probe::Cursor),
            ("pg_my_temp_schema", Probe::TempSchema),
        ];
        if let Some((_, probe)) = finds.iter().find(|(word, _)| self.has(word)) {
            return Some(Statement::Probe(*probe));
        }
        if self.has("pg_advisory_unlock_all") || self.has("setseed") {
            return Some(Statement::Nothing("SELECT 1"));
        }
        if self.has("meddle") {
            return Some(Statement::Meddle(self.tag()));
        }
        Some(Statement::Select { from: self.behind("from"), tag: self.tag(), sleeps: self.has("pg_sleep") })
    }

    fn set_config(&mut self) -> Option<Statement> {
        let mut all = Vec::new();
        while self.has("set_config") {
            while !self.take("set_config") {
                self.next()?;
            }
            self.sign('(');
            let Value::Literal(name) = self.value()? else { return None };
            self.sign(',');
            let value = self.value()?;
            self.sign(',');
            all.push((name.to_lowercase(), value, self.take("true")));
        }
        Some(Statement::SetConfig(all))
    }
}
