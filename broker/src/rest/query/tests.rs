use super::*;

fn query(text: &str) -> Query<'_> {
    Query::parse(Some(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn exactly_one_known_version_or_none() {
    let rows = [
        ("", true),
        ("api-version=2021-05-01-preview", true),
        ("api-version=2021-08-01-preview", true),
        ("api-version=2021-10-01", true),
        ("api-version=2022-11-01", true),
        ("api-version=2023-07-01", true),
        ("api-version=2024-01-01", true),
        ("api-version=2024-12-01", true),
        ("Api-Version=2024-12-01", true),
        ("api-version=", false),
        ("api-version", false),
        ("api-version=2019-01-01", false),
        ("api-version=2024-12-01&api-version=2024-12-01", false),
        ("api-version=2024-12-01&API-VERSION=2024-12-01", false),
        ("api-version=2024-01-01,2024-12-01", false),
        ("api-version=2024-01-01,%202024-12-01", false),
        ("api-version=2024-12-01%20", false),
    ];
    for (text, accepted) in rows {
        assert_eq!(query(text).check_version().is_ok(), accepted, "{text}");
    }
    assert!(Query::parse(None).unwrap().check_version().is_ok());
}

#[test]
fn time_to_live_is_a_whole_number_up_to_300() {
    let rows = [
        ("", Some(None)),
        ("messageTtlSeconds=0", Some(None)),
        ("messageTtlSeconds=1", Some(Some(1))),
        ("messageTtlSeconds=300", Some(Some(300))),
        ("messageTtlSeconds=301", None),
        ("messageTtlSeconds=-1", None),
        ("messageTtlSeconds=1.5", None),
        ("messageTtlSeconds=", None),
        ("messageTtlSeconds=x", None),
        ("messageTtlSeconds=99999999999", None),
        ("messageTtlSeconds=1&messageTtlSeconds=1", None),
    ];
    for (text, expected) in rows {
        let seconds = query(text).time_to_live().ok().map(|ttl| ttl.map(|ttl| ttl.as_secs()));
        assert_eq!(seconds, expected, "{text}");
    }
}

#[test]
fn excluded_ids_are_literals() {
    let rows: [(&str, &[&str]); 6] = [
        ("", &[]),
        ("excluded=a&excluded=b&excluded=a", &["a", "b", "a"]),
        ("excluded=a,b", &["a,b"]),
        ("excluded=%20a", &[" a"]),
        ("excluded=&excluded=%20", &[]),
        ("EXCLUDED=a%2Bb+c", &["a+b c"]),
    ];
    for (text, expected) in rows {
        let excluded = query(text).excluded();
        assert_eq!(excluded.iter().map(ConnectionId::as_str).collect::<Vec<_>>(), expected, "{text}");
    }
}

#[test]
fn an_empty_reason_is_none() {
    assert_eq!(query("reason=").reason().unwrap(), None);
    assert_eq!(query("").reason().unwrap(), None);
    assert_eq!(query("reason=%20").reason().unwrap().as_deref(), Some(" "));
    assert!(query("reason=a&reason=b").reason().is_err());
}

#[test]
fn a_permission_needs_the_name_of_a_group() {
    let longest = format!("targetName={}", "a".repeat(1024));
    let too_long = format!("targetName={}", "a".repeat(1025));
    let rows = [
        ("targetName=a%2Fb", true),
        ("targetName=*", true),
        (&longest, true),
        (&too_long, false),
        ("targetName=", false),
        ("targetName=+", false),
        ("", false),
        ("targetName=a&targetName=a", false),
    ];
    for (text, accepted) in rows {
        assert_eq!(query(text).target_name().is_ok(), accepted, "{text}");
    }
}

#[test]
fn a_query_is_utf8() {
    assert!(matches!(Query::parse(Some("filter=%FF")), Err(RestError::Encoding)));
    assert!(matches!(Query::parse(Some("filter=+%FF")), Err(RestError::Encoding)));
    assert_eq!(query("a=%E4%BD%A0&&b").all("a").collect::<Vec<_>>(), ["你"]);
}
