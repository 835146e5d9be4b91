//! `ParameterStatus`: what the client is told of its server's parameters.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{End, Session};
use crate::pool::settings::SEARCH_PATH;
use crate::wire::frame;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// `ParameterStatus`: the client gets it if another value was reported before.
    pub(super) fn parameter(&mut self, body: &[u8]) -> Result<(), End> {
        let Some((name, rest)) = frame::cstr(body) else { return Ok(()) };
        let Some((value, _)) = frame::cstr(rest) else { return Ok(()) };
        if let Some(link) = &mut self.link {
            link.lease.parameters.insert(name.into(), value.into());
        }
        self.hear(name, value)
    }

    /// A request is over, and the server's parameters may differ from the reported ones: reports the changes.
    pub(super) fn tell_again(&mut self) -> Result<(), End> {
        let Some(link) = self.link.as_ref().filter(|_| self.reported.is_stale()) else { return Ok(()) };
        let changed = self.reported.compare(&link.lease.parameters);
        changed.iter().try_for_each(|(name, value)| self.hear(name, value))
    }

    /// All settings are back at their initial values, and no server reports that.
    pub(super) fn tell_base(&mut self) {
        self.reported.return_to(&self.identity.base_told, &mut self.outbuf);
    }

    /// A parameter of the server has this value now.
    fn hear(&mut self, name: &[u8], value: &[u8]) -> Result<(), End> {
        match name {
            b"client_encoding" => {
                let safe = std::str::from_utf8(value).is_ok_and(crate::wire::encoding::is_ascii_safe);
                if !safe {
                    if let Some(link) = &mut self.link {
                        link.lease.in_doubt = true;
                    }
                    return Err(End::fatal("22023", "this client_encoding is not supported"));
                }
            }
            // A function has set it: the next texts would be read in another way than the engine reads them.
            b"standard_conforming_strings" if value != b"on" => {
                if let Some(link) = &mut self.link {
                    link.lease.in_doubt = true;
                }
                return Err(End::fatal("0A000", "standard_conforming_strings can only be on"));
            }
            // A path that the proxy has set; only the client's own is reported.
            b"search_path" if !self.settings.current().has(SEARCH_PATH) => return Ok(()),
            b"is_superuser" if self.role().is_some() => return Ok(()),
            _ => {}
        }
        let value = self.base_value(name).unwrap_or(value.into());
        self.reported.report(name, &value, &mut self.outbuf);
        Ok(())
    }

    /// The value of a parameter for a client that has not set it, or has reset it to the value of its start-up packet.
    /// After `RESET`, a server reports its own value until it gets the client's again.
    fn base_value(&self, name: &[u8]) -> Option<Box<[u8]>> {
        let key = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        let base = self.identity.base.assignment(&key)?;
        let is_base = self.settings.current().assignment(&key) == Some(base);
        self.identity.base_told.get(name).filter(|_| is_base).cloned()
    }
}
