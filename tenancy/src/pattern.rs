//! Names with `*` in them: the tenants that a user may name, the tables that are copied.

/// A name, in which each `*` stands for any text.
///
/// ```
/// use pgstrata_tenancy::Pattern;
///
/// let drafts = Pattern::new("draft_*");
/// assert!(drafts.matches("draft_posts"));
/// assert!(!drafts.matches("posts"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// `*` stands for any text, also for none; any other character for itself.
    ///
    /// ```
    /// # use pgstrata_tenancy::Pattern;
    /// assert!(Pattern::new("acme_*_eu").matches("acme_corp_eu"));
    /// assert!(!Pattern::new("acme.").matches("acme_"));
    /// ```
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether `name` matches.
    ///
    /// ```
    /// # use pgstrata_tenancy::Pattern;
    /// assert!(Pattern::new("*").matches("Acme"));
    /// assert!(!Pattern::new("acme").matches("Acme"));
    /// ```
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }

    /// The pattern as written.
    ///
    /// ```
    /// # use pgstrata_tenancy::Pattern;
    /// assert_eq!(Pattern::new("acme_*").as_str(), "acme_*");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name` matches `pattern`, in which each `*` stands for any text, also for none.
///
/// What is between two stars is taken at its first place: a later one could
/// only leave less for the rest. So no place is looked at twice.
///
/// ```
/// use pgstrata_tenancy::pattern::matches;
///
/// assert!(matches("*_log*", "audit_log_2026"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some((_, behind)) = name.split_once(part) else {
            return false;
        };
        name = behind;
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_without_a_star_are_exact() {
        assert!(matches("acme", "acme"));
        for other in ["acme2", "Acme", "acm", "", "acme "] {
            assert!(!matches("acme", other), "{other}");
        }
        assert!(!matches("", "acme"));
    }

    #[test]
    fn star_stands_for_any_text() {
        for pattern in ["*", "**", "acme_*", "*_eu", "acme*eu", "a*_*u", "*me*", "acme_eu*"] {
            assert!(matches(pattern, "acme_eu"), "{pattern}");
        }
        for pattern in ["acme_*us", "*_eu_*", "acme_eu*u", "e*", "*m", "a*x*u", "acme_e*eu"] {
            assert!(!matches(pattern, "acme_eu"), "{pattern}");
        }
    }

    #[test]
    fn the_parts_do_not_overlap() {
        assert!(!matches("ab*ba", "aba"));
        assert!(matches("ab*ba", "abba"));
        assert!(!matches("*ab*ab*", "aab"));
        assert!(matches("é*é", "éé"));
    }
}
