//! The witness: PostgreSQL's own grammar parses each new shape too, and both readings must agree.
//!
//! Our lexer and sqlparser give positions and are fast; `pgstrata-grammar` is PostgreSQL's parser. They must agree on
//! the statements, their kinds, their names and the positions of those; otherwise nothing is sent. This happens once
//! for a shape. The result is stored with the shape, so it must not depend on the value of a literal.
//!
//! # Layout
//! - [`places`]: maps the parser's byte offsets to our tokens.
//! - [`kinds`]: known statements, and whether both readings give the same kind.
//! - [`names`]: schema-qualified names of objects.
//! - [`attributes`]: whether a statement may show row values in `pg_attribute`.
//! - [`calls`]: functions, and casts to types whose values are names.
//! - [`targets`]: relations that a statement writes, locks, creates or changes.
//! - [`proof`]: whether the names of a spliced statement are complete.

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
use super::form::FormId;
use super::guard::never;
use super::plan::PinReason;
use super::shape::{Demand, KeyChange, Shape, StatementShape, Way};
use super::tokens::Tokens;

/// A longer text, in bytes, is parsed as an excerpt: a tree takes about 20 times as much memory as its text.
const LONG: usize = 256 << 10;

/// A difference between the two readings of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    /// The subject of the difference.
    what: &'static str,
}

type Agreed<T = ()> = Result<T, Disagreement>;

fn differ<T>(what: &'static str) -> Agreed<T> {
    Err(Disagreement { what })
}

/// The guard's findings in a text.
struct Judged {
    calls: calls::Judged,
    targets: HashSet<u32>,
}

/// The witness's findings in a text.
#[derive(Default)]
struct Findings {
    demands: Vec<Demand>,
    /// A statement that was to be spliced has more names than our reading found.
    unproven: Vec<usize>,
    /// See [`Shape::missing_values`].
    missing_values: bool,
}

/// Compares the parser's reading of a text with `shape`, which is ours, and adds findings that only the parser has.
///
/// A text that the parser cannot read is marked: PostgreSQL refuses it, and the proxy makes sure of that.
pub fn confirm(t: &Tokens<'_>, shape: &mut Shape) {
    if !t.conforming {
        let hint = "Set standard_conforming_strings to on.";
        return refuse(t, shape, "send texts with standard_conforming_strings off", Some(hint));
    }
    let Some(text) = places::readable(t) else {
        let hint = "Set client_encoding to UTF8, or write names in ASCII.";
        return refuse(t, shape, "write names in another encoding than UTF8", Some(hint));
    };
    let whole = if t.text.len() > LONG { None } else { Tree::parse(&text).ok() };
    // The parser's scanner makes tokens of comments, and its grammar looks ahead two tokens in some places
    // (`NOT /* */ IN`). So a text that it cannot parse with its comments is parsed without them.
    let excerpt = match whole {
        Some(_) => None,
        None => match Excerpt::of(t, &text) {
            Some(excerpt) => Some(excerpt),
            None => return refuse_with(t, shape, Demand::TooComplex),
        },
    };
    let excerpted = excerpt.as_ref().and_then(|excerpt| Tree::parse(&excerpt.text).ok());
    let Some(tree) = whole.or(excerpted) else {
        *shape = Shape { unreadable: true, form: FormId::unread(t), ..Shape::default() };
        return;
    };
    match compare(&Places::new(t, excerpt.as_ref()), &tree, shape) {
        Ok(findings) => take(shape, findings),
        Err(Disagreement { what }) => {
            let hint = "Write it more plainly: PostgreSQL's grammar and the proxy's reading of it differ.";
            refuse(t, shape, &format!("send a text whose {what} can be read in two ways"), Some(hint));
        }
    }
}

fn refuse(t: &Tokens<'_>, shape: &mut Shape, what: &str, hint: Option<&'static str>) {
    refuse_with(t, shape, never(what, hint));
}

fn refuse_with(t: &Tokens<'_>, shape: &mut Shape, demand: Demand) {
    // Statistics show nothing of a text whose literals may stand elsewhere for PostgreSQL.
    shape.form = FormId::unread(t);
    // An earlier refusal is more specific.
    let mut demands = std::mem::take(&mut shape.demands).into_vec();
    demands.push(demand);
    shape.demands = demands.into();
}

fn take(shape: &mut Shape, findings: Findings) {
    if !findings.demands.is_empty() {
        let mut demands = std::mem::take(&mut shape.demands).into_vec();
        let mut seen: HashSet<&Demand> = demands.iter().collect();
        let is_new: Vec<bool> = findings.demands.iter().map(|demand| seen.insert(demand)).collect();
        let found = findings.demands.into_iter().zip(is_new);
        demands.extend(found.filter_map(|(demand, is_new)| is_new.then_some(demand)));
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

/// Properties of a statement from the tree that the session needs.
#[derive(Clone, Copy, Default)]
struct Flags {
    writes: bool,
    ddl: bool,
    keys: KeyChange,
    pin: Option<PinReason>,
}

impl Flags {
    fn add_to(self, ours: &mut StatementShape) {
        ours.writes |= self.writes;
        ours.ddl |= self.ddl;
        ours.keys = ours.keys.max(self.keys);
        ours.pin = ours.pin.or(self.pin);
    }
}

/// One statement in both readings.
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
    calls.finish(&mut findings.demands)?;
    if !proof.holds() {
        findings.unproven.push(index);
    }
    Ok(flags)
}
