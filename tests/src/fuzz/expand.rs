//! Statements grown from PostgreSQL's own grammar, with names in them that mean something.

use super::gram::{Alternative, Grammar, Symbol};
use super::names;
use super::random::Random;
use super::snippets;

/// A statement of more words than this is brought to its end.
const WORDS: usize = 90;

/// Grows statements.
#[derive(Debug)]
pub struct Grower {
    grammar: Grammar,
    statement: usize,
    kinds: usize,
}

struct Growth<'a> {
    grammar: &'a Grammar,
    random: &'a mut Random,
    out: Vec<String>,
}

impl Grower {
    /// Of this grammar.
    pub fn new(grammar: Grammar) -> Self {
        let statement = grammar.number("stmt").expect("the grammar has statements");
        let kinds = grammar.rules[statement].alternatives.len();
        Self { grammar, statement, kinds }
    }

    /// A statement of any kind.
    pub fn statement(&self, random: &mut Random) -> String {
        let kind = random.below(self.kinds);
        let depth = 6 + random.below(14);
        let mut growth = Growth { grammar: &self.grammar, random, out: Vec::new() };
        growth.all(&self.grammar.rules[self.statement].alternatives[kind], depth);
        growth.text()
    }

    /// An expansion of one rule.
    pub fn rule(&self, random: &mut Random, name: &str) -> Option<String> {
        let number = self.grammar.number(name)?;
        let depth = 5 + random.below(10);
        let mut growth = Growth { grammar: &self.grammar, random, out: Vec::new() };
        growth.rule(number, depth);
        Some(growth.text())
    }
}

impl Growth<'_> {
    fn text(self) -> String {
        let mut text = String::new();
        for word in &self.out {
            if !text.is_empty() {
                text.push_str(names::blank(self.random));
            }
            text.push_str(word);
        }
        text
    }

    fn rule(&mut self, number: usize, depth: usize) {
        let grammar = self.grammar;
        let rule = &grammar.rules[number];
        if let Some(text) = self.hook(&rule.name) {
            if !text.is_empty() {
                self.out.push(text);
            }
            return;
        }
        let depth = if self.out.len() > WORDS { 0 } else { depth };
        let fitting: Vec<&Alternative> =
            rule.alternatives.iter().filter(|alternative| alternative.depth <= depth).collect();
        let alternative = match fitting.as_slice() {
            [] => rule
                .alternatives
                .iter()
                .min_by_key(|alternative| alternative.depth)
                .expect("a rule has alternatives"),
            fitting => self.random.pick(fitting),
        };
        self.all(alternative, depth.saturating_sub(1));
    }

    fn all(&mut self, alternative: &Alternative, depth: usize) {
        for symbol in &alternative.symbols {
            match symbol {
                Symbol::Rule(number) => self.rule(*number, depth),
                Symbol::Token(token) => {
                    let text = token_text(self.random, token);
                    if !text.is_empty() {
                        self.out.push(text);
                    }
                }
            }
        }
    }

    /// What takes the place of a rule: something that exists, most of the time.
    fn hook(&mut self, rule: &str) -> Option<String> {
        let random = &mut *self.random;
        let (percent, text): (usize, fn(&mut Random) -> String) = match rule {
            "qualified_name" => (95, names::relation),
            "relation_expr" => (80, names::relation),
            "table_ref" => (60, snippets::table),
            "any_name" | "handler_name" => (90, names::any),
            "func_name" => (85, names::function),
            "ColId" | "name" | "ColLabel" | "BareColLabel" | "type_function_name" => (70, names::simple),
            "columnref" => (85, names::column),
            "columnElem" | "insert_column_item" => (80, names::column),
            "SimpleTypename" | "GenericType" => (60, names::data_type),
            "func_type" => (40, names::data_type),
            "func_expr" | "func_expr_common_subexpr" => (35, snippets::call),
            "c_expr" => (45, snippets::operand),
            "a_expr" | "b_expr" => (35, snippets::operand),
            "AexprConst" => (50, names::string),
            "SelectStmt" | "select_no_parens" => (45, snippets::select),
            "PreparableStmt" | "ExplainableStmt" | "RowSecurityDefaultExpr" => (15, snippets::select),
            "def_elem" | "old_aggr_elem" => (75, snippets::definition),
            "RoleSpec" | "RoleId" => (85, |random| names::role(random).to_owned()),
            "NonReservedWord_or_Sconst" => (50, |_| "sql".to_owned()),
            "opt_routine_body" => (75, snippets::body),
            "set_rest" | "set_rest_more" => (25, snippets::setting),
            _ => return None,
        };
        random.chance(percent).then(|| text(random))
    }
}

/// What a token of the grammar is in a text.
fn token_text(random: &mut Random, token: &str) -> String {
    match token {
        "IDENT" => names::simple(random),
        "UIDENT" => "U&\"us\\0065rs\"".to_owned(),
        "FCONST" => "1.5".to_owned(),
        "SCONST" => names::string(random),
        "USCONST" => "U&'globex.us\\0065rs'".to_owned(),
        "BCONST" => "b'101'".to_owned(),
        "XCONST" => "x'1F'".to_owned(),
        "Op" => names::operator(random).to_owned(),
        "ICONST" => names::number(random).to_owned(),
        "PARAM" => "$1".to_owned(),
        "TYPECAST" => "::".to_owned(),
        "DOT_DOT" => "..".to_owned(),
        "COLON_EQUALS" => ":=".to_owned(),
        "EQUALS_GREATER" => "=>".to_owned(),
        "LESS_EQUALS" => "<=".to_owned(),
        "GREATER_EQUALS" => ">=".to_owned(),
        "NOT_EQUALS" => "<>".to_owned(),
        "RIGHT_ARROW" => "->".to_owned(),
        token if token.starts_with("MODE_") || token == "error" => String::new(),
        token if token.starts_with('\'') => token.trim_matches('\'').to_owned(),
        token => {
            let word = token.strip_suffix("_P").or_else(|| token.strip_suffix("_LA")).unwrap_or(token);
            match random.below(12) {
                0 => word.to_uppercase(),
                _ => word.to_lowercase(),
            }
        }
    }
}
