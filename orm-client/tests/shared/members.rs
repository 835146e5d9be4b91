//! Members, whose columns have types of the application's own.

// A helper of tests fails loudly, as they do. Not all tests use all of it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

use std::net::IpAddr;

use pgstrata_orm::column_type::{IdentityType, Json};
use pgstrata_orm::{ColumnType, Entity, Session};
use serde_json::json;

#[derive(Clone, Copy, Debug, Default, PartialEq, ColumnType)]
pub struct MemberId(pub i64);

impl IdentityType for MemberId {}

#[derive(Clone, Debug, Default, PartialEq, ColumnType)]
pub struct Email(pub String);

#[derive(Clone, Copy, Debug, Default, PartialEq, ColumnType)]
pub enum Role {
    #[default]
    Admin,
    #[column_type(name = "lead")]
    TeamLead,
    FormerMember,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "members", has_many(notes: Remark, column = member))]
pub struct Member {
    #[column(primary_key, generated)]
    pub id: MemberId,
    #[column(unique)]
    pub email: Email,
    pub role: Role,
    pub before: Vec<Role>,
    pub seen: Option<IpAddr>,
    pub extra: Json<Vec<(String, u32)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "remarks", belongs_to(author: Member, column = member))]
pub struct Remark {
    #[column(primary_key, generated)]
    pub id: i64,
    pub member: Option<MemberId>,
}

/// They are saved, found, compared, followed and refused as others are.
pub async fn own_types_are_columns(session: &Session) {
    let new = Member {
        id: MemberId(0),
        email: Email("ann@x".into()),
        role: Role::TeamLead,
        before: vec![Role::FormerMember, Role::Admin],
        seen: Some("2001:db8::1".parse().unwrap()),
        extra: Json(vec![("a".into(), 1)]),
    };
    let ann = session.save(&new).await.unwrap();
    assert_eq!(ann, Member { id: ann.id, ..new });
    let bob = Member {
        id: MemberId(0),
        email: Email("bob@x".into()),
        role: Role::Admin,
        seen: None,
        ..ann.clone()
    };
    let bob = session.upsert(&bob).on(Member::EMAIL).await.unwrap();
    let leads = session.find::<Member>().where_(Member::ROLE.eq(Role::TeamLead)).await.unwrap();
    assert_eq!(leads, std::slice::from_ref(&ann));
    let either = Member::ROLE.in_([Role::Admin, Role::FormerMember]).and(Member::EMAIL.ne(Email("x".into())));
    assert_eq!(session.count::<Member>().where_(either).await.unwrap(), 1);
    let seen = Member::SEEN.eq("2001:db8::1".parse::<IpAddr>().unwrap());
    assert_eq!(session.find::<Member>().where_(seen).select(Member::ID).await.unwrap(), [ann.id]);
    session.insert(&Remark { id: 0, member: Some(bob.id) }).await.unwrap();
    let members = session.find::<Member>().order_by(Member::EMAIL.asc()).load(Member::NOTES).await.unwrap();
    assert_eq!(members.iter().map(|(_, remarks)| remarks.len()).collect::<Vec<_>>(), [0, 1]);
    let remarks = [members[1].1[0].clone(), Remark { id: 9, member: None }];
    let authors = session.load(&remarks, Remark::AUTHOR).await.unwrap();
    assert_eq!(authors, [Some(bob.clone()), None]);
    let promoted =
        session.save_changes(&bob, &Member { role: Role::FormerMember, ..bob.clone() }).await.unwrap();
    assert_eq!(promoted.role, Role::FormerMember);
    session.execute("UPDATE members SET role = 'pope'", &[]).await.unwrap();
    let error = session.find::<Member>().await.unwrap_err();
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        causes.push(deeper.to_string());
        cause = deeper.source();
    }
    assert!(causes.iter().any(|cause| cause.contains("\"pope\" is no Role")), "{causes:?}");
    let plain: Vec<(serde_json::Value,)> = session.query_as("SELECT extra FROM members", &[]).await.unwrap();
    assert_eq!(plain[0].0, json!([["a", 1]]));
    session.delete::<Remark>().everywhere().await.unwrap();
    session.delete::<Member>().everywhere().await.unwrap();
}
