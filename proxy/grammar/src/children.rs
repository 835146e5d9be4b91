//! All children of each node of a raw parse tree. Made by `scripts/grammar-children`; not edited by hand.

use pg_raw_parse::Node;

use crate::walk::{Children, untyped};

/// Hands the children of `node` to `out`. Answers `false` for a node that the raw grammar does not make.
#[expect(clippy::too_many_lines, reason = "one arm for each node of PostgreSQL's grammar")]
pub(crate) fn children<'t>(node: Node<'t>, out: &mut impl Children<'t>) -> bool {
    match node {
        Node::Alias(n) => {
            out.text("aliasname", n.aliasname());
            out.list("colnames", n.colnames());
        }
        Node::RangeVar(n) => {
            out.text("catalogname", n.catalogname());
            out.text("schemaname", n.schemaname());
            out.text("relname", n.relname());
            out.node("alias", n.alias().into());
        }
        Node::IntoClause(n) => {
            out.node("rel", n.rel().into());
            out.list("col_names", n.col_names());
            out.text("access_method", n.access_method());
            out.list("options", n.options());
            out.text("table_space_name", n.table_space_name());
        }
        Node::GroupingFunc(n) => {
            out.list("args", n.args());
            out.list("refs", n.refs());
            out.list("cols", n.cols());
        }
        Node::NamedArgExpr(n) => {
            out.node("arg", n.arg());
            out.text("name", n.name());
        }
        Node::BoolExpr(n) => {
            out.list("args", n.args());
        }
        Node::SubLink(n) => {
            out.node("testexpr", n.testexpr());
            out.list("oper_name", n.oper_name());
            out.node("subselect", n.subselect());
        }
        Node::CaseExpr(n) => {
            out.node("arg", n.arg());
            out.list("args", n.args());
            out.node("defresult", n.defresult());
        }
        Node::CaseWhen(n) => {
            out.node("expr", n.expr());
            out.node("result", n.result());
        }
        Node::RowExpr(n) => {
            out.list("args", n.args());
            out.list("colnames", untyped(n.colnames()));
        }
        Node::CoalesceExpr(n) => {
            out.list("args", n.args());
        }
        Node::MinMaxExpr(n) => {
            out.list("args", n.args());
        }
        Node::XmlExpr(n) => {
            out.text("name", n.name());
            out.list("named_args", n.named_args());
            out.list("arg_names", untyped(n.arg_names()));
            out.list("args", n.args());
        }
        Node::JsonReturning(n) => {
            out.node("format", n.format().into());
        }
        Node::JsonValueExpr(n) => {
            out.node("raw_expr", n.raw_expr());
            out.node("formatted_expr", n.formatted_expr());
            out.node("format", n.format().into());
        }
        Node::JsonIsPredicate(n) => {
            out.node("expr", n.expr());
            out.node("format", n.format().into());
        }
        Node::JsonBehavior(n) => {
            out.node("expr", n.expr());
        }
        Node::NullTest(n) => {
            out.node("arg", n.arg());
        }
        Node::BooleanTest(n) => {
            out.node("arg", n.arg());
        }
        Node::CurrentOfExpr(n) => {
            out.text("cursor_name", n.cursor_name());
        }
        Node::JoinExpr(n) => {
            out.node("larg", n.larg());
            out.node("rarg", n.rarg());
            out.list("using_clause", untyped(n.using_clause()));
            out.node("join_using_alias", n.join_using_alias().into());
            out.node("quals", n.quals());
            out.node("alias", n.alias().into());
        }
        Node::Float(n) => {
            out.text("fval", n.fval());
        }
        Node::String(n) => {
            out.text("sval", n.sval());
        }
        Node::BitString(n) => {
            out.text("bsval", n.bsval());
        }
        Node::TypeName(n) => {
            out.list("names", untyped(n.names()));
            out.list("typmods", n.typmods());
            out.list("array_bounds", n.array_bounds());
        }
        Node::ColumnRef(n) => {
            out.list("fields", n.fields());
        }
        Node::A_Expr(n) => {
            out.list("name", n.name());
            out.node("lexpr", n.lexpr());
            out.node("rexpr", n.rexpr());
        }
        Node::TypeCast(n) => {
            out.node("arg", n.arg());
            out.node("type_name", n.type_name().into());
        }
        Node::CollateClause(n) => {
            out.node("arg", n.arg());
            out.list("collname", n.collname());
        }
        Node::RoleSpec(n) => {
            out.text("rolename", n.rolename());
        }
        Node::FuncCall(n) => {
            out.list("funcname", n.funcname());
            out.list("args", n.args());
            out.list("agg_order", untyped(n.agg_order()));
            out.node("agg_filter", n.agg_filter());
            out.node("over", n.over().into());
        }
        Node::A_Indices(n) => {
            out.node("lidx", n.lidx());
            out.node("uidx", n.uidx());
        }
        Node::A_Indirection(n) => {
            out.node("arg", n.arg());
            out.list("indirection", n.indirection());
        }
        Node::A_ArrayExpr(n) => {
            out.list("elements", n.elements());
        }
        Node::ResTarget(n) => {
            out.text("name", n.name());
            out.list("indirection", n.indirection());
            out.node("val", n.val());
        }
        Node::MultiAssignRef(n) => {
            out.node("source", n.source());
        }
        Node::SortBy(n) => {
            out.node("node", n.node());
            out.list("use_op", n.use_op());
        }
        Node::WindowDef(n) => {
            out.text("name", n.name());
            out.text("refname", n.refname());
            out.list("partition_clause", n.partition_clause());
            out.list("order_clause", untyped(n.order_clause()));
            out.node("start_offset", n.start_offset());
            out.node("end_offset", n.end_offset());
        }
        Node::RangeSubselect(n) => {
            out.node("subquery", n.subquery());
            out.node("alias", n.alias().into());
        }
        Node::RangeFunction(n) => {
            out.list("functions", n.functions());
            out.node("alias", n.alias().into());
            out.list("coldeflist", untyped(n.coldeflist()));
        }
        Node::RangeTableFunc(n) => {
            out.node("docexpr", n.docexpr());
            out.node("rowexpr", n.rowexpr());
            out.list("namespaces", n.namespaces());
            out.list("columns", untyped(n.columns()));
            out.node("alias", n.alias().into());
        }
        Node::RangeTableFuncCol(n) => {
            out.text("colname", n.colname());
            out.node("type_name", n.type_name().into());
            out.node("colexpr", n.colexpr());
            out.node("coldefexpr", n.coldefexpr());
        }
        Node::RangeTableSample(n) => {
            out.node("relation", n.relation());
            out.list("method", n.method());
            out.list("args", n.args());
            out.node("repeatable", n.repeatable());
        }
        Node::ColumnDef(n) => {
            out.text("colname", n.colname());
            out.node("type_name", n.type_name().into());
            out.text("compression", n.compression());
            out.text("storage_name", n.storage_name());
            out.node("raw_default", n.raw_default());
            out.node("cooked_default", n.cooked_default());
            out.node("identity_sequence", n.identity_sequence().into());
            out.node("coll_clause", n.coll_clause().into());
            out.list("constraints", n.constraints());
            out.list("fdwoptions", n.fdwoptions());
        }
        Node::TableLikeClause(n) => {
            out.node("relation", n.relation().into());
        }
        Node::IndexElem(n) => {
            out.text("name", n.name());
            out.node("expr", n.expr());
            out.text("indexcolname", n.indexcolname());
            out.list("collation", n.collation());
            out.list("opclass", n.opclass());
            out.list("opclassopts", n.opclassopts());
        }
        Node::DefElem(n) => {
            out.text("defnamespace", n.defnamespace());
            out.text("defname", n.defname());
            out.node("arg", n.arg());
        }
        Node::LockingClause(n) => {
            out.list("locked_rels", n.locked_rels());
        }
        Node::XmlSerialize(n) => {
            out.node("expr", n.expr());
            out.node("type_name", n.type_name().into());
        }
        Node::PartitionElem(n) => {
            out.text("name", n.name());
            out.node("expr", n.expr());
            out.list("collation", n.collation());
            out.list("opclass", n.opclass());
        }
        Node::PartitionSpec(n) => {
            out.list("part_params", untyped(n.part_params()));
        }
        Node::PartitionBoundSpec(n) => {
            out.list("listdatums", n.listdatums());
            out.list("lowerdatums", n.lowerdatums());
            out.list("upperdatums", n.upperdatums());
        }
        Node::PartitionCmd(n) => {
            out.node("name", n.name().into());
            out.node("bound", n.bound().into());
        }
        Node::GroupingSet(n) => {
            out.list("content", n.content());
        }
        Node::WithClause(n) => {
            out.list("ctes", untyped(n.ctes()));
        }
        Node::InferClause(n) => {
            out.list("index_elems", n.index_elems());
            out.node("where_clause", n.where_clause());
            out.text("conname", n.conname());
        }
        Node::OnConflictClause(n) => {
            out.node("infer", n.infer().into());
            out.list("target_list", untyped(n.target_list()));
            out.node("where_clause", n.where_clause());
        }
        Node::CTESearchClause(n) => {
            out.list("search_col_list", n.search_col_list());
            out.text("search_seq_column", n.search_seq_column());
        }
        Node::CTECycleClause(n) => {
            out.list("cycle_col_list", n.cycle_col_list());
            out.text("cycle_mark_column", n.cycle_mark_column());
            out.node("cycle_mark_value", n.cycle_mark_value());
            out.node("cycle_mark_default", n.cycle_mark_default());
            out.text("cycle_path_column", n.cycle_path_column());
        }
        Node::CommonTableExpr(n) => {
            out.text("ctename", n.ctename());
            out.list("aliascolnames", n.aliascolnames());
            out.node("ctequery", n.ctequery());
            out.node("search_clause", n.search_clause().into());
            out.node("cycle_clause", n.cycle_clause().into());
            out.list("ctecolnames", n.ctecolnames());
        }
        Node::MergeWhenClause(n) => {
            out.node("condition", n.condition());
            out.list("target_list", n.target_list());
            out.list("values", n.values());
        }
        Node::ReturningOption(n) => {
            out.text("value", n.value());
        }
        Node::ReturningClause(n) => {
            out.list("options", untyped(n.options()));
            out.list("exprs", n.exprs());
        }
        Node::TriggerTransition(n) => {
            out.text("name", n.name());
        }
        Node::JsonOutput(n) => {
            out.node("type_name", n.type_name().into());
            out.node("returning", n.returning().into());
        }
        Node::JsonArgument(n) => {
            out.node("val", n.val().into());
            out.text("name", n.name());
        }
        Node::JsonFuncExpr(n) => {
            out.text("column_name", n.column_name());
            out.node("context_item", n.context_item().into());
            out.node("pathspec", n.pathspec());
            out.list("passing", n.passing());
            out.node("output", n.output().into());
            out.node("on_empty", n.on_empty().into());
            out.node("on_error", n.on_error().into());
        }
        Node::JsonTablePathSpec(n) => {
            out.node("string", n.string());
            out.text("name", n.name());
        }
        Node::JsonTable(n) => {
            out.node("context_item", n.context_item().into());
            out.node("pathspec", n.pathspec().into());
            out.list("passing", n.passing());
            out.list("columns", untyped(n.columns()));
            out.node("on_error", n.on_error().into());
            out.node("alias", n.alias().into());
        }
        Node::JsonTableColumn(n) => {
            out.text("name", n.name());
            out.node("type_name", n.type_name().into());
            out.node("pathspec", n.pathspec().into());
            out.node("format", n.format().into());
            out.list("columns", n.columns());
            out.node("on_empty", n.on_empty().into());
            out.node("on_error", n.on_error().into());
        }
        Node::JsonKeyValue(n) => {
            out.node("key", n.key());
            out.node("value", n.value().into());
        }
        Node::JsonParseExpr(n) => {
            out.node("expr", n.expr().into());
            out.node("output", n.output().into());
        }
        Node::JsonScalarExpr(n) => {
            out.node("expr", n.expr());
            out.node("output", n.output().into());
        }
        Node::JsonSerializeExpr(n) => {
            out.node("expr", n.expr().into());
            out.node("output", n.output().into());
        }
        Node::JsonObjectConstructor(n) => {
            out.list("exprs", untyped(n.exprs()));
            out.node("output", n.output().into());
        }
        Node::JsonArrayConstructor(n) => {
            out.list("exprs", untyped(n.exprs()));
            out.node("output", n.output().into());
        }
        Node::JsonArrayQueryConstructor(n) => {
            out.node("query", n.query());
            out.node("output", n.output().into());
            out.node("format", n.format().into());
        }
        Node::JsonAggConstructor(n) => {
            out.node("output", n.output().into());
            out.node("agg_filter", n.agg_filter());
            out.list("agg_order", n.agg_order());
            out.node("over", n.over().into());
        }
        Node::JsonObjectAgg(n) => {
            out.node("constructor", n.constructor().into());
            out.node("arg", n.arg().into());
        }
        Node::JsonArrayAgg(n) => {
            out.node("constructor", n.constructor().into());
            out.node("arg", n.arg().into());
        }
        Node::RawStmt(n) => {
            out.node("stmt", n.stmt());
        }
        Node::InsertStmt(n) => {
            out.node("relation", n.relation().into());
            out.list("cols", n.cols());
            out.node("select_stmt", n.select_stmt());
            out.node("on_conflict_clause", n.on_conflict_clause().into());
            out.node("returning_clause", n.returning_clause().into());
            out.node("with_clause", n.with_clause().into());
        }
        Node::DeleteStmt(n) => {
            out.node("relation", n.relation().into());
            out.list("using_clause", n.using_clause());
            out.node("where_clause", n.where_clause());
            out.node("returning_clause", n.returning_clause().into());
            out.node("with_clause", n.with_clause().into());
        }
        Node::UpdateStmt(n) => {
            out.node("relation", n.relation().into());
            out.list("target_list", untyped(n.target_list()));
            out.node("where_clause", n.where_clause());
            out.list("from_clause", n.from_clause());
            out.node("returning_clause", n.returning_clause().into());
            out.node("with_clause", n.with_clause().into());
        }
        Node::MergeStmt(n) => {
            out.node("relation", n.relation().into());
            out.node("source_relation", n.source_relation());
            out.node("join_condition", n.join_condition());
            out.list("merge_when_clauses", untyped(n.merge_when_clauses()));
            out.node("returning_clause", n.returning_clause().into());
            out.node("with_clause", n.with_clause().into());
        }
        Node::SelectStmt(n) => {
            out.list("distinct_clause", n.distinct_clause());
            out.node("into_clause", n.into_clause().into());
            out.list("target_list", untyped(n.target_list()));
            out.list("from_clause", n.from_clause());
            out.node("where_clause", n.where_clause());
            out.list("group_clause", n.group_clause());
            out.node("having_clause", n.having_clause());
            out.list("window_clause", n.window_clause());
            out.list("values_lists", n.values_lists());
            out.list("sort_clause", untyped(n.sort_clause()));
            out.node("limit_offset", n.limit_offset());
            out.node("limit_count", n.limit_count());
            out.list("locking_clause", untyped(n.locking_clause()));
            out.node("with_clause", n.with_clause().into());
            out.node("larg", n.larg().into());
            out.node("rarg", n.rarg().into());
        }
        Node::ReturnStmt(n) => {
            out.node("returnval", n.returnval());
        }
        Node::PLAssignStmt(n) => {
            out.text("name", n.name());
            out.list("indirection", n.indirection());
            out.node("val", n.val().into());
        }
        Node::CreateSchemaStmt(n) => {
            out.text("schemaname", n.schemaname());
            out.node("authrole", n.authrole().into());
            out.list("schema_elts", n.schema_elts());
        }
        Node::AlterTableStmt(n) => {
            out.node("relation", n.relation().into());
            out.list("cmds", n.cmds());
        }
        Node::AlterTableCmd(n) => {
            out.text("name", n.name());
            out.node("newowner", n.newowner().into());
            out.node("def", n.def());
        }
        Node::ATAlterConstraint(n) => {
            out.text("conname", n.conname());
        }
        Node::ReplicaIdentityStmt(n) => {
            out.text("name", n.name());
        }
        Node::AlterCollationStmt(n) => {
            out.list("collname", n.collname());
        }
        Node::AlterDomainStmt(n) => {
            out.list("type_name", n.type_name());
            out.text("name", n.name());
            out.node("def", n.def());
        }
        Node::GrantStmt(n) => {
            out.list("objects", untyped(n.objects()));
            out.list("privileges", untyped(n.privileges()));
            out.list("grantees", untyped(n.grantees()));
            out.node("grantor", n.grantor().into());
        }
        Node::ObjectWithArgs(n) => {
            out.list("objname", n.objname());
            out.list("objargs", n.objargs());
            out.list("objfuncargs", untyped(n.objfuncargs()));
        }
        Node::AccessPriv(n) => {
            out.text("priv_name", n.priv_name());
            out.list("cols", untyped(n.cols()));
        }
        Node::GrantRoleStmt(n) => {
            out.list("granted_roles", n.granted_roles());
            out.list("grantee_roles", n.grantee_roles());
            out.list("opt", n.opt());
            out.node("grantor", n.grantor().into());
        }
        Node::AlterDefaultPrivilegesStmt(n) => {
            out.list("options", untyped(n.options()));
            out.node("action", n.action().into());
        }
        Node::CopyStmt(n) => {
            out.node("relation", n.relation().into());
            out.node("query", n.query());
            out.list("attlist", n.attlist());
            out.text("filename", n.filename());
            out.list("options", untyped(n.options()));
            out.node("where_clause", n.where_clause());
        }
        Node::VariableSetStmt(n) => {
            out.text("name", n.name());
            out.list("args", n.args());
        }
        Node::VariableShowStmt(n) => {
            out.text("name", n.name());
        }
        Node::CreateStmt(n) => {
            out.node("relation", n.relation().into());
            out.list("table_elts", n.table_elts());
            out.list("inh_relations", n.inh_relations());
            out.node("partbound", n.partbound().into());
            out.node("partspec", n.partspec().into());
            out.node("of_typename", n.of_typename().into());
            out.list("constraints", untyped(n.constraints()));
            out.list("nnconstraints", n.nnconstraints());
            out.list("options", n.options());
            out.text("tablespacename", n.tablespacename());
            out.text("access_method", n.access_method());
        }
        Node::Constraint(n) => {
            out.text("conname", n.conname());
            out.node("raw_expr", n.raw_expr());
            out.text("cooked_expr", n.cooked_expr());
            out.list("keys", n.keys());
            out.list("including", n.including());
            out.list("exclusions", n.exclusions());
            out.list("options", n.options());
            out.text("indexname", n.indexname());
            out.text("indexspace", n.indexspace());
            out.text("access_method", n.access_method());
            out.node("where_clause", n.where_clause());
            out.node("pktable", n.pktable().into());
            out.list("fk_attrs", n.fk_attrs());
            out.list("pk_attrs", n.pk_attrs());
            out.list("fk_del_set_cols", n.fk_del_set_cols());
            out.list("old_conpfeqop", n.old_conpfeqop());
        }
        Node::CreateTableSpaceStmt(n) => {
            out.text("tablespacename", n.tablespacename());
            out.node("owner", n.owner().into());
            out.text("location", n.location());
            out.list("options", n.options());
        }
        Node::DropTableSpaceStmt(n) => {
            out.text("tablespacename", n.tablespacename());
        }
        Node::AlterTableSpaceOptionsStmt(n) => {
            out.text("tablespacename", n.tablespacename());
            out.list("options", n.options());
        }
        Node::AlterTableMoveAllStmt(n) => {
            out.text("orig_tablespacename", n.orig_tablespacename());
            out.list("roles", n.roles());
            out.text("new_tablespacename", n.new_tablespacename());
        }
        Node::CreateExtensionStmt(n) => {
            out.text("extname", n.extname());
            out.list("options", untyped(n.options()));
        }
        Node::AlterExtensionStmt(n) => {
            out.text("extname", n.extname());
            out.list("options", untyped(n.options()));
        }
        Node::AlterExtensionContentsStmt(n) => {
            out.text("extname", n.extname());
            out.node("object", n.object());
        }
        Node::CreateFdwStmt(n) => {
            out.text("fdwname", n.fdwname());
            out.list("func_options", n.func_options());
            out.list("options", n.options());
        }
        Node::AlterFdwStmt(n) => {
            out.text("fdwname", n.fdwname());
            out.list("func_options", n.func_options());
            out.list("options", n.options());
        }
        Node::CreateForeignServerStmt(n) => {
            out.text("servername", n.servername());
            out.text("servertype", n.servertype());
            out.text("version", n.version());
            out.text("fdwname", n.fdwname());
            out.list("options", n.options());
        }
        Node::AlterForeignServerStmt(n) => {
            out.text("servername", n.servername());
            out.text("version", n.version());
            out.list("options", n.options());
        }
        Node::CreateUserMappingStmt(n) => {
            out.node("user", n.user().into());
            out.text("servername", n.servername());
            out.list("options", n.options());
        }
        Node::AlterUserMappingStmt(n) => {
            out.node("user", n.user().into());
            out.text("servername", n.servername());
            out.list("options", n.options());
        }
        Node::DropUserMappingStmt(n) => {
            out.node("user", n.user().into());
            out.text("servername", n.servername());
        }
        Node::ImportForeignSchemaStmt(n) => {
            out.text("server_name", n.server_name());
            out.text("remote_schema", n.remote_schema());
            out.text("local_schema", n.local_schema());
            out.list("table_list", untyped(n.table_list()));
            out.list("options", n.options());
        }
        Node::CreatePolicyStmt(n) => {
            out.text("policy_name", n.policy_name());
            out.node("table", n.table().into());
            out.text("cmd_name", n.cmd_name());
            out.list("roles", n.roles());
            out.node("qual", n.qual());
            out.node("with_check", n.with_check());
        }
        Node::AlterPolicyStmt(n) => {
            out.text("policy_name", n.policy_name());
            out.node("table", n.table().into());
            out.list("roles", n.roles());
            out.node("qual", n.qual());
            out.node("with_check", n.with_check());
        }
        Node::CreateAmStmt(n) => {
            out.text("amname", n.amname());
            out.list("handler_name", n.handler_name());
        }
        Node::CreateTrigStmt(n) => {
            out.text("trigname", n.trigname());
            out.node("relation", n.relation().into());
            out.list("funcname", n.funcname());
            out.list("args", untyped(n.args()));
            out.list("columns", n.columns());
            out.node("when_clause", n.when_clause());
            out.list("transition_rels", n.transition_rels());
            out.node("constrrel", n.constrrel().into());
        }
        Node::CreateEventTrigStmt(n) => {
            out.text("trigname", n.trigname());
            out.text("eventname", n.eventname());
            out.list("whenclause", untyped(n.whenclause()));
            out.list("funcname", n.funcname());
        }
        Node::AlterEventTrigStmt(n) => {
            out.text("trigname", n.trigname());
        }
        Node::CreatePLangStmt(n) => {
            out.text("plname", n.plname());
            out.list("plhandler", n.plhandler());
            out.list("plinline", n.plinline());
            out.list("plvalidator", n.plvalidator());
        }
        Node::CreateRoleStmt(n) => {
            out.text("role", n.role());
            out.list("options", untyped(n.options()));
        }
        Node::AlterRoleStmt(n) => {
            out.node("role", n.role().into());
            out.list("options", untyped(n.options()));
        }
        Node::AlterRoleSetStmt(n) => {
            out.node("role", n.role().into());
            out.text("database", n.database());
            out.node("setstmt", n.setstmt().into());
        }
        Node::DropRoleStmt(n) => {
            out.list("roles", n.roles());
        }
        Node::CreateSeqStmt(n) => {
            out.node("sequence", n.sequence().into());
            out.list("options", n.options());
        }
        Node::AlterSeqStmt(n) => {
            out.node("sequence", n.sequence().into());
            out.list("options", n.options());
        }
        Node::DefineStmt(n) => {
            out.list("defnames", untyped(n.defnames()));
            out.list("args", n.args());
            out.list("definition", untyped(n.definition()));
        }
        Node::CreateDomainStmt(n) => {
            out.list("domainname", untyped(n.domainname()));
            out.node("type_name", n.type_name().into());
            out.node("coll_clause", n.coll_clause().into());
            out.list("constraints", untyped(n.constraints()));
        }
        Node::CreateOpClassStmt(n) => {
            out.list("opclassname", untyped(n.opclassname()));
            out.list("opfamilyname", n.opfamilyname());
            out.text("amname", n.amname());
            out.node("datatype", n.datatype().into());
            out.list("items", untyped(n.items()));
        }
        Node::CreateOpClassItem(n) => {
            out.node("name", n.name().into());
            out.list("order_family", n.order_family());
            out.list("class_args", n.class_args());
            out.node("storedtype", n.storedtype().into());
        }
        Node::CreateOpFamilyStmt(n) => {
            out.list("opfamilyname", untyped(n.opfamilyname()));
            out.text("amname", n.amname());
        }
        Node::AlterOpFamilyStmt(n) => {
            out.list("opfamilyname", untyped(n.opfamilyname()));
            out.text("amname", n.amname());
            out.list("items", untyped(n.items()));
        }
        Node::DropStmt(n) => {
            out.list("objects", n.objects());
        }
        Node::TruncateStmt(n) => {
            out.list("relations", n.relations());
        }
        Node::CommentStmt(n) => {
            out.node("object", n.object());
            out.text("comment", n.comment());
        }
        Node::SecLabelStmt(n) => {
            out.node("object", n.object());
            out.text("provider", n.provider());
            out.text("label", n.label());
        }
        Node::DeclareCursorStmt(n) => {
            out.text("portalname", n.portalname());
            out.node("query", n.query());
        }
        Node::ClosePortalStmt(n) => {
            out.text("portalname", n.portalname());
        }
        Node::FetchStmt(n) => {
            out.text("portalname", n.portalname());
        }
        Node::IndexStmt(n) => {
            out.text("idxname", n.idxname());
            out.node("relation", n.relation().into());
            out.text("access_method", n.access_method());
            out.text("table_space", n.table_space());
            out.list("index_params", untyped(n.index_params()));
            out.list("index_including_params", n.index_including_params());
            out.list("options", untyped(n.options()));
            out.node("where_clause", n.where_clause());
            out.list("exclude_op_names", n.exclude_op_names());
            out.text("idxcomment", n.idxcomment());
        }
        Node::CreateStatsStmt(n) => {
            out.list("defnames", untyped(n.defnames()));
            out.list("stat_types", untyped(n.stat_types()));
            out.list("exprs", n.exprs());
            out.list("relations", untyped(n.relations()));
            out.text("stxcomment", n.stxcomment());
        }
        Node::StatsElem(n) => {
            out.text("name", n.name());
            out.node("expr", n.expr());
        }
        Node::AlterStatsStmt(n) => {
            out.list("defnames", untyped(n.defnames()));
            out.node("stxstattarget", n.stxstattarget());
        }
        Node::CreateFunctionStmt(n) => {
            out.list("funcname", n.funcname());
            out.list("parameters", untyped(n.parameters()));
            out.node("return_type", n.return_type().into());
            out.list("options", untyped(n.options()));
            out.node("sql_body", n.sql_body());
        }
        Node::FunctionParameter(n) => {
            out.text("name", n.name());
            out.node("arg_type", n.arg_type().into());
            out.node("defexpr", n.defexpr());
        }
        Node::AlterFunctionStmt(n) => {
            out.node("func", n.func().into());
            out.list("actions", untyped(n.actions()));
        }
        Node::DoStmt(n) => {
            out.list("args", untyped(n.args()));
        }
        Node::CallStmt(n) => {
            out.node("funccall", n.funccall().into());
            out.list("outargs", n.outargs());
        }
        Node::RenameStmt(n) => {
            out.node("relation", n.relation().into());
            out.node("object", n.object());
            out.text("subname", n.subname());
            out.text("newname", n.newname());
        }
        Node::AlterObjectDependsStmt(n) => {
            out.node("relation", n.relation().into());
            out.node("object", n.object());
            out.node("extname", n.extname().into());
        }
        Node::AlterObjectSchemaStmt(n) => {
            out.node("relation", n.relation().into());
            out.node("object", n.object());
            out.text("newschema", n.newschema());
        }
        Node::AlterOwnerStmt(n) => {
            out.node("relation", n.relation().into());
            out.node("object", n.object());
            out.node("newowner", n.newowner().into());
        }
        Node::AlterOperatorStmt(n) => {
            out.node("opername", n.opername().into());
            out.list("options", untyped(n.options()));
        }
        Node::AlterTypeStmt(n) => {
            out.list("type_name", n.type_name());
            out.list("options", untyped(n.options()));
        }
        Node::RuleStmt(n) => {
            out.node("relation", n.relation().into());
            out.text("rulename", n.rulename());
            out.node("where_clause", n.where_clause());
            out.list("actions", n.actions());
        }
        Node::NotifyStmt(n) => {
            out.text("conditionname", n.conditionname());
            out.text("payload", n.payload());
        }
        Node::ListenStmt(n) => {
            out.text("conditionname", n.conditionname());
        }
        Node::UnlistenStmt(n) => {
            out.text("conditionname", n.conditionname());
        }
        Node::TransactionStmt(n) => {
            out.list("options", n.options());
            out.text("savepoint_name", n.savepoint_name());
            out.text("gid", n.gid());
        }
        Node::CompositeTypeStmt(n) => {
            out.node("typevar", n.typevar().into());
            out.list("coldeflist", untyped(n.coldeflist()));
        }
        Node::CreateEnumStmt(n) => {
            out.list("type_name", untyped(n.type_name()));
            out.list("vals", untyped(n.vals()));
        }
        Node::CreateRangeStmt(n) => {
            out.list("type_name", untyped(n.type_name()));
            out.list("params", untyped(n.params()));
        }
        Node::AlterEnumStmt(n) => {
            out.list("type_name", untyped(n.type_name()));
            out.text("old_val", n.old_val());
            out.text("new_val", n.new_val());
            out.text("new_val_neighbor", n.new_val_neighbor());
        }
        Node::ViewStmt(n) => {
            out.node("view", n.view().into());
            out.list("aliases", n.aliases());
            out.node("query", n.query());
            out.list("options", n.options());
        }
        Node::LoadStmt(n) => {
            out.text("filename", n.filename());
        }
        Node::CreatedbStmt(n) => {
            out.text("dbname", n.dbname());
            out.list("options", untyped(n.options()));
        }
        Node::AlterDatabaseStmt(n) => {
            out.text("dbname", n.dbname());
            out.list("options", untyped(n.options()));
        }
        Node::AlterDatabaseRefreshCollStmt(n) => {
            out.text("dbname", n.dbname());
        }
        Node::AlterDatabaseSetStmt(n) => {
            out.text("dbname", n.dbname());
            out.node("setstmt", n.setstmt().into());
        }
        Node::DropdbStmt(n) => {
            out.text("dbname", n.dbname());
            out.list("options", n.options());
        }
        Node::AlterSystemStmt(n) => {
            out.node("setstmt", n.setstmt().into());
        }
        Node::ClusterStmt(n) => {
            out.node("relation", n.relation().into());
            out.text("indexname", n.indexname());
            out.list("params", untyped(n.params()));
        }
        Node::VacuumStmt(n) => {
            out.list("options", untyped(n.options()));
            out.list("rels", untyped(n.rels()));
        }
        Node::VacuumRelation(n) => {
            out.node("relation", n.relation().into());
            out.list("va_cols", n.va_cols());
        }
        Node::ExplainStmt(n) => {
            out.node("query", n.query());
            out.list("options", untyped(n.options()));
        }
        Node::CreateTableAsStmt(n) => {
            out.node("query", n.query());
            out.node("into", n.into().into());
        }
        Node::RefreshMatViewStmt(n) => {
            out.node("relation", n.relation().into());
        }
        Node::LockStmt(n) => {
            out.list("relations", n.relations());
        }
        Node::ConstraintsSetStmt(n) => {
            out.list("constraints", n.constraints());
        }
        Node::ReindexStmt(n) => {
            out.node("relation", n.relation().into());
            out.text("name", n.name());
            out.list("params", untyped(n.params()));
        }
        Node::CreateConversionStmt(n) => {
            out.list("conversion_name", n.conversion_name());
            out.text("for_encoding_name", n.for_encoding_name());
            out.text("to_encoding_name", n.to_encoding_name());
            out.list("func_name", n.func_name());
        }
        Node::CreateCastStmt(n) => {
            out.node("sourcetype", n.sourcetype().into());
            out.node("targettype", n.targettype().into());
            out.node("func", n.func().into());
        }
        Node::CreateTransformStmt(n) => {
            out.node("type_name", n.type_name().into());
            out.text("lang", n.lang());
            out.node("fromsql", n.fromsql().into());
            out.node("tosql", n.tosql().into());
        }
        Node::PrepareStmt(n) => {
            out.text("name", n.name());
            out.list("argtypes", untyped(n.argtypes()));
            out.node("query", n.query());
        }
        Node::ExecuteStmt(n) => {
            out.text("name", n.name());
            out.list("params", n.params());
        }
        Node::DeallocateStmt(n) => {
            out.text("name", n.name());
        }
        Node::DropOwnedStmt(n) => {
            out.list("roles", n.roles());
        }
        Node::ReassignOwnedStmt(n) => {
            out.list("roles", n.roles());
            out.node("newrole", n.newrole().into());
        }
        Node::AlterTSDictionaryStmt(n) => {
            out.list("dictname", untyped(n.dictname()));
            out.list("options", untyped(n.options()));
        }
        Node::AlterTSConfigurationStmt(n) => {
            out.list("cfgname", untyped(n.cfgname()));
            out.list("tokentype", n.tokentype());
            out.list("dicts", n.dicts());
        }
        Node::PublicationTable(n) => {
            out.node("relation", n.relation().into());
            out.node("where_clause", n.where_clause());
            out.list("columns", n.columns());
        }
        Node::PublicationObjSpec(n) => {
            out.text("name", n.name());
            out.node("pubtable", n.pubtable().into());
        }
        Node::CreatePublicationStmt(n) => {
            out.text("pubname", n.pubname());
            out.list("options", untyped(n.options()));
            out.list("pubobjects", n.pubobjects());
        }
        Node::AlterPublicationStmt(n) => {
            out.text("pubname", n.pubname());
            out.list("options", untyped(n.options()));
            out.list("pubobjects", n.pubobjects());
        }
        Node::CreateSubscriptionStmt(n) => {
            out.text("subname", n.subname());
            out.text("conninfo", n.conninfo());
            out.list("publication", n.publication());
            out.list("options", untyped(n.options()));
        }
        Node::AlterSubscriptionStmt(n) => {
            out.text("subname", n.subname());
            out.text("conninfo", n.conninfo());
            out.list("publication", n.publication());
            out.list("options", untyped(n.options()));
        }
        Node::DropSubscriptionStmt(n) => {
            out.text("subname", n.subname());
        }
        Node::None
        | Node::MergeSupportFunc(_)
        | Node::SQLValueFunction(_)
        | Node::JsonFormat(_)
        | Node::SetToDefault(_)
        | Node::Integer(_)
        | Node::Boolean(_)
        | Node::ParamRef(_)
        | Node::A_Const(_)
        | Node::A_Star(_)
        | Node::CheckPointStmt(_)
        | Node::DiscardStmt(_) => {}
        Node::NodeList(list) => out.list("", list),
        _ => return false,
    }
    true
}
