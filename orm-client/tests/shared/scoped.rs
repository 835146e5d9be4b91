//! Rows of all tenants in the same tables, told apart by a column: what must hold of them on each database.

// A helper of tests fails loudly, as they do.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use futures_util::TryStreamExt;
use pgstrata_orm::query::count;
use pgstrata_orm::{Entity, EntityManager, Error, Options, PostgresTenantMigrationRunner, Session};

/// With no field for whose it is.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "projects", has_many(tasks: Task, column = project_id))]
pub struct Project {
    #[column(primary_key, generated)]
    pub id: i64,
    #[column(unique)]
    pub name: String,
}

/// With one.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "tasks", belongs_to(project: Project, column = project_id))]
#[entity(index(columns(project_id, title), unique))]
pub struct Task {
    #[column(primary_key, generated)]
    pub id: i64,
    pub project_id: i64,
    #[column(name = "tenant_id")]
    pub owner: String,
    pub title: String,
}

/// Everybody's.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "countries", schema = "public")]
pub struct Country {
    #[column(primary_key)]
    pub code: String,
}

pub fn with_scoped(options: Options) -> Options {
    options.entity::<Project>().entity::<Task>().entity::<Country>()
}

fn task(project: &Project, owner: &str, title: &str) -> Task {
    Task { id: 0, project_id: project.id, owner: owner.into(), title: title.into() }
}

fn is_others<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, Error::OtherTenant { found, tenant, .. } if found == "globex" && tenant == "acme"),
        "{error}"
    );
}

fn is_unscoped<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Unscoped(_)), "{error}");
}

async fn project(session: &Session, name: &str) -> Project {
    session.insert(&Project { id: 0, name: name.into() }).await.unwrap()
}

/// Fills and empties the tables.
pub async fn rows_are_their_tenants(em: &EntityManager) {
    let (acme, globex) = (em.tenant("acme"), em.tenant("globex"));
    // Names are each tenant's own.
    let (ours, theirs) = (project(&acme, "one").await, project(&globex, "one").await);
    assert!(acme.insert(&Project { id: 0, name: "one".into() }).await.unwrap_err().is_duplicate());
    let written = acme.insert(&task(&ours, "", "written")).await.unwrap();
    assert_eq!(written.owner, "acme");
    acme.insert(&task(&ours, "acme", "said")).await.unwrap();
    globex.insert(&task(&theirs, "", "theirs")).await.unwrap();

    nothing_is_written_for_another(&acme, &ours, &written).await;
    nothing_of_another_is_reached(&acme, &globex).await;
    scope_is_left_aloud(em, &ours).await;
    for session in [&acme, &globex] {
        session.delete::<Task>().everywhere().await.unwrap();
        session.delete::<Project>().everywhere().await.unwrap();
    }
    let left = em.without_tenant_scope(async |all| all.count::<Task>().await).await.unwrap();
    assert_eq!(left, 0);
}

async fn nothing_is_written_for_another(acme: &Session, ours: &Project, written: &Task) {
    let foreign = task(ours, "globex", "foreign");
    is_others(acme.insert(&foreign).await);
    is_others(acme.save(&foreign).await);
    is_others(acme.save(&Task { id: written.id, ..foreign.clone() }).await);
    is_others(acme.upsert(&foreign).on(Task::PROJECT_ID_TITLE).await);
    is_others(acme.save_many(&[task(ours, "", "innocent"), foreign.clone()]).await);
    is_others(acme.copy_in(&[task(ours, "", "innocent"), foreign.clone()]).await);
    is_others(acme.save_changes(written, &Task { owner: "globex".into(), ..written.clone() }).await);
    is_others(acme.update::<Task>().set(Task::OWNER, "globex").everywhere().await);
    is_unscoped(acme.update::<Task>().change(Task::OWNER.append("x")).everywhere().await);
    assert_eq!(acme.update::<Task>().set(Task::OWNER, "acme").everywhere().await.unwrap(), 2);
    let tx = acme.begin().await.unwrap();
    is_others(tx.insert(&foreign).await);
    tx.rollback().await.unwrap();
    assert_eq!(acme.count::<Task>().await.unwrap(), 2);
    assert_eq!(acme.copy_in(&[task(ours, "", "copied")]).await.unwrap(), 1);
    assert_eq!(acme.delete::<Task>().where_(Task::TITLE.eq("copied")).await.unwrap(), 1);
}

async fn nothing_of_another_is_reached(acme: &Session, globex: &Session) {
    let titles = async |session: &Session| {
        let tasks: Vec<Task> =
            session.find::<Task>().order_by(Task::TITLE.asc()).stream().try_collect().await.unwrap();
        tasks.into_iter().map(|task| task.title).collect::<Vec<_>>()
    };
    let either = || Task::TITLE.eq("written").or(Task::TITLE.eq("said"));
    assert_eq!(globex.count::<Task>().where_(either()).await.unwrap(), 0);
    assert!(!globex.exists::<Task>().where_(either().or(either())).await.unwrap());
    assert_eq!(globex.update::<Task>().set(Task::TITLE, "x").where_(either()).await.unwrap(), 0);
    assert_eq!(globex.delete::<Task>().where_(either()).await.unwrap(), 0);
    assert_eq!(
        globex.find::<Task>().select((count(), Task::TITLE.min())).await.unwrap(),
        [(1, Some("theirs".to_owned()))]
    );
    assert_eq!(acme.find_and_count::<Task>().limit(1).await.unwrap().1, 2);
    // The same key is another row.
    let [mine, same] = ["mine", "same"].map(|name| Project { id: 1000, name: name.into() });
    acme.save(&mine).await.unwrap();
    globex.save(&same).await.unwrap();
    assert_eq!(acme.find_by_pk::<Project>(1000).await.unwrap(), Some(mine));
    assert!(globex.remove(&same).await.unwrap());
    assert!(acme.delete_by_pk::<Project>(1000).await.unwrap());
    assert_eq!(titles(acme).await, ["said", "written"]);
    assert_eq!(titles(globex).await, ["theirs"]);
    let far = project(acme, "far").await;
    // A row of another's is none to belong to.
    assert!(globex.insert(&task(&far, "", "lost")).await.is_err());
    let loaded = globex.find::<Project>().load(Project::TASKS).await.unwrap();
    assert!(loaded.len() == 1 && loaded[0].1.len() == 1, "{loaded:?}");
    assert!(globex.load(std::slice::from_ref(&far), Project::TASKS).await.unwrap()[0].is_empty());
    assert_eq!(globex.find_by_pk::<Project>(far.id).await.unwrap(), None);
    assert!(!globex.delete_by_pk::<Project>(far.id).await.unwrap());
    acme.save(&Country { code: "NZ".into() }).await.unwrap();
    assert!(globex.find_by_pk::<Country>("NZ".into()).await.unwrap().is_some());
    globex.delete::<Country>().everywhere().await.unwrap();
}

async fn scope_is_left_aloud(em: &EntityManager, ours: &Project) {
    let acme = em.tenant("acme");
    is_unscoped(acme.query("SELECT title FROM tasks", &[]).await);
    is_unscoped(acme.execute("DELETE FROM tasks", &[]).await);
    let tx = acme.begin().await.unwrap();
    is_unscoped(tx.execute("DELETE FROM tasks", &[]).await);
    tx.commit().await.unwrap();
    em.without_tenant_scope(async |all| {
        assert_eq!(all.count::<Task>().await?, 3);
        is_unscoped(all.insert(&task(ours, "", "nobody's")).await);
        is_unscoped(all.insert(&Project { id: 0, name: "nobody's".into() }).await);
        let said = all.insert(&task(ours, "acme", "by all")).await?;
        assert_eq!(all.query("SELECT title FROM tasks", &[]).await?.len(), 4);
        assert!(all.remove(&said).await?);
        let tx = all.begin().await?;
        assert_eq!(tx.update::<Task>().set(Task::TITLE, "all").where_(Task::TITLE.eq("said")).await?, 1);
        tx.rollback().await?;
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let refused = PostgresTenantMigrationRunner::new(em.driver()).unwrap_err();
    assert!(matches!(refused, Error::Options(_) | Error::Unsupported(_)), "{refused}");
}
