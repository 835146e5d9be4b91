//! Hosts that name a tenant: `*.db.example.com`; other proxies: `pgstrata-peers:6432`.

use std::fmt;
use std::net::Ipv6Addr;

use super::value::{Raw, Value, Wrong};

/// The hosts whose first label is a tenant's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// What follows the first label, with its dot, in lower case: `.db.example.com`.
    suffix: Box<str>,
}

impl HostPattern {
    /// The pattern in `text`: `*`, and a domain behind it. `None`: it is none.
    pub fn new(text: &str) -> Option<Self> {
        let suffix = text.strip_prefix('*')?;
        let is_label = |label: &str| {
            let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !label.is_empty() && label.chars().all(inside)
        };
        let domain = suffix.strip_prefix('.')?;
        domain.split('.').all(is_label).then(|| Self { suffix: suffix.to_ascii_lowercase().into() })
    }

    /// The tenant that `host` names: its first label in lower case, with `_` for each `-`, since a host has no `_`.
    /// `None`: it is none of these hosts.
    pub fn tenant(&self, host: &str) -> Option<String> {
        let host = host.to_ascii_lowercase();
        let label = host.strip_suffix(&*self.suffix)?;
        (!label.is_empty() && !label.contains('.')).then(|| label.replace('-', "_"))
    }

    /// How a client names a tenant: `NAME.db.example.com`.
    pub fn example(&self) -> String {
        format!("NAME{}", self.suffix)
    }
}

/// As it stands in the file.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*{}", self.suffix)
    }
}

impl Value for HostPattern {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let pattern = raw.get_ref().as_str().and_then(Self::new);
        pattern.ok_or_else(|| Wrong {
            span: raw.span(),
            want: "a host in quotes whose first label is *, such as \"*.db.example.com\"".to_owned(),
        })
    }
}

/// A host, by name or IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Without the brackets of IPv6.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

impl PeerAddress {
    /// The address in `text`: `pgstrata-peers:6432`, `10.0.0.5:6432` or `[fd00::5]:6432`. `None`: it is none.
    pub fn new(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let host = match host.strip_prefix('[') {
            Some(host) => {
                let address = host.strip_suffix(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                address
            }
            None => {
                let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                Some(host).filter(|host| !host.is_empty() && host.chars().all(inside))?
            }
        };
        Some(Self { host: host.into(), port })
    }
}

/// As it stands in the file.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Value for PeerAddress {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let address = raw.get_ref().as_str().and_then(Self::new);
        address.ok_or_else(|| Wrong {
            span: raw.span(),
            want: "a host and a port in quotes, such as \"pgstrata-peers:6432\" or \"10.0.0.5:6432\""
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_label_is_the_tenant() {
        let pattern = HostPattern::new("*.DB.example.com").unwrap();
        for (host, tenant) in [
            ("acme-corp.db.example.com", Some("acme_corp")),
            ("Acme-Corp.db.Example.com", Some("acme_corp")),
            ("acme_corp.db.example.com", Some("acme_corp")),
            ("db.example.com", None),
            (".db.example.com", None),
            ("a.b.db.example.com", None),
            ("acmedb.example.com", None),
            ("acme.db.example.com.evil.org", None),
            ("acme.db.example.org", None),
        ] {
            assert_eq!(pattern.tenant(host).as_deref(), tenant, "{host}");
        }
        assert_eq!(
            (pattern.to_string().as_str(), &*pattern.example()),
            ("*.db.example.com", "NAME.db.example.com")
        );
        for text in
            ["", "*", "*.", "db.example.com", "*db.example.com", "*.*.com", "*..com", "a*.com", "*.a b"]
        {
            assert_eq!(HostPattern::new(text), None, "{text}");
        }
    }

    #[test]
    fn peer_is_a_host_and_a_port() {
        for text in ["pgstrata-peers:6432", "10.0.0.5:6432", "[fd00::5]:6432", "a.b.svc.cluster.local:1"] {
            assert_eq!(PeerAddress::new(text).unwrap().to_string(), text);
        }
        for text in [
            "", "peers", ":6432", "peers:", "peers:0", "peers:65536", "fd00::5:6432", "[peers]:6432",
            "a b:1", "a/b:1",
        ] {
            assert_eq!(PeerAddress::new(text), None, "{text}");
        }
    }
}
