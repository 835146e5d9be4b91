//! Queries: CTEs in their scopes, FROM, and all clauses that hold expressions.

use foldhash::HashMap;
use sqlparser::ast::*;

use super::Walk;

impl Walk<'_> {
    /// A query; its CTEs are in scope only inside of it.
    pub(super) fn query(&mut self, query: &Query) {
        self.deeper(|walk| {
            let outside = walk.ctes.depth();
            if let Some(with) = &query.with {
                walk.with(with);
            }
            walk.set_expr(&query.body);
            walk.tail(query);
            walk.ctes.leave(outside);
        });
    }

    fn with(&mut self, with: &With) {
        // With RECURSIVE, each CTE sees the whole list; otherwise each sees the previous ones.
        if with.recursive {
            for cte in &with.cte_tables {
                self.declare(&cte.alias.name);
            }
        }
        for cte in &with.cte_tables {
            self.alias(Some(&cte.alias));
            if cte.from.is_some() {
                self.unproven();
            }
            self.query(&cte.query);
            if !with.recursive {
                self.declare(&cte.alias.name);
            }
        }
    }

    fn declare(&mut self, name: &Ident) {
        if let Some(token) = self.claim(name) {
            let name = self.text(token);
            self.ctes.push(name);
        }
    }

    /// ORDER BY, LIMIT and the other clauses behind a query's body.
    fn tail(&mut self, query: &Query) {
        let foreign = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if foreign {
            self.unproven();
        }
        if let Some(order) = &query.order_by {
            match &order.kind {
                OrderByKind::Expressions(list) => self.order_by(list),
                OrderByKind::All(_) => self.unproven(),
            }
        }
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                self.exprs(limit.iter());
                self.exprs(offset.iter().map(|o| &o.value));
                self.exprs(limit_by);
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => self.unproven(),
            None => {}
        }
        self.exprs(query.fetch.iter().filter_map(|f| f.quantity.as_ref()));
        for lock in &query.locks {
            // These are aliases of FROM, and must not be changed.
            if let Some(of) = &lock.of {
                self.parts(of);
            }
        }
    }

    pub(super) fn order_by(&mut self, list: &[OrderByExpr]) {
        for item in list {
            self.expr(&item.expr);
            if item.with_fill.is_some() {
                self.unproven();
            }
        }
    }

    fn set_expr(&mut self, body: &SetExpr) {
        self.deeper(|walk| match body {
            SetExpr::Select(select) => walk.select(select),
            SetExpr::Query(query) => walk.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                walk.set_expr(left);
                walk.set_expr(right);
            }
            SetExpr::Values(values) => walk.values(values),
            SetExpr::Insert(s) | SetExpr::Update(s) | SetExpr::Delete(s) | SetExpr::Merge(s) => {
                walk.statement(s)
            }
            // sqlparser gives no position for its name.
            SetExpr::Table(_) => walk.unproven(),
        });
    }

    pub(super) fn values(&mut self, values: &Values) {
        for row in &values.rows {
            self.exprs(&row.content);
        }
    }

    fn select(&mut self, select: &Select) {
        let foreign = select.top.is_some()
            || select.into.is_some()
            || select.exclude.is_some()
            || select.prewhere.is_some()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.select_modifiers.is_some()
            || !select.lateral_views.is_empty()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty();
        if foreign {
            self.unproven();
        }
        if let Some(Distinct::On(list)) = &select.distinct {
            self.exprs(list);
        }
        self.items(&select.projection);
        self.from(&select.from);
        self.exprs(select.selection.iter().chain(&select.having));
        match &select.group_by {
            GroupByExpr::Expressions(list, modifiers) => {
                self.exprs(list);
                if !modifiers.is_empty() {
                    self.unproven();
                }
            }
            GroupByExpr::All(_) => self.unproven(),
        }
        for NamedWindowDefinition(name, window) in &select.named_window {
            self.claim(name);
            match window {
                NamedWindowExpr::NamedWindow(name) => _ = self.claim(name),
                NamedWindowExpr::WindowSpec(spec) => self.window(spec),
            }
        }
    }

    /// A select list, or a RETURNING list.
    pub(super) fn items(&mut self, items: &[SelectItem]) {
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => self.expr(expr),
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expr(expr);
                    self.label(alias);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    if let Some(tokens) = self.parts(name) {
                        self.names.column_chains.extend(tokens.first());
                    }
                    self.wildcard(options);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), options) => {
                    self.expr(expr);
                    self.wildcard(options);
                }
                SelectItem::Wildcard(options) => self.wildcard(options),
                SelectItem::ExprWithAliases { .. } => self.unproven(),
            }
        }
    }

    fn wildcard(&mut self, options: &WildcardAdditionalOptions) {
        let foreign = options.opt_ilike.is_some()
            || options.opt_exclude.is_some()
            || options.opt_except.is_some()
            || options.opt_replace.is_some()
            || options.opt_rename.is_some()
            || options.opt_alias.is_some();
        if foreign {
            self.unproven();
        }
    }

    /// An alias, which may be any word; sqlparser also accepts strings as aliases, PostgreSQL does not.
    pub(super) fn label(&mut self, alias: &Ident) {
        self.claim(alias);
    }

    pub(super) fn from(&mut self, list: &[TableWithJoins]) {
        for item in list {
            self.joined(item);
        }
    }

    pub(super) fn joined(&mut self, item: &TableWithJoins) {
        self.factor(&item.relation);
        for join in &item.joins {
            self.factor(&join.relation);
            match &join.join_operator {
                JoinOperator::Join(on)
                | JoinOperator::Inner(on)
                | JoinOperator::Left(on)
                | JoinOperator::LeftOuter(on)
                | JoinOperator::Right(on)
                | JoinOperator::RightOuter(on)
                | JoinOperator::FullOuter(on)
                | JoinOperator::CrossJoin(on) => self.constraint(on),
                _ => self.unproven(),
            }
        }
    }

    fn constraint(&mut self, on: &JoinConstraint) {
        match on {
            JoinConstraint::On(expr) => self.expr(expr),
            JoinConstraint::Using(columns) => {
                for column in columns {
                    self.parts(column);
                }
            }
            JoinConstraint::Natural | JoinConstraint::None => {}
        }
    }

    pub(super) fn alias(&mut self, alias: Option<&TableAlias>) {
        let Some(alias) = alias else { return };
        self.claim(&alias.name);
        if alias.at.is_some() {
            self.unproven();
        }
        for column in &alias.columns {
            self.claim(&column.name);
            if let Some(data_type) = &column.data_type {
                self.data_type(data_type);
            }
        }
    }

    pub(super) fn factor(&mut self, factor: &TableFactor) {
        self.deeper(|walk| match factor {
            TableFactor::Table { alias, .. } => {
                walk.table(factor);
                walk.alias(alias.as_ref());
            }
            TableFactor::Derived { subquery, alias, sample, .. } => {
                walk.query(subquery);
                walk.alias(alias.as_ref());
                if sample.is_some() {
                    walk.unproven();
                }
            }
            TableFactor::Function { name, args, alias, .. } => {
                walk.function_name(name);
                walk.arguments(args);
                walk.alias(alias.as_ref());
            }
            TableFactor::TableFunction { expr, alias } => {
                walk.expr(expr);
                walk.alias(alias.as_ref());
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, .. } => {
                if *with_offset || with_offset_alias.is_some() {
                    walk.unproven();
                }
                walk.claim_call("unnest");
                walk.exprs(array_exprs);
                walk.alias(alias.as_ref());
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                walk.joined(table_with_joins);
                walk.alias(alias.as_ref());
            }
            _ => walk.unproven(),
        });
    }

    fn table(&mut self, factor: &TableFactor) {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            partitions,
            json_path,
            sample,
            index_hints,
            ..
        } = factor
        else {
            return;
        };
        let foreign = version.is_some()
            || sample.is_some()
            || json_path.is_some()
            || !with_hints.is_empty()
            || !partitions.is_empty()
            || !index_hints.is_empty();
        if foreign {
            self.unproven();
        }
        match args {
            None => self.source(name, alias.is_some()),
            Some(args) => {
                self.function_name(name);
                self.arguments(&args.args);
            }
        }
    }
}

/// The names of the CTEs that are in scope.
#[derive(Default)]
pub(super) struct Ctes {
    /// In order of declaration.
    names: Vec<Box<str>>,
    /// The number of occurrences of each name.
    counts: HashMap<Box<str>, usize>,
}

impl Ctes {
    /// The number of names.
    pub(super) fn depth(&self) -> usize {
        self.names.len()
    }

    /// Adds a name.
    pub(super) fn push(&mut self, name: Box<str>) {
        *self.counts.entry(name.clone()).or_default() += 1;
        self.names.push(name);
    }

    /// Removes the names behind the first `depth`.
    pub(super) fn leave(&mut self, depth: usize) {
        for name in self.names.drain(depth.min(self.names.len())..) {
            if let Some(count) = self.counts.get_mut(&name) {
                *count -= 1;
            }
        }
    }

    /// Whether a CTE with that name is in scope.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.counts.get(name).is_some_and(|count| *count > 0)
    }
}
