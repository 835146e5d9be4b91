//! The names on which a statement depends, from sqlparser's tree and our own tokens.
//!
//! sqlparser is fed with our tokens, and the position of a token is its number. So the two agree on where a string or
//! a comment ends, and a name in the tree leads back to its bytes. An unknown node is never guessed: the statement is
//! then `unproven` and uses the search path.

mod budget;
mod expr;
mod feed;
mod query;
mod reduce;
#[cfg(test)]
mod tests;
mod types;
mod words;
mod write;

use std::ops::Range;

use foldhash::HashSet;
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use sqlparser::parser::Parser;

use self::budget::Budget;
use self::query::Ctes;
use super::builtin;
use super::lexer::TokenKind;
use super::marks::Marks;
use super::shape::{Alias, Named, Qualified};
use super::tokens::Tokens;

/// The maximum depth of our walk; sqlparser's own limit is far below.
const MAX_DEPTH: usize = 400;
/// The maximum number of enclosing statements: `EXPLAIN DECLARE c CURSOR FOR`, and PostgreSQL accepts no more.
const MAX_AROUND: usize = 4;
/// The maximum recursion of sqlparser.
const PARSER_DEPTH: usize = 60;

/// All names of one statement.
#[derive(Debug, Default)]
pub struct Names {
    /// Unqualified relations that are not CTEs.
    pub relations: Vec<Named>,
    /// Schema-qualified relations.
    pub qualified: Vec<Qualified>,
    /// Unqualified functions.
    pub functions: Vec<Box<str>>,
    /// The last parts of dotted column references.
    pub columns: Vec<Box<str>>,
    /// Unqualified types that are not built into the grammar.
    pub types: Vec<Box<str>>,
    /// First tokens of dotted names that are proven to be column references.
    pub column_chains: HashSet<usize>,
    /// The statement depends on the path in a way that is not listed.
    pub unproven: bool,
    /// No parser has read the statement: the other fields are unknown.
    pub unread: bool,
}

impl Names {
    fn unproven() -> Self {
        Self { unproven: true, unread: true, ..Self::default() }
    }
}

/// The maximum number of tokens that sqlparser gets for one text; some tokens count more than once.
pub const ALLOWANCE: usize = 12_000;

/// The names in statement `range` of `t`. The cost of parsing it is deducted from `allowance`.
pub fn names(t: &Tokens<'_>, range: Range<usize>, allowance: &mut usize) -> Names {
    let (mut lo, mut hi) = (range.start, range.end);
    for _ in 0..MAX_AROUND {
        match () {
            () if t.kw(lo, "explain") => lo = behind_explain(t, lo, hi),
            () if t.kw(lo, "declare") => match (lo..hi).find(|&i| t.kw(i, "for")) {
                Some(at) => lo = at + 1,
                None => return Names::unproven(),
            },
            () if t.kw(lo, "copy") && t.is(lo + 1, TokenKind::Open) => {
                (lo, hi) = (lo + 2, t.behind_close(lo + 1, hi).saturating_sub(1));
            }
            () => return names_inside(t, lo..hi, allowance),
        }
    }
    Names::unproven()
}

/// The same for a statement without an inner statement.
fn names_inside(t: &Tokens<'_>, range: Range<usize>, allowance: &mut usize) -> Names {
    let (lo, hi) = (range.start, range.end);
    match () {
        () if t.kw(lo, "copy") => copy(t, lo, hi),
        () if t.any_kw(lo, &["truncate", "lock"]) => listed(t, lo..hi, allowance),
        () if t.is(lo, TokenKind::Open) => parsed(t, range, allowance),
        () if t.any_kw(lo, &["select", "insert", "update", "delete", "merge", "values", "table", "with"]) => {
            parsed(t, range, allowance)
        }
        () => Names::unproven(),
    }
}

fn behind_explain(t: &Tokens<'_>, lo: usize, hi: usize) -> usize {
    let mut at = lo + 1;
    if t.is(at, TokenKind::Open) && !t.any_kw(at + 1, &["select", "with", "values"]) {
        at = t.behind_close(at, hi);
    }
    while t.any_kw(at, &["analyze", "analyse", "verbose"]) {
        at += 1;
    }
    at
}

/// `COPY name [(columns)] ..`.
fn copy(t: &Tokens<'_>, lo: usize, hi: usize) -> Names {
    let mut names = Names::default();
    let at = lo + 1 + usize::from(t.kw(lo + 1, "binary") && !t.any_kw(lo + 2, &["to", "from"]));
    let next = names.relation_at(t, at, hi);
    // `COPY t FROM STDIN WHERE ..` contains an expression.
    names.unproven |= (next..hi).any(|i| t.kw(i, "where"));
    names
}

/// `TRUNCATE [TABLE] a, b`, `LOCK [TABLE] a, b`.
fn listed(t: &Tokens<'_>, Range { start: lo, end: hi }: Range<usize>, allowance: &mut usize) -> Names {
    let mut names = Names::default();
    let mut at = lo + 1 + usize::from(t.kw(lo + 1, "table"));
    loop {
        match allowance.checked_sub(1) {
            Some(rest) => *allowance = rest,
            None => return Names::unproven(),
        }
        at += usize::from(t.kw(at, "only"));
        at = names.relation_at(t, at, hi);
        at += usize::from(t.op(at, "*"));
        if !t.is(at, TokenKind::Comma) || at >= hi {
            break;
        }
        at += 1;
    }
    let known =
        ["restart", "continue", "identity", "cascade", "restrict", "in", "mode", "nowait", "access", "row"];
    let modes = ["share", "exclusive", "update"];
    names.unproven |= (at..hi).any(|i| !t.any_kw(i, &known) && !t.any_kw(i, &modes));
    names
}

/// A SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES or WITH, by sqlparser.
fn parsed(t: &Tokens<'_>, range: Range<usize>, allowance: &mut usize) -> Names {
    let Some(feed) = feed::feed(t, range.clone(), allowance) else {
        return Names::unproven();
    };
    let budget = Budget::of(feed.tokens.len());
    let mut parser =
        Parser::new(&budget).with_recursion_limit(PARSER_DEPTH).with_tokens_with_locations(feed.tokens);
    let Ok(statement) = parser.parse_statement() else {
        return Names::unproven();
    };
    if budget.is_spent() || parser.peek_token_ref().token != sqlparser::tokenizer::Token::EOF {
        return Names::unproven();
    }
    let mut walk = Walk {
        t,
        names: Names::default(),
        claimed: Marks::of(&range),
        range,
        ctes: Ctes::default(),
        called: Vec::new(),
        depth: 0,
    };
    walk.claimed.extend(feed.left_out);
    for call in feed.calls {
        walk.function_at(call);
    }
    walk.statement(&statement);
    walk.finish()
}

impl Names {
    /// Adds the relation whose first token is `at`; returns the token behind it.
    fn relation_at(&mut self, t: &Tokens<'_>, at: usize, hi: usize) -> usize {
        let Some(name) = t.name(at).filter(|_| at < hi) else {
            self.unproven = true;
            return at;
        };
        if !t.is(at + 1, TokenKind::Dot) {
            self.relations.push(Named { token: at as u32, name: name.into(), alias: Alias::None });
            return at + 1;
        }
        match t.name(at + 2).filter(|_| !t.is(at + 3, TokenKind::Dot)) {
            Some(relation) => {
                let named = Named { token: at as u32, name: relation.into(), alias: Alias::None };
                self.qualified.push(Qualified { schema: name.into(), named });
            }
            None => self.unproven = true,
        }
        at + 3
    }
}

/// Walks a tree with the CTEs in scope.
struct Walk<'a> {
    t: &'a Tokens<'a>,
    names: Names,
    /// The statement's tokens.
    range: Range<usize>,
    /// Words that the walk has understood.
    claimed: Marks,
    ctes: Ctes,
    /// Functions of the grammar whose words are claimed.
    called: Vec<&'static str>,
    depth: usize,
}

impl Walk<'_> {
    fn unproven(&mut self) {
        self.names.unproven = true;
    }

    /// Runs `step` one level deeper, unless that exceeds the maximum.
    fn deeper(&mut self, step: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            return self.unproven();
        }
        self.depth += 1;
        step(self);
        self.depth -= 1;
    }

    /// The token of an identifier in the tree, which counts as understood from now on.
    fn claim(&mut self, ident: &Ident) -> Option<usize> {
        let token = feed::token_of(ident.span);
        match token.filter(|&i| self.t.kind(i).is_some_and(TokenKind::is_word)) {
            Some(i) => {
                // sqlparser reads more words as names than PostgreSQL does.
                if words::is_no_name(self.t, i) {
                    self.unproven();
                }
                self.claimed.insert(i);
                Some(i)
            }
            None => {
                self.unproven();
                None
            }
        }
    }

    fn claim_all(&mut self, idents: &[Ident]) {
        for ident in idents {
            self.claim(ident);
        }
    }

    /// The tokens of a dotted name.
    fn parts(&mut self, name: &ObjectName) -> Option<Vec<usize>> {
        let mut out = Vec::with_capacity(name.0.len());
        for part in &name.0 {
            let ObjectNamePart::Identifier(ident) = part else {
                self.unproven();
                return None;
            };
            out.push(self.claim(ident)?);
        }
        Some(out)
    }

    fn text(&self, token: usize) -> Box<str> {
        self.t.name(token).unwrap_or_default().into()
    }

    /// A relation that may be a CTE.
    fn source(&mut self, name: &ObjectName, aliased: bool) {
        self.relation(name, aliased, true);
    }

    /// A written relation, which is never a CTE.
    fn target(&mut self, name: &ObjectName, aliased: bool) {
        self.relation(name, aliased, false);
    }

    fn relation(&mut self, name: &ObjectName, aliased: bool, may_be_cte: bool) {
        match self.parts(name).as_deref() {
            Some(&[token]) => {
                let name = self.text(token);
                if !may_be_cte || !self.ctes.contains(&name) {
                    let alias = if aliased { Alias::Given } else { self.alias_between(token, token) };
                    self.names.relations.push(Named { token: token as u32, name, alias });
                }
            }
            Some(&[schema, relation]) => {
                let alias = if aliased { Alias::Given } else { self.alias_between(schema, relation) };
                let named = Named { token: schema as u32, name: self.text(relation), alias };
                self.names.qualified.push(Qualified { schema: self.text(schema), named });
            }
            _ => self.unproven(),
        }
    }

    /// For a relation without an alias, whose name has these tokens: whether an alias could follow. sqlparser does
    /// not get the words that decide this.
    fn alias_between(&self, first: usize, last: usize) -> Alias {
        let before = |n: usize, keyword: &str| first >= n && self.t.kw(first - n, keyword);
        match () {
            () if before(1, "table") || before(2, "table") && before(1, "only") => Alias::None,
            () if self.t.op(last + 1, "*") || before(2, "only") && !before(1, "only") => Alias::Fixed,
            () => Alias::Name,
        }
    }

    /// A function's name.
    fn function_name(&mut self, name: &ObjectName) {
        match self.parts(name).as_deref() {
            Some([token]) => self.function_at(*token),
            Some([schema, function]) if self.text(*schema).as_ref() == "pg_catalog" => {
                let name = self.text(*function);
                self.names.functions.push(name);
            }
            // A user's function, whose body may use any name.
            _ => self.unproven(),
        }
    }

    fn function_at(&mut self, token: usize) {
        let name = self.text(token);
        // Quoted, it is not a keyword of the grammar, but a function that any schema may contain.
        if !self.t.is(token, TokenKind::Word) && builtin::is_grammar(&name) {
            self.unproven();
        }
        self.names.functions.push(name);
    }

    /// A dotted name that refers to a column.
    fn column(&mut self, tokens: &[usize]) {
        if let [first, .., last] = tokens {
            self.names.column_chains.insert(*first);
            let name = self.text(*last);
            self.names.columns.push(name);
        }
    }

    /// Whether a column is qualified with the name of a table that has an alias. PostgreSQL's error says so, unless
    /// the table has got a schema.
    fn names_behind_alias(&self) -> bool {
        let aliased = self.names.relations.iter().filter(|relation| relation.alias == Alias::Given);
        let hidden: HashSet<&str> = aliased.map(|relation| &*relation.name).collect();
        !hidden.is_empty()
            && self.names.column_chains.iter().any(|token| hidden.contains(&*self.text(*token)))
    }

    /// The names, if the walk has understood every word.
    fn finish(mut self) -> Names {
        let whole = self.range.clone().all(|i| match self.t.kind(i) {
            Some(TokenKind::Word) => self.claimed.contains(i) || words::is_grammar(self.t.raw(i)),
            Some(TokenKind::Quoted | TokenKind::UnicodeQuoted) => self.claimed.contains(i),
            _ => true,
        });
        self.names.unproven |= !whole || self.names_behind_alias();
        self.names.relations.sort_by_key(|r| r.token);
        self.names
    }
}
