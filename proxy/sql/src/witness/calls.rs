//! Functions: each call is one that the guard has seen, and calls a function that is known.

use std::ops::Range;

use foldhash::HashSet;
use pgstrata_grammar::{Item, Node, NodeList, Place, nodes};

use super::places::Places;
use super::{Agreed, differ};
use crate::guard::functions::{self, Class, NAME_TYPES};
use crate::guard::never;
use crate::keys;
use crate::lexer::TokenKind;
use crate::shape::{Demand, Key, Shape, StatementShape};

/// Reads the calls of one statement.
pub(super) struct Reader<'a> {
    places: &'a Places<'a>,
    ours: &'a StatementShape,
    judged: &'a Judged,
    /// Calls of `set_config`.
    settings: usize,
}

/// Where the guard has found calls in the whole text.
pub(super) struct Judged {
    /// First tokens of keys that all of a database shares, and of arguments that PostgreSQL is made to judge.
    keys: HashSet<u32>,
    /// Tokens of the names that `set_config` sets, in order.
    settings: Vec<u32>,
}

impl Judged {
    /// Those of a shape.
    pub fn of(shape: &Shape) -> Self {
        let key = |key: &Key| match key {
            Key::ChannelArgument(range) => Some(range.start),
            Key::Lock { keys, .. } => Some(keys.start),
            Key::Opened { argument, .. } => Some(argument.start),
            _ => None,
        };
        let setting = |demand: &Demand| match demand {
            Demand::Config { token, .. } => Some(*token),
            _ => None,
        };
        let mut settings: Vec<u32> = shape.demands.iter().filter_map(setting).collect();
        settings.sort_unstable();
        Self { keys: shape.keys.iter().filter_map(key).collect(), settings }
    }

    fn settings_in(&self, tokens: &Range<usize>) -> usize {
        let in_front = |end: usize| self.settings.partition_point(|token| (*token as usize) < end);
        in_front(tokens.end) - in_front(tokens.start)
    }
}

impl<'a> Reader<'a> {
    pub fn new(places: &'a Places<'a>, ours: &'a StatementShape, judged: &'a Judged) -> Self {
        Self { places, ours, judged, settings: 0 }
    }

    /// Takes one thing of the statement.
    pub fn item(&mut self, item: Item<'_>, out: &mut Vec<Demand>) -> Agreed {
        let Item::Node(node, place) = item else { return Ok(()) };
        match node {
            Node::FuncCall(n) => self.call(n, out)?,
            Node::TypeCast(n) => self.cast(n, out),
            Node::CreateTrigStmt(n) => self.trigger(n, out),
            Node::A_Indirection(n) => fields(n.indirection(), out),
            Node::ObjectWithArgs(n) if matches!(place.parent, Node::CreateOpClassItem(_)) => {
                support(&parts(n.objname()), out);
            }
            Node::ObjectWithArgs(n) if matches!(place.parent, Node::RenameStmt(_)) => renamed(n, out),
            Node::CreateConversionStmt(n) => support(&parts(n.func_name()), out),
            Node::RangeTableSample(n) => support(&parts(n.method()), out),
            Node::DefElem(n) => option(n, place, out),
            _ => {}
        }
        Ok(())
    }

    /// Each `set_config` must be one whose name and value are judged.
    pub fn finish(&self) -> Agreed {
        let judged = self.judged.settings_in(&self.ours.tokens);
        if judged == self.settings { Ok(()) } else { differ("calls") }
    }

    fn call(&mut self, n: &nodes::FuncCall, out: &mut Vec<Demand>) -> Agreed {
        let parts = parts(n.funcname());
        let Some((name, qualifier)) = parts.split_last() else { return differ("calls") };
        let t = self.places.t;
        let by_grammar = matches!(qualifier, ["pg_catalog"]);
        let Some(first) = self.places.token(n.location) else {
            // `a AT LOCAL` stands nowhere.
            let nowhere = n.location < 0 && by_grammar && functions::class(name).is_none();
            return if nowhere { Ok(()) } else { differ("calls") };
        };
        let token = if t.is(first + 1, TokenKind::Dot) { first + 2 * qualifier.len() } else { first };
        let spelt = t.is(token + 1, TokenKind::Open) && t.name(token).is_some_and(|found| found == **name);
        if !spelt && !by_grammar {
            return differ("calls");
        }
        if !qualifier.is_empty() && !by_grammar {
            out.push(function(qualifier.last().copied(), name, false));
            return Ok(());
        }
        match functions::class(name) {
            Some(_) if !spelt => return differ("calls"),
            Some(Class::SetConfig) => self.settings += 1,
            Some(Class::Sequence) => self.sequence(name, n, (token, false), out),
            Some(Class::SetSequence) => self.sequence(name, n, (token, true), out),
            Some(Class::Key(_)) => return self.key(token, n),
            // The guard has judged the call by its name, and the strings in it.
            Some(_) => {}
            None if functions::is_known(name) => {}
            None => out.push(function(by_grammar.then_some("pg_catalog"), name, false)),
        }
        Ok(())
    }

    /// A key that all of a database shares must be one that is made the tenant's own.
    fn key(&self, token: usize, n: &nodes::FuncCall) -> Agreed {
        // PostgreSQL knows no such function.
        if !matches!(n.args().len(), 1 | 2) {
            return Ok(());
        }
        let notifies_one =
            n.args().len() == 1 && !parts(n.funcname()).last().is_some_and(|f| keys::is_lock(f));
        match notifies_one || self.judged.keys.contains(&(token as u32 + 2)) {
            true => Ok(()),
            false => differ("calls"),
        }
    }

    /// A sequence must be a literal and nothing but one, or what PostgreSQL is made to judge. The call's name is `token`.
    fn sequence(
        &self,
        name: &str,
        n: &nodes::FuncCall,
        (token, write): (usize, bool),
        out: &mut Vec<Demand>,
    ) {
        let plain = n.args().first().and_then(|argument| self.sequence_name(argument, write));
        match plain {
            Some(demand) => out.extend(demand),
            None if self.judged.keys.contains(&(token as u32 + 2)) => {}
            None => out.push(functions::not_plain(name)),
        }
    }

    /// What a sequence's name asks; `None` where it is not plain to see.
    fn sequence_name(&self, argument: Node<'_>, write: bool) -> Option<Option<Demand>> {
        let argument = behind_casts(argument, &["regclass", "text", "varchar"]);
        let drawn = |token: usize| Demand::ObjectLiteral { token: token as u32, write, by_name: true };
        if let Node::FuncCall(n) = argument {
            let serial = parts(n.funcname()).last() == Some(&"pg_get_serial_sequence");
            let table = n.args().first().and_then(|table| self.literal(table))?;
            let column = n.args().get(1).and_then(|column| self.literal(column));
            // As what is read, its literals are judged where it is called.
            return (serial && column.is_some()).then(|| write.then(|| drawn(table)));
        }
        self.literal(argument).map(|token| Some(drawn(token)))
    }

    /// The token of a string literal.
    fn literal(&self, node: Node<'_>) -> Option<usize> {
        let Node::A_Const(n) = node else { return None };
        self.places.token(n.location).filter(|token| self.places.t.is_string(*token))
    }

    /// A literal whose value is read as a name.
    fn cast(&self, n: &nodes::TypeCast, out: &mut Vec<Demand>) {
        let type_parts = n.type_name().map(|kind| parts(pgstrata_grammar::untyped(kind.names())));
        let Some(kind) = type_parts.as_ref().and_then(|parts| parts.last()) else { return };
        let Some(token) = self.literal(behind_casts(n.arg(), &[])) else { return };
        let token = token as u32;
        if *kind == "regnamespace" {
            out.push(Demand::SchemaLiteral(token));
        } else if NAME_TYPES.contains(kind) {
            out.push(Demand::ObjectLiteral { token, write: false, by_name: false });
        }
    }

    /// A trigger's function, and its arguments, which some read as names.
    fn trigger(&self, n: &nodes::CreateTrigStmt, out: &mut Vec<Demand>) {
        let parts = parts(n.funcname());
        let Some((name, qualifier)) = parts.split_last() else { return };
        let arguments = !n.args().is_empty();
        match (qualifier, *name) {
            ([] | ["pg_catalog"], "suppress_redundant_updates_trigger") => {}
            ([] | ["pg_catalog"], "tsvector_update_trigger" | "tsvector_update_trigger_column") => {
                // Its second argument is a configuration's name.
                let strings = self.ours.tokens.clone().filter(|token| self.places.t.is_string(*token));
                out.extend(strings.map(|token| Demand::ObjectLiteral {
                    token: token as u32,
                    write: false,
                    by_name: false,
                }));
            }
            _ => out.push(function(qualifier.last().copied(), name, arguments)),
        }
    }
}

/// Under another name a function would be called that is not known to be safe.
fn renamed(n: &nodes::ObjectWithArgs, out: &mut Vec<Demand>) {
    let parts = parts(n.objname());
    let Some((name, qualifier)) = parts.split_last() else { return };
    if functions::class(name).is_none() && !functions::is_known(name) {
        out.push(function(qualifier.last().copied(), name, false));
    }
}

/// The names in a list of strings.
fn parts(list: &NodeList) -> Vec<&str> {
    list.iter().filter_map(Node::as_str).collect()
}

fn function(schema: Option<&str>, name: &str, arguments: bool) -> Demand {
    Demand::Function { schema: schema.map(Box::from), name: name.into(), trigger_arguments: arguments }
}

/// With more casts in a row, what they start from is an expression to us: it reaches no rows.
const MAX_CASTS: usize = 32;

/// What the casts in front of `node` start from; casts to other types than `kinds` (if any are given) stay.
fn behind_casts<'t>(mut node: Node<'t>, kinds: &[&str]) -> Node<'t> {
    for _ in 0..MAX_CASTS {
        let Node::TypeCast(n) = node else { break };
        let kind =
            n.type_name().and_then(|kind| parts(pgstrata_grammar::untyped(kind.names())).last().copied());
        if !kinds.is_empty() && !kind.is_some_and(|kind| kinds.contains(&kind)) {
            break;
        }
        node = n.arg();
    }
    node
}

/// `(x).f` calls `f` where `x` has no such column.
fn fields(list: &NodeList, out: &mut Vec<Demand>) {
    for name in list.iter().filter_map(Node::as_str) {
        if functions::class(name).is_some() {
            out.push(never(format!("call {name} in this form"), None));
        }
    }
}

/// A function that a definition names, which runs whenever what is defined is used.
fn support(parts: &[&str], out: &mut Vec<Demand>) {
    let Some((name, qualifier)) = parts.split_last() else { return };
    let builtin = matches!(qualifier, [] | ["pg_catalog"]);
    match builtin && (functions::class(name).is_some() || *name == "ts_rewrite") {
        true => out.push(never(format!("define what runs {name}"), None)),
        false if builtin && functions::is_known(name) => {}
        false => out.push(function(qualifier.last().copied(), name, false)),
    }
}

/// An option of `CREATE AGGREGATE`, `OPERATOR`, `TYPE`.
fn option(n: &nodes::DefElem, place: Place<'_>, out: &mut Vec<Demand>) {
    let defines = matches!(
        place.parent,
        Node::DefineStmt(_) | Node::CreateRangeStmt(_) | Node::AlterTypeStmt(_) | Node::AlterOperatorStmt(_)
    );
    if !defines || !n.defname().is_some_and(functions::takes_function) {
        return;
    }
    match n.arg() {
        Node::TypeName(kind) => {
            let parts = parts(pgstrata_grammar::untyped(kind.names()));
            let class = parts.last().is_some_and(|name| functions::class(name).is_some());
            // A type stands there as well: only what is known to be a function is judged as one.
            if class || parts.last() == Some(&"ts_rewrite") {
                support(&parts, out);
            }
        }
        Node::NodeList(list) if list.iter().all(|node| node.as_str().is_some()) => {
            support(&parts(list), out);
        }
        _ => {}
    }
}
