//! The URL of an event handler, with the places where hub and event are put in. Source: `event-handlers.md` 4.

use std::fmt;

use codec::ids::HubName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// What a URL leaves as it is (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Event name in the URL that is asked whether it wants events at all.
const VALIDATE: &str = "validate";

/// A handler's URL before hub and event are put in. Its query may hold a key, so it is shown without the values.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hub,
    Event,
}

/// Why a text cannot be a handler's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// Not an absolute URL.
    #[error("it is not a URL; write one such as http://127.0.0.1:7070/eventhandler/{{event}}")]
    NotUrl,
    /// Neither http nor https.
    #[error("its scheme is not supported; use http or https")]
    Scheme,
    /// A parameter in the host.
    #[error("its host has a parameter; parameters may stand in path and query only")]
    Host,
    /// A brace that belongs to no parameter.
    #[error(
        "it has a brace that belongs to no known parameter; the parameters are {{hub}} and {{event}}, write other \
         braces as %7B and %7D"
    )]
    Brace,
    /// A `#`.
    #[error("it has a fragment, which is never sent; remove the # and what follows")]
    Fragment,
}

impl UrlTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`InvalidTemplate`] names what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let parts = split(text)?;
        let template = Self { parts };
        let sample = template.fill("hub", "event");
        let url = Url::parse(&sample).map_err(|_| InvalidTemplate::NotUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidTemplate::Scheme);
        }
        if url.fragment().is_some() {
            return Err(InvalidTemplate::Fragment);
        }
        let other = Url::parse(&template.fill("x", "y")).map_err(|_| InvalidTemplate::Host)?;
        if url.host_str().is_none() || url.host_str() != other.host_str() || url.port() != other.port() {
            return Err(InvalidTemplate::Host);
        }
        Ok(template)
    }

    /// The URL for an event of a hub. `None` cannot happen for a template that was parsed.
    pub fn resolve(&self, hub: &HubName, event: &str) -> Option<Url> {
        Url::parse(&self.fill(hub.as_str(), event)).ok()
    }

    /// The URL that is asked whether it wants events of this hub.
    pub fn validation(&self, hub: &HubName) -> Option<Url> {
        self.resolve(hub, VALIDATE)
    }

    fn fill(&self, hub: &str, event: &str) -> String {
        let escaped = |text| utf8_percent_encode(text, RESERVED).to_string();
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Hub => escaped(hub),
                Part::Event => escaped(event),
            })
            .collect()
    }
}

fn split(text: &str) -> Result<Vec<Part>, InvalidTemplate> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from_brace) = rest.split_at(open);
        let inside = from_brace.strip_prefix('{').ok_or(InvalidTemplate::Brace)?;
        let (name, after) = inside.split_once('}').ok_or(InvalidTemplate::Brace)?;
        parts.push(Part::Text(before.to_owned()));
        parts.push(match name.to_ascii_lowercase().as_str() {
            "hub" => Part::Hub,
            "event" => Part::Event,
            _ => return Err(InvalidTemplate::Brace),
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

impl fmt::Display for UrlTemplate {
    /// The template without the values of its query and without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole: String = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Hub => "{hub}",
                Part::Event => "{event}",
            })
            .collect();
        match whole.split_once('?') {
            None => f.write_str(&whole),
            Some((before, _)) => write!(f, "{before}?…"),
        }
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlTemplate({self})")
    }
}
