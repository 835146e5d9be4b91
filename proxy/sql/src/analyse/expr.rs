//! Expressions.

use sqlparser::ast::*;

use super::Walk;

impl Walk<'_> {
    pub(super) fn exprs<'e>(&mut self, list: impl IntoIterator<Item = &'e Expr>) {
        for expr in list {
            self.expr(expr);
        }
    }

    pub(super) fn expr(&mut self, mut expr: &Expr) {
        // A chain of operators is left-deep: it is walked without recursion.
        while let Expr::BinaryOp { left, op, right } = expr {
            self.operator(op);
            self.expr(right);
            expr = left;
        }
        self.deeper(|walk| walk.expr_inside(expr));
    }

    fn operator(&mut self, op: &BinaryOperator) {
        // `OPERATOR(schema.op)`: only the schema identifies the operator.
        if matches!(op, BinaryOperator::PGCustomBinaryOperator(_)) {
            self.unproven();
        }
    }

    fn expr_inside(&mut self, expr: &Expr) {
        use Expr::*;
        match expr {
            Identifier(ident) => self.identifier(ident),
            CompoundIdentifier(idents) => self.compound(idents),
            CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Value(_) | Wildcard(_) => {}
            IsFalse(e)
            | IsNotFalse(e)
            | IsTrue(e)
            | IsNotTrue(e)
            | IsNull(e)
            | IsNotNull(e)
            | IsUnknown(e)
            | IsNotUnknown(e)
            | Nested(e)
            | UnaryOp { expr: e, .. } => self.expr(e),
            IsDistinctFrom(a, b) | IsNotDistinctFrom(a, b) => self.exprs([&**a, b]),
            InList { expr, list, .. } => {
                self.expr(expr);
                self.exprs(list);
            }
            InSubquery { expr, subquery, .. } => {
                self.expr(expr);
                self.query(subquery);
            }
            Between { expr, low, high, .. } => self.exprs([&**expr, low, high]),
            Like { expr, pattern, escape_char, any: false, .. }
            | ILike { expr, pattern, escape_char, any: false, .. }
            | SimilarTo { expr, pattern, escape_char, .. } => {
                self.exprs([&**expr, pattern]);
                self.exprs(escape_char.as_deref());
            }
            AnyOp { left, compare_op, right, .. } | AllOp { left, compare_op, right } => {
                self.operator(compare_op);
                self.exprs([&**left, right]);
            }
            Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None, .. } => {
                self.expr(expr);
                self.data_type(data_type);
            }
            TypedString(typed) => self.data_type(&typed.data_type),
            AtTimeZone { timestamp, time_zone } => self.exprs([&**timestamp, time_zone]),
            Collate { expr, collation } => {
                self.expr(expr);
                let schema = self
                    .parts(collation)
                    .and_then(|parts| if let [schema, _] = *parts { Some(self.text(schema)) } else { None });
                if collation.0.len() > 1 && schema.as_deref() != Some("pg_catalog") {
                    self.unproven();
                }
            }
            Case { operand, conditions, else_result, .. } => {
                self.exprs(operand.as_deref());
                for when in conditions {
                    self.exprs([&when.condition, &when.result]);
                }
                self.exprs(else_result.as_deref());
            }
            Exists { subquery, .. } | Subquery(subquery) => self.query(subquery),
            GroupingSets(sets) | Cube(sets) | Rollup(sets) => sets.iter().for_each(|set| self.exprs(set)),
            Tuple(list) => self.exprs(list),
            Array(array) => self.exprs(&array.elem),
            Function(function) => self.function(function),
            _ => self.call_by_grammar(expr),
        }
    }

    /// Expressions that PostgreSQL's grammar turns into function calls.
    fn call_by_grammar(&mut self, expr: &Expr) {
        use Expr::*;
        match expr {
            Interval(interval) => self.expr(&interval.value),
            Extract { expr, field, .. } => {
                self.expr(expr);
                // The field is a keyword, not a name.
                if let DateTimeField::Custom(word) = field {
                    self.claim(word);
                }
                if !self.called.contains(&"extract") {
                    self.called.push("extract");
                    self.calls("extract");
                    self.claim_behind_open("extract");
                }
            }
            Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.expr(expr);
                self.claim_call("ceil");
                self.claim_call("ceiling");
            }
            Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.expr(expr);
                self.claim_call("floor");
            }
            Position { expr, r#in } => {
                self.calls("position");
                self.exprs([&**expr, r#in]);
            }
            Substring { expr, substring_from, substring_for, .. } => {
                self.calls("substring");
                self.claim_call("substr");
                self.expr(expr);
                self.exprs(substring_from.iter().chain(substring_for).map(|e| &**e));
            }
            Trim { trim_what, expr, trim_characters, .. } => {
                self.calls("btrim");
                self.expr(expr);
                self.exprs(trim_what.as_deref());
                self.exprs(trim_characters.iter().flatten());
            }
            Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.calls("overlay");
                self.exprs([&**expr, overlay_what, overlay_from]);
                self.exprs(overlay_for.as_deref());
            }
            _ => self.unproven(),
        }
    }

    fn calls(&mut self, name: &str) {
        self.names.functions.push(name.into());
    }

    /// sqlparser gives no identifier for some functions: their words are claimed by name.
    pub(super) fn claim_call(&mut self, name: &'static str) {
        if self.called.contains(&name) {
            return;
        }
        self.called.push(name);
        let found: Vec<usize> = self
            .range
            .clone()
            .filter(|&i| self.t.kw(i, name) && self.t.is(i + 1, crate::lexer::TokenKind::Open))
            .collect();
        if !found.is_empty() {
            self.calls(name);
            self.claimed.extend(found);
        }
    }

    /// `EXTRACT(word FROM ..)`: the word.
    fn claim_behind_open(&mut self, name: &'static str) {
        let range = self.range.clone();
        let found = range.filter(|&i| self.t.kw(i, name) && self.t.kw(i + 3, "from")).map(|i| i + 2);
        let found: Vec<usize> = found.collect();
        self.claimed.extend(found);
    }

    fn identifier(&mut self, ident: &Ident) {
        if let Some(token) = self.claim(ident)
            && self.t.kw(token, "current_schema")
        {
            self.unproven();
        }
    }

    /// `a.b`: a column reference, unless the following tokens make it something else.
    fn compound(&mut self, idents: &[Ident]) {
        let mut tokens = Vec::with_capacity(idents.len());
        for ident in idents {
            let Some(token) = self.claim(ident) else {
                return;
            };
            tokens.push(token);
        }
        self.column(&tokens);
    }

    fn access(&mut self, root: &Expr, chain: &[AccessExpr]) {
        self.expr(root);
        for access in chain {
            match access {
                AccessExpr::Dot(Expr::Identifier(field)) => {
                    if let Some(token) = self.claim(field) {
                        // `(row).f` calls `f(row)` if the row has no such field.
                        let name = self.text(token);
                        self.names.columns.push(name);
                    }
                }
                AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index),
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                    self.exprs(lower_bound.iter().chain(upper_bound));
                }
                AccessExpr::Dot(_) | AccessExpr::Subscript(_) => self.unproven(),
            }
        }
    }

    fn function(&mut self, function: &Function) {
        self.function_name(&function.name);
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            self.unproven();
        }
        match &function.args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(query) => self.query(query),
            FunctionArguments::List(list) => {
                self.arguments(&list.args);
                for clause in &list.clauses {
                    match clause {
                        FunctionArgumentClause::OrderBy(order) => self.order_by(order),
                        _ => self.unproven(),
                    }
                }
            }
        }
        self.order_by(&function.within_group);
        self.exprs(function.filter.as_deref());
        match &function.over {
            Some(WindowType::NamedWindow(name)) => _ = self.claim(name),
            Some(WindowType::WindowSpec(spec)) => self.window(spec),
            None => {}
        }
    }

    pub(super) fn arguments(&mut self, args: &[FunctionArg]) {
        for arg in args {
            let value = match arg {
                FunctionArg::Unnamed(value) => value,
                FunctionArg::Named { name, arg, .. } => {
                    self.claim(name);
                    arg
                }
                FunctionArg::ExprNamed { name, arg, .. } => {
                    self.expr(name);
                    arg
                }
            };
            match value {
                FunctionArgExpr::Expr(expr) => self.expr(expr),
                FunctionArgExpr::QualifiedWildcard(name) => {
                    if let Some(tokens) = self.parts(name) {
                        self.names.column_chains.extend(tokens.first());
                    }
                }
                FunctionArgExpr::Wildcard => {}
                FunctionArgExpr::WildcardWithOptions(_) => self.unproven(),
            }
        }
    }

    pub(super) fn window(&mut self, spec: &WindowSpec) {
        if let Some(name) = &spec.window_name {
            self.claim(name);
        }
        self.exprs(&spec.partition_by);
        self.order_by(&spec.order_by);
        if let Some(frame) = &spec.window_frame {
            for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
                if let WindowFrameBound::Preceding(Some(e)) | WindowFrameBound::Following(Some(e)) = bound {
                    self.expr(e);
                }
            }
        }
    }
}
