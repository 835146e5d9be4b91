//! The second witness: PostgreSQL's own grammar reads each new shape as well, and must read what we read.
//!
//! Our lexer and sqlparser give spans and are fast; `pgstrata-grammar` is PostgreSQL's parser. They agree on the
//! statements, their kinds, their names and where those stand, or nothing is sent. It happens once for a shape:
//! what comes of it is kept with the shape, so that nothing here may hang on a literal's value.
//!
//! # Layout
//! - [`places`]: from the parser's byte offsets to our tokens.
//! - [`kinds`]: statements that are known, and whether we take them for what they are.
//! - [`names`]: names of objects with their schemas.
//! - [`attributes`]: whether it may show what `pg_attribute` holds of rows.
//! - [`calls`]: functions, and casts to types whose values are names.
//! - [`targets`]: what it writes, locks, makes or changes.
//! - [`proof`]: whether the names that a splice rests on are all there are.

mod attributes;
mod calls;
mod kinds;
mod names;
mod places;
mod proof;
mod targets;
#[cfg(test)]
mod tests;

use foldhash::HashSet;
use pgstrata_grammar::{Item, Statement, Tree, Walk};

use self::places::{Excerpt, Places};
use super::guard::never;
use super::plan::PinReason;
use super::shape::{Demand, Shape, StatementShape, Way};
use super::tokens::Tokens;

/// A longer text, in bytes, is read in an excerpt: a tree takes some 20 times as much room as its text.
const LONG: usize = 256 << 10;

/// The parser and we read a text in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    /// What about.
    what: &'static str,
}

type Agreed<T = ()> = Result<T, Disagreement>;

fn differ<T>(what: &'static str) -> Agreed<T> {
    Err(Disagreement { what })
}

/// What the guard has found in a text.
struct Judged {
    calls: calls::Judged,
    targets: HashSet<u32>,
}

/// What the witness adds to a text.
#[derive(Default)]
struct Findings {
    demands: Vec<Demand>,
    /// A statement that was to be spliced names more than we know of.
    unproven: Vec<usize>,
    /// See [`Shape::missing_values`].
    missing_values: bool,
}

/// Holds the parser's reading of a text against `shape`, which is ours, and adds to it what only the parser sees.
///
/// A text that the parser can't read is marked: PostgreSQL refuses it, and is made certain to.
pub fn confirm(t: &Tokens<'_>, shape: &mut Shape) {
    if !t.conforming {
        let hint = "Set standard_conforming_strings to on.";
        return refuse(shape, "send texts with standard_conforming_strings off", Some(hint));
    }
    let Some(text) = places::readable(t) else {
        let hint = "Set client_encoding to UTF8, or write names in ASCII.";
        return refuse(shape, "write names in another encoding than UTF8", Some(hint));
    };
    let whole = if t.text.len() > LONG { None } else { Tree::parse(&text).ok() };
    // The parser's scanner makes tokens of comments, and its grammar looks at two tokens at once in some places
    // (`NOT /* */ IN`): what it can't read with its comments is read without them.
    let excerpt = match whole {
        Some(_) => None,
        None => match Excerpt::of(t, &text) {
            Some(excerpt) => Some(excerpt),
            None => return refuse_with(shape, Demand::TooComplex),
        },
    };
    let excerpted = excerpt.as_ref().and_then(|excerpt| Tree::parse(&excerpt.text).ok());
    let Some(tree) = whole.or(excerpted) else {
        *shape = Shape { unreadable: true, ..Shape::default() };
        return;
    };
    match compare(&Places::new(t, excerpt.as_ref()), &tree, shape) {
        Ok(findings) => take(shape, findings),
        Err(Disagreement { what }) => {
            let hint = "Write it more plainly: PostgreSQL's grammar and the proxy's reading of it differ.";
            refuse(shape, &format!("send a text whose {what} can be read in two ways"), Some(hint));
        }
    }
}

fn refuse(shape: &mut Shape, what: &str, hint: Option<&'static str>) {
    refuse_with(shape, never(what, hint));
}

fn refuse_with(shape: &mut Shape, demand: Demand) {
    // What was refused before says more.
    let mut demands = std::mem::take(&mut shape.demands).into_vec();
    demands.push(demand);
    shape.demands = demands.into();
}

fn take(shape: &mut Shape, findings: Findings) {
    if !findings.demands.is_empty() {
        let mut demands = std::mem::take(&mut shape.demands).into_vec();
        let mut seen: HashSet<Demand> = demands.iter().cloned().collect();
        demands.extend(findings.demands.into_iter().filter(|demand| seen.insert(demand.clone())));
        shape.demands = demands.into();
    }
    shape.missing_values = findings.missing_values;
    for index in findings.unproven {
        if let Some(statement) = shape.statements.get_mut(index) {
            statement.way = statement.way.max(Way::Path);
        }
        shape.way = shape.way.max(Way::Path);
    }
}

fn compare(places: &Places<'_>, tree: &Tree, shape: &mut Shape) -> Agreed<Findings> {
    let judged = Judged { calls: calls::Judged::of(shape), targets: targets::judged(shape) };
    let mut findings = Findings::default();
    let mut read = tree.statements();
    for index in 0..shape.statements.len() {
        let (Some(theirs), Some(ours)) = (read.next(), shape.statements.get(index)) else {
            return differ("number of statements");
        };
        places.same_extent(&theirs, ours)?;
        let flags = statement(places, &theirs, index, (shape, &judged), &mut findings)?;
        if let Some(ours) = shape.statements.get_mut(index) {
            flags.add_to(ours);
        }
    }
    if read.next().is_some() {
        return differ("number of statements");
    }
    Ok(findings)
}

/// What the tree says of a statement that the session must know.
#[derive(Clone, Copy, Default)]
struct Flags {
    writes: bool,
    ddl: bool,
    pin: Option<PinReason>,
}

impl Flags {
    fn add_to(self, ours: &mut StatementShape) {
        ours.writes |= self.writes;
        ours.ddl |= self.ddl;
        ours.pin = ours.pin.or(self.pin);
    }
}

/// One statement, as the parser and as we read it.
fn statement<'t>(
    places: &Places<'_>,
    theirs: &Statement<'t>,
    index: usize,
    (shape, judged): (&Shape, &Judged),
    findings: &mut Findings,
) -> Agreed<Flags> {
    let Some(ours) = shape.statements.get(index) else { return differ("number of statements") };
    if !kinds::admits(theirs.root, &mut findings.demands) {
        return Ok(Flags::default());
    }
    kinds::agree(theirs.root, ours)?;
    let mut flags = Flags::default();
    let mut names = names::Reader::new(places, ours);
    let mut calls = calls::Reader::new(places, ours, &judged.calls);
    let mut targets = targets::Reader::new(places, ours, &judged.targets);
    let mut attributes = attributes::Reader::default();
    let mut proof = proof::Reader::new(places, ours, shape);
    let mut walk = Walk::new(theirs.root);
    while let Some(item) = walk.next() {
        if let Item::Unknown(_) = item {
            return differ("parts");
        }
        kinds::inner(item, &mut flags, &mut findings.demands);
        names.item(item, &mut findings.demands)?;
        calls.item(item, &mut findings.demands)?;
        targets.item(item, &walk, &mut findings.demands)?;
        attributes.item(item, &walk);
        proof.item(item, &walk)?;
    }
    findings.missing_values |= attributes.shows();
    names.finish()?;
    calls.finish()?;
    if !proof.holds() {
        findings.unproven.push(index);
    }
    Ok(flags)
}
