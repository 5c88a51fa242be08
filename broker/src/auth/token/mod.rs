//! Tokens: from the text that a caller presents to what it says, if a key of ours signed it for this request.
//!
//! Time is an argument, in seconds since 1970. Doors call this once for each connect and each REST call; a token and
//! its parts never appear in an error. Source: `auth.md` 3 to 5 and 9, `client-protocols.md` 2.1.

mod mint;
mod payload;
mod reconnection;

use codec::ids::{GroupName, UserId};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::Algorithm;

use self::payload::{Payload, Unverified};
use super::audience::Audience;
use super::key::{AccessKey, Keys};

pub use self::mint::{Minting, NotSigned, mint_client};
pub use self::reconnection::{mint_reconnection, verify_reconnection};

/// Longest token, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// How far the clock of whoever signed may be from ours, in seconds.
const CLOCK_SKEW: f64 = 300.0;
/// Audience of tokens that an identity provider issues. No key of ours may verify one.
const IDENTITY_PROVIDER_AUDIENCE: &str = "https://webpubsub.azure.com";
/// Most characters of a token's audience that an error shows.
const SHOWN_CHARS: usize = 200;

/// Content of a client's verified token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The user, if the token names one.
    pub user_id: Option<UserId>,
    /// Roles in the order of the token.
    pub roles: Vec<String>,
    /// Groups that the connection joins at once.
    pub groups: Vec<GroupName>,
}

/// Who makes a REST call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Who holds an access key.
    AccessKey,
    /// Who holds a token of an identity provider.
    Entra,
}

/// What becomes of tokens of an identity provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntraTokens {
    /// They are refused.
    #[default]
    Refused,
    /// They are believed if their time is right, without a look at their signature. For development only: anyone can
    /// write such a token.
    Unvalidated,
}

/// Why a token is refused. Fit for a log; a caller is only told that it is not authorized, or of
/// [`TokenError::InvalidGroup`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More than 64 KiB.
    #[error("the token is longer than 64 KiB; give it fewer or shorter claims")]
    TooLong,
    /// Not three parts of base64url with JSON of the right types.
    #[error("the token cannot be read; it must be a signed JWT")]
    Malformed,
    /// Neither HS256 nor HS384 nor HS512.
    #[error("the token's algorithm is not allowed; sign it with HS256")]
    Algorithm,
    /// Made with another key, or changed since.
    #[error("the token's signature is wrong; sign it with an access key of this broker")]
    Signature,
    /// It would be valid for ever.
    #[error("the token has no expiry; give it an 'exp' claim")]
    NoExpiry,
    /// Its time is over by more than five minutes.
    #[error("the token has expired; get a new one, and compare the clocks if it is new")]
    Expired,
    /// Its time begins in more than five minutes.
    #[error("the token is not valid yet; compare the clocks")]
    NotYetValid,
    /// It is for something else.
    #[error("the token's audience should be {expected:?}, but is {actual:?}")]
    Audience {
        /// What would have been right, in the form that callers usually use.
        expected: String,
        /// What the token says, cut to 200 characters.
        actual: String,
    },
    /// It is an identity provider's, which is of no use here or not switched on.
    #[error("tokens of an identity provider are not accepted here; sign one with an access key")]
    IdentityProvider,
    /// A valid token whose groups are not. The text is what the client is told.
    #[error("The token contains an invalid group name.")]
    InvalidGroup,
}

impl TokenError {
    /// The cause as one word of a closed set, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Audience { .. } => "audience",
            Self::IdentityProvider => "identity_provider",
            Self::InvalidGroup => "group",
        }
    }
}

/// The token of an `Authorization: Bearer` header, whose scheme ignores case. It may be empty.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Verifies the token of a client that connects. Signature, time, audience and groups are checked in this order.
///
/// # Errors
/// The first check that fails.
pub fn verify_client(
    token: &str,
    keys: &Keys,
    audience: &Audience<'_>,
    now: u64,
) -> Result<Claims, TokenError> {
    let token = read(token)?;
    let payload = token.payload()?;
    if is_identity_providers(&payload) {
        return Err(TokenError::IdentityProvider);
    }
    let keys = [Some(&keys.primary), keys.secondary.as_ref(), Some(&keys.internal)];
    verify(&token, keys)?;
    check_time(&payload, now)?;
    check_audience(&payload, audience)?;
    payload.into_claims()
}

/// All claims of a token that has been verified, in no certain order, each with its values as text. For an application
/// that decides who may connect.
pub fn all_claims(token: &str) -> Vec<(String, Vec<String>)> {
    payload::all_claims(token)
}

/// Verifies the token of a REST call. Signature, time and audience are checked in this order.
///
/// # Errors
/// The first check that fails.
pub fn verify_rest(token: &str, rules: &RestRules<'_>, now: u64) -> Result<Caller, TokenError> {
    let token = read(token)?;
    let payload = token.payload()?;
    if is_identity_providers(&payload) {
        return match rules.entra {
            EntraTokens::Refused => Err(TokenError::IdentityProvider),
            EntraTokens::Unvalidated => check_time(&payload, now).map(|()| Caller::Entra),
        };
    }
    // What the broker signs itself is for clients, who must not become callers with it.
    let keys = [Some(&rules.keys.primary), rules.keys.secondary.as_ref(), None];
    verify(&token, keys)?;
    check_time(&payload, now)?;
    check_audience(&payload, rules.audience)?;
    Ok(Caller::AccessKey)
}

/// What the token of a REST call is measured by.
#[derive(Debug, Clone, Copy)]
pub struct RestRules<'a> {
    /// The broker's keys.
    pub keys: &'a Keys,
    /// What the token must be for.
    pub audience: &'a Audience<'a>,
    /// What becomes of tokens of an identity provider.
    pub entra: EntraTokens,
}

fn read(token: &str) -> Result<Unverified<'_>, TokenError> {
    if token.len() > MAX_BYTES {
        return Err(TokenError::TooLong);
    }
    Unverified::read(token)
}

fn is_identity_providers(payload: &Payload) -> bool {
    payload.audiences().any(|audience| audience.eq_ignore_ascii_case(IDENTITY_PROVIDER_AUDIENCE))
}

fn verify(token: &Unverified<'_>, keys: [Option<&AccessKey>; 3]) -> Result<(), TokenError> {
    let algorithm = match token.algorithm.as_str() {
        "HS256" => Algorithm::HS256,
        "HS384" => Algorithm::HS384,
        "HS512" => Algorithm::HS512,
        _ => return Err(TokenError::Algorithm),
    };
    let is_signed_with =
        |key: &AccessKey| key.has_signed_with(algorithm, token.signed.as_bytes(), token.signature);
    if keys.into_iter().flatten().any(is_signed_with) { Ok(()) } else { Err(TokenError::Signature) }
}

fn check_time(payload: &Payload, now: u64) -> Result<(), TokenError> {
    // Exact for more years than matter.
    let now = now as f64;
    let expiry = payload.expiry.ok_or(TokenError::NoExpiry)?;
    if now > expiry + CLOCK_SKEW {
        return Err(TokenError::Expired);
    }
    if payload.not_before.is_some_and(|start| now + CLOCK_SKEW < start) {
        return Err(TokenError::NotYetValid);
    }
    Ok(())
}

fn check_audience(payload: &Payload, expected: &Audience<'_>) -> Result<(), TokenError> {
    if payload.audiences().any(|audience| expected.accepts(audience)) {
        return Ok(());
    }
    let actual: Vec<_> = payload.audiences().collect();
    let actual = actual.join(" ").chars().take(SHOWN_CHARS).collect();
    Err(TokenError::Audience { expected: expected.expected(), actual })
}

#[cfg(test)]
mod tests;
