use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codec::ids::HubName;
use proptest::prelude::*;
use serde_json::{Value, json};

use jsonwebtoken::{EncodingKey, crypto};

use super::*;
use crate::auth::audience::{Forwarded, Origins, RequestOrigin, Scheme};

const NOW: u64 = 1_800_000_000;
const PRIMARY: &str = "primary-primary-primary-primary-";
const SECONDARY: &str = "secondary-secondary-secondary-se";
const INTERNAL: &str = "internal-internal-internal-inter";
const CLIENT_URL: &str = "http://localhost:8080/client/hubs/chat";
const REST_URL: &str = "http://localhost:8080/api/hubs/chat/:send";

fn key(text: &str) -> AccessKey {
    AccessKey::new(text).unwrap()
}

fn keys() -> Keys {
    Keys { primary: key(PRIMARY), secondary: Some(key(SECONDARY)), internal: key(INTERNAL) }
}

/// A token with this header and these claims, signed with `algorithm` whatever its header says.
fn signed(header: &Value, claims: &Value, (secret, algorithm): (&str, Algorithm)) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature =
        crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()), algorithm).unwrap();
    format!("{message}.{signature}")
}

fn hs256(claims: &Value, secret: &str) -> String {
    signed(&json!({"alg": "HS256"}), claims, (secret, Algorithm::HS256))
}

/// Claims of a good client token, changed by those of `changes`; a null removes one.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"aud": CLIENT_URL, "exp": NOW + 60});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn connect(token: &str) -> Result<Claims, TokenError> {
    let (origins, hub) = (Origins::default(), HubName::new("chat").unwrap());
    let audience = origins.client(&request("/client/hubs/chat"), &hub);
    verify_client(token, &keys(), &audience, NOW)
}

fn call(token: &str, entra: EntraTokens) -> Result<Caller, TokenError> {
    let origins = Origins::default();
    let audience = origins.rest(&request("/api/hubs/chat/:send"));
    verify_rest(token, &RestRules { keys: &keys(), audience: &audience, entra }, NOW)
}

fn request(path: &str) -> RequestOrigin<'_> {
    RequestOrigin {
        scheme: Scheme::Http,
        authority: "localhost:8080",
        path,
        peer: [127, 0, 0, 1].into(),
        forwarded: Forwarded::default(),
    }
}

/// Connects with a token that the primary key signed.
fn check(changes: &Value, expected: Result<(), TokenError>) {
    let outcome = connect(&hs256(&claims(changes), PRIMARY));
    assert_eq!(outcome.err(), expected.err(), "{changes}");
}

#[test]
fn each_key_opens_what_it_is_for() {
    let outsider = "outsider-outsider-outsider-outsi";
    let client = |secret| connect(&hs256(&claims(&json!({})), secret)).map(drop);
    let rest = |secret| call(&hs256(&claims(&json!({"aud": REST_URL})), secret), EntraTokens::Refused);
    for secret in [PRIMARY, SECONDARY] {
        assert_eq!(client(secret), Ok(()));
        assert_eq!(rest(secret), Ok(Caller::AccessKey));
    }
    assert_eq!(client(INTERNAL), Ok(()));
    assert_eq!(rest(INTERNAL), Err(TokenError::Signature));
    assert_eq!(client(outsider), Err(TokenError::Signature));
    assert_eq!(rest(outsider), Err(TokenError::Signature));
}

#[test]
fn without_a_secondary_key_the_others_still_hold() {
    let keys = Keys { secondary: None, ..keys() };
    let (origins, hub) = (Origins::default(), HubName::new("chat").unwrap());
    let audience = origins.client(&request("/client/hubs/chat"), &hub);
    let verify = |secret| verify_client(&hs256(&claims(&json!({})), secret), &keys, &audience, NOW).is_ok();
    assert_eq!([PRIMARY, SECONDARY, INTERNAL].map(verify), [true, false, true]);
}

#[test]
fn only_hmac_algorithms_are_accepted() {
    let check = |header: Value, algorithm, expected: Result<(), TokenError>| {
        let token = signed(&header, &claims(&json!({})), (PRIMARY, algorithm));
        assert_eq!(connect(&token).map(drop), expected, "{header}");
    };
    check(json!({"alg": "HS256", "typ": "JWT"}), Algorithm::HS256, Ok(()));
    check(json!({"alg": "HS384"}), Algorithm::HS384, Ok(()));
    check(json!({"alg": "HS512"}), Algorithm::HS512, Ok(()));
    check(json!({"alg": "HS512"}), Algorithm::HS256, Err(TokenError::Signature));
    for name in ["none", "None", "", "RS256", "ES256", "PS256", "EdDSA", "hs256", "HS1"] {
        check(json!({"alg": name}), Algorithm::HS256, Err(TokenError::Algorithm));
    }
    for kid in [json!("garbage"), json!(17), json!({"a": [null]}), json!("-123456789")] {
        check(json!({"alg": "HS256", "kid": kid, "typ": 5}), Algorithm::HS256, Ok(()));
    }
    check(json!({"kid": "x"}), Algorithm::HS256, Err(TokenError::Malformed));
    check(json!({"alg": 1}), Algorithm::HS256, Err(TokenError::Malformed));
    check(json!({"alg": "HS256", "crit": ["b64"]}), Algorithm::HS256, Err(TokenError::Malformed));
}

#[test]
fn an_unsigned_token_is_refused() {
    let token = signed(&json!({"alg": "none"}), &claims(&json!({})), (PRIMARY, Algorithm::HS256));
    let unsigned = &token[..=token.rfind('.').unwrap()];
    assert_eq!(connect(unsigned), Err(TokenError::Algorithm));
    let token = hs256(&claims(&json!({})), PRIMARY);
    assert_eq!(connect(&token[..=token.rfind('.').unwrap()]), Err(TokenError::Signature));
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    check(&json!({"exp": NOW - 299}), Ok(()));
    check(&json!({"exp": NOW - 300}), Ok(()));
    check(&json!({"exp": NOW - 301}), Err(TokenError::Expired));
    check(&json!({"nbf": NOW + 299}), Ok(()));
    check(&json!({"nbf": NOW + 300}), Ok(()));
    check(&json!({"nbf": NOW + 301}), Err(TokenError::NotYetValid));
    check(&json!({"exp": NOW as f64 + 0.5, "nbf": NOW as f64 - 0.5}), Ok(()));
    check(&json!({"exp": null}), Err(TokenError::NoExpiry));
    check(&json!({"exp": u64::MAX, "nbf": -1, "iat": "x", "iss": 5, "jti": []}), Ok(()));
    check(&json!({"exp": "4000000000"}), Err(TokenError::Malformed));
}

#[test]
fn one_of_the_audiences_must_be_right() {
    check(&json!({"aud": [CLIENT_URL]}), Ok(()));
    check(&json!({"aud": ["http://other/client/hubs/chat", CLIENT_URL]}), Ok(()));
    let mismatch = |actual: &str| {
        Err(TokenError::Audience { expected: CLIENT_URL.to_owned(), actual: actual.to_owned() })
    };
    check(
        &json!({"aud": "http://localhost:8080/client/hubs/other"}),
        mismatch("http://localhost:8080/client/hubs/other"),
    );
    check(&json!({"aud": ["a", "b"]}), mismatch("a b"));
    check(&json!({"aud": []}), mismatch(""));
    check(&json!({"aud": null}), mismatch(""));
    check(&json!({"aud": "a".repeat(300)}), mismatch(&"a".repeat(200)));
    check(&json!({"aud": {"a": 1}}), Err(TokenError::Malformed));
    check(&json!({"aud": [CLIENT_URL, 1]}), Err(TokenError::Malformed));
    let other = hs256(&claims(&json!({"aud": "http://other/api"})), PRIMARY);
    let told = call(&other, EntraTokens::Refused).unwrap_err().to_string();
    assert_eq!(told, format!("the token's audience should be \"{REST_URL}\", but is \"http://other/api\""));
}

#[test]
fn a_token_for_one_kind_of_endpoint_does_not_open_another() {
    let token = hs256(&claims(&json!({})), PRIMARY);
    assert!(matches!(call(&token, EntraTokens::Refused), Err(TokenError::Audience { .. })));
    let token = hs256(&claims(&json!({"aud": REST_URL})), PRIMARY);
    assert!(matches!(connect(&token), Err(TokenError::Audience { .. })));
}

#[test]
fn claims_are_read_as_a_text_or_an_array() {
    let check = |changes: Value, expected: Claims| {
        assert_eq!(connect(&hs256(&claims(&changes), PRIMARY)), Ok(expected), "{changes}");
    };
    let user = |id: &str| Claims { user_id: UserId::new(id).ok(), ..Claims::default() };
    check(json!({}), Claims::default());
    check(json!({"sub": "ann"}), user("ann"));
    check(json!({"sub": ""}), Claims::default());
    check(json!({"sub": " "}), Claims::default());
    let roles = |roles: &[&str]| Claims {
        roles: roles.iter().map(|&role| role.into()).collect(),
        ..Claims::default()
    };
    check(json!({"role": "a"}), roles(&["a"]));
    check(json!({"role": ["b", "a", "a"]}), roles(&["b", "a", "a"]));
    check(json!({"role": []}), roles(&[]));
    let groups = |names: &[&str]| Claims {
        groups: names.iter().map(|name| GroupName::new(name).unwrap()).collect(),
        ..Claims::default()
    };
    check(json!({"webpubsub.group": "a/b c"}), groups(&["a/b c"]));
    check(json!({"webpubsub.group": ["b", "a"], "group": "c", "mine": {"x": [1]}}), groups(&["b", "a"]));
}

#[test]
fn an_invalid_group_is_told_only_to_the_holder_of_a_good_token() {
    check(&json!({"webpubsub.group": ["a", " "]}), Err(TokenError::InvalidGroup));
    check(&json!({"webpubsub.group": ""}), Err(TokenError::InvalidGroup));
    check(&json!({"webpubsub.group": "a".repeat(1025)}), Err(TokenError::InvalidGroup));
    check(&json!({"webpubsub.group": "", "exp": NOW - 301}), Err(TokenError::Expired));
    let token = hs256(&claims(&json!({"webpubsub.group": "", "aud": "http://x/y"})), PRIMARY);
    assert!(matches!(connect(&token), Err(TokenError::Audience { .. })));
    let token = hs256(&claims(&json!({"webpubsub.group": ""})), "outsider-outsider-outsider-outsi");
    assert_eq!(connect(&token), Err(TokenError::Signature));
    assert_eq!(TokenError::InvalidGroup.to_string(), "The token contains an invalid group name.");
}

#[test]
fn an_identity_providers_token_never_goes_to_the_keys() {
    let unsigned = |changes: Value| {
        signed(&json!({"alg": "RS256", "kid": "x"}), &claims(&changes), (INTERNAL, Algorithm::HS256))
    };
    let entra = |changes: Value| {
        let mut all = json!({"aud": "https://webpubsub.azure.com"});
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        unsigned(all)
    };
    let check = |token: &str, refused: TokenError, unvalidated: Result<Caller, TokenError>| {
        assert_eq!(call(token, EntraTokens::Refused), Err(refused));
        assert_eq!(call(token, EntraTokens::Unvalidated), unvalidated);
    };
    check(&entra(json!({})), TokenError::IdentityProvider, Ok(Caller::Entra));
    check(&entra(json!({"exp": NOW - 301})), TokenError::IdentityProvider, Err(TokenError::Expired));
    check(&entra(json!({"nbf": NOW + 301})), TokenError::IdentityProvider, Err(TokenError::NotYetValid));
    check(&entra(json!({"exp": null})), TokenError::IdentityProvider, Err(TokenError::NoExpiry));
    let both = json!({"aud": [REST_URL, CLIENT_URL, "https://webpubsub.azure.com"]});
    check(&hs256(&claims(&both), PRIMARY), TokenError::IdentityProvider, Ok(Caller::Entra));
    assert_eq!(connect(&hs256(&claims(&both), PRIMARY)), Err(TokenError::IdentityProvider));
    let other = unsigned(json!({"aud": "https://graph.microsoft.com"}));
    check(&other, TokenError::Algorithm, Err(TokenError::Algorithm));
}

#[test]
fn what_is_no_token_is_refused_without_repeating_it() {
    let good = hs256(&claims(&json!({"pad": "x"})), PRIMARY);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let with_payload = |payload: &str| format!("{}.{}.AAAA", part(r#"{"alg":"HS256"}"#), part(payload));
    for token in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        "not a token".to_owned(),
        format!("{good}.x"),
        format!("x.{good}"),
        format!("{good}=").replace('.', ".="),
        with_payload("[]"),
        with_payload("null"),
        with_payload(r#"{"exp":1,"exp":2}"#),
        with_payload(r#"{"exp":1e999}"#),
        with_payload(r#"{"sub":["a","b"]}"#),
        with_payload(&format!("{}{}", "[".repeat(40_000), "]".repeat(8_000))),
        format!("{}.{}.AAAA", part("{\"alg\":\"HS256\""), part("{}")),
    ] {
        assert_eq!(connect(&token), Err(TokenError::Malformed), "{token}");
        assert_eq!(call(&token, EntraTokens::Unvalidated), Err(TokenError::Malformed), "{token}");
    }
    let long = |pad: usize| hs256(&claims(&json!({"pad": "x".repeat(pad)})), PRIMARY);
    assert!(connect(&long(48_900)).is_ok());
    assert_eq!(connect(&long(49_200)), Err(TokenError::TooLong));
    for error in [connect(&long(49_200)), connect("secret.secret.secret"), connect(&format!("{good}A"))] {
        let shown = error.map_err(|error| format!("{error} {error:?}")).unwrap_err();
        assert!(!shown.contains("secret") && !shown.contains("eyJ"), "{shown}");
    }
}

#[test]
fn a_minted_token_opens_the_endpoint_that_it_names() {
    let (user, roles) = (UserId::new("ann \"x\"").unwrap(), ["webpubsub.sendToGroup".to_owned()]);
    let groups = [GroupName::new("a/b").unwrap()];
    let minting = Minting {
        audience: CLIENT_URL,
        user_id: Some(user.as_str()),
        roles: &roles.each_ref().map(String::as_str),
        groups: &groups.each_ref().map(GroupName::as_str),
        issued_at: NOW,
        expires_at: NOW + 60,
    };
    let token = mint_client(&minting, &key(INTERNAL)).unwrap();
    let expected = Claims { user_id: Some(user.clone()), roles: roles.to_vec(), groups: groups.to_vec() };
    assert_eq!(connect(&token), Ok(expected));
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&payload["nbf"], &payload["exp"]), (&json!(NOW), &json!(NOW + 60)));

    let plain = Minting { user_id: None, roles: &[], groups: &[], ..minting };
    assert_eq!(connect(&mint_client(&plain, &key(PRIMARY)).unwrap()), Ok(Claims::default()));
    let old = Minting { expires_at: NOW - 301, ..plain };
    assert_eq!(connect(&mint_client(&old, &key(PRIMARY)).unwrap()), Err(TokenError::Expired));
}

proptest! {
    #[test]
    fn any_text_is_refused_and_nothing_panics(token in ".{0,60}", parts in prop::array::uniform3(".{0,40}")) {
        prop_assert!(connect(&token).is_err());
        let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        prop_assert!(call(&token, EntraTokens::Unvalidated).is_err());
    }

    #[test]
    fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let good = hs256(&claims(&json!({"sub": "ann"})), PRIMARY);
        let at = at.index(good.len());
        let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
        prop_assert_eq!(connect(&changed).is_ok(), changed == good);
    }
}
