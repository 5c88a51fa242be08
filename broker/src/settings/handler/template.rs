//! The URL of an event handler, with the places where hub and event are put in. Source: `event-handlers.md` 4.

use std::fmt;

use codec::ids::HubName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{ParseError, Url};

/// What a URL leaves as it is (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Event name in the URL that is asked whether it wants events at all.
const VALIDATE: &str = "validate";
/// Longest template, in bytes. Many servers refuse longer request lines.
const MAX_BYTES: usize = 8 * 1024;

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

/// Why a text cannot be a handler's URL. Nothing of the text is repeated, for it may hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// Not an absolute URL.
    #[error("it is not a URL; write one such as http://127.0.0.1:7070/eventhandler/{{event}}")]
    NotUrl,
    /// Neither http nor https.
    #[error("its scheme is not supported; use http or https")]
    Scheme,
    /// The service's `tunnel:///`.
    #[error("tunnels are not supported yet; use http or https")]
    Tunnel,
    /// No host.
    #[error("it has no host; write one such as http://127.0.0.1:7070/eventhandler/{{event}}")]
    NoHost,
    /// A port that cannot be connected to.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// A user or a password.
    #[error("it has a user or a password; remove them, and let auth say how the handler knows the broker")]
    Credentials,
    /// A parameter in host or port.
    #[error("its host has a parameter; parameters may stand in path and query only")]
    Host,
    /// A brace that belongs to no parameter.
    #[error(
        "it has a brace that belongs to no known parameter; the parameters are {{hub}} and {{event}}, write other \
         braces as %7B and %7D"
    )]
    Brace,
    /// A reference to a secret in Azure Key Vault.
    #[error(
        "it refers to Azure Key Vault, which this server cannot ask; use auth of type Header, which can take its value from a file"
    )]
    KeyVault,
    /// White space, a control character or a backslash.
    #[error("it has a space, a control character or a backslash; percent-encode it, a space as %20")]
    Character,
    /// A `#`.
    #[error("it has a fragment, which is never sent; remove the # and what follows")]
    Fragment,
    /// More than 8 KiB.
    #[error("it is longer than 8192 bytes")]
    TooLong,
}

impl UrlTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`InvalidTemplate`] names what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > MAX_BYTES {
            return Err(InvalidTemplate::TooLong);
        }
        if text.to_ascii_lowercase().contains("{@microsoft.keyvault(") {
            return Err(InvalidTemplate::KeyVault);
        }
        // The parser of URLs would drop some of these and mend others, and the result would not be what was written.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(InvalidTemplate::Character);
        }
        check_origin(text)?;
        if text.contains('#') {
            return Err(InvalidTemplate::Fragment);
        }
        let template = Self { parts: split(text)? };
        match Url::parse(&template.fill("hub", "event")) {
            Ok(url) if url.port() == Some(0) => Err(InvalidTemplate::Port),
            // Escaped braces are braces again in a host.
            Ok(url) if url.host_str().is_none_or(|host| host.contains(['{', '}'])) => {
                Err(InvalidTemplate::Host)
            }
            Ok(_) => Ok(template),
            Err(ParseError::InvalidPort) => Err(InvalidTemplate::Port),
            Err(_) => Err(InvalidTemplate::NotUrl),
        }
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

/// Looks at everything before the path as it is written: the parser of URLs finds a host where none was meant
/// (`http:///path`), and takes an empty user for none.
fn check_origin(text: &str) -> Result<(), InvalidTemplate> {
    let (scheme, rest) = text.split_once(':').ok_or(InvalidTemplate::NotUrl)?;
    if scheme.eq_ignore_ascii_case("tunnel") {
        return Err(InvalidTemplate::Tunnel);
    }
    let rest = rest.strip_prefix("//").ok_or(InvalidTemplate::NotUrl)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(InvalidTemplate::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(InvalidTemplate::Credentials);
    }
    if authority.contains(['{', '}']) {
        return Err(InvalidTemplate::Host);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(InvalidTemplate::NoHost);
    }
    Ok(())
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
    /// The template without the values of its query.
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

#[cfg(test)]
mod tests;
