//! What libpq's parameters say of TLS: `sslmode` and `sslrootcert` in a URL, or `PGSSLMODE` and `PGSSLROOTCERT`.

use std::env;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::config::ServerTls;

/// The grades, as they are written.
const GRADES: [ServerTls; 5] =
    [ServerTls::Disable, ServerTls::Prefer, ServerTls::Require, ServerTls::VerifyCa, ServerTls::VerifyFull];

/// How a connection is made.
#[derive(Debug, PartialEq, Eq)]
pub struct Tls {
    /// The grade.
    pub mode: ServerTls,
    /// The certificate authorities in PEM; `None`: the system's.
    pub authorities: Option<PathBuf>,
}

/// A URL without the parameters of TLS, and what they say.
///
/// # Errors
/// A parameter has a value that is none, as a line for the user.
pub fn split(url: &str) -> Result<(String, Tls), String> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut rest, mut mode, mut authorities) = (Vec::new(), None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(decoded(value)?),
            Some(("sslrootcert", value)) => authorities = Some(decoded(value)?),
            _ => rest.push(pair),
        }
    }
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let tls = tls(
        mode.or_else(|| variable("PGSSLMODE")).as_deref(),
        authorities.or_else(|| variable("PGSSLROOTCERT")),
    )?;
    let separator = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{base}{separator}{}", rest.join("&")), tls))
}

fn decoded(value: &str) -> Result<String, String> {
    let value = percent_decode_str(value).decode_utf8().map_err(|_| "--url is no UTF-8".to_owned())?;
    Ok(value.into_owned())
}

/// As libpq has it: with authorities, `require` is `verify-ca`; `system` stands for those of the system.
fn tls(mode: Option<&str>, authorities: Option<String>) -> Result<Tls, String> {
    let is_system = authorities.as_deref() == Some("system");
    let mode = match mode {
        Some(mode) => GRADES.into_iter().find(|grade| grade.as_str() == mode).ok_or_else(|| {
            let known = GRADES.map(ServerTls::as_str).join(", ");
            format!("sslmode \"{mode}\" is not known: it is one of {known}")
        })?,
        None if is_system => ServerTls::VerifyFull,
        None => ServerTls::Prefer,
    };
    let mode = match mode {
        ServerTls::Require if authorities.is_some() => ServerTls::VerifyCa,
        mode => mode,
    };
    Ok(Tls { mode, authorities: authorities.filter(|_| !is_system).map(PathBuf::from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_tls_are_libpqs() {
        const URL: &str = "postgresql://ops@db/pgstrata";
        for (query, rest, mode, authorities) in [
            ("", "", ServerTls::Prefer, None),
            ("?sslmode=require", "", ServerTls::Require, None),
            ("?sslmode=verify-full&sslrootcert=a%20b.pem", "", ServerTls::VerifyFull, Some("a b.pem")),
            (
                "?sslrootcert=ca.pem&connect_timeout=5&sslmode=require",
                "?connect_timeout=5",
                ServerTls::VerifyCa,
                Some("ca.pem"),
            ),
            ("?sslrootcert=system", "", ServerTls::VerifyFull, None),
            ("?sslmode=disable&application_name=x", "?application_name=x", ServerTls::Disable, None),
        ] {
            let authorities = authorities.map(PathBuf::from);
            let split = split(&format!("{URL}{query}")).unwrap();
            assert_eq!(split, (format!("{URL}{rest}"), Tls { mode, authorities }), "{query}");
        }
        assert!(split("postgresql://db?sslmode=allow").unwrap_err().contains("one of disable, prefer"));
    }
}
