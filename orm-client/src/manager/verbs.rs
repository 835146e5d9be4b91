//! What can be asked of rows, and done to them.

use super::hooked;
use super::session::{Call, Session};
use crate::Error;
use crate::entity::Entity;
use crate::query::save::{self, How};
use crate::query::{
    Around, Asked, Count, Delete, Exists, Find, Loads, Many, ManyAndCount, One, Update, Upsert,
};

impl Session {
    /// Rows of `E`: all, unless more is said. See [`Find`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let drafts = em.find::<Post>().where_(Post::SUMMARY.is_null()).order_by(Post::ID.desc());
    /// assert!(drafts.sql()?.ends_with(r#"WHERE "summary" IS NULL ORDER BY "id" DESC"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn find<E: Entity>(&self) -> Find<'_, E> {
        Find::new(self.call(), Many)
    }

    /// The first row of `E`, or none.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let latest: Option<Post> = em.find_one::<Post>().order_by(Post::ID.desc()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_one<E: Entity>(&self) -> Find<'_, E, One> {
        Find::new(self.call(), One)
    }

    /// The row of `E` with this primary key: a value, or a tuple of them.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user: Option<User> = em.find_by_pk::<User>(7).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says, and [`Error::Tenant`] where the context's name can be no tenant's, as with all of these.
    pub fn find_by_pk<E: Entity>(
        &self,
        key: E::Key,
    ) -> impl Future<Output = Result<Option<E>, Error>> + Send {
        let call = self.call();
        async move { save::find(&call, &call.place()?, &key).await }
    }

    /// Rows of `E`, and how many there are without [`Find::limit`] and [`Find::offset`]: those of a page, and of all pages.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let question = em.find_and_count::<Post>().order_by(Post::ID.asc()).limit(10).offset(20);
    /// let (third_page, of): (Vec<Post>, u64) = question.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_and_count<E: Entity>(&self) -> Find<'_, E, ManyAndCount> {
        Find::new(self.call(), ManyAndCount)
    }

    /// How many rows of `E` there are: with [`Find::limit`] at most so many, and without those that [`Find::offset`] leaves out.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let liked: u64 = em.count::<Post>().where_(Post::LIKES.gt(0)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn count<E: Entity>(&self) -> Find<'_, E, Count> {
        Find::new(self.call(), Count)
    }

    /// Whether there is any row of `E`.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let taken: bool = em.exists::<User>().where_(User::EMAIL.eq("alice@example.com")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exists<E: Entity>(&self) -> Find<'_, E, Exists> {
        Find::new(self.call(), Exists)
    }

    /// What rows are related to, for rows that are there: one thing for each of them, in their order. One statement for each relation,
    /// however many rows there are.
    ///
    /// The rows are found by their keys among those of the session's tenant, whoever the rows were read from.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let posts = em.query_as::<Post>("SELECT * FROM posts ORDER BY random() LIMIT 10", &[]).await?;
    /// let authors: Vec<Option<User>> = em.load(&posts, Post::AUTHOR).await?;
    /// for (post, author) in posts.iter().zip(authors) {
    ///     println!("{} by {}", post.title, author.map(|author| author.name).unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the database says.
    pub fn load<'r, E: Entity, L: Loads<E> + 'r>(
        &'r self,
        rows: &'r [E],
        related: L,
    ) -> impl Future<Output = Result<Vec<L::Output>, Error>> + Send + 'r {
        let call = self.call();
        async move {
            let place = call.place()?;
            let around = Around { session: &call, place: &place, with_deleted: false };
            related.follow(around, rows.iter().collect()).await
        }
    }

    /// Saves a row, and gives it back as the database has it then.
    ///
    /// One whose key is the database's to give and has its type's default value is inserted. Any other is inserted, or
    /// changed where a row with that key is there. A column with a default takes it where the field is `None`.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let mut user = em.save(&User { name: "Alice".into(), ..User::default() }).await?;
    /// assert_ne!(user.id, 0, "the database gave it");
    /// user.email = Some("alice@example.com".into());
    /// em.save(&user).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says: [`Error::is_duplicate`] where another row has a value that must be unique.
    pub fn save<E: Entity>(&self, entity: &E) -> impl Future<Output = Result<E, Error>> + Send {
        let call = self.call();
        async move { save::save(&call, entity, How::Save).await }
    }

    /// Inserts a row that is not there yet, and gives it back as the database has it then.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// let user = em.insert(&user).await?;
    /// // Unlike `save`, it changes none that is there.
    /// assert!(em.insert(&user).await.is_err_and(|error| error.is_duplicate()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says: [`Error::is_duplicate`] where a row with its key, or another unique value, is there.
    pub fn insert<E: Entity>(&self, entity: &E) -> impl Future<Output = Result<E, Error>> + Send {
        let call = self.call();
        async move { save::save(&call, entity, How::Insert).await }
    }

    /// Changes the columns in which `after` is not as `before`, of the row with the key of `before`, and gives it back as the database has
    /// it then. What else somebody has changed in it meanwhile stays.
    ///
    /// A column that is a `#[column(version)]` is counted up, and the row is changed only if it is as it was read.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// let renamed = User { name: "Alicia".into(), ..user.clone() };
    /// // UPDATE "users" SET "name" = $1 WHERE "id" = $2
    /// match em.save_changes(&user, &renamed).await {
    ///     Err(Error::Stale(_)) => println!("somebody else was faster"),
    ///     other => drop(other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Stale`] where the row is gone, or has another version; what PostgreSQL says.
    pub fn save_changes<E: Entity>(
        &self,
        before: &E,
        after: &E,
    ) -> impl Future<Output = Result<E, Error>> + Send {
        let call = self.call();
        async move { save::save(&call, after, How::Changes(before)).await }
    }

    /// Saves all of these rows, or none, and gives them back in the same order.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users = ["Alice", "Bob"].map(|name| User { name: name.into(), ..User::default() });
    /// let saved = em.save_many(&users).await?;
    /// assert_eq!(saved[1].name, "Bob");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::save`].
    pub fn save_many<E: Entity>(&self, entities: &[E]) -> impl Future<Output = Result<Vec<E>, Error>> + Send {
        let call = self.call();
        async move { save::save_many(&call, entities).await }
    }

    /// Inserts a row, or changes the one that has the same unique values. See [`Upsert`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user = User { name: "Alice".into(), email: Some("alice@example.com".into()), ..User::default() };
    /// let first = em.upsert(&user).on(User::EMAIL).await?;
    /// let second = em.upsert(&user).on(User::EMAIL).await?;
    /// assert_eq!(first.id, second.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upsert<'s, E: Entity>(&'s self, entity: &'s E) -> Upsert<'s, E> {
        Upsert::new(self.call(), entity)
    }

    /// Sets columns of many rows. See [`Update`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let posts: u64 = em.update::<Post>().set(Post::LIKES, 0).where_(Post::AUTHOR_ID.eq(7)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<E: Entity>(&self) -> Update<'_, E> {
        Update::new(self.call())
    }

    /// Deletes many rows. See [`Delete`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let unread: u64 = em.delete::<Post>().where_(Post::LIKES.eq(0)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete<E: Entity>(&self) -> Delete<'_, E> {
        Delete::new(self.call())
    }

    /// Deletes the row with this primary key. `false`: there was none.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// if !em.delete_by_pk::<Post>(7).await? {
    ///     println!("somebody else was faster");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn delete_by_pk<E: Entity>(&self, key: E::Key) -> impl Future<Output = Result<bool, Error>> + Send {
        let call = self.call();
        async move { delete::<E>(&call, &key, None).await }
    }

    /// Deletes this row. `false`: it was gone.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user = em.save(&User { name: "Mallory".into(), ..User::default() }).await?;
    /// assert!(em.remove(&user).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn remove<E: Entity>(&self, entity: &E) -> impl Future<Output = Result<bool, Error>> + Send {
        let (call, key) = (self.call(), entity.key());
        async move { delete(&call, &key, Some(entity)).await }
    }
}

/// Deletes one row, between its hooks if it has any.
async fn delete<E: Entity>(call: &Call<'_>, key: &E::Key, entity: Option<&E>) -> Result<bool, Error> {
    match E::HOOKED {
        true => {
            // In a box: a hook may delete rows of its own type.
            let deleted: Asked<'_, bool> = Box::pin(hooked::delete(call, key, entity));
            deleted.await
        }
        false => save::delete::<E>(call, &call.place()?, key).await,
    }
}
