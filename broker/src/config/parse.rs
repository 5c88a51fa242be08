//! Text of one value → what it means. Every refusal says what to write instead.
//!
//! Pure functions without a default and without a name of an entry; `check` calls them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;
use url::Url;

use crate::auth::audience::Endpoint;
use crate::auth::network::Network;

/// What a value means, or what to write instead.
pub(super) type Parsed<T> = Result<T, String>;

/// An address to listen on. `localhost` is the one name that is understood.
pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        format!(
            "\"{text}\" is not an address; write IP:PORT, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"
        )
    })
}

/// An address, or none for `off`; `false` is what some YAML writers make of `off`.
pub(super) fn address_or_off(text: &str) -> Parsed<Option<SocketAddr>> {
    match text {
        "off" | "false" => Ok(None),
        _ => address(text).map(Some).map_err(|reason| format!("{reason}, or off")),
    }
}

/// A whole number in `range`.
pub(super) fn count(text: &str, range: RangeInclusive<usize>) -> Parsed<usize> {
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        format!("\"{text}\" does not fit; write a whole number from {} to {}", range.start(), range.end())
    })
}

/// A whole number with a unit, in `range`.
pub(super) fn duration(text: &str, range: RangeInclusive<Duration>) -> Parsed<Duration> {
    let wrong = || {
        format!(
            "\"{text}\" does not fit; write a whole number with ms, s, m or h, such as 500ms or 30s, from {:?} to {:?}",
            range.start(),
            range.end()
        )
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let duration = number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)?;
    if range.contains(&duration) { Ok(duration) } else { Err(wrong()) }
}

/// `true` or `false`, also in the words that environments use.
pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

/// One of a few words, and what it stands for.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!(
            "\"{text}\" is unknown; write {}",
            known.join(", ").replacen(", ", " or ", usize::from(known.len() == 2))
        )
    })
}

/// The URL of a node as its callers see it.
pub(super) fn endpoint(text: &str) -> Parsed<Endpoint> {
    let invalid = "this is not the URL of an endpoint; write http:// or https://, a host, and if need be a port and a \
                   path, such as https://rt.example.com";
    text.parse().map_err(|_| invalid.to_owned())
}

/// A network of proxies.
pub(super) fn network(text: &str) -> Parsed<Network> {
    text.parse().map_err(|wrong| format!("\"{text}\": {wrong}"))
}

/// Origin of a web page in the form in which browsers send it.
pub(super) fn web_origin(text: &str) -> Parsed<String> {
    let wrong = || {
        format!("\"{text}\" is not an origin; write it as browsers do, such as https://app.example.com, or *")
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains(['#', '@', '*']);
    if !bare {
        return Err(wrong());
    }
    let port = match (scheme, authority.port_u16()) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    Ok(format!("{scheme}://{}{port}", authority.host().to_ascii_lowercase()))
}

/// The URL of a service that is called. It may hold a password, so that it is not repeated.
pub(super) fn service_url(text: &str) -> Parsed<Url> {
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none();
    Url::parse(text).ok().filter(usable).ok_or_else(|| {
        "this is not the URL of a service; write http:// or https://, a host, and if need be a port and a path"
            .to_owned()
    })
}

/// Any text but none at all.
pub(super) fn text(text: &str) -> Parsed<String> {
    if text.trim().is_empty() { Err("the text is empty".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq + std::fmt::Debug>(got: Parsed<T>, expected: Option<T>) {
        match (got, expected) {
            (Ok(got), Some(expected)) => assert_eq!(got, expected),
            (Err(_), None) => {}
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn addresses_have_a_port() {
        let local = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        check(address("127.0.0.1:8080"), local(8080));
        check(address("localhost:0"), local(0));
        check(address("[::1]:8080"), Some("[::1]:8080".parse().unwrap()));
        for wrong in ["", "8080", ":8080", "127.0.0.1", "example.com:80", "127.0.0.1:65536", "off"] {
            check(address(wrong), None);
        }
        check(address_or_off("off"), Some(None));
        check(address_or_off("false"), Some(None));
        check(address_or_off("127.0.0.1:1"), Some(local(1)));
        check(address_or_off("none"), None);
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        let check = |text, expected: Option<u64>| {
            let range = Duration::from_millis(100)..=Duration::from_secs(3600);
            check(duration(text, range), expected.map(Duration::from_millis));
        };
        check("500ms", Some(500));
        check("30s", Some(30_000));
        check("5m", Some(300_000));
        check("1h", Some(3_600_000));
        for wrong in ["", "s", "30", "30 s", "1.5s", "-1s", "99ms", "61m", "30S", "99999999999999999999s"] {
            check(wrong, None);
        }
        check("18446744073709551615h", None);
    }

    #[test]
    fn counts_switches_and_words() {
        check(count("64", 1..=64), Some(64));
        check(count("65", 1..=64), None);
        check(count("0", 1..=64), None);
        check(count("", 1..=64), None);
        check(switch("True"), Some(true));
        check(switch("0"), Some(false));
        check(switch("maybe"), None);
        let words = [("strict", 1), ("path-only", 2)];
        check(word("path-only", &words), Some(2));
        assert_eq!(word("path", &words).unwrap_err(), "\"path\" is unknown; write strict or path-only");
        let words = [("a", 1), ("b", 2), ("c", 3)];
        assert_eq!(word("d", &words).unwrap_err(), "\"d\" is unknown; write a, b, c");
    }

    #[test]
    fn endpoints_are_urls_without_query_or_password() {
        let check = |text: &str, expected: Option<&str>| {
            check(endpoint(text).map(|endpoint| endpoint.to_string()), expected.map(str::to_owned));
        };
        check("https://rt.example.com", Some("https://rt.example.com"));
        check("http://RT.example.com:8080/a/b/", Some("http://rt.example.com:8080/a/b"));
        check("https://[::1]:8443/", Some("https://[::1]:8443"));
        for wrong in ["", "rt.example.com", "ftp://a", "https://", "https://a?b", "https://a#b", "/a"] {
            check(wrong, None);
        }
        assert!(!endpoint("https://user:secret@a").unwrap_err().contains("secret"));
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        let check = |text, expected: Option<&str>| check(web_origin(text), expected.map(str::to_owned));
        check("https://App.Example.com", Some("https://app.example.com"));
        check("https://app.example.com:443/", Some("https://app.example.com"));
        check("http://127.0.0.1:3000", Some("http://127.0.0.1:3000"));
        for wrong in ["app.example.com", "https://a/b", "https://*.a.com", "", "null", "https://a?x"] {
            check(wrong, None);
        }
    }
}
