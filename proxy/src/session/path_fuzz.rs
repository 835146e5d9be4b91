//! Search paths and names that nobody wrote, against PostgreSQL's own reading of them.

use bolero::check;
use pgstrata_grammar::nodes::VariableSetKind;
use pgstrata_grammar::oracle::without_comments;
use pgstrata_grammar::{ConstValue, Node, Tree};
use pgstrata_tenancy::ident;

use crate::search_path::{parse_list, strays};
use crate::sql::guard::check::search_path;
use crate::sql::name;

const PIECES: &[&str] = &[
    "acme", "Public", "globex", "\"", "\"\"", "'", "''", ",", " ", "\t", "\n", "\x0b", ".", "$user",
    "\"$user\"", "1", "_", "1_0", "0x1f", "$", "\\", "E'", "U&\"", "é", "\u{a0}", "\u{3000}", "--", "/*",
    "*/", "default", "(", ";", "a", "-",
];

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| PIECES[usize::from(b) % PIECES.len()]).collect()
}

/// The values of `SET search_path TO value`, if PostgreSQL takes it for one statement that sets it.
fn set_by_postgresql(value: &str) -> Option<Vec<String>> {
    let sql = format!("SET search_path TO {value}");
    let tree = Tree::parse(&without_comments(&sql)).ok()?;
    let mut statements = tree.statements();
    let (Some(statement), None) = (statements.next(), statements.next()) else { return None };
    let Node::VariableSetStmt(set) = statement.root else { return None };
    let is_value = set.kind == VariableSetKind::VAR_SET_VALUE;
    let value = |node: Node<'_>| match node {
        Node::A_Const(value) => match value.val()? {
            ConstValue::String(text) | ConstValue::Float(text) => Some(text.to_owned()),
            ConstValue::Integer(number) => Some(number.to_string()),
            _ => None,
        },
        _ => None,
    };
    set.args().iter().map(value).collect::<Option<_>>().filter(|_| is_value)
}

#[test]
fn lists_mean_what_they_mean_to_postgresql() {
    check!().with_max_len(12).for_each(|bytes| {
        let value = text(bytes);
        if let (Some(ours), Some(theirs)) = (parse_list(&value), set_by_postgresql(&value)) {
            assert_eq!(ours, ident::search_path(theirs.iter().map(String::as_str)), "{value:?}");
        }
    });
}

#[test]
fn paths_are_read_back() {
    check!().with_type::<Vec<String>>().for_each(|names| {
        // As PostgreSQL has names: not empty, not too long, with no NUL.
        let name = |name: &String| !name.is_empty() && name.len() <= ident::MAX_BYTES && !name.contains('\0');
        let names: Vec<_> = names.iter().filter(|n| name(n)).cloned().collect();
        let path = ident::search_path(names.iter().map(String::as_str));
        // A path of nothing is written as a name of nothing.
        let read = search_path(&path).map(|names| names.into_iter().filter(|n| !n.is_empty()).collect());
        assert_eq!(read, Some(names.clone()));
        assert_eq!(parse_list(&path), Some(path.clone()));
        if let [first, ..] = names.as_slice() {
            assert!(!strays(&path, first));
            assert_eq!(name::parts(&ident::quoted(first)), Some(vec![first.clone()]));
        }
    });
}

#[test]
fn any_text_is_a_list_of_names_or_none() {
    check!().with_max_len(12).for_each(|bytes| {
        let text = text(bytes);
        if let Some(names) = search_path(&text).filter(|names| !names.is_empty()) {
            let path = ident::search_path(names.iter().map(String::as_str));
            assert_eq!(search_path(&path), Some(names), "{text:?}");
        }
        if let Some(parts) = name::parts(&text) {
            let quoted: Vec<_> = parts.iter().map(|part| ident::quoted(part)).collect();
            assert_eq!(name::parts(&quoted.join(".")), Some(parts), "{text:?}");
        }
    });
}
