//! Rows that are kept when they are deleted, hooks, types of the application's own: by each strategy; and whose rows they are when somebody tries for another tenant's.

#[path = "../../../orm-client/tests/shared/members.rs"]
mod members;

use crate::articles::{Article, times_are_the_databases};
use crate::notes::{
    Account, Audit, Folder, Note, deleted_rows_are_kept, hooks_go_with_their_rows,
    refusal_takes_the_transaction_along, with_notes,
};
use members::{Member, Remark, own_types_are_columns};
use pgstrata_orm::{
    Error, MetadataContext, Options, PostgresTenantMigrationRunner, Session, Strategy, TenantMigrationRunner,
};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;

const TENANTS: [&str; 2] = ["acme", "globex"];

async fn shop() -> Shop {
    let shop = Shop::new(&[]).await;
    let em = shop.manager(options(&shop).synchronize(true)).await;
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    let synced = runner.sync_tenant_schemas(&TENANTS).await.unwrap();
    assert!(synced.failed.is_empty(), "{:?}", synced.failed);
    shop
}

fn options(shop: &Shop) -> Options {
    with_notes(Options::config(shop.config(shop.cluster.port()))).entity::<Article>()
}

/// A session of each tenant, in the four ways, each of them twice: statements are prepared by then.
async fn each_way(work: impl AsyncFn(Session, Session)) {
    let shop = shop().await;
    for strategy in STRATEGIES {
        for pipelined in [true, false, true] {
            let em = shop.manager(options(&shop).tenant_strategy(strategy).pipelined(pipelined)).await;
            work(em.tenant("acme"), em.tenant("globex")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_are_found_when_they_are_asked_for() {
    each_way(async |acme, globex| {
        deleted_rows_are_kept(&acme).await;
        let tx = globex.begin().await.unwrap();
        deleted_rows_are_kept(&tx).await;
        tx.rollback().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_of_another_tenant_stay_its_own() {
    each_way(async |acme, globex| {
        for (session, name) in [(&acme, "acme"), (&globex, "globex")] {
            let folder = session.save(&Folder { id: 7, name: name.into(), deleted_at: None }).await.unwrap();
            let note = Note { id: 7, folder_id: folder.id, text: name.into(), deleted_at: None };
            session.save(&note).await.unwrap();
        }
        assert_eq!(acme.delete::<Note>().everywhere().await.unwrap(), 1);
        assert!(acme.delete_by_pk::<Folder>(7).await.unwrap());
        // By the same keys, and by all that finds what is deleted, globex finds what it has itself.
        assert_eq!(globex.find_by_pk::<Note>(7).await.unwrap().unwrap().text, "globex");
        let bin = globex.find::<Note>().with_deleted().where_(Note::DELETED_AT.is_not_null()).await.unwrap();
        assert_eq!(bin, []);
        let all = globex.find::<Folder>().with_deleted().load(Folder::NOTES).await.unwrap();
        assert!(all.len() == 1 && all[0].1.len() == 1 && all[0].1[0].text == "globex");
        let restored =
            globex.update::<Note>().set_null(Note::DELETED_AT).everywhere().with_deleted().await.unwrap();
        assert_eq!(restored, 1, "its own");
        assert_eq!(acme.find::<Note>().await.unwrap(), []);
        assert_eq!(globex.delete::<Note>().everywhere().for_good().await.unwrap(), 1);
        assert_eq!(acme.count::<Note>().with_deleted().await.unwrap(), 1);
        for session in [&acme, &globex] {
            session.delete::<Note>().everywhere().for_good().await.unwrap();
            session.delete::<Folder>().everywhere().for_good().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_called_around_each_row() {
    each_way(async |acme, globex| {
        hooks_go_with_their_rows(&acme, "acme").await;
        refusal_takes_the_transaction_along(&acme).await;
        assert_eq!(
            (globex.count::<Account>().await.unwrap(), globex.count::<Audit>().await.unwrap()),
            (0, 0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_that_goes_to_another_tenant_saves_nothing() {
    let shop = shop().await;
    for strategy in STRATEGIES {
        let em = shop.manager(options(&shop).tenant_strategy(strategy)).await;
        // Neither by a session of the tenant's own, nor in its context, nor in a transaction.
        let theft = Account::new("globex@x", 1);
        let by_context = MetadataContext::run("acme", em.save(&theft)).await;
        let tx = MetadataContext::run("acme", em.begin()).await.unwrap();
        let in_transaction = MetadataContext::run("acme", tx.save(&theft)).await;
        assert!(matches!(MetadataContext::run("acme", tx.commit()).await, Err(Error::Aborted)));
        for refused in [by_context, in_transaction] {
            let held = matches!(refused, Err(Error::TenantChanged { .. } | Error::ContextChanged { .. }));
            assert!(held, "{strategy}: {refused:?}");
        }
        // A session that is acme's whatever the context stays acme's: and there the row is, not in globex.
        em.tenant("acme").save(&theft).await.unwrap();
        assert_eq!(em.tenant("acme").delete::<Account>().everywhere().await.unwrap(), 2, "{strategy}");
        assert_eq!(em.tenant("globex").count::<Account>().await.unwrap(), 0, "{strategy}");
        assert_eq!(em.public().count::<Account>().await.unwrap(), 0, "{strategy}");
        em.tenant("acme").delete::<Audit>().everywhere().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_is_of_the_tenant_that_it_was_made_for() {
    let shop = shop().await;
    let em = shop.manager(options(&shop).tenant_strategy(Strategy::SearchPath)).await;
    // Made as acme's, awaited where there is no context: its hooks are acme's, too.
    let account = Account::new("a@x", 0);
    let save = MetadataContext::run_sync("acme", || em.save(&account));
    save.await.unwrap();
    let lines = em.tenant("acme").find::<Audit>().order_by(Audit::ID.asc()).await.unwrap();
    assert_eq!(lines.last().unwrap().line, "after Insert acme");
    assert_eq!(em.public().count::<Audit>().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_the_applications_own_are_columns() {
    let shop = shop().await;
    let with = |options: Options| options.entity::<Member>().entity::<Remark>();
    shop.manager(with(options(&shop)).synchronize(true)).await;
    let em = shop.manager(with(options(&shop))).await;
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    runner.ensure_schema("members").await.unwrap();
    for strategy in STRATEGIES {
        let em = shop.manager(with(options(&shop)).tenant_strategy(strategy)).await;
        for _ in 0..3 {
            own_types_are_columns(&em.tenant("members")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_those_of_the_database() {
    each_way(async |acme, globex| {
        times_are_the_databases(&acme).await;
        let tx = globex.begin().await.unwrap();
        times_are_the_databases(&tx).await;
        tx.commit().await.unwrap();
    })
    .await;
}
