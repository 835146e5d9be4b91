//! Known statements, and whether both readings give the same kind.

use pgstrata_grammar::nodes::{
    AlterTableType, DiscardMode, DropBehavior, ObjectType, TransactionStmtKind, VariableSetKind,
};
use pgstrata_grammar::{Item, Node, nodes};

use super::{Agreed, Flags, differ};
use crate::guard::never;
use crate::plan::{Discard, PinReason, StatementKind};
use crate::shape::{Demand, KeyChange, StatementShape};

/// `CURSOR_OPT_HOLD` in PostgreSQL's `parsenodes.h`.
const CURSOR_HOLD: i32 = 0x0020;

/// Whether tenants may send the statement `root`; `false` if it must be refused.
pub(super) fn admits(root: Node<'_>, out: &mut Vec<Demand>) -> bool {
    let known = is_known(root);
    if !known {
        out.push(never("run a statement of this kind", None));
    }
    known
}

/// Whether the statement `root` is the one that `ours` describes.
pub(super) fn agree(root: Node<'_>, ours: &StatementShape) -> Agreed {
    match is_same(root, &ours.kind) {
        true => Ok(()),
        false => differ("kind"),
    }
}

fn is_same(root: Node<'_>, kind: &StatementKind) -> bool {
    use StatementKind as Kind;
    if let Some(n) = executed(root) {
        return matches!(kind, Kind::Execute(run) if Some(&*run.name) == n.name());
    }
    match root {
        Node::TransactionStmt(n) => same_transaction(n, kind),
        Node::VariableSetStmt(n) => same_setting(n, kind),
        Node::VariableShowStmt(n) => matches!(kind, Kind::Show(name) if n.name() == Some(&**name)),
        Node::DiscardStmt(n) => match kind {
            Kind::Discard(Discard::All) => n.target == DiscardMode::DISCARD_ALL,
            Kind::Discard(Discard::Plans) => n.target == DiscardMode::DISCARD_PLANS,
            Kind::Discard(Discard::Sequences) => n.target == DiscardMode::DISCARD_SEQUENCES,
            Kind::Discard(Discard::Temp) => n.target == DiscardMode::DISCARD_TEMP,
            _ => false,
        },
        Node::PrepareStmt(n) => matches!(kind, Kind::Prepare { name, .. } if Some(&**name) == n.name()),
        Node::FetchStmt(_) => *kind == Kind::Fetch,
        Node::DeallocateStmt(n) => matches!(kind, Kind::Deallocate(name) if name.as_deref() == n.name()),
        Node::ListenStmt(n) => matches!(kind, Kind::Listen(name) if Some(&**name) == n.conditionname()),
        Node::UnlistenStmt(n) => matches!(kind, Kind::Unlisten(name) if name.as_deref() == n.conditionname()),
        Node::CopyStmt(n) => (*kind == Kind::CopyIn) == (n.is_from && n.filename().is_none()),
        Node::CreateSchemaStmt(n) => {
            matches!(kind, Kind::KeptSchema(name) if n.schemaname() == Some(&**name))
        }
        Node::LockStmt(_) | Node::ConstraintsSetStmt(_) => *kind == Kind::BlockOnly,
        Node::DeclareCursorStmt(n) => (*kind == Kind::BlockOnly) == (n.options & CURSOR_HOLD == 0),
        Node::SelectStmt(_) => matches!(kind, Kind::Plain | Kind::SetConfig { .. }),
        _ => *kind == Kind::Plain,
    }
}

/// The `EXECUTE` in a statement: by itself, in `EXPLAIN`, or in `CREATE TABLE AS`.
fn executed(root: Node<'_>) -> Option<&nodes::ExecuteStmt> {
    let explained = match root {
        Node::ExplainStmt(n) => n.query(),
        root => root,
    };
    let filled = match explained {
        Node::CreateTableAsStmt(n) => n.query(),
        other => other,
    };
    match filled {
        Node::ExecuteStmt(n) => Some(n),
        _ => None,
    }
}

fn same_transaction(n: &nodes::TransactionStmt, kind: &StatementKind) -> bool {
    use StatementKind as Kind;
    use TransactionStmtKind as Is;
    let named = |name: &str| n.savepoint_name() == Some(name);
    match kind {
        Kind::Begin => matches!(n.kind, Is::TRANS_STMT_BEGIN | Is::TRANS_STMT_START),
        Kind::Commit { chain } => {
            let commits = n.kind == Is::TRANS_STMT_COMMIT && n.chain == *chain;
            commits || (n.kind == Is::TRANS_STMT_PREPARE && !chain)
        }
        Kind::Rollback { chain } => n.kind == Is::TRANS_STMT_ROLLBACK && n.chain == *chain,
        Kind::Savepoint(name) => n.kind == Is::TRANS_STMT_SAVEPOINT && named(name),
        Kind::Release(name) => n.kind == Is::TRANS_STMT_RELEASE && named(name),
        Kind::RollbackTo(name) => n.kind == Is::TRANS_STMT_ROLLBACK_TO && named(name),
        Kind::EndPrepared => {
            matches!(n.kind, Is::TRANS_STMT_COMMIT_PREPARED | Is::TRANS_STMT_ROLLBACK_PREPARED)
        }
        _ => false,
    }
}

/// A parameter's name in our spelling.
fn same_name(n: &nodes::VariableSetStmt, ours: &str) -> bool {
    n.name().is_some_and(|name| name.eq_ignore_ascii_case(ours))
}

fn same_setting(n: &nodes::VariableSetStmt, kind: &StatementKind) -> bool {
    use StatementKind as Kind;
    use VariableSetKind as Is;
    let for_transaction = n.name().is_some_and(|name| name.to_ascii_lowercase().starts_with("transaction"));
    match n.kind {
        Is::VAR_SET_VALUE => match kind {
            Kind::Set(setting) => same_name(n, &setting.name) && setting.local == n.is_local,
            Kind::SetTransaction => for_transaction,
            // Not tracked, so its server is kept or closed.
            Kind::Plain => same_name(n, "seed"),
            _ => false,
        },
        Is::VAR_SET_DEFAULT => {
            matches!(kind, Kind::Reset { name, local } if same_name(n, name) && *local == n.is_local)
        }
        Is::VAR_RESET => matches!(kind, Kind::Reset { name, local: false } if same_name(n, name)),
        Is::VAR_RESET_ALL => *kind == Kind::ResetAll,
        Is::VAR_SET_MULTI => match kind {
            Kind::SetTransaction => for_transaction,
            Kind::Characteristics(_) | Kind::Plain => same_name(n, "SESSION CHARACTERISTICS"),
            _ => false,
        },
        Is::VAR_SET_CURRENT => *kind == Kind::Plain,
        _ => false,
    }
}

/// Whether tenants may send a statement of this kind. Each kind is listed; kinds of newer versions are unknown.
fn is_known(root: Node<'_>) -> bool {
    match root {
        // Rows.
        Node::SelectStmt(_)
        | Node::InsertStmt(_)
        | Node::UpdateStmt(_)
        | Node::DeleteStmt(_)
        | Node::MergeStmt(_)
        | Node::CopyStmt(_)
        | Node::TruncateStmt(_)
        | Node::LockStmt(_)
        | Node::ExplainStmt(_)
        | Node::CallStmt(_)
        | Node::DoStmt(_) => true,
        Node::CreateSchemaStmt(n) => n.if_not_exists && n.schema_elts().is_empty() && n.authrole().is_none(),
        // Prepared statements and cursors.
        Node::PrepareStmt(_)
        | Node::ExecuteStmt(_)
        | Node::DeallocateStmt(_)
        | Node::DeclareCursorStmt(_)
        | Node::FetchStmt(_)
        | Node::ClosePortalStmt(_) => true,
        // The session.
        Node::TransactionStmt(_)
        | Node::VariableSetStmt(_)
        | Node::VariableShowStmt(_)
        | Node::ConstraintsSetStmt(_)
        | Node::DiscardStmt(_)
        | Node::NotifyStmt(_)
        | Node::ListenStmt(_)
        | Node::UnlistenStmt(_) => true,
        // Maintenance of named tables.
        Node::VacuumStmt(n) => !n.rels().is_empty(),
        Node::ClusterStmt(n) => n.relation().is_some(),
        Node::ReindexStmt(n) => {
            n.relation().is_some() || n.kind == nodes::ReindexObjectType::REINDEX_OBJECT_SCHEMA
        }
        Node::RefreshMatViewStmt(_) => true,
        node => is_known_definition(node),
    }
}

fn is_known_definition(root: Node<'_>) -> bool {
    match root {
        Node::CreateStmt(_)
        | Node::CreateTableAsStmt(_)
        | Node::ViewStmt(_)
        | Node::IndexStmt(_)
        | Node::CreateSeqStmt(_)
        | Node::AlterSeqStmt(_)
        | Node::CreateFunctionStmt(_)
        | Node::AlterFunctionStmt(_)
        | Node::CreateTrigStmt(_)
        | Node::RuleStmt(_)
        | Node::CreatePolicyStmt(_)
        | Node::AlterPolicyStmt(_)
        | Node::CreateDomainStmt(_)
        | Node::AlterDomainStmt(_)
        | Node::CreateEnumStmt(_)
        | Node::AlterEnumStmt(_)
        | Node::CompositeTypeStmt(_)
        | Node::CreateRangeStmt(_)
        | Node::AlterTypeStmt(_)
        | Node::DefineStmt(_)
        | Node::CreateStatsStmt(_)
        | Node::AlterStatsStmt(_)
        | Node::CreateOpClassStmt(_)
        | Node::CreateOpFamilyStmt(_)
        | Node::AlterOpFamilyStmt(_)
        | Node::AlterOperatorStmt(_)
        | Node::CreateConversionStmt(_)
        | Node::AlterCollationStmt(_)
        | Node::AlterTSDictionaryStmt(_)
        | Node::AlterTSConfigurationStmt(_) => true,
        Node::AlterTableStmt(n) => is_in_a_schema(n.objtype),
        Node::DropStmt(n) => is_in_a_schema(n.remove_type),
        Node::RenameStmt(n) => is_in_a_schema(n.rename_type),
        Node::AlterObjectDependsStmt(n) => is_in_a_schema(n.object_type),
        Node::AlterOwnerStmt(n) => is_in_a_schema(n.object_type),
        Node::CommentStmt(n) => is_in_a_schema(n.objtype),
        // `GRANT .. ON ALL TABLES IN SCHEMA` is one on tables.
        Node::GrantStmt(n) => is_in_a_schema(n.objtype),
        _ => false,
    }
}

/// Whether objects of this type are in a schema, directly or with their table.
fn is_in_a_schema(kind: ObjectType::Type) -> bool {
    use ObjectType as Is;
    matches!(
        kind,
        Is::OBJECT_AGGREGATE
            | Is::OBJECT_AMOP
            | Is::OBJECT_AMPROC
            | Is::OBJECT_ATTRIBUTE
            | Is::OBJECT_COLLATION
            | Is::OBJECT_COLUMN
            | Is::OBJECT_CONVERSION
            | Is::OBJECT_DEFAULT
            | Is::OBJECT_DOMAIN
            | Is::OBJECT_DOMCONSTRAINT
            | Is::OBJECT_FOREIGN_TABLE
            | Is::OBJECT_FUNCTION
            | Is::OBJECT_INDEX
            | Is::OBJECT_MATVIEW
            | Is::OBJECT_OPCLASS
            | Is::OBJECT_OPERATOR
            | Is::OBJECT_OPFAMILY
            | Is::OBJECT_POLICY
            | Is::OBJECT_PROCEDURE
            | Is::OBJECT_ROUTINE
            | Is::OBJECT_RULE
            | Is::OBJECT_SEQUENCE
            | Is::OBJECT_STATISTIC_EXT
            | Is::OBJECT_TABCONSTRAINT
            | Is::OBJECT_TABLE
            | Is::OBJECT_TRIGGER
            | Is::OBJECT_TSCONFIGURATION
            | Is::OBJECT_TSDICTIONARY
            | Is::OBJECT_TSPARSER
            | Is::OBJECT_TSTEMPLATE
            | Is::OBJECT_TYPE
            | Is::OBJECT_VIEW
    )
}

/// The demands of a part of a statement, whatever contains it: `EXPLAIN`, a rule, a function's body.
pub(super) fn inner(item: Item<'_>, flags: &mut Flags, out: &mut Vec<Demand>) {
    let Item::Node(node, _) = item else { return };
    match node {
        Node::InsertStmt(_) | Node::UpdateStmt(_) | Node::DeleteStmt(_) | Node::MergeStmt(_) => {
            flags.writes = true;
        }
        Node::LockingClause(_) => flags.writes = true,
        Node::IntoClause(_) => (flags.writes, flags.ddl) = (true, true),
        Node::RangeVar(n) if n.relpersistence as u8 == b't' => flags.pin = Some(PinReason::TempTable),
        Node::RangeVar(n) if n.schemaname() == Some("pg_temp") => flags.pin = Some(PinReason::TempTable),
        Node::PrepareStmt(_) => flags.pin = flags.pin.or(Some(PinReason::SqlPrepare)),
        Node::DeclareCursorStmt(n) if n.options & CURSOR_HOLD != 0 => {
            flags.pin = flags.pin.or(Some(PinReason::HoldCursor));
        }
        Node::DoStmt(_) => {
            out.push(Demand::Dynamic("run DO, whose text no one can check".into()));
            flags.pin = flags.pin.or(Some(PinReason::SessionState));
        }
        Node::CreateFunctionStmt(n) if matches!(n.sql_body(), Node::None) => {
            out.push(Demand::Dynamic("create functions whose body is a string".into()));
        }
        Node::CopyStmt(n) if n.is_program || n.filename().is_some() => {
            out.push(never("copy to or from the server's files and programs", Some("Use STDIN or STDOUT.")));
        }
        Node::AlterObjectSchemaStmt(_) => out.push(never("move objects to another schema", None)),
        node if is_definition(node) => {
            flags.ddl = true;
            flags.keys = flags.keys.max(key_change(node));
        }
        _ => {}
    }
}

/// Whether a command of `ALTER TABLE` leaves existing foreign keys unchanged. A new foreign key is checked by its
/// referenced table.
fn leaves_keys(command: AlterTableType::Type) -> bool {
    use AlterTableType as Does;
    matches!(
        command,
        Does::AT_AddColumn
            | Does::AT_ColumnDefault
            | Does::AT_CookedColumnDefault
            | Does::AT_DropNotNull
            | Does::AT_SetNotNull
            | Does::AT_SetExpression
            | Does::AT_DropExpression
            | Does::AT_SetStatistics
            | Does::AT_SetOptions
            | Does::AT_ResetOptions
            | Does::AT_SetStorage
            | Does::AT_SetCompression
            | Does::AT_AddIndex
            | Does::AT_AddConstraint
            | Does::AT_AddIndexConstraint
            | Does::AT_ValidateConstraint
            | Does::AT_ClusterOn
            | Does::AT_DropCluster
            | Does::AT_SetRelOptions
            | Does::AT_ResetRelOptions
            | Does::AT_ReplaceRelOptions
            | Does::AT_EnableTrig
            | Does::AT_EnableAlwaysTrig
            | Does::AT_EnableReplicaTrig
            | Does::AT_DisableTrig
            | Does::AT_EnableTrigAll
            | Does::AT_DisableTrigAll
            | Does::AT_EnableTrigUser
            | Does::AT_DisableTrigUser
            | Does::AT_EnableRule
            | Does::AT_EnableAlwaysRule
            | Does::AT_EnableReplicaRule
            | Does::AT_DisableRule
            | Does::AT_AddInherit
            | Does::AT_DropInherit
            | Does::AT_ChangeOwner
            | Does::AT_ReplicaIdentity
            | Does::AT_EnableRowSecurity
            | Does::AT_DisableRowSecurity
            | Does::AT_ForceRowSecurity
            | Does::AT_NoForceRowSecurity
            | Does::AT_AddIdentity
            | Does::AT_SetIdentity
            | Does::AT_DropIdentity
    )
}

/// The foreign keys that a definition may drop, or drop and create again.
fn key_change(node: Node<'_>) -> KeyChange {
    use ObjectType as Is;
    match node {
        Node::DropStmt(n) => match n.remove_type {
            Is::OBJECT_TABLE | Is::OBJECT_FOREIGN_TABLE => KeyChange::Named,
            // Columns of the type are dropped with it.
            Is::OBJECT_TYPE | Is::OBJECT_DOMAIN if n.behavior == DropBehavior::DROP_CASCADE => KeyChange::Any,
            _ => KeyChange::None,
        },
        // A partition gets the foreign keys of its parent.
        Node::CreateStmt(n) if n.partbound().is_some() => KeyChange::Named,
        Node::AlterTableStmt(n) => {
            let changes = n.cmds().iter().any(|command| match command {
                Node::AlterTableCmd(command) => !leaves_keys(command.subtype),
                _ => true,
            });
            match (changes, n.objtype) {
                (false, _) => KeyChange::None,
                // Typed tables may use the type.
                (true, Is::OBJECT_TYPE) => KeyChange::Any,
                (true, _) => KeyChange::Named,
            }
        }
        _ => KeyChange::None,
    }
}

/// Whether a statement changes the catalog.
fn is_definition(node: Node<'_>) -> bool {
    is_known_definition(node) && !matches!(node, Node::CommentStmt(_) | Node::GrantStmt(_))
}
