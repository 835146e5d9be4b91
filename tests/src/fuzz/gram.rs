//! PostgreSQL's `gram.y` without its actions: rules, and what an expansion of each takes at least.

use std::collections::HashMap;

/// More than any rule takes: it can't be expanded.
const NEVER: usize = 1 << 20;

/// One part of an alternative.
#[derive(Clone, Debug)]
pub enum Symbol {
    /// Another rule, by its number.
    Rule(usize),
    /// A token, as the grammar calls it.
    Token(Box<str>),
}

/// One way to expand a rule.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// What stands in it.
    pub symbols: Vec<Symbol>,
    /// How deep its shallowest expansion is.
    pub depth: usize,
}

/// A rule with its alternatives.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: Box<str>,
    /// What it may become.
    pub alternatives: Vec<Alternative>,
}

/// All rules.
#[derive(Debug)]
pub struct Grammar {
    /// By their numbers.
    pub rules: Vec<Rule>,
    numbers: HashMap<Box<str>, usize>,
}

impl Grammar {
    /// Reads a `gram.y`.
    pub fn parse(text: &str) -> Self {
        let section = text.split("\n%%").nth(1).expect("the file has a section of rules");
        let raw = rules(&words(section));
        let numbers = raw.iter().enumerate().map(|(number, (name, _))| (name.clone(), number)).collect();
        let rules = raw.into_iter().map(|(name, alternatives)| rule(name, alternatives, &numbers)).collect();
        let mut grammar = Self { rules, numbers };
        grammar.measure();
        grammar
    }

    /// The number of a rule.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// Finds the depths: those that are known decide others, until nothing changes.
    fn measure(&mut self) {
        loop {
            let least: Vec<usize> = self.rules.iter().map(Rule::depth).collect();
            let mut changed = false;
            for alternative in self.rules.iter_mut().flat_map(|rule| &mut rule.alternatives) {
                let depths = alternative.symbols.iter().map(|symbol| match symbol {
                    Symbol::Rule(number) => least[*number],
                    Symbol::Token(_) => 0,
                });
                let depth = (1 + depths.max().unwrap_or(0)).min(NEVER);
                changed |= depth != alternative.depth;
                alternative.depth = depth;
            }
            if !changed {
                return;
            }
        }
    }
}

impl Rule {
    /// How deep its shallowest expansion is.
    pub fn depth(&self) -> usize {
        self.alternatives.iter().map(|alternative| alternative.depth).min().unwrap_or(NEVER)
    }
}

fn rule(name: Box<str>, alternatives: Vec<Vec<String>>, numbers: &HashMap<Box<str>, usize>) -> Rule {
    let symbol = |word: String| match numbers.get(word.as_str()) {
        Some(number) => Symbol::Rule(*number),
        None => Symbol::Token(word.into()),
    };
    let alternatives = alternatives
        .into_iter()
        .map(|words| Alternative { symbols: words.into_iter().map(symbol).collect(), depth: NEVER })
        .collect();
    Rule { name, alternatives }
}

/// Names and alternatives of the rules in `words`.
fn rules(words: &[String]) -> Vec<(Box<str>, Vec<Vec<String>>)> {
    let mut out: Vec<(Box<str>, Vec<Vec<String>>)> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let behind = words.get(at + 1).map(String::as_str);
        match (word.as_str(), out.last_mut()) {
            (_, _) if behind == Some(":") => {
                out.push((word.as_str().into(), vec![Vec::new()]));
                at += 1;
            }
            ("|", Some((_, alternatives))) => alternatives.push(Vec::new()),
            (";", _) | (_, None) => {}
            ("%prec", _) => at += 1,
            ("%empty", _) => {}
            (word, Some((_, alternatives))) => {
                alternatives.last_mut().expect("a rule has an alternative").push(word.to_owned());
            }
        }
        at += 1;
    }
    out
}

/// The words of the section, with no comments and no actions.
fn words(section: &str) -> Vec<String> {
    let bytes = section.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = comment(section, at),
            b'{' => at = action(section, at),
            b'\'' => {
                let end = at + 1 + section[at + 1..].find('\'').expect("a character is closed");
                out.push(section[at..=end].to_owned());
                at = end + 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            byte if is_word(byte) => {
                let end = at + section[at..].bytes().take_while(|byte| is_word(*byte)).count();
                out.push(section[at..end].to_owned());
                at = end;
            }
            byte => {
                out.push(char::from(byte).to_string());
                at += 1;
            }
        }
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'%'
}

/// Behind the comment that begins at `at`.
fn comment(text: &str, at: usize) -> usize {
    at + 2 + text[at + 2..].find("*/").expect("a comment is closed") + 2
}

/// Behind the action in C that begins at `at`.
fn action(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, at);
    loop {
        match bytes[at] {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            b'/' if bytes[at + 1] == b'*' => at = comment(text, at) - 1,
            quote @ (b'\'' | b'"') => {
                at += 1;
                while bytes[at] != quote {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: &str = "
%token A
%%
stmt: /* none */ { $$ = NULL; }
    | A stmt %prec B { if (x) { y('}', \"}\"); } /* } */ }
    | list ';'
    ;
list: list ',' C_P | C_P { };
%%
";

    #[test]
    fn rules_are_read_without_their_actions() {
        let grammar = Grammar::parse(GRAMMAR);
        let number = grammar.number("stmt").unwrap();
        let shown: Vec<String> =
            grammar.rules[number].alternatives.iter().map(|a| format!("{:?}", a.symbols)).collect();
        assert_eq!(shown, ["[]", r#"[Token("A"), Rule(0)]"#, r#"[Rule(1), Token("';'")]"#]);
        let list = &grammar.rules[grammar.number("list").unwrap()];
        assert_eq!(list.alternatives.iter().map(|a| a.depth).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(grammar.rules[number].depth(), 1);
    }
}
