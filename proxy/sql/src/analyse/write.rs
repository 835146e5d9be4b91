//! Statements that write, and the entry into queries.

use sqlparser::ast::*;

use super::Walk;

impl Walk<'_> {
    pub(super) fn statement(&mut self, statement: &Statement) {
        self.deeper(|walk| match statement {
            Statement::Query(query) => walk.query(query),
            Statement::Insert(insert) => walk.insert(insert),
            Statement::Update(update) => walk.update(update),
            Statement::Delete(delete) => walk.delete(delete),
            Statement::Merge(merge) => walk.merge(merge),
            _ => walk.unproven(),
        });
    }

    fn insert(&mut self, insert: &Insert) {
        let foreign = insert.or.is_some()
            || insert.ignore
            || insert.overwrite
            || insert.replace_into
            || insert.has_table_keyword
            || insert.partitioned.is_some()
            || insert.output.is_some()
            || insert.priority.is_some()
            || insert.insert_alias.is_some()
            || insert.settings.is_some()
            || insert.format_clause.is_some()
            || insert.multi_table_insert_type.is_some()
            || !insert.assignments.is_empty()
            || !insert.after_columns.is_empty();
        if foreign {
            self.unproven();
        }
        match &insert.table {
            TableObject::TableName(name) => self.target(name, insert.table_alias.is_some()),
            _ => self.unproven(),
        }
        if let Some(alias) = &insert.table_alias {
            self.claim(&alias.alias);
        }
        self.targets(&insert.columns);
        if let Some(source) = &insert.source {
            self.query(source);
        }
        match &insert.on {
            Some(OnInsert::OnConflict(conflict)) => self.conflict(conflict),
            Some(_) => self.unproven(),
            None => {}
        }
        self.items(insert.returning.as_deref().unwrap_or_default());
    }

    fn conflict(&mut self, conflict: &OnConflict) {
        match &conflict.conflict_target {
            Some(ConflictTarget::Columns(columns)) => self.claim_all(columns),
            Some(ConflictTarget::OnConstraint(name)) => _ = self.parts(name),
            None => {}
        }
        if let OnConflictAction::DoUpdate(update) = &conflict.action {
            self.assignments(&update.assignments);
            self.exprs(&update.selection);
        }
    }

    fn update(&mut self, update: &Update) {
        let foreign = update.output.is_some()
            || update.or.is_some()
            || update.limit.is_some()
            || !update.order_by.is_empty()
            || !update.table.joins.is_empty();
        if foreign {
            self.unproven();
        }
        self.target_factor(&update.table.relation);
        self.assignments(&update.assignments);
        match &update.from {
            Some(UpdateTableFromKind::AfterSet(list)) => self.from(list),
            Some(UpdateTableFromKind::BeforeSet(_)) => self.unproven(),
            None => {}
        }
        self.exprs(&update.selection);
        self.items(update.returning.as_deref().unwrap_or_default());
    }

    fn delete(&mut self, delete: &Delete) {
        let foreign = delete.output.is_some()
            || delete.limit.is_some()
            || !delete.tables.is_empty()
            || !delete.order_by.is_empty();
        if foreign {
            self.unproven();
        }
        match &delete.from {
            FromTable::WithFromKeyword(list) => match list.as_slice() {
                [TableWithJoins { relation, joins }] if joins.is_empty() => self.target_factor(relation),
                _ => self.unproven(),
            },
            FromTable::WithoutKeyword(_) => self.unproven(),
        }
        self.from(delete.using.as_deref().unwrap_or_default());
        self.exprs(&delete.selection);
        self.items(delete.returning.as_deref().unwrap_or_default());
    }

    fn merge(&mut self, merge: &Merge) {
        self.target_factor(&merge.table);
        self.factor(&merge.source);
        self.expr(&merge.on);
        for clause in &merge.clauses {
            self.exprs(&clause.predicate);
            match &clause.action {
                MergeAction::Insert(insert) => {
                    self.targets(&insert.columns);
                    self.exprs(&insert.insert_predicate);
                    match &insert.kind {
                        MergeInsertKind::Values(values) => self.values(values),
                        _ => self.unproven(),
                    }
                }
                MergeAction::Update(update) => {
                    match &update.kind {
                        MergeUpdateKind::Set(list) => self.assignments(list),
                        #[allow(unreachable_patterns)]
                        _ => self.unproven(),
                    }
                    self.exprs(update.update_predicate.iter().chain(&update.delete_predicate));
                }
                MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => {}
            }
        }
        match &merge.output {
            Some(OutputClause::Returning { select_items, .. }) => self.items(select_items),
            Some(_) => self.unproven(),
            None => {}
        }
    }

    /// The relation that is written: a table with an optional alias.
    fn target_factor(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } => {
                self.target(name, alias.is_some());
                self.alias(alias.as_ref());
            }
            _ => self.unproven(),
        }
    }

    fn assignments(&mut self, list: &[Assignment]) {
        for assignment in list {
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => self.targets(std::slice::from_ref(name)),
                AssignmentTarget::Tuple(names) => self.targets(names),
            }
            self.expr(&assignment.value);
        }
    }

    /// Columns that are assigned; `a.b` is a field of column `a`.
    fn targets(&mut self, columns: &[ObjectName]) {
        for column in columns {
            if let Some(tokens) = self.parts(column) {
                self.names.column_chains.extend(tokens.first());
            }
        }
    }
}
