//! PostgreSQL's dialect for sqlparser, with a limit on backtracking.
//!
//! sqlparser tries one production, goes back and tries another, and parses the inside of brackets again each time. So
//! its attempts are counted, and beyond a multiple of the statement's length it gives up.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

use crate::steps;

/// The number of operands and operators that sqlparser may try, for each token.
const TRIES: usize = 8;
/// A constant in addition, for short statements.
const FREE: usize = 64;

/// PostgreSQL's dialect, for one statement.
#[derive(Debug)]
pub(super) struct Budget {
    /// `None` after too many attempts.
    left: Cell<Option<usize>>,
}

impl Budget {
    /// For a statement with this number of tokens.
    pub(super) fn of(tokens: usize) -> Self {
        Self { left: Cell::new(Some(tokens * TRIES + FREE)) }
    }

    /// Whether sqlparser had to give up; its result is then not used.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get().is_none()
    }

    /// Counts an attempt; fails after too many.
    ///
    /// This is the one error that sqlparser treats as final: after any other it tries another production.
    fn spend(&self) -> Result<(), ParserError> {
        steps::count(1);
        self.left.set(self.left.get().and_then(|left| left.checked_sub(1)));
        if self.is_spent() { Err(ParserError::RecursionLimitExceeded) } else { Ok(()) }
    }
}

/// Delegates to PostgreSQL's dialect.
macro_rules! as_postgresql {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> $answer {
            PostgreSqlDialect {}.$name($($argument),*)
        })*
    };
}

impl Dialect for Budget {
    fn dialect(&self) -> TypeId {
        PostgreSqlDialect {}.dialect()
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        self.spend().err().map(Err)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match self.spend() {
            Ok(()) => PostgreSqlDialect {}.get_next_precedence(parser),
            Err(error) => Some(Err(error)),
        }
    }

    as_postgresql! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(c: char) -> bool;
        is_identifier_start(c: char) -> bool;
        is_identifier_part(c: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_reserved_for_identifier(keyword: Keyword) -> bool;
        is_table_alias(keyword: &Keyword, parser: &mut Parser<'_>) -> bool;
        is_custom_operator_part(c: char) -> bool;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        supports_alter_user_as_alter_role() -> bool;
        prec_value(precedence: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_exclude_constraint() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_named_fn_args_with_expr_name() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_order_by_using_operator() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_left_associative_joins_without_parens() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_aliased_function_args() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_in_postgresqls_dialect_until_patience_ends() {
        let parsed = |dialect: &dyn Dialect, text: &str| Parser::parse_sql(dialect, text).map_err(drop);
        for (_, text) in crate::tests::oracle::corpus::corpus() {
            let budget = Budget::of(1 << 20);
            assert_eq!(parsed(&budget, &text), parsed(&PostgreSqlDialect {}, &text), "{text}");
        }
        let budget = Budget { left: Cell::new(Some(100)) };
        assert!(parsed(&budget, &format!("select 1{}", ", 1".repeat(100))).is_err() && budget.is_spent());
    }
}
