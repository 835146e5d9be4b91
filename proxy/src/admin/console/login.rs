//! The end of a login to the console.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::session::Console;
use crate::auth::error::OpenError;
use crate::auth::login::Login;
use crate::clients::slot::Who;
use crate::session::start::application_name;
use crate::shared::Shared;

/// The parameters that are reported to clients. PgBouncer's, except for the version.
const PARAMETERS: [(&str, &str); 8] = [
    ("server_version", concat!(env!("CARGO_PKG_VERSION"), "/pgstrata")),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("integer_datetimes", "on"),
    ("is_superuser", "off"),
];

impl<S> Console<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Answers the login of a client that is authenticated and may use the console.
    pub async fn start(
        mut login: Login<S>,
        shared: Arc<Shared>,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Self, OpenError> {
        let cancel = shared.cancels.register(login.protocol_minor);
        let application = application_name(&login.settings);
        let own = [("session_authorization", &*login.user.name), ("application_name", &*application)];
        let parameters = PARAMETERS.into_iter().chain(own);
        let parameters: Vec<(Vec<u8>, Vec<u8>)> =
            parameters.map(|(name, value)| (name.into(), value.into())).collect();
        let pairs = parameters.iter().map(|(name, value)| (&name[..], &value[..]));
        // Before the client gets the answer, so that each logged-in client is listed.
        let entry = shared.clients.enter(Who {
            user: Arc::clone(&login.user),
            database: login.database.as_str().into(),
            peer: login.peer,
            local: login.local,
            tls: login.stream.tls_in_words(),
            application,
            cancel: Arc::clone(cancel.slot()),
        });
        login.accept(pairs, cancel.slot().pid, &cancel.slot().key).await?;
        entry.log_connection();
        Ok(Self::new(login, shared, (cancel, entry), shutdown))
    }
}
