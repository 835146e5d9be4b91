//! A library, whose tables are related in all ways, and what must hold of them on each database.

// A helper of tests fails loudly, as they do. Not all tests use all of it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

use pgstrata_orm::entity::{Relation, ToMany, ToOne};
use pgstrata_orm::{Entity, Options, Session};

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "authors", has_many(books: Book, column = author_id), has_one(passport: Passport, column = holder))]
pub struct Author {
    #[column(primary_key, generated)]
    pub id: i64,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "passports", belongs_to(author: Author, column = holder))]
pub struct Passport {
    #[column(primary_key)]
    pub number: String,
    #[column(unique)]
    pub holder: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "books", belongs_to(author: Author, column = author_id))]
#[entity(belongs_to(translator: Author, column = translator_id))]
#[entity(many_to_many(genres: Genre, through = BookGenre, column = book, target = genre))]
pub struct Book {
    #[column(primary_key, generated)]
    pub id: i64,
    pub author_id: i64,
    pub translator_id: Option<i64>,
    pub title: String,
    pub pages: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "genres", many_to_many(books: Book, through = BookGenre, column = genre, target = book))]
pub struct Genre {
    #[column(primary_key)]
    pub code: String,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "book_genres", belongs_to(of: Book, column = book), belongs_to(is: Genre, column = genre))]
pub struct BookGenre {
    #[column(primary_key)]
    pub book: i64,
    #[column(primary_key, name = "genre_code")]
    pub genre: String,
}

pub fn with_library(options: Options) -> Options {
    let options = options.entity::<Author>().entity::<Passport>().entity::<Book>();
    options.entity::<Genre>().entity::<BookGenre>()
}

/// Ann has two books and a passport, Bob one book, which Ann translated, and Cy nothing. `mark` goes into all texts.
pub async fn fill(session: &Session, mark: &str) {
    let text = |text: &str| format!("{mark} {text}");
    let author = |id, name: &str| Author { id, name: text(name) };
    for author in [author(1, "Ann"), author(2, "Bob"), author(3, "Cy")] {
        session.save(&author).await.unwrap();
    }
    session.save(&Passport { number: text("P1"), holder: 1 }).await.unwrap();
    for (id, author_id, translator_id, title, pages) in
        [(1, 1, None, "Apes", 100), (2, 1, None, "Bees", 300), (3, 2, Some(1), "Cats", 200)]
    {
        let book = Book { id, author_id, translator_id, title: text(title), pages };
        session.save(&book).await.unwrap();
    }
    for code in ["art", "biology", "comedy"] {
        session.save(&Genre { code: text(code) }).await.unwrap();
    }
    for (book, genre) in [(1, "art"), (1, "biology"), (2, "biology"), (3, "comedy")] {
        session.save(&BookGenre { book, genre: text(genre) }).await.unwrap();
    }
}

pub async fn empty(session: &Session) {
    session.delete::<BookGenre>().everywhere().await.unwrap();
    session.delete::<Genre>().everywhere().await.unwrap();
    session.delete::<Book>().everywhere().await.unwrap();
    session.delete::<Passport>().everywhere().await.unwrap();
    session.delete::<Author>().everywhere().await.unwrap();
}

fn titles<'b>(books: impl IntoIterator<Item = &'b Book>) -> Vec<&'b str> {
    books.into_iter().map(|book| book.title.as_str()).collect()
}

fn codes(genres: &[Genre]) -> Vec<&str> {
    genres.iter().map(|genre| genre.code.as_str()).collect()
}

/// All that can be asked of relations gives the rows with this mark, and no others.
pub async fn relations_hold(session: &Session, mark: &str) {
    one_row_is_an_option(session, mark).await;
    many_rows_are_a_list(session, mark).await;
    levels_are_loaded(session, mark).await;
    rows_that_are_there_are_followed(session, mark).await;
    pairs_and_conditions_cross_the_table_between(session, mark).await;
}

async fn one_row_is_an_option(session: &Session, mark: &str) {
    let passport: Relation<Author, Passport, ToOne> = Author::PASSPORT;
    let authors = session.find::<Author>().order_by(Author::ID.asc()).load(passport).await.unwrap();
    let numbers: Vec<_> =
        authors.iter().map(|(_, one)| one.as_ref().map(|one| one.number.as_str())).collect();
    assert_eq!(numbers, [Some(format!("{mark} P1").as_str()), None, None]);
    let books =
        session.find::<Book>().order_by(Book::ID.asc()).load((Book::AUTHOR, Book::TRANSLATOR)).await.unwrap();
    let people: Vec<_> = books
        .into_iter()
        .map(|(_, (author, translator))| (author.unwrap().name, translator.map(|translator| translator.name)))
        .collect();
    let name = |name: &str| format!("{mark} {name}");
    assert_eq!(people, [(name("Ann"), None), (name("Ann"), None), (name("Bob"), Some(name("Ann")))]);
}

async fn many_rows_are_a_list(session: &Session, mark: &str) {
    let genres: Relation<Book, Genre, ToMany> = Book::GENRES;
    let books = session.find::<Book>().order_by(Book::ID.asc()).limit(2).load(genres).await.unwrap();
    let found: Vec<_> = books.iter().map(|(_, genres)| codes(genres)).collect();
    let code = |code: &str| format!("{mark} {code}");
    assert_eq!(found, [vec![code("art"), code("biology")], vec![code("biology")]]);
    let genres = session.find::<Genre>().order_by(Genre::CODE.asc()).load(Genre::BOOKS).await.unwrap();
    let found: Vec<_> = genres.iter().map(|(_, books)| books.len()).collect();
    assert_eq!(found, [1, 2, 1]);
    let long =
        Author::BOOKS.where_(Book::PAGES.ge(100)).where_(Book::PAGES.gt(100)).order_by(Book::PAGES.desc());
    let authors = session.find::<Author>().order_by(Author::ID.desc()).load(long).await.unwrap();
    let found: Vec<_> = authors.iter().map(|(_, books)| titles(books)).collect();
    assert_eq!(found, [vec![], vec![code("Cats")], vec![code("Bees")]]);
}

async fn levels_are_loaded(session: &Session, mark: &str) {
    let genres = Book::GENRES.order_by(Genre::CODE.desc()).with(Genre::BOOKS.where_(Book::PAGES.lt(300)));
    let what =
        (Author::PASSPORT, Author::BOOKS.order_by(Book::PAGES.desc()).with((genres, Book::TRANSLATOR)));
    let authors = session.find::<Author>().order_by(Author::ID.asc()).load(what).await.unwrap();
    let mut seen = Vec::new();
    for (author, (passport, books)) in &authors {
        assert_eq!(passport.is_some(), author.id == 1);
        for (book, (genres, translator)) in books {
            for (genre, others) in genres {
                let others = titles(others).join("+");
                seen.push(format!(
                    "{}/{}/{}/{others}/{}",
                    author.name,
                    book.title,
                    genre.code,
                    translator.is_some()
                ));
            }
        }
    }
    let expected = [
        "MARK Ann/MARK Bees/MARK biology/MARK Apes/false",
        "MARK Ann/MARK Apes/MARK biology/MARK Apes/false",
        "MARK Ann/MARK Apes/MARK art/MARK Apes/false",
        "MARK Bob/MARK Cats/MARK comedy/MARK Cats/true",
    ];
    assert_eq!(seen, expected.map(|line| line.replace("MARK", mark)));
    let none = session
        .find::<Author>()
        .where_(Author::ID.eq(99))
        .load(Author::BOOKS.with(Book::GENRES))
        .await
        .unwrap();
    assert!(none.is_empty());
}

async fn rows_that_are_there_are_followed(session: &Session, mark: &str) {
    let mut books = session.find::<Book>().order_by(Book::ID.desc()).await.unwrap();
    // The same row twice, and one that is nowhere.
    books.push(books[0].clone());
    books.push(Book { id: 77, author_id: 78, ..Book::default() });
    let found = session.load(&books, (Book::AUTHOR, Book::GENRES, Book::TRANSLATOR)).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|(author, genres, translator)| {
            (author.map(|author| author.id), genres.len(), translator.is_some())
        })
        .collect();
    assert_eq!(
        found,
        [(Some(2), 1, true), (Some(1), 1, false), (Some(1), 2, false), (Some(2), 1, true), (None, 0, false)]
    );
    let nothing: Vec<Vec<Genre>> = session.load(&[], Book::GENRES).await.unwrap();
    assert!(nothing.is_empty());
    let passport = session.load(&[Author { id: 1, name: String::new() }], Author::PASSPORT).await.unwrap();
    assert_eq!(passport[0].as_ref().unwrap().number, format!("{mark} P1"));
}

async fn pairs_and_conditions_cross_the_table_between(session: &Session, mark: &str) {
    let text = |text: &str| format!("{mark} {text}");
    let pairs = session.find::<Book>().order_by(Book::ID.asc()).join(Book::GENRES);
    let pairs = pairs.where_other(Genre::CODE.eq(text("biology"))).await.unwrap();
    let found: Vec<_> = pairs.iter().map(|(book, genre)| (book.id, genre.code.clone())).collect();
    assert_eq!(found, [(1, text("biology")), (2, text("biology"))]);
    let pairs = session.find::<Book>().order_by(Book::ID.asc()).left_join(Book::GENRES);
    let pairs = pairs.where_other(Genre::CODE.eq(text("art"))).await.unwrap();
    let found: Vec<_> = pairs.iter().map(|(book, genre)| (book.id, genre.is_some())).collect();
    assert_eq!(found, [(1, true), (2, false), (3, false)]);
    let alone = session.find::<Author>().left_join(Author::PASSPORT).where_(Author::ID.gt(1)).await.unwrap();
    assert!(alone.len() == 2 && alone.iter().all(|(_, passport)| passport.is_none()));
    let has = |code: &str| Book::GENRES.has(Genre::CODE.eq(text(code)));
    assert_eq!(session.count::<Book>().where_(has("biology")).await.unwrap(), 2);
    assert_eq!(session.count::<Book>().where_(!has("biology")).await.unwrap(), 1);
    // Of those who wrote about biology, from the other end of two relations.
    let wrote = session.find::<Author>().where_(Author::BOOKS.has(has("biology"))).await.unwrap();
    assert_eq!(wrote.len(), 1);
    assert_eq!(session.count::<Author>().where_(!Author::PASSPORT.has_any()).await.unwrap(), 2);
    assert!(!session.exists::<Genre>().where_(!Genre::BOOKS.has_any()).await.unwrap());
}
