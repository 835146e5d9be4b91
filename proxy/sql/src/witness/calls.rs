//! Functions: the guard has seen each call, and each called function is known.

use std::ops::Range;

use foldhash::HashSet;
use pgstrata_grammar::nodes::ObjectType;
use pgstrata_grammar::{Item, Node, NodeList, Place, nodes, untyped};

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
    /// The aliases of functions in FROM lists: such a function may return a plain value.
    values: HashSet<Box<str>>,
    /// Whether there is such a function without an alias, whose expression gives it its name, or the body of a
    /// function, whose parameters have names.
    has_unnamed_value: bool,
    /// The columns of relations: their relations' names, and their own.
    columns: Vec<(Box<str>, Box<str>)>,
}

/// The places of the calls that the guard has found in the whole text.
pub(super) struct Judged {
    /// First tokens of shared names, and of arguments that are checked in PostgreSQL.
    keys: HashSet<u32>,
    /// Tokens of the setting names in `set_config`, in order.
    settings: Vec<u32>,
}

impl Judged {
    /// The calls of a shape.
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
        Self {
            places,
            ours,
            judged,
            settings: 0,
            values: HashSet::default(),
            has_unnamed_value: false,
            columns: Vec::new(),
        }
    }

    /// Takes one item of the statement.
    pub fn item(&mut self, item: Item<'_>, out: &mut Vec<Demand>) -> Agreed {
        let Item::Node(node, place) = item else { return Ok(()) };
        match node {
            Node::FuncCall(n) => self.call(n, out)?,
            Node::TypeCast(n) => self.cast(n, out),
            Node::CreateTrigStmt(n) => self.trigger(n, out),
            Node::A_Indirection(n) => fields(n.indirection(), out),
            Node::ColumnRef(n) => self.column(n),
            Node::RangeFunction(n) => self.value(n),
            Node::CreateFunctionStmt(_) => self.has_unnamed_value = true,
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

    /// Takes the end of the statement. The guard must have checked the name and value of each `set_config`.
    pub fn finish(&self, out: &mut Vec<Demand>) -> Agreed {
        let is_value = |relation: &str| self.has_unnamed_value || self.values.contains(relation);
        let of_values = self.columns.iter().filter(|(relation, _)| is_value(relation));
        of_values.for_each(|(_, name)| field(name, out));
        let judged = self.judged.settings_in(&self.ours.tokens);
        if judged == self.settings { Ok(()) } else { differ("calls") }
    }

    fn call(&mut self, n: &nodes::FuncCall, out: &mut Vec<Demand>) -> Agreed {
        let parts = parts(n.funcname());
        let Some((name, qualifier)) = parts.split_last() else { return differ("calls") };
        let t = self.places.t;
        let by_grammar = matches!(qualifier, ["pg_catalog"]);
        let Some(first) = self.places.token(n.location) else {
            // `a AT LOCAL` has no location.
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
            // The guard has checked the call by its name, and the strings in it.
            Some(_) => {}
            None if functions::is_known(name) => {}
            None => out.push(function(by_grammar.then_some("pg_catalog"), name, false)),
        }
        Ok(())
    }

    /// `x.f` is a call of `f` if `x` is a plain value in a FROM list, or a parameter.
    fn column(&mut self, n: &nodes::ColumnRef) {
        if let [.., relation, name] = parts(n.fields())[..]
            && !is_usual(name)
        {
            self.columns.push((relation.into(), name.into()));
        }
    }

    /// A function in a FROM list.
    fn value(&mut self, n: &nodes::RangeFunction) {
        match n.alias().and_then(nodes::Alias::aliasname) {
            Some(alias) => _ = self.values.insert(alias.into()),
            None => self.has_unnamed_value = true,
        }
    }

    /// A shared name must be one that is made private to the tenant.
    fn key(&self, token: usize, n: &nodes::FuncCall) -> Agreed {
        // PostgreSQL has no such function.
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

    /// A sequence must be a plain literal, or an argument that is checked in PostgreSQL. The call's name is `token`.
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

    /// The demand of a sequence's name; `None` if the name is computed.
    fn sequence_name(&self, argument: Node<'_>, write: bool) -> Option<Option<Demand>> {
        let argument = behind_casts(argument, &["regclass", "text", "varchar"]);
        let drawn = |token: usize| Demand::ObjectLiteral { token: token as u32, write, by_name: true };
        if let Node::FuncCall(n) = argument {
            let serial = parts(n.funcname()).last() == Some(&"pg_get_serial_sequence");
            let table = n.args().first().and_then(|table| self.literal(table))?;
            let column = n.args().get(1).and_then(|column| self.literal(column));
            // For reading, its literals are checked where it is called.
            return (serial && column.is_some()).then(|| write.then(|| drawn(table)));
        }
        self.literal(argument).map(|token| Some(drawn(token)))
    }

    /// The token of a string literal.
    fn literal(&self, node: Node<'_>) -> Option<usize> {
        let Node::A_Const(n) = node else { return None };
        self.places.token(n.location).filter(|token| self.places.t.is_string(*token))
    }

    /// A literal whose value is parsed as a name.
    fn cast(&self, n: &nodes::TypeCast, out: &mut Vec<Demand>) {
        let type_parts = n.type_name().map(|kind| parts(untyped(kind.names())));
        let Some(kind) = type_parts.as_ref().and_then(|parts| parts.last()) else { return };
        // Of a chain of casts, each one looks at those inside.
        if *kind != "regnamespace" && !NAME_TYPES.contains(kind) {
            return;
        }
        let Some(token) = self.literal(behind_casts(n.arg(), &[])) else { return };
        let token = token as u32;
        if *kind == "regnamespace" {
            out.push(Demand::SchemaLiteral(token));
        } else {
            out.push(Demand::ObjectLiteral { token, write: false, by_name: false });
        }
    }

    /// A trigger's function and its arguments, which some functions parse as names.
    fn trigger(&self, n: &nodes::CreateTrigStmt, out: &mut Vec<Demand>) {
        let parts = parts(n.funcname());
        let Some((name, qualifier)) = parts.split_last() else { return };
        let arguments = !n.args().is_empty();
        match (qualifier, *name) {
            ([] | ["pg_catalog"], "suppress_redundant_updates_trigger") => {}
            ([] | ["pg_catalog"], "tsvector_update_trigger" | "tsvector_update_trigger_column") => {
                // Its second argument is the name of a text search configuration.
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

/// A renamed function could be called under a name that is considered safe.
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

/// With more casts in a row, the innermost operand counts as an expression: it reaches no rows.
const MAX_CASTS: usize = 32;

/// The innermost operand of the casts in `node`; casts to other types than `kinds` (if any are given) are kept.
fn behind_casts<'t>(mut node: Node<'t>, kinds: &[&str]) -> Node<'t> {
    for _ in 0..MAX_CASTS {
        let Node::TypeCast(n) = node else { break };
        let kind = || {
            n.type_name().and_then(|kind| untyped(kind.names()).iter().filter_map(Node::as_str).next_back())
        };
        if !kinds.is_empty() && !kind().is_some_and(|kind| kinds.contains(&kind)) {
            break;
        }
        node = n.arg();
    }
    node
}

/// `(x).f` calls `f` if `x` has no such column.
fn fields(list: &NodeList, out: &mut Vec<Demand>) {
    list.iter().filter_map(Node::as_str).filter(|name| !is_usual(name)).for_each(|name| field(name, out));
}

/// Whether a function of this name may be called in any form.
fn is_usual(name: &str) -> bool {
    functions::class(name).is_none() && functions::is_known(name)
}

/// The name of a field, which may be a function.
fn field(name: &str, out: &mut Vec<Demand>) {
    out.push(match functions::class(name) {
        Some(_) => never(format!("call {name} in this form"), None),
        None => function(None, name, false),
    });
}

/// A function in a definition, which runs whenever the new object is used.
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
    let defines = match place.parent {
        // These run no function: their options name collations, dictionaries' templates and the like.
        Node::DefineStmt(n) => !matches!(
            n.kind,
            ObjectType::OBJECT_COLLATION
                | ObjectType::OBJECT_TSCONFIGURATION
                | ObjectType::OBJECT_TSDICTIONARY
        ),
        Node::CreateRangeStmt(_) | Node::AlterTypeStmt(_) | Node::AlterOperatorStmt(_) => true,
        _ => false,
    };
    if let (true, Some("commutator" | "negator"), Node::NodeList(list)) = (defines, n.defname(), n.arg()) {
        let schema = list.iter().rev().nth(1).and_then(Node::as_str);
        out.push(Demand::Operator(schema.map(Box::from)));
        return;
    }
    if !defines || !n.defname().is_some_and(functions::takes_function) {
        return;
    }
    match n.arg() {
        // The grammar reads a plain name as a type's.
        Node::TypeName(kind) => support(&parts(untyped(kind.names())), out),
        Node::NodeList(list) if list.iter().all(|node| node.as_str().is_some()) => {
            support(&parts(list), out);
        }
        _ => {}
    }
}
