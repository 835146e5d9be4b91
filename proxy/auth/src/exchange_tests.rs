//! Proofs of every kind, without TLS.

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::accept::AcceptContext;
use super::testing::{context, context_of, knock, serve, user};
use crate::config::{AuthMethod, Listen, Secret};

const SHOP: [(&str, &str); 1] = [("database", "shop")];

#[tokio::test]
async fn right_password_opens_by_every_method() {
    let context = context();
    for user in ["app", "old"] {
        knock(&context, user, Some("secret"), &SHOP).await.unwrap();
    }
    knock(&context, "trusty", None, &SHOP).await.unwrap();
}

#[tokio::test]
async fn wrong_password_and_unknown_user_read_the_same() {
    let context = context();
    for user in ["app", "old", "nobody", "app.acme", "nobody.acme"] {
        for password in ["wrong", "", "Secret", "secret "] {
            let told = knock(&context, user, Some(password), &SHOP).await.unwrap_err();
            let message = format!("password authentication failed for user \"{user}\"");
            assert_eq!(told, ("28P01".to_owned(), message));
        }
    }
}

#[tokio::test]
async fn md5_hashes_the_name_as_it_was_sent() {
    knock(&context(), "old.acme", Some("secret"), &SHOP).await.unwrap();
}

#[tokio::test]
async fn clear_password_needs_tls() {
    let (code, _) = knock(&context(), "plain", Some("secret"), &SHOP).await.unwrap_err();
    assert_eq!(code, "28000");
}

#[tokio::test]
async fn verifier_serves_as_well_as_the_password() {
    let context = context();
    knock(&context, "hashed", Some("secret"), &SHOP).await.unwrap();
    knock(&context, "hashed", Some("other"), &SHOP).await.unwrap_err();
}

/// The salt that a user is given, and its iterations: what the client sees before any proof.
async fn challenge(context: &AcceptContext, user: &str) -> String {
    let (mut client, server) = tokio::io::duplex(4096);
    let talk = async {
        let mut out = BytesMut::new();
        frontend::startup_message([("user", user), ("database", "shop")], &mut out).unwrap();
        let scram = ScramSha256::new(b"", ChannelBinding::unsupported());
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out).unwrap();
        client.write_all(&out).await.unwrap();
        let mut buffer = BytesMut::new();
        loop {
            client.read_buf(&mut buffer).await.unwrap();
            while let Some(message) = Message::parse(&mut buffer).unwrap() {
                if let Message::AuthenticationSaslContinue(body) = message {
                    drop(client);
                    return String::from_utf8(body.data().to_vec()).unwrap();
                }
            }
        }
    };
    let (challenge, _) = tokio::join!(talk, serve(server, context));
    challenge.split_once(",s=").expect("a salt").1.to_owned()
}

#[tokio::test]
async fn unknown_user_has_a_salt_that_stays() {
    let context = context();
    for user in ["app", "nobody"] {
        let first = challenge(&context, user).await;
        assert_eq!(first, challenge(&context, user).await);
        // What the tenant is changes nothing, for either of them.
        assert_eq!(first, challenge(&context, &format!("{user}.acme")).await);
        assert_eq!(first.len(), "MDEyMzQ1Njc4OWFiY2RlZg==,i=4096".len());
    }
    assert_ne!(challenge(&context, "nobody").await, challenge(&context, "somebody").await);
}

/// The kind of request that a user is asked for its proof by: the number of its `Authentication` message.
async fn asked(context: &AcceptContext, user: &str) -> i32 {
    let (mut client, server) = tokio::io::duplex(4096);
    let talk = async {
        let mut out = BytesMut::new();
        frontend::startup_message([("user", user), ("database", "shop")], &mut out).unwrap();
        client.write_all(&out).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'R');
        let _length = client.read_i32().await.unwrap();
        let kind = client.read_i32().await.unwrap();
        drop(client);
        kind
    };
    let (kind, _) = tokio::join!(talk, super::accept::open(server, super::testing::PEER, context));
    kind
}

#[tokio::test]
async fn unknown_user_is_asked_as_the_default_has_it() {
    const MD5: i32 = 5;
    const SASL: i32 = 10;
    for (auth, kind) in [(AuthMethod::ScramSha256, SASL), (AuthMethod::Md5, MD5)] {
        let context = context_of(&[user("app", auth, "secret")], &Listen { auth, ..Listen::default() });
        assert_eq!((asked(&context, "app").await, asked(&context, "nobody").await), (kind, kind));
        let (code, _) = knock(&context, "nobody", Some("secret"), &SHOP).await.unwrap_err();
        assert_eq!(code, "28P01");
    }
    // Without TLS, neither is asked for a password in clear text, in the same words.
    let listen = Listen { auth: AuthMethod::Password, ..Listen::default() };
    let context = context_of(&[user("app", AuthMethod::Password, "secret")], &listen);
    let known = knock(&context, "app", Some("secret"), &SHOP).await.unwrap_err();
    let unknown = knock(&context, "nobody", Some("secret"), &SHOP).await.unwrap_err();
    assert_eq!(known.0, "28000");
    assert_eq!((unknown.0, unknown.1.replace("nobody", "app")), known);
}

#[tokio::test]
async fn salts_stay_with_their_key() {
    let keyed = |key: &str| {
        let listen = Listen { salt_key: Secret::new(key), ..Listen::default() };
        context_of(&[user("app", AuthMethod::ScramSha256, "secret")], &listen)
    };
    let (one, same, other) = (keyed("a"), keyed("a"), keyed("b"));
    for user in ["app", "nobody"] {
        let salt = challenge(&one, user).await;
        assert_eq!(salt, challenge(&same, user).await);
        assert_ne!(salt, challenge(&other, user).await);
    }
}

#[tokio::test]
async fn unknown_user_is_hashed_as_often_as_a_known_one() {
    let verifier = "SCRAM-SHA-256$4242:AJa8gswyvlakoLmDGd8bdQ==\
        $mbx2CkVdtK4BT3mSxncZxRgrcmOkEBvhHEIqb0jzwgA=:yCJ8mYKHra1RgjylKJIqjBDad8RLZQ5NJ5uVFx1nNxA=";
    let users = [user("app", AuthMethod::ScramSha256, verifier)];
    let context = context_of(&users, &Listen::default());
    for user in ["app", "nobody"] {
        assert!(challenge(&context, user).await.ends_with(",i=4242"));
    }
}
