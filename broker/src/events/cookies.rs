//! Cookies of the applications, one jar for each connection, so that a load balancer in front of an application can
//! bring all events of a connection to one place. Source: `event-handlers.md` 14.
//!
//! The rules are those of browsers (RFC 6265) but for the list of public suffixes: which applications there are is the
//! operator's choice, not an attacker's.

use std::time::{SystemTime, UNIX_EPOCH};

use cookie_store::{Cookie, CookieDomain, CookieError, CookieExpiration, CookieStore, RawCookie};
use http::HeaderValue;
use url::Url;

use crate::model::portable::PortableCookie;

/// Most cookies in a jar.
const MAX_COOKIES: usize = 50;
/// Most bytes of all cookies in a jar: names, values, domains and paths.
const MAX_JAR: usize = 16 * 1024;
/// Longest cookie, in bytes of its header.
const MAX_COOKIE: usize = 4 * 1024;

/// Cookies of a connection. Takes one word while there are none, as with most applications.
#[derive(Debug, Default)]
pub(crate) struct Jar(Option<Box<CookieStore>>);

/// Why a cookie was not taken. Nothing of the cookie is shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("it is longer than 4096 bytes")]
    TooLong,
    #[error("it has no name, or characters other than ASCII")]
    Malformed,
    #[error("it is not meant for the host that sent it")]
    OtherHost,
    #[error("the jar is full")]
    Full,
}

/// Where a cookie stands in the store.
struct Place {
    domain: String,
    path: String,
    name: String,
}

impl Jar {
    /// Takes what `url` answered in its `Set-Cookie` lines. Those that are invalid or do not fit are left out, which
    /// the log is told.
    pub(crate) fn store<'a>(&mut self, url: &Url, set_cookie: impl Iterator<Item = &'a [u8]>) {
        for line in set_cookie {
            if let Err(refused) = self.store_one(url, line) {
                tracing::debug!(host = url.host_str(), %refused, "a cookie of the application was left out");
            }
        }
    }

    /// The value of `Cookie` for a request to `url`, the longest paths first; nothing when no cookie is meant for it.
    pub(crate) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let mut cookies = self.0.as_ref()?.matches(url);
        cookies.sort_by(|one, other| {
            other.path.len().cmp(&one.path.len()).then_with(|| one.name().cmp(other.name()))
        });
        let pairs: Vec<String> =
            cookies.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())).collect();
        let mut header = HeaderValue::from_str(&pairs.join("; ")).ok().filter(|_| !pairs.is_empty())?;
        header.set_sensitive(true);
        Some(header)
    }

    /// All of them, as lines that would have set them.
    pub(crate) fn export(&self) -> Vec<PortableCookie> {
        let cookies = self.0.iter().flat_map(|store| store.iter_unexpired());
        cookies.filter_map(portable).collect()
    }

    /// Takes one of another node's jar.
    pub(crate) fn import(&mut self, cookie: &PortableCookie) {
        if let Ok(url) = Url::parse(&cookie.url) {
            self.store(&url, std::iter::once(cookie.line.as_bytes()));
        }
    }

    fn store_one(&mut self, url: &Url, line: &[u8]) -> Result<(), Refused> {
        if line.len() > MAX_COOKIE {
            return Err(Refused::TooLong);
        }
        let text = std::str::from_utf8(line).map_err(|_| Refused::Malformed)?;
        let raw = RawCookie::parse(text).map_err(|_| Refused::Malformed)?;
        // One that cannot be sent back would take all others of its request with it.
        if raw.name().is_empty() || HeaderValue::from_str(text).is_err() {
            return Err(Refused::Malformed);
        }
        let cookie =
            Cookie::try_from_raw_cookie(&without_source(&raw), url).map_err(|error| refused(&error))?;
        let place = Place::of(&cookie);
        let store = self.0.get_or_insert_default();
        let result = match store.insert(cookie, url) {
            // It wanted to end another one, which is not there.
            Ok(_) | Err(CookieError::Expired) => Ok(()),
            Err(error) => Err(refused(&error)),
        };
        remove_expired(store);
        let result = if is_overfull(store) {
            store.remove(&place.domain, &place.path, &place.name);
            Err(Refused::Full)
        } else {
            result
        };
        if store.iter_any().next().is_none() {
            self.0 = None;
        }
        result
    }
}

impl Place {
    fn of(cookie: &Cookie<'_>) -> Self {
        Self {
            domain: String::from(&cookie.domain),
            path: String::from(&cookie.path),
            name: cookie.name().to_owned(),
        }
    }
}

/// A cookie that a host has set for itself alone has no domain in its line. The URL is a secure one, so that it may set
/// any cookie.
fn portable(cookie: &Cookie<'_>) -> Option<PortableCookie> {
    let mut line = format!("{}={}; Path={}", cookie.name(), cookie.value(), String::from(&cookie.path));
    let domain = match &cookie.domain {
        CookieDomain::HostOnly(host) => host,
        CookieDomain::Suffix(domain) => {
            line.push_str("; Domain=");
            line.push_str(domain);
            domain
        }
        CookieDomain::NotPresent | CookieDomain::Empty => return None,
    };
    if cookie.secure().unwrap_or_default() {
        line.push_str("; Secure");
    }
    if let CookieExpiration::AtUtc(at) = cookie.expires {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let left = at.unix_timestamp().saturating_sub_unsigned(now).max(0);
        line.push_str(&format!("; Max-Age={left}"));
    }
    Some(PortableCookie { url: format!("https://{domain}/"), line })
}

/// The same cookie without the header that it was read from, whose unknown parts would be kept as well.
fn without_source(raw: &RawCookie<'_>) -> RawCookie<'static> {
    let mut cookie = RawCookie::new(raw.name().to_owned(), raw.value().to_owned());
    if let Some(domain) = raw.domain() {
        cookie.set_domain(domain.to_owned());
    }
    if let Some(path) = raw.path() {
        cookie.set_path(path.to_owned());
    }
    cookie.set_secure(raw.secure());
    cookie.set_max_age(raw.max_age());
    cookie.set_expires(raw.expires_datetime());
    cookie
}

fn remove_expired(store: &mut CookieStore) {
    let expired: Vec<Place> = store.iter_any().filter(|cookie| cookie.is_expired()).map(Place::of).collect();
    for place in expired {
        store.remove(&place.domain, &place.path, &place.name);
    }
}

fn is_overfull(store: &CookieStore) -> bool {
    let weight = |cookie: &Cookie<'_>| {
        let domain = cookie.domain.as_cow().map_or(0, |domain| domain.len());
        cookie.name().len() + cookie.value().len() + domain + cookie.path.len()
    };
    store.iter_any().count() > MAX_COOKIES || store.iter_any().map(weight).sum::<usize>() > MAX_JAR
}

fn refused(error: &CookieError) -> Refused {
    match error {
        CookieError::Parse => Refused::Malformed,
        _ => Refused::OtherHost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(url: &str, lines: &[&str]) -> Jar {
        let mut jar = Jar::default();
        store(&mut jar, url, lines);
        jar
    }

    fn store(jar: &mut Jar, url: &str, lines: &[&str]) {
        jar.store(&Url::parse(url).unwrap(), lines.iter().map(|line| line.as_bytes()));
    }

    fn check(jar: &Jar, url: &str, expected: Option<&str>) {
        let header = jar.header(&Url::parse(url).unwrap());
        assert_eq!(header.as_ref().map(|value| value.to_str().unwrap()), expected, "{url}");
    }

    #[test]
    fn a_jar_is_on_another_node_what_it_was() {
        let lines = [
            "a=1",
            "b=2; Path=/x; Secure",
            "c=3; Domain=example.com; Max-Age=3600",
            "d=4; Path=/x/y; HttpOnly",
        ];
        let jar = jar("https://app.example.com/", &lines);
        let exported = jar.export();
        assert_eq!(exported.len(), lines.len());
        let mut other = Jar::default();
        exported.iter().for_each(|cookie| other.import(cookie));
        for url in [
            "https://app.example.com/",
            "http://app.example.com/x/y",
            "https://app.example.com/x/y/z",
            "https://other.example.com/",
            "https://example.org/",
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(other.header(&url), jar.header(&url), "{url}");
        }
        assert!(jar.header(&Url::parse("https://app.example.com/x/y").unwrap()).is_some());
    }

    #[test]
    fn cookies_go_back_to_the_host_and_path_that_they_are_for() {
        let jar = jar(
            "https://app.test/api/chat/message",
            &[
                "here=1",
                "deep=2; Path=/api/chat",
                "all=3; Path=/; HttpOnly",
                "wide=4; Domain=app.test; Path=/",
            ],
        );
        check(&jar, "https://app.test/api/chat/connect", Some("deep=2; here=1; all=3; wide=4"));
        check(&jar, "https://app.test/other", Some("all=3; wide=4"));
        check(&jar, "https://app.test:8443/other", Some("all=3; wide=4"));
        check(&jar, "https://sub.app.test/", Some("wide=4"));
        check(&jar, "https://another.test/", None);
    }

    #[test]
    fn a_secure_cookie_needs_tls() {
        let jar = jar("https://app.test/", &["s=1; Secure", "p=2"]);
        check(&jar, "https://app.test/", Some("p=2; s=1"));
        check(&jar, "http://app.test/", Some("p=2"));
    }

    #[test]
    fn the_application_replaces_and_ends_its_cookies() {
        let mut jar = jar("http://app.test/", &["a=1", "b=2", "c=3; Max-Age=1000"]);
        store(&mut jar, "http://app.test/", &["a=new", "b=; Max-Age=0"]);
        check(&jar, "http://app.test/", Some("a=new; c=3"));
        store(&mut jar, "http://app.test/", &["c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "d=; Max-Age=0"]);
        check(&jar, "http://app.test/", Some("a=new"));
        store(&mut jar, "http://app.test/", &["a=; Max-Age=0"]);
        assert!(jar.0.is_none(), "an empty jar takes no room");
    }

    #[test]
    fn invalid_cookies_are_left_out_and_the_others_stay() {
        let mut jar =
            jar("http://app.test/", &["", "=x", "no pair", "x=1; Domain=other.test", "a=1\r\nb: 2"]);
        assert!(jar.0.is_none());
        jar.store(&Url::parse("http://app.test/").unwrap(), [&b"u=\xff"[..], b"a=1"].into_iter());
        check(&jar, "http://app.test/", Some("a=1"));
    }

    #[test]
    fn a_jar_has_room_for_50_cookies() {
        let mut jar = Jar::default();
        for number in 0..60 {
            store(&mut jar, "http://app.test/", &[&format!("c{number:02}={number}")]);
        }
        let header = jar.header(&Url::parse("http://app.test/").unwrap()).unwrap();
        assert_eq!(header.to_str().unwrap().split("; ").count(), 50);
        store(&mut jar, "http://app.test/", &["c00=", "c01=; Max-Age=0", "late=1"]);
        let header = jar.header(&Url::parse("http://app.test/").unwrap()).unwrap();
        let header = header.to_str().unwrap();
        assert!(header.starts_with("c00=; c02=2; ") && header.ends_with("; late=1"), "{header}");
    }

    #[test]
    fn a_jar_has_room_for_16_kibibytes_and_a_cookie_for_4() {
        let mut jar = Jar::default();
        let line = |name: &str, length: usize| format!("{name}={}", "v".repeat(length));
        store(&mut jar, "http://app.test/", &[&line("a", 4095), &line("b", 4094)]);
        let header = jar.header(&Url::parse("http://app.test/").unwrap()).unwrap();
        assert_eq!(header.len(), 4096, "b alone: {}", header.len());
        for name in ["c", "d", "e", "f"] {
            store(&mut jar, "http://app.test/", &[&line(name, 4000)]);
        }
        store(&mut jar, "http://app.test/", &["small=1"]);
        let header = jar.header(&Url::parse("http://app.test/").unwrap()).unwrap();
        let names: Vec<&str> =
            header.to_str().unwrap().split("; ").filter_map(|pair| pair.split('=').next()).collect();
        assert_eq!(names, ["b", "c", "d", "e", "small"]);
    }

    #[test]
    fn a_full_jar_refuses_and_says_nothing_of_the_cookie() {
        let mut jar = jar("http://app.test/", &[]);
        let url = Url::parse("http://app.test/").unwrap();
        let refused = jar.store_one(&url, &[b'v'; 4097]).unwrap_err();
        assert_eq!(refused, Refused::TooLong);
        assert!(!refused.to_string().contains('='));
    }
}
