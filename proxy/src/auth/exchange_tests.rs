//! Proofs of every kind, without TLS.

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::accept::AcceptContext;
use super::testing::{context, knock, serve};

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
