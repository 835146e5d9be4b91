//! Rules of who may log in from where, and by which method: as those of PostgreSQL's `pg_hba.conf`.
//!
//! See <https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pgstrata_tenancy::pattern;
use toml::Spanned;
use toml::de::DeValue;

use super::AuthMethod;
use super::read::Section;
use super::value::{Value, Wrong};

/// One rule. The first that fits a connection decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HbaRule {
    /// Whether the client comes over a Unix socket; `None`: either way.
    pub local: Option<bool>,
    /// The addresses that it comes from; empty: any.
    pub addresses: Vec<Network>,
    /// Whether it speaks TLS; `None`: either.
    pub tls: Option<bool>,
    /// The database that it asks for; empty: any.
    pub databases: Vec<Wanted>,
    /// The user that it logs in as; empty: any.
    pub users: Vec<Wanted>,
    /// The tenant that it names; empty: any, or none.
    pub tenants: Vec<Wanted>,
    /// What becomes of it.
    pub method: HbaMethod,
}

/// `hba.method`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HbaMethod {
    /// It is refused.
    Reject,
    /// It has to prove who it is like that, whatever its user's entry says.
    Prove(AuthMethod),
}

/// A name that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `*` stands for any text.
    Pattern(String),
    /// Exactly this one.
    Name(String),
    /// For a database: the one that is called as the user is.
    SameUser,
}

/// An IP address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Who wants in. Nothing of it is proven.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The address that it comes from; `None`: it comes over a Unix socket.
    pub address: Option<IpAddr>,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The database that it asks for.
    pub database: &'a str,
    /// The user that it says it is.
    pub user: &'a str,
    /// The tenant that it names.
    pub tenant: Option<&'a str>,
}

impl HbaRule {
    /// Whether the rule is for this one.
    pub fn fits(&self, visitor: &Visitor<'_>) -> bool {
        let Visitor { address, tls, database, user, tenant } = *visitor;
        let any = |wanted: &[Wanted], name: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.fits(name, user))
        };
        let from = |address| self.addresses.iter().any(|network| network.holds(address));
        self.local.is_none_or(|wanted| wanted == address.is_none())
            && (self.addresses.is_empty() || address.is_some_and(from))
            && self.tls.is_none_or(|wanted| wanted == tls)
            && any(&self.databases, database)
            && any(&self.users, user)
            && (self.tenants.is_empty() || tenant.is_some_and(|tenant| any(&self.tenants, tenant)))
    }

    /// Reads one table `[[hba]]`.
    pub(super) fn read(s: &mut Section<'_>) -> Self {
        let mut names = |key| {
            let names: Vec<String> = s.option(key).unwrap_or_default();
            names.into_iter().map(Wanted::Pattern).collect()
        };
        let (databases, users, tenants) = (names("database"), names("user"), names("tenant"));
        let method = s.option("method");
        if method.is_none() && s.is_there() {
            s.refuse("method", "[[hba]] needs \"method\": add method = \"scram-sha-256\"".into());
        }
        let local = s.option("local");
        let addresses: Vec<Network> = s.option("address").unwrap_or_default();
        if local == Some(true) && !addresses.is_empty() {
            s.refuse("address", "a Unix socket has no addresses: take \"address\" or \"local\" out".into());
        }
        if method == Some(HbaMethod::Prove(AuthMethod::Peer)) && local != Some(true) {
            let message = "method \"peer\" is for Unix sockets: add local = true";
            s.refuse("method", message.into());
        }
        Self {
            local,
            addresses,
            tls: s.option("tls"),
            databases,
            users,
            tenants,
            method: method.unwrap_or(HbaMethod::Reject),
        }
    }
}

impl Wanted {
    fn fits(&self, name: &str, user: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern::matches(pattern, name),
            Self::Name(wanted) => wanted == name,
            Self::SameUser => name == user,
        }
    }
}

impl Network {
    /// The addresses that have the first `bits` bits of this one; `None`: it has no so many.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    /// The same with the bits given as a mask: `255.255.0.0`. `None`: that is none, or the other family's.
    pub(super) fn with_mask(address: IpAddr, mask: IpAddr) -> Option<Self> {
        let (ones, len) = match mask {
            IpAddr::V4(mask) => (u128::from(mask.to_bits()) << 96, 32),
            IpAddr::V6(mask) => (mask.to_bits(), 128),
        };
        let bits = ones.leading_ones();
        let is_mask = bits <= len && (bits == 128 || ones.checked_shl(bits).unwrap_or(0) == 0);
        let bits = u8::try_from(bits).ok().filter(|_| is_mask && mask.is_ipv4() == address.is_ipv4())?;
        Self::new(address, bits)
    }

    /// Whether `address` is one of these. An IPv4 address in IPv6's form is that IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        Self::new(address, bits.unwrap_or(all)).ok_or(())
    }
}

impl Value for Network {
    fn read(raw: &Spanned<DeValue<'_>>) -> Result<Self, Wrong> {
        let text = raw.get_ref().as_str().unwrap_or_default();
        text.parse().map_err(|()| Wrong {
            span: raw.span(),
            want: "an IP address or a network in quotes, such as \"10.0.0.0/8\" or \"::1\"".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn network_holds_its_addresses() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1/32", "127.0.0.2", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.holds(ip(address)), expected, "{network:?} {address}");
        }
        for text in ["10.0.0.0/33", "::/129", "10.0.0/8", "", "localhost", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn masks_are_those_with_ones_in_front() {
        let bits = |address: &str, mask: &str| Network::with_mask(ip(address), ip(mask)).map(|n| n.bits);
        assert_eq!(bits("10.0.0.0", "255.0.0.0"), Some(8));
        assert_eq!(bits("10.0.0.0", "255.255.255.255"), Some(32));
        assert_eq!(bits("10.0.0.0", "0.0.0.0"), Some(0));
        assert_eq!(bits("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(128));
        assert_eq!(bits("::", "ffff::"), Some(16));
        for (address, mask) in [("10.0.0.0", "255.0.255.0"), ("10.0.0.0", "ffff::"), ("::", "255.0.0.0")] {
            assert_eq!(bits(address, mask), None, "{mask}");
        }
    }
}
