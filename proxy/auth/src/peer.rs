//! Clients of this machine, for which the system vouches.
//!
//! See <https://www.postgresql.org/docs/current/auth-peer.html>.

use nix::unistd::{Uid, User as SystemUser};
use tokio::task::spawn_blocking;

use crate::config::User;
use crate::net::socket::Process;
use crate::wire::refusal::{Refusal, sqlstate};

/// Whether the system's user of `process` may log in as `user`: one of its `system_users`, or where it lists none, the
/// one of the same name. The system may ask a directory in the network for the name: no client's thread waits for it.
pub(super) async fn proves(process: Process, user: &User) -> bool {
    let find = move || SystemUser::from_uid(Uid::from_raw(process.user));
    let found = spawn_blocking(find).await.ok().and_then(Result::ok).flatten();
    found.is_some_and(|system| may_be(&system.name, user))
}

fn may_be(system: &str, user: &User) -> bool {
    match &user.system_users[..] {
        [] => system == user.name,
        listed => listed.iter().any(|name| name == system),
    }
}

/// In PostgreSQL's words.
pub(super) fn refusal(user: &str) -> Refusal {
    let message = format!("Peer authentication failed for user \"{user}\"");
    Refusal::new(sqlstate::INVALID_AUTHORIZATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthMethod;
    use crate::testing;

    #[tokio::test]
    async fn system_user_is_the_one_of_that_name_or_one_that_is_listed() {
        let mut user = testing::user("app", AuthMethod::Peer, "");
        assert!(may_be("app", &user) && !may_be("deploy", &user));
        user.system_users = vec!["deploy".to_owned()];
        assert!(may_be("deploy", &user) && !may_be("app", &user));
        let nobody = Process { user: u32::MAX - 7, pid: None };
        assert!(!proves(nobody, &user).await);
        let own = SystemUser::from_uid(Uid::effective()).unwrap().unwrap();
        user.system_users = vec![own.name];
        assert!(proves(Process { user: Uid::effective().as_raw(), pid: None }, &user).await);
    }
}
