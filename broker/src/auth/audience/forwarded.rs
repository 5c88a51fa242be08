//! What proxies say of a request: `Forwarded` (RFC 7239) and the older `X-Forwarded-*` headers.
//!
//! Whether they are believed is decided by `Origins`.

use super::endpoint::{Scheme, is_authority, prefix};

/// Header fields of a request that a proxy may have set, as received.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forwarded<'a> {
    standard: Option<&'a str>,
    host: Option<&'a str>,
    proto: Option<&'a str>,
    prefix: Option<&'a str>,
}

/// What the headers mean. A value that cannot be part of a URL is as good as absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<&'a str>,
    pub(super) prefix: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    /// Picks the fields out of a request; `header` gives the value of a field by its lower-case name.
    pub fn read(header: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        Self {
            standard: header("forwarded"),
            host: header("x-forwarded-host"),
            proto: header("x-forwarded-proto"),
            prefix: header("x-forwarded-prefix"),
        }
    }

    /// Where the caller sent the request. Of several proxies the first one counts, since it alone saw the caller's
    /// URL. A caller can forge that, but gains nothing: it can also name any host in the request itself.
    pub(super) fn said(&self) -> Said<'a> {
        let mut said = self.standard.map(standard).unwrap_or_default();
        said.scheme = said.scheme.or_else(|| Scheme::parse(first(self.proto?)));
        said.authority = said.authority.or_else(|| Some(first(self.host?)).filter(|host| is_authority(host)));
        said.prefix = self.prefix.and_then(|value| prefix(first(value)));
        said
    }
}

/// The first element of a `Forwarded` header.
fn standard(header: &str) -> Said<'_> {
    let mut said = Said::default();
    for pair in first(header).split(';') {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match name.trim() {
            name if name.eq_ignore_ascii_case("proto") => said.scheme = Scheme::parse(value),
            name if name.eq_ignore_ascii_case("host") => {
                said.authority = Some(value).filter(|host| is_authority(host))
            }
            _ => {}
        }
    }
    said
}

fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], expected: (Option<Scheme>, Option<&str>, Option<&str>)) {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let (scheme, authority, prefix) = expected;
        assert_eq!(Forwarded::read(header).said(), Said { scheme, authority, prefix }, "{headers:?}");
    }

    #[test]
    fn both_families_of_headers_are_understood() {
        let https = Some(Scheme::Https);
        check(&[], (None, None, None));
        check(&[("x-forwarded-proto", "https")], (https, None, None));
        check(&[("x-forwarded-host", "a:8443, b")], (None, Some("a:8443"), None));
        check(&[("x-forwarded-prefix", "/p/")], (None, None, Some("/p")));
        check(&[("x-forwarded-prefix", "/")], (None, None, Some("")));
        check(
            &[("forwarded", "for=10.0.0.1;Host=\"a:1\" ; PROTO=https, host=b;proto=http")],
            (https, Some("a:1"), None),
        );
        check(
            &[("forwarded", "for=x;host=a"), ("x-forwarded-host", "b"), ("x-forwarded-proto", "wss")],
            (https, Some("a"), None),
        );
    }

    #[test]
    fn what_is_no_part_of_a_url_is_absent() {
        check(&[("x-forwarded-host", "a/b"), ("x-forwarded-proto", "ftp")], (None, None, None));
        check(&[("x-forwarded-host", "u@a"), ("x-forwarded-prefix", "p")], (None, None, None));
        check(&[("x-forwarded-prefix", "/a?b"), ("forwarded", ";;=;host=\"")], (None, None, None));
    }
}
