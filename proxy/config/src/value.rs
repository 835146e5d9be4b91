//! Single values of the file. Their errors never quote what was written: it may be a secret.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use humantime_serde::re::humantime;
use pgstrata_tenancy::{Strategy, Tier};
use toml::Spanned;
use toml::de::DeValue;

use super::{
    AuthMethod, DynamicSql, FileMode, HbaMethod, KeySpace, Level, ListenTls, LogFormat, MissingTenant, Mode,
    PoolMode, ServerTls, TablePlace, TenantSource, TimeLimits, UnnamedStatements, WhileMigrating,
};

/// A value as it stands in the file.
pub(super) type Raw<'a> = Spanned<DeValue<'a>>;

/// Why a value can't be used: what it has to be, and where it stands.
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) want: String,
}

impl Wrong {
    fn new(raw: &Raw<'_>, want: impl Into<String>) -> Self {
        Self { span: raw.span(), want: want.into() }
    }
}

/// A type that a key of the file can have.
pub(super) trait Value: Sized + std::fmt::Debug {
    /// Reads `raw`.
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong>;
}

fn text<'a>(raw: &'a Raw<'_>, want: &str) -> Result<&'a str, Wrong> {
    raw.get_ref().as_str().ok_or_else(|| Wrong::new(raw, want))
}

impl Value for String {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        text(raw, "a text in quotes").map(str::to_owned)
    }
}

impl Value for TablePlace {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "a table, \"table\" or \"schema.table\", with no other dots";
        let parts: Vec<_> = text(raw, want)?.split('.').collect();
        match parts.as_slice() {
            [table] => Ok(Self { schema: None, table: (*table).to_owned() }),
            [schema, table] => Ok(Self { schema: Some((*schema).to_owned()), table: (*table).to_owned() }),
            _ => Err(Wrong::new(raw, want)),
        }
    }
}

impl Value for PathBuf {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "the path of a file, in quotes";
        match text(raw, want)? {
            "" => Err(Wrong::new(raw, want)),
            path => Ok(path.into()),
        }
    }
}

impl Value for FileMode {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "permissions in quotes, four octal digits such as \"0770\"";
        let text = text(raw, want)?;
        let mode = u32::from_str_radix(text, 8).ok();
        let mode =
            mode.filter(|mode| (1..=4).contains(&text.len()) && *mode <= 0o777 && !text.starts_with('+'));
        mode.map(Self).ok_or_else(|| Wrong::new(raw, want))
    }
}

impl Value for bool {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        raw.get_ref().as_bool().ok_or_else(|| Wrong::new(raw, "true or false, with no quotes"))
    }
}

impl Value for char {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "exactly one character in quotes, such as \".\"";
        let mut chars = text(raw, want)?.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err(Wrong::new(raw, want)),
        }
    }
}

impl Value for u64 {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        raw.get_ref()
            .as_integer()
            .and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok())
            .ok_or_else(|| Wrong::new(raw, "a whole number with no quotes, 0 or more"))
    }
}

impl Value for u32 {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let number = u64::read(raw)?;
        u32::try_from(number).map_err(|_| Wrong::new(raw, "a smaller number"))
    }
}

impl Value for usize {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let number = u64::read(raw)?;
        usize::try_from(number).map_err(|_| Wrong::new(raw, "a smaller number"))
    }
}

impl Value for u16 {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        u64::read(raw)
            .ok()
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| Wrong::new(raw, "a port: a number from 1 to 65535, with no quotes"))
    }
}

impl Value for Duration {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "a time with its unit in quotes, such as \"500ms\", \"30s\" or \"1h 30m\"";
        humantime::parse_duration(text(raw, want)?).map_err(|_| Wrong::new(raw, want))
    }
}

impl Value for SocketAddr {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "an IP address and a port in quotes, such as \"127.0.0.1:6432\", \
                    \"0.0.0.0:6432\" or \"[::1]:6432\"";
        text(raw, want)?.parse().map_err(|_| Wrong::new(raw, want))
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let Some(items) = raw.get_ref().as_array() else {
            return Err(Wrong::new(raw, "a list in brackets, such as [\"a\", \"b\"]"));
        };
        let read = |item| {
            T::read(item).map_err(|Wrong { span, want }| Wrong {
                span,
                want: format!("a list whose entries are each {want}"),
            })
        };
        items.iter().map(read).collect()
    }
}

/// A key with a fixed set of values.
macro_rules! choice {
    ($type:ident: $($name:literal => $variant:ident),+) => {
        impl Value for $type {
            fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
                match raw.get_ref().as_str() {
                    $(Some($name) => Ok(Self::$variant),)+
                    _ => Err(Wrong::new(raw, one_of(&[$($name),+]))),
                }
            }
        }
    };
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

choice!(ListenTls: "off" => Off, "optional" => Optional, "required" => Required);
choice!(LogFormat: "text" => Text, "json" => Json);
choice!(KeySpace: "tenant" => Tenant, "shared" => Shared, "refuse" => Refuse);
choice!(DynamicSql: "refuse" => Refuse, "allow" => Allow);
choice!(TimeLimits: "bounded" => Bounded, "free" => Free);
choice!(Level: "read" => Read, "write" => Write, "ddl" => Ddl, "all" => All);
choice!(UnnamedStatements: "plan" => Plan, "parse" => Parse, "off" => Off);
choice!(PoolMode: "transaction" => Transaction, "session" => Session);
choice!(Mode: "route" => Route, "observe" => Observe);
choice!(WhileMigrating: "wait" => Wait, "refuse" => Refuse);
choice!(MissingTenant: "public" => Public, "reject" => Reject);
choice!(Strategy: "search_path" => SearchPath, "schema_qualified" => SchemaQualified);
choice!(Tier: "names" => Names, "role" => Role, "login" => Login);
choice!(TenantSource: "options" => Options, "parameter" => Parameter,
    "user_suffix" => UserSuffix, "database_suffix" => DatabaseSuffix, "server_name" => ServerName);
choice!(ServerTls: "disable" => Disable, "prefer" => Prefer, "require" => Require,
    "verify-ca" => VerifyCa, "verify-full" => VerifyFull);
choice!(AuthMethod: "scram-sha-256" => ScramSha256, "md5" => Md5,
    "password" => Password, "cert" => Cert, "peer" => Peer, "trust" => Trust);

impl Value for HbaMethod {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        if raw.get_ref().as_str() == Some("reject") {
            return Ok(Self::Reject);
        }
        let names = ["scram-sha-256", "md5", "password", "cert", "peer", "trust", "reject"];
        AuthMethod::read(raw)
            .map(Self::Prove)
            .map_err(|Wrong { span, .. }| Wrong { span, want: one_of(&names) })
    }
}
