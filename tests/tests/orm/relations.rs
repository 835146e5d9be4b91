//! Relations: loaded, joined and asked for by each strategy; and whose rows they give when somebody tries for another tenant's.

use std::future::IntoFuture;
use std::pin::pin;
use std::task::Poll;

use crate::library::{Author, Book, BookGenre, Genre, Passport, fill, relations_hold, with_library};
use futures_util::future::poll_fn;
use pgstrata_orm::{
    EntityManager, EntityMetadata, Error, MetadataContext, Options, PostgresTenantMigrationRunner, Session,
    Strategy, TenantMigrationRunner,
};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Relay, Shop};

const TENANTS: [&str; 2] = ["acme", "globex"];

/// Tenants whose rows have the same keys, each marked with its name.
async fn library() -> Shop {
    let shop = Shop::new(&[]).await;
    let em = shop.manager(options(&shop).synchronize(true)).await;
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    let synced = runner.sync_tenant_schemas(&TENANTS).await.unwrap();
    assert!(synced.failed.is_empty(), "{:?}", synced.failed);
    for tenant in TENANTS {
        fill(&em.tenant(tenant), tenant).await;
    }
    shop
}

fn options(shop: &Shop) -> Options {
    with_library(Options::config(shop.config(shop.cluster.port())))
}

async fn by(shop: &Shop, strategy: Strategy) -> EntityManager {
    shop.manager(options(shop).tenant_strategy(strategy)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_of_all_kinds_are_each_tenants_own() {
    let shop = library().await;
    for strategy in STRATEGIES {
        for pipelined in [true, false] {
            let em = shop.manager(options(&shop).tenant_strategy(strategy).pipelined(pipelined)).await;
            for _ in 0..3 {
                for tenant in TENANTS {
                    relations_hold(&em.tenant(tenant), tenant).await;
                    let tx = em.tenant(tenant).begin().await.unwrap();
                    relations_hold(&tx, tenant).await;
                    tx.commit().await.unwrap();
                }
            }
            // Nobody's own tables are empty, whatever the tenants have.
            assert!(em.public().find::<Author>().load(Author::BOOKS).await.unwrap().is_empty());
        }
    }
}

/// What a question gives that is begun as one tenant's and ended as another's.
async fn begun_and_ended<T>(
    question: impl IntoFuture<Output = Result<T, Error>>,
    begin: &str,
    end: &str,
) -> Result<T, Error> {
    let mut question = pin!(question.into_future());
    let first = poll_fn(|context| Poll::Ready(question.as_mut().poll(context)));
    match MetadataContext::run(begin, first).await {
        Poll::Ready(answer) => answer,
        Poll::Pending => MetadataContext::run(end, question).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_of_the_tenant_of_the_first() {
    let shop = library().await;
    for strategy in STRATEGIES {
        let em = by(&shop, strategy).await;
        for _ in 0..20 {
            let question = em.find::<Author>().load(Author::BOOKS.with((Book::GENRES, Book::TRANSLATOR)));
            let found = begun_and_ended(question, "acme", "globex").await.unwrap();
            let names = found.iter().map(|(author, _)| &author.name);
            let books = found.iter().flat_map(|(_, books)| books);
            let titles = books.clone().map(|(book, _)| &book.title);
            let codes = books.clone().flat_map(|(_, (genres, _))| genres.iter().map(|genre| &genre.code));
            let others =
                books.clone().filter_map(|(_, (_, translator))| translator.as_ref()).map(|one| &one.name);
            let all: Vec<_> = names.chain(titles).chain(codes).chain(others).collect();
            assert!(all.len() > 8 && all.iter().all(|text| text.starts_with("acme ")), "{strategy}: {all:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_tenant_find_nothing_of_its_own_by_another() {
    let shop = library().await;
    for strategy in STRATEGIES {
        let em = by(&shop, strategy).await;
        let acmes = em.tenant("acme").find::<Book>().order_by(Book::ID.asc()).await.unwrap();
        // Keys of acme's, asked of globex: what globex has under them, and nothing of acme's.
        let globex = em.tenant("globex").load(&acmes, (Book::AUTHOR, Book::GENRES)).await.unwrap();
        for (author, genres) in globex {
            assert!(
                author.unwrap().name.starts_with("globex ")
                    && genres.iter().all(|it| it.code.starts_with("globex "))
            );
        }
        // A transaction of acme's is nobody else's, also in the middle of a level.
        let tx = em.tenant("acme").begin().await.unwrap();
        let crossed = em.tenant("globex").find::<Book>().load(Book::GENRES).await.unwrap();
        assert!(crossed.iter().all(|(book, _)| book.title.starts_with("globex ")));
        tx.rollback().await.unwrap();
        let tx = MetadataContext::run("acme", em.begin()).await.unwrap();
        let crossed = MetadataContext::run("globex", tx.load(&acmes, Book::GENRES)).await;
        assert!(matches!(crossed, Err(Error::TenantChanged { .. })), "{strategy}");
        let crossed = MetadataContext::run("globex", tx.find::<Book>().load(Book::GENRES)).await;
        assert!(matches!(crossed, Err(Error::TenantChanged { .. })), "{strategy}");
        assert!(tx.commit().await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_loads_at_once_mix_no_tenants() {
    let shop = library().await;
    for strategy in STRATEGIES {
        let em = by(&shop, strategy).await;
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let (em, tenant) = (em.clone(), TENANTS[n % 2]);
                tokio::spawn(async move { relations_hold(&em.tenant(tenant), tenant).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_table_on_the_way_is_that_of_the_tenants_layer() {
    let shop = library().await;
    shop.run(
        "CREATE TABLE acme.links (LIKE acme.book_genres INCLUDING ALL); ALTER TABLE acme.links OWNER TO shop",
    )
    .await;
    // A table of that name of somebody else's is not it.
    shop.run("CREATE TABLE globex.links (LIKE globex.book_genres); INSERT INTO globex.links VALUES (1, 'globex comedy'); ALTER TABLE globex.links OWNER TO shop").await;
    for strategy in STRATEGIES {
        let em = by(&shop, strategy).await;
        let (acme, globex) = (em.tenant("acme"), em.tenant("globex"));
        acme.metadata().unwrap().set("BookGenre", EntityMetadata::table("links")).unwrap();
        acme.delete::<BookGenre>().everywhere().await.unwrap();
        acme.insert(&BookGenre { book: 1, genre: "acme comedy".into() }).await.unwrap();
        let codes = async |session: &Session| {
            let first = session.find::<Book>().where_(Book::ID.eq(1)).load(Book::GENRES).await.unwrap();
            let followed = session.load(std::slice::from_ref(&first[0].0), Book::GENRES).await.unwrap();
            let joined = session.find::<Book>().where_(Book::ID.eq(1)).join(Book::GENRES).await.unwrap();
            assert_eq!(followed[0], first[0].1);
            assert_eq!(joined.len(), followed[0].len());
            first[0].1.iter().map(|genre| genre.code.clone()).collect::<Vec<_>>()
        };
        assert_eq!(codes(&acme).await, ["acme comedy"], "{strategy}");
        assert_eq!(codes(&globex).await, ["globex art", "globex biology"], "{strategy}");
        assert_eq!(acme.count::<Book>().where_(Book::GENRES.has_any()).await.unwrap(), 1);
        assert_eq!(globex.count::<Book>().where_(Book::GENRES.has_any()).await.unwrap(), 3);
    }
}

// One thread, so that what is sent at once is counted as one.
#[tokio::test]
async fn loading_takes_a_round_trip_for_each_relation() {
    let shop = library().await;
    let relay = Relay::start(shop.cluster.port()).await;
    for strategy in STRATEGIES {
        let options = with_library(Options::config(shop.config(relay.port())));
        let em = shop.manager(options.tenant_strategy(strategy)).await;
        let acme = em.tenant("acme");
        let load = async || {
            let what = (Author::PASSPORT, Author::BOOKS.with((Book::GENRES, Book::TRANSLATOR)));
            acme.find::<Author>().load(what).await.unwrap();
        };
        // The first ones connect, and ask what the tables are.
        load().await;
        load().await;
        let before = relay.round_trips();
        for _ in 0..10 {
            load().await;
        }
        assert_eq!(relay.round_trips() - before, 40, "{strategy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_that_would_be_lost_is_refused() {
    let shop = library().await;
    let em = by(&shop, Strategy::SearchPath).await;
    let tx = em.tenant("acme").begin().await.unwrap();
    let locked = tx.find::<Author>().for_update().load(Author::BOOKS).await;
    assert!(matches!(locked, Err(Error::Options(_))));
    let locked = tx.find::<Author>().for_update().join(Author::PASSPORT).await;
    assert!(matches!(locked, Err(Error::Options(_))));
    let (authors, passports): (Vec<Author>, Vec<Passport>) =
        (tx.find().for_update().await.unwrap(), tx.find().await.unwrap());
    let genres = tx.load(&tx.find::<Book>().for_update().await.unwrap(), Book::GENRES).await.unwrap();
    assert_eq!((authors.len(), passports.len(), genres.concat().len()), (3, 1, 4));
    let shared: Vec<Genre> = tx.find().for_share().await.unwrap();
    assert_eq!(shared.len(), 3);
    tx.commit().await.unwrap();
}
