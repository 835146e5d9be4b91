//! Clients that prove who they are by a certificate.
//!
//! See <https://www.postgresql.org/docs/current/auth-cert.html>.

use pgstrata_tenancy::pattern;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_certificate::CapturedX509Certificate;

use crate::config::CertRule;
use crate::wire::refusal::{Refusal, sqlstate};

/// The names of a client's certificate, which an authority of the configuration has signed.
#[derive(Debug, Default)]
pub(crate) struct CertificateNames(Vec<String>);

impl CertificateNames {
    /// The common name, and the DNS names among the alternative ones.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        let common = CapturedX509Certificate::from_der(certificate.to_vec()).ok();
        let common = common.and_then(|certificate| certificate.subject_common_name());
        let mut names: Vec<String> = common.into_iter().collect();
        if let Ok(certificate) = EndEntityCert::try_from(certificate) {
            names.extend(certificate.valid_dns_names().map(str::to_owned));
        }
        Self(names)
    }

    /// Whether they are those of `user`, working for `tenant`. Without rules, one of them has to be the user's name.
    pub(crate) fn prove(&self, rules: &[CertRule], user: &str, tenant: Option<&str>) -> bool {
        if rules.is_empty() {
            return self.0.iter().any(|name| name == user);
        }
        let fits = |rule: &CertRule| {
            rule.user == user
                && self.0.iter().any(|name| pattern::matches(&rule.name, name))
                && (rule.tenants.is_empty()
                    || tenant.is_some_and(|tenant| {
                        rule.tenants.iter().any(|pattern| pattern::matches(pattern, tenant))
                    }))
        };
        rules.iter().any(fits)
    }
}

/// In PostgreSQL's words: no certificate, or one of somebody else.
pub(super) fn refusal(has_certificate: bool, user: &str) -> Refusal {
    let message = match has_certificate {
        true => format!("certificate authentication failed for user \"{user}\""),
        false => "connection requires a valid client certificate".to_owned(),
    };
    Refusal::new(sqlstate::INVALID_AUTHORIZATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, user: &str, tenants: &[&str]) -> CertRule {
        let tenants = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
        CertRule { name: name.to_owned(), user: user.to_owned(), tenants }
    }

    #[test]
    fn names_are_those_of_subject_and_alternatives() {
        let mut params = rcgen::CertificateParams::new(["acme.example.com".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "app");
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let names = CertificateNames::of(made.der());
        assert_eq!(names.0, ["app", "acme.example.com"]);
        assert!(names.prove(&[], "app", None) && !names.prove(&[], "App", None));
        let rules = [rule("*.example.com", "shop", &["acme_*"]), rule("other", "app", &[])];
        assert!(names.prove(&rules, "shop", Some("acme_corp")));
        assert!(!names.prove(&rules, "shop", Some("globex")) && !names.prove(&rules, "shop", None));
        assert!(!names.prove(&rules, "app", None), "with rules, a name alone is none");
        assert!(CertificateNames::of(&CertificateDer::from(vec![1, 2, 3])).0.is_empty());
    }
}
