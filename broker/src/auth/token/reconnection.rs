//! Reconnection tokens: the proof by which a client takes up its connection again after it has lost its socket.
//!
//! Clients take them for opaque. They are signed with the internal key, so that a change of access keys hurts nobody.
//! Source: `auth.md` 11.

use codec::ids::ConnectionId;
use jsonwebtoken::Algorithm;
use serde_json::Map;

use super::mint::{NotSigned, sign};
use super::{CLOCK_SKEW, TokenError, read};
use crate::auth::key::AccessKey;

/// Who issues them, in the service's spelling.
const ISSUER: &str = "https://webpubsub.azure.com";
/// How long one is valid, in seconds: seven days.
const LIFE: u64 = 7 * 24 * 60 * 60;

/// Makes the token of a connection. `jti` is random, so that no two are the same.
///
/// # Errors
/// When it cannot be signed, which no [`AccessKey`] gives cause for.
pub fn mint_reconnection(
    connection: &ConnectionId,
    jti: u128,
    internal: &AccessKey,
    now: u64,
) -> Result<String, NotSigned> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), ISSUER.into());
    claims.insert("aud".to_owned(), connection.as_str().into());
    claims.insert("jti".to_owned(), format!("{jti:032x}").into());
    claims.insert("nbf".to_owned(), now.into());
    claims.insert("exp".to_owned(), (now + LIFE).into());
    sign(claims, internal)
}

/// Verifies the token by which somebody wants to take up `connection`. It ends at its exact time; where it begins there is
/// the leeway of other tokens, because another node may have made it, by another clock.
///
/// # Errors
/// The first check that fails: readable, HS256, signature, time, issuer, audience.
pub fn verify_reconnection(
    token: &str,
    connection: &ConnectionId,
    internal: &AccessKey,
    now: u64,
) -> Result<(), TokenError> {
    let token = read(token)?;
    let payload = token.payload()?;
    if token.algorithm != "HS256" {
        return Err(TokenError::Algorithm);
    }
    if !internal.has_signed_with(Algorithm::HS256, token.signed.as_bytes(), token.signature) {
        return Err(TokenError::Signature);
    }
    let now = now as f64;
    if now >= payload.expiry.ok_or(TokenError::NoExpiry)? {
        return Err(TokenError::Expired);
    }
    if payload.not_before.is_some_and(|start| now + CLOCK_SKEW < start) {
        return Err(TokenError::NotYetValid);
    }
    let is_for_it = payload.audiences().any(|audience| audience == connection.as_str());
    if payload.issuer.as_deref() != Some(ISSUER) || !is_for_it {
        // The ids of connections are nobody else's business.
        return Err(TokenError::Audience { expected: String::new(), actual: String::new() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(text: &str) -> AccessKey {
        AccessKey::new(&text.repeat(32)).unwrap()
    }

    fn connection(id: &str) -> ConnectionId {
        ConnectionId::parse(id).unwrap()
    }

    #[test]
    fn a_token_opens_its_connection_for_seven_days_by_the_clock_of_any_node() {
        let token = mint_reconnection(&connection("c1"), 7, &key("i"), NOW).unwrap();
        let check = |id: &str, with: &str, at: u64, expected: Result<(), TokenError>| {
            assert_eq!(verify_reconnection(&token, &connection(id), &key(with), at), expected, "{id} {at}");
        };
        let other = TokenError::Audience { expected: String::new(), actual: String::new() };
        check("c1", "i", NOW, Ok(()));
        check("c1", "i", NOW + LIFE - 1, Ok(()));
        check("c1", "i", NOW + LIFE, Err(TokenError::Expired));
        check("c1", "i", NOW - 300, Ok(()));
        check("c1", "i", NOW - 301, Err(TokenError::NotYetValid));
        check("c2", "i", NOW, Err(other.clone()));
        check("C1", "i", NOW, Err(other));
        check("c1", "k", NOW, Err(TokenError::Signature));
        assert_ne!(token, mint_reconnection(&connection("c1"), 8, &key("i"), NOW).unwrap());
    }

    #[test]
    fn what_the_broker_did_not_make_for_this_is_refused() {
        let check = |change: (&str, Value), expected: TokenError| {
            let claims = json!({ "iss": ISSUER, "aud": "c1", "nbf": NOW, "exp": NOW + LIFE });
            let mut claims = claims.as_object().unwrap().clone();
            claims.insert(change.0.to_owned(), change.1);
            let token = sign(claims, &key("i")).unwrap();
            let verified = verify_reconnection(&token, &connection("c1"), &key("i"), NOW);
            assert_eq!(verified, Err(expected), "{}", change.0);
        };
        let other = || TokenError::Audience { expected: String::new(), actual: String::new() };
        check(("iss", json!("https://elsewhere.test")), other());
        check(("iss", json!(null)), other());
        check(("iss", json!(7)), other());
        check(("aud", json!("http://localhost/client/hubs/chat")), other());
        check(("exp", json!(null)), TokenError::NoExpiry);
        for (text, expected) in [
            ("", TokenError::Malformed),
            ("a.b.c", TokenError::Malformed),
            // An algorithm of none, and no signature.
            ("eyJhbGciOiJub25lIn0.e30.", TokenError::Algorithm),
        ] {
            assert_eq!(verify_reconnection(text, &connection("c1"), &key("i"), NOW), Err(expected), "{text}");
        }
        let long = "a".repeat(65 * 1024);
        assert_eq!(verify_reconnection(&long, &connection("c1"), &key("i"), NOW), Err(TokenError::TooLong));
    }
}
