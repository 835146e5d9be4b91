//! The engine: a text is lexed, its shape found or made, and a plan decided from it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::analyse::{self, Names};
use super::bounds::{MAX_STATEMENTS, MAX_TOKENS, SHORT, SHORT_TEXT, TooComplex};
use super::cache::{self, Shapes};
use super::decide::{decide, why};
use super::guard;
use super::keys;
use super::lexer::{Token, TokenKind};
use super::plan::{Plan, StatementKind};
use super::recent::{self, Recent};
use super::rows;
use super::scope::{Scope, TextMode};
use super::shape::{Shape, StatementShape, Way};
use super::statement::classify;
use super::tokens::{self, Tokens};
use super::witness;

/// Room for more tokens, or bytes of a key, than this is given back.
const KEPT: usize = 8 * 1024;

thread_local! {
    /// Kept from text to text, so that a hit allocates nothing.
    static ROOM: RefCell<Room> =
        RefCell::new(Room { tokens: Vec::new(), key: Vec::new(), recent: Recent::new() });
}

/// Room for the tokens and the key of one text, and what is known of those that came lately.
struct Room {
    recent: Recent,
    tokens: Vec<Token>,
    key: Vec<u8>,
}

/// How often the plan cache was asked, and how often it knew.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheStats {
    /// Shapes found.
    pub hits: u64,
    /// Shapes that had to be analysed.
    pub misses: u64,
    /// What the cached shapes weigh now, in bytes.
    pub bytes: u64,
    /// How many there are.
    pub plans: usize,
}

/// Turns the text of a statement into a plan, from its cache where it has seen the shape.
pub struct Engine {
    /// Among the engines of this process.
    id: u64,
    shapes: Shapes,
}

impl Engine {
    /// An engine whose plan cache holds at most `cache_bytes`.
    pub fn new(cache_bytes: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), shapes: Shapes::new(cache_bytes) }
    }

    /// What `text` (the client's bytes, without the closing NUL) needs.
    ///
    /// Never fails: a text that can't be understood goes by the search path,
    /// where PostgreSQL says what is wrong with it, unless the guard refuses it.
    pub fn plan(&self, text: &[u8], scope: &Scope, mode: TextMode) -> Plan {
        let mut plan = Plan::default();
        self.fill(text, scope, mode, MAX_TOKENS, &mut plan);
        plan
    }

    /// The same on a thread that serves others, too. `None`: it would take long, and must be done elsewhere.
    pub fn plan_at_once(&self, text: &[u8], scope: &Scope, mode: TextMode) -> Option<Plan> {
        if text.len() > SHORT_TEXT {
            return None;
        }
        let mut plan = Some(Plan::default());
        let known = plan.as_mut().is_some_and(|plan| self.fill(text, scope, mode, SHORT, plan));
        plan.filter(|_| known)
    }

    /// Makes the plan. `false`: the text's shape is not known, and it has more than `most` tokens.
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

    /// The shape of a text by its key. One that has more than `most` tokens is not made.
    fn shape_of(&self, t: &Tokens<'_>, key: &mut Vec<u8>, most: usize) -> Found {
        let kept = cache::key(t, key);
        if let Some(known) = kept.then(|| self.shapes.get(key)).flatten() {
            return Found::Kept(known);
        }
        if t.all.len() > most {
            return Found::Unknown;
        }
        match shape(t).map(Arc::new) {
            // What is refused for a byte in a literal must not be refused for all texts of the shape.
            Ok(shape) if kept && !shape.unreadable && std::str::from_utf8(t.text).is_ok() => {
                self.shapes.insert(key, Arc::clone(&shape));
                Found::Kept(shape)
            }
            Ok(shape) => Found::NotKept(shape),
            Err(error) => Found::TooComplex(error),
        }
    }

    /// The plan of a text, and why it is this one, in words. For people: nothing is cached.
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

    /// What the plan cache has done so far.
    pub fn stats(&self) -> CacheStats {
        self.shapes.stats()
    }
}

/// What is known of a text's shape.
enum Found {
    /// Nothing, and it takes long to find out.
    Unknown,
    /// It is in the cache.
    Kept(Arc<Shape>),
    /// It is none to keep.
    NotKept(Arc<Shape>),
    /// Nothing, as it takes too much.
    TooComplex(TooComplex),
}

fn whole<'a>(text: &'a [u8], all: &'a [Token], mode: TextMode) -> Tokens<'a> {
    Tokens { text, all, conforming: mode.standard_conforming_strings, closes: &[] }
}

/// The shape of a text, whoever's it is.
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
    /// What the parser may still be given.
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

    /// How much the text as a whole depends on the path.
    fn way(&self, t: &Tokens<'_>) -> Way {
        // PostgreSQL says what is wrong with it: under the path, so that it says the same.
        if t.all.iter().any(|token| token.kind == TokenKind::Error) {
            return Way::Path;
        }
        let most = self.statements.iter().map(|s| s.way).max().unwrap_or_default();
        let several = self.statements.len() > 1;
        match most {
            Way::Own if several => Way::Path,
            // A path that is set in the middle is the client's for the rest of the text.
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
        Shape {
            way,
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

/// A list of names in the order of the text.
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
        // A path that was set in the transaction goes with it.
        StatementKind::Rollback { .. } | StatementKind::RollbackTo(_) | StatementKind::Commit { .. } => true,
        _ => false,
    }
}

/// Words that stand for operators, or that find one by its name.
const OPERATORS: &[&str] = &[
    "all", "any", "between", "case", "collate", "distinct", "greatest", "ilike", "in", "is", "least", "like",
    "natural", "nullif", "overlaps", "similar", "some", "using",
];

fn has_operators(t: &Tokens<'_>) -> bool {
    (0..t.all.len()).any(|i| t.is(i, TokenKind::Op) || t.any_kw(i, OPERATORS))
}
