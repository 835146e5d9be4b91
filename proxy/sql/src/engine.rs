//! The engine: tokenizes a text, finds or builds its shape, and decides the plan.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::analyse::{self, Names};
use super::bounds::{MAX_STATEMENTS, MAX_TOKENS, SHORT, SHORT_TEXT, TooComplex};
use super::builtin;
use super::cache::{self, Shapes};
use super::decide::{decide, why};
use super::form::FormId;
use super::guard;
use super::keys;
use super::lexer::{Token, TokenKind};
use super::plan::{Plan, StatementKind};
use super::recent::{self, Recent};
use super::relations;
use super::rows;
use super::scope::{Scope, TextMode};
use super::shape::{Shape, StatementShape, Way};
use super::statement::classify;
use super::tokens::{self, Tokens};
use super::witness;

/// Larger buffers for tokens or for the bytes of a key are freed.
const KEPT: usize = 8 * 1024;

thread_local! {
    /// Reused for each text, so that a cache hit allocates nothing.
    static ROOM: RefCell<Room> =
        RefCell::new(Room { tokens: Vec::new(), key: Vec::new(), recent: Recent::new() });
}

/// Buffers for the tokens and the key of one text, and the analysis of recent texts.
struct Room {
    recent: Recent,
    tokens: Vec<Token>,
    key: Vec<u8>,
}

/// The counters of the plan cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheStats {
    /// Lookups that found a shape.
    pub hits: u64,
    /// Lookups after which a shape was analysed.
    pub misses: u64,
    /// The current size of the cached shapes, in bytes.
    pub bytes: u64,
    /// The number of cached shapes.
    pub plans: usize,
}

/// Turns the text of a statement into a plan, from its cache if the shape is cached.
pub struct Engine {
    /// Identifies the engine in this process.
    id: u64,
    shapes: Shapes,
}

impl Engine {
    /// An engine whose plan cache holds at most `cache_bytes`.
    pub fn new(cache_bytes: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), shapes: Shapes::new(cache_bytes) }
    }

    /// The plan of `text` (the client's bytes, without the terminating NUL).
    ///
    /// Never fails: a text that cannot be analysed uses the search path, and PostgreSQL reports the error, unless the
    /// guard refuses the text.
    pub fn plan(&self, text: &[u8], scope: &Scope, mode: TextMode) -> Plan {
        let mut plan = Plan::default();
        self.fill(text, scope, mode, MAX_TOKENS, &mut plan);
        plan
    }

    /// The same, on a thread that serves other clients. `None`: the analysis would take long, and must run elsewhere.
    pub fn plan_at_once(&self, text: &[u8], scope: &Scope, mode: TextMode) -> Option<Plan> {
        if text.len() > SHORT_TEXT {
            return None;
        }
        let mut plan = Some(Plan::default());
        let known = plan.as_mut().is_some_and(|plan| self.fill(text, scope, mode, SHORT, plan));
        plan.filter(|_| known)
    }

    /// Fills the plan. `false`: the text's shape is not cached, and the text has more than `most` tokens.
    fn fill(&self, text: &[u8], scope: &Scope, mode: TextMode, most: usize, plan: &mut Plan) -> bool {
        ROOM.with_borrow_mut(|Room { tokens, key, recent }| {
            let conforming = mode.standard_conforming_strings;
            let same = recent::Key { engine: self.id, text, conforming };
            let place = recent.place(same);
            if let Some((tokens, shape)) = place.and_then(|place| recent.get(same, place)) {
                self.shapes.count_hit();
                decide(shape, &whole(text, tokens, mode), scope, mode, plan);
                return true;
            }
            tokens.clear();
            let found = match rows::collect(text, conforming, tokens) {
                Ok(()) => self.shape_of(&whole(text, tokens, mode), key, most),
                Err(error) => Found::TooComplex(error),
            };
            match &found {
                Found::Unknown => {}
                Found::Kept(shape) | Found::NotKept(shape) => {
                    decide(shape, &whole(text, tokens, mode), scope, mode, plan);
                }
                Found::TooComplex(error) => plan.refuse((*error).into()),
            }
            if let (Found::Kept(shape), Some(place)) = (&found, place) {
                recent.note(same, place, tokens, shape);
            }
            tokens.shrink_to(KEPT);
            key.shrink_to(KEPT);
            !matches!(found, Found::Unknown)
        })
    }

    /// The shape of a text by its key. A text with more than `most` tokens is not analysed.
    fn shape_of(&self, t: &Tokens<'_>, key: &mut Vec<u8>, most: usize) -> Found {
        let kept = cache::key(t, key);
        if let Some(known) = kept.then(|| self.shapes.get(key)).flatten() {
            return Found::Kept(known);
        }
        if t.all.len() > most {
            return Found::Unknown;
        }
        match shape(t).map(Arc::new) {
            // A refusal because of a byte in a literal must not apply to all texts of the shape.
            Ok(shape) if kept && !shape.unreadable && std::str::from_utf8(t.text).is_ok() => {
                self.shapes.insert(key, Arc::clone(&shape));
                Found::Kept(shape)
            }
            Ok(shape) => Found::NotKept(shape),
            Err(error) => Found::TooComplex(error),
        }
    }

    /// The plan of a text with its reasons, for people. Nothing is cached.
    pub fn explain(&self, text: &[u8], scope: &Scope, mode: TextMode) -> (Plan, String) {
        let (mut all, mut plan) = (Vec::new(), Plan::default());
        let collected = rows::collect(text, mode.standard_conforming_strings, &mut all);
        let t = whole(text, &all, mode);
        match collected.and_then(|()| Ok((shape(&t)?, t))) {
            Ok((shape, t)) => {
                decide(&shape, &t, scope, mode, &mut plan);
                (plan, why(&shape, &t, scope, mode))
            }
            Err(error) => {
                let why = error.to_string();
                plan.refuse(error.into());
                (plan, why)
            }
        }
    }

    /// A query over all relations of a text whose plan is lasting: the result has their columns. `Some("")` if there
    /// are no relations, `None` if there are too many. For few texts: nothing is cached.
    pub fn columns_of(&self, text: &[u8], scope: &Scope, mode: TextMode) -> Option<String> {
        let mut all = Vec::new();
        rows::collect(text, mode.standard_conforming_strings, &mut all).ok()?;
        relations::query(&shape(&whole(text, &all, mode)).ok()?, scope)
    }

    /// The counters of the plan cache.
    pub fn stats(&self) -> CacheStats {
        self.shapes.stats()
    }
}

/// The result of looking a text's shape up.
enum Found {
    /// Not cached, and the analysis would take long.
    Unknown,
    /// In the cache.
    Kept(Arc<Shape>),
    /// A shape that must not be cached.
    NotKept(Arc<Shape>),
    /// Not analysed: the analysis would take too much.
    TooComplex(TooComplex),
}

fn whole<'a>(text: &'a [u8], all: &'a [Token], mode: TextMode) -> Tokens<'a> {
    Tokens { text, all, conforming: mode.standard_conforming_strings, closes: &[] }
}

/// The shape of a text, independent of the tenant.
pub fn shape(t: &Tokens<'_>) -> Result<Shape, TooComplex> {
    let closes = tokens::closes(t.all);
    let t = &Tokens { closes: &closes, ..*t };
    let mut builder = Builder::new();
    let statements = tokens::statements(t);
    if statements.len() > MAX_STATEMENTS {
        return Err(TooComplex::Statements);
    }
    for range in statements {
        builder.add(t, classify(t, range));
    }
    let mut shape = builder.finish(t);
    witness::confirm(t, &mut shape);
    Ok(shape)
}

struct Builder {
    /// The number of tokens that the parser may still get.
    allowance: usize,
    statements: Vec<StatementShape>,
    names: Names,
    demands: Vec<super::shape::Demand>,
    keys: Vec<super::shape::Key>,
}

impl Builder {
    fn new() -> Self {
        let (statements, names) = (Vec::new(), Names::default());
        Self { allowance: analyse::ALLOWANCE, statements, names, demands: Vec::new(), keys: Vec::new() }
    }

    fn add(&mut self, t: &Tokens<'_>, mut statement: StatementShape) {
        let names = (statement.way == Way::Names)
            .then(|| analyse::names(t, statement.tokens.clone(), &mut self.allowance))
            .filter(|names| !names.unread);
        self.demands.extend(guard::demands(t, &statement, names.as_ref()));
        keys::of(t, &statement, &mut self.keys);
        match names {
            Some(names) if !names.unproven => self.take(names),
            _ if statement.way == Way::Names => statement.way = Way::Path,
            _ => {}
        }
        self.statements.push(statement);
    }

    fn take(&mut self, names: Names) {
        self.names.relations.extend(names.relations);
        self.names.qualified.extend(names.qualified);
        self.names.functions.extend(names.functions);
        self.names.columns.extend(names.columns);
        self.names.types.extend(names.types);
    }

    /// How far the whole text depends on the path.
    fn way(&self, t: &Tokens<'_>) -> Way {
        // PostgreSQL reports the error, under the path, so that the error is the same.
        if t.all.iter().any(|token| token.kind == TokenKind::Error) {
            return Way::Path;
        }
        let most = self.statements.iter().map(|s| s.way).max().unwrap_or_default();
        let several = self.statements.len() > 1;
        match most {
            Way::Own if several => Way::Path,
            // A path that the text sets applies to the rest of the text.
            Way::Names if several && self.statements.iter().any(|s| changes_path(&s.kind)) => Way::Path,
            other => other,
        }
    }

    fn finish(self, t: &Tokens<'_>) -> Shape {
        let way = self.way(t);
        let mut names = self.names;
        let unique = |list: &mut Vec<Box<str>>| {
            list.sort_unstable();
            list.dedup();
            std::mem::take(list).into_boxed_slice()
        };
        let arguments = calls_with_arguments(t, &names.functions);
        Shape {
            form: FormId::of(t),
            way,
            arguments,
            relations: in_order(names.relations, |relation| relation.token),
            qualified: in_order(names.qualified, |relation| relation.named.token),
            functions: unique(&mut names.functions),
            columns: unique(&mut names.columns),
            types: unique(&mut names.types),
            operators: has_operators(t),
            demands: self.demands.into(),
            keys: self.keys.into(),
            statements: self.statements.into(),
            missing_values: false,
            unreadable: false,
        }
    }
}

/// Whether one of these functions is called with arguments. Functions that the grammar calls by other words than
/// their names are PostgreSQL's own.
fn calls_with_arguments(t: &Tokens<'_>, functions: &[Box<str>]) -> bool {
    let has_arguments = |at: usize| {
        let none = t.is(at, TokenKind::Close) || t.op(at, "*") && t.is(at + 1, TokenKind::Close);
        !none
    };
    let is_called = |name: &str| !builtin::is_grammar(name) && functions.iter().any(|known| **known == *name);
    !functions.is_empty()
        && (0..t.all.len()).any(|at| {
            t.is(at + 1, TokenKind::Open)
                && t.name(at).is_some_and(|name| is_called(&name))
                && has_arguments(at + 2)
        })
}

/// Sorts a list of names by their position in the text.
fn in_order<T>(mut list: Vec<T>, token: impl Fn(&T) -> u32) -> Box<[T]> {
    list.sort_by_key(token);
    list.into()
}

fn changes_path(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::Set(setting) => &*setting.name == "search_path",
        StatementKind::Reset { name, .. } => &**name == "search_path",
        StatementKind::SetConfig { .. } => true,
        StatementKind::ResetAll | StatementKind::Discard(_) => true,
        // A rollback reverts a path that was set in the transaction.
        StatementKind::Rollback { .. } | StatementKind::RollbackTo(_) | StatementKind::Commit { .. } => true,
        _ => false,
    }
}

/// Words that are operators, or that find an operator by its name.
const OPERATORS: &[&str] = &[
    "all", "any", "between", "case", "collate", "distinct", "greatest", "ilike", "in", "is", "least", "like",
    "natural", "nullif", "overlaps", "similar", "some", "using",
];

fn has_operators(t: &Tokens<'_>) -> bool {
    (0..t.all.len()).any(|i| t.is(i, TokenKind::Op) || t.any_kw(i, OPERATORS))
}
