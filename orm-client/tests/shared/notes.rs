//! Notes that are kept when they are deleted, and accounts with hooks: what must hold of them on each database.

// A helper of tests fails loudly, as they do. Not all tests use all of it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

use std::time::{Duration, SystemTime};

use pgstrata_orm::query::count;
use pgstrata_orm::{Entity, Error, Hooks, Invalid, MetadataContext, Options, Saving, Session};

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "folders", has_many(notes: Note, column = folder_id))]
pub struct Folder {
    #[column(primary_key, generated)]
    pub id: i64,
    #[column(unique)]
    pub name: String,
    #[column(deleted)]
    pub deleted_at: Option<SystemTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "notes", belongs_to(folder: Folder, column = folder_id))]
#[entity(many_to_many(labels: Label, through = NoteLabel, column = note, target = label))]
pub struct Note {
    #[column(primary_key, generated)]
    pub id: i64,
    pub folder_id: i64,
    pub text: String,
    #[column(deleted)]
    pub deleted_at: Option<SystemTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "labels")]
pub struct Label {
    #[column(primary_key)]
    pub name: String,
}

/// Also what is between two can be kept.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "note_labels", belongs_to(of: Note, column = note), belongs_to(is: Label, column = label))]
pub struct NoteLabel {
    #[column(primary_key)]
    pub note: i64,
    #[column(primary_key)]
    pub label: String,
    #[column(deleted)]
    pub gone: Option<SystemTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "accounts", hooks)]
pub struct Account {
    #[column(primary_key, generated)]
    pub id: i64,
    #[column(unique)]
    pub email: String,
    pub balance: i64,
    #[column(skip)]
    pub domain: String,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "audit")]
pub struct Audit {
    #[column(primary_key, generated)]
    pub id: i64,
    pub line: String,
}

impl Account {
    pub fn new(email: &str, balance: i64) -> Self {
        Self { email: email.into(), balance, ..Self::default() }
    }
}

async fn log(session: &Session, line: String) -> Result<(), Error> {
    session.insert(&Audit { id: 0, line }).await.map(drop)
}

impl Hooks for Account {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if !self.email.contains('@') {
            invalid.add("email", "has no @");
        }
        if self.balance < 0 {
            invalid.add("balance", "is below zero");
        }
        invalid.into_result()
    }

    async fn before_save(&mut self, session: &Session, saving: Saving) -> Result<(), Error> {
        self.email = self.email.to_lowercase();
        log(session, format!("before {saving:?} {}", self.email)).await
    }

    async fn after_save(&mut self, session: &Session, saving: Saving) -> Result<(), Error> {
        if self.email.starts_with("globex") {
            // Somebody tries to write another tenant's.
            let stolen = Account::new("stolen@x", 1);
            MetadataContext::run("globex", session.insert(&stolen)).await?;
        }
        if self.email.starts_with("late") {
            return Err(Error::Options("too late".into()));
        }
        // Whoever's the row is, it is seen in here, and is in the context's tenant.
        assert!(session.is_transaction());
        assert!(session.exists::<Account>().where_(Account::ID.eq(self.id)).await?);
        log(session, format!("after {saving:?} {}", MetadataContext::current_tenant())).await
    }

    async fn before_delete(&self, session: &Session) -> Result<(), Error> {
        match self.balance {
            0 => log(session, format!("before delete {}", self.email)).await,
            _ => Err(Error::Options("there is money in it".into())),
        }
    }

    async fn after_delete(&self, session: &Session) -> Result<(), Error> {
        assert!(!session.exists::<Account>().where_(Account::ID.eq(self.id)).await?);
        log(session, "after delete".into()).await
    }

    fn after_load(&mut self) {
        self.domain = self.email.split('@').nth(1).unwrap_or_default().into();
    }
}

pub fn with_notes(options: Options) -> Options {
    let options = options.entity::<Folder>().entity::<Note>().entity::<Label>().entity::<NoteLabel>();
    options.entity::<Account>().entity::<Audit>()
}

async fn note(session: &Session, folder: &Folder, text: &str) -> Note {
    session.insert(&Note { folder_id: folder.id, text: text.into(), ..Note::default() }).await.unwrap()
}

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.text.as_str()).collect()
}

/// What is deleted is found no more, whatever asks, and is there nevertheless.
pub async fn deleted_rows_are_kept(session: &Session) {
    let work = session.insert(&Folder { name: "work".into(), ..Folder::default() }).await.unwrap();
    let [one, two, three] = [
        note(session, &work, "one").await,
        note(session, &work, "two").await,
        note(session, &work, "three").await,
    ];
    for name in ["red", "blue"] {
        session.save(&Label { name: name.into() }).await.unwrap();
        session.insert(&NoteLabel { note: one.id, label: name.into(), gone: None }).await.unwrap();
    }
    assert!(session.delete_by_pk::<Note>(two.id).await.unwrap());
    assert!(!session.delete_by_pk::<Note>(two.id).await.unwrap());
    assert!(!session.remove(&two).await.unwrap());
    assert_eq!(session.find_by_pk::<Note>(two.id).await.unwrap(), None);
    let found = session.find::<Note>().order_by(Note::ID.asc()).await.unwrap();
    assert_eq!(texts(&found), ["one", "three"]);
    assert_eq!(session.count::<Note>().await.unwrap(), 2);
    assert_eq!(session.find_and_count::<Note>().limit(1).await.unwrap().1, 2);
    let either = Note::TEXT.eq("two").or(Note::TEXT.eq("three"));
    assert_eq!(session.count::<Note>().where_(either).await.unwrap(), 1);
    assert!(!session.exists::<Note>().where_(Note::TEXT.eq("two")).await.unwrap());
    assert_eq!(session.find::<Note>().select(count()).await.unwrap(), [2]);
    let stale = session.save_changes(&two, &Note { text: "2".into(), ..two.clone() }).await.unwrap_err();
    assert!(matches!(stale, Error::Stale("Note")), "{stale}");
    assert_eq!(session.update::<Note>().set(Note::TEXT, "x").where_(Note::ID.eq(two.id)).await.unwrap(), 0);
    across_relations(session, &work, &one).await;
    bin(session, &two, &three).await;
}

async fn across_relations(session: &Session, work: &Folder, one: &Note) {
    let folders = session.find::<Folder>().load(Folder::NOTES).await.unwrap();
    assert_eq!(texts(&folders[0].1), ["one", "three"]);
    let followed = session.load(std::slice::from_ref(work), Folder::NOTES).await.unwrap();
    assert_eq!(texts(&followed[0]), ["one", "three"]);
    let all = session.find::<Folder>().with_deleted().load(Folder::NOTES.with(Note::LABELS)).await.unwrap();
    assert_eq!(all[0].1.len(), 3);
    assert_eq!(session.find::<Folder>().join(Folder::NOTES).await.unwrap().len(), 2);
    let two = || Folder::NOTES.has(Note::TEXT.eq("two"));
    assert!(!session.exists::<Folder>().where_(two()).await.unwrap());
    assert!(session.exists::<Folder>().with_deleted().where_(two()).await.unwrap());
    let red = session.delete::<NoteLabel>().where_(NoteLabel::LABEL.eq("red")).await.unwrap();
    assert_eq!(red, 1);
    let labels = session.load(std::slice::from_ref(one), Note::LABELS).await.unwrap();
    assert_eq!(labels, [[Label { name: "blue".into() }]]);
    let pairs = session.find::<Note>().left_join(Note::LABELS).order_by(Note::ID.asc()).await.unwrap();
    let pairs: Vec<_> =
        pairs.into_iter().map(|(note, label)| (note.text, label.map(|label| label.name))).collect();
    assert_eq!(pairs, [("one".to_owned(), Some("blue".to_owned())), ("three".to_owned(), None)]);
    assert!(!session.exists::<Note>().where_(Note::LABELS.has(Label::NAME.eq("red"))).await.unwrap());
}

async fn bin(session: &Session, two: &Note, three: &Note) {
    let bin = session.find::<Note>().with_deleted().where_(Note::DELETED_AT.is_not_null()).await.unwrap();
    assert_eq!(texts(&bin), ["two"]);
    let since = bin[0].deleted_at.unwrap();
    let near = Duration::from_secs(3600 * 24);
    assert!(since < SystemTime::now() + near && since > SystemTime::now() - near);
    let restored =
        session.update::<Note>().set_null(Note::DELETED_AT).where_(Note::ID.eq(two.id)).with_deleted();
    assert_eq!(restored.await.unwrap(), 1);
    assert_eq!(session.find_by_pk::<Note>(two.id).await.unwrap().as_ref(), Some(two));
    // Saved as it was before it was deleted, it is there again, as one that is not kept would be.
    assert!(session.remove(three).await.unwrap());
    assert_eq!(session.save(three).await.unwrap(), *three);
    assert_eq!(session.delete::<Note>().everywhere().await.unwrap(), 3);
    assert_eq!(session.delete::<Note>().everywhere().await.unwrap(), 0);
    session.delete::<NoteLabel>().everywhere().for_good().await.unwrap();
    assert_eq!(session.delete::<Note>().where_(Note::ID.eq(two.id)).for_good().await.unwrap(), 1);
    assert_eq!(session.count::<Note>().with_deleted().await.unwrap(), 2);
    session.delete::<Note>().everywhere().for_good().await.unwrap();
    session.delete::<Folder>().everywhere().for_good().await.unwrap();
    session.delete::<Label>().everywhere().await.unwrap();
}

async fn logged(session: &Session) -> Vec<String> {
    let lines = session.find::<Audit>().order_by(Audit::ID.asc()).select(Audit::LINE).await.unwrap();
    session.delete::<Audit>().everywhere().await.unwrap();
    lines
}

/// Hooks of each row are called, in the tenant's context, and go with the row. `tenant`: whose session it is.
pub async fn hooks_go_with_their_rows(session: &Session, tenant: &str) {
    let ann = session.save(&Account::new("Ann@X.example", 5)).await.unwrap();
    assert_eq!((ann.email.as_str(), ann.domain.as_str()), ("ann@x.example", "x.example"));
    assert_eq!(
        logged(session).await,
        ["before Insert ann@x.example".to_owned(), format!("after Insert {tenant}")]
    );
    let rich = Account { balance: 7, ..ann.clone() };
    assert_eq!(session.save_changes(&ann, &rich).await.unwrap().balance, 7);
    assert_eq!(
        logged(session).await,
        ["before Change ann@x.example".to_owned(), format!("after Change {tenant}")]
    );
    session.upsert(&Account::new("ANN@x.example", 9)).on(Account::EMAIL).await.unwrap();
    assert_eq!(logged(session).await.len(), 2);
    let found = session.find_by_pk::<Account>(ann.id).await.unwrap().unwrap();
    assert_eq!((found.balance, found.domain.as_str()), (9, "x.example"));
    let wrong = session.insert(&Account::new("nobody", -1)).await.unwrap_err();
    assert_eq!(wrong.to_string(), "the row of Account is not saved: email has no @; balance is below zero");
    // All of them, or none; and what their hooks have written goes along.
    let many = session.save_many(&[Account::new("b@x", 0), Account::new("late@x", 0)]).await.unwrap_err();
    assert!(matches!(many, Error::Options(_)), "{many}");
    assert_eq!(session.count::<Account>().await.unwrap(), 1);
    assert_eq!(logged(session).await, Vec::<String>::new());
    let many = session.save_many(&[Account::new("B@x", 0), Account::new("c@x", 0)]).await.unwrap();
    assert_eq!((many[0].email.as_str(), logged(session).await.len()), ("b@x", 4));
    let money = session.delete_by_pk::<Account>(ann.id).await.unwrap_err();
    assert!(matches!(money, Error::Options(_)), "{money}");
    assert!(session.delete_by_pk::<Account>(many[0].id).await.unwrap());
    assert!(session.remove(&many[1]).await.unwrap());
    assert!(!session.delete_by_pk::<Account>(many[1].id).await.unwrap());
    assert_eq!(
        logged(session).await,
        ["before delete b@x", "after delete", "before delete c@x", "after delete"]
    );
    // What knows no rows calls no hooks.
    assert!(session.copy_in(&[Account::new("nobody", 1)]).await.is_err());
    assert_eq!(session.copy_in(&[Account::new("d@x", 1)]).await.unwrap(), 1);
    session.delete::<Account>().everywhere().await.unwrap();
    assert_eq!(logged(session).await, Vec::<String>::new());
}

/// In a transaction of the caller's, what a hook refuses is not committed with the rest.
pub async fn refusal_takes_the_transaction_along(session: &Session) {
    for email in ["late@x", "no at"] {
        let tx = session.begin().await.unwrap();
        tx.insert(&Audit { id: 0, line: "before".into() }).await.unwrap();
        assert!(tx.insert(&Account::new(email, 1)).await.is_err());
        assert!(matches!(tx.commit().await, Err(Error::Aborted)), "{email}");
    }
    let tx = session.begin().await.unwrap();
    tx.insert(&Account::new("e@x", 0)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(logged(session).await.len(), 2);
    session.delete::<Account>().everywhere().await.unwrap();
}
