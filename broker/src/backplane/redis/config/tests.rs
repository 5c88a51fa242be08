use super::*;

fn texts(urls: &[&str]) -> RedisTexts {
    RedisTexts { urls: urls.iter().map(|url| (*url).to_owned()).collect(), ..RedisTexts::default() }
}

fn servers_of(urls: &[&str]) -> Vec<String> {
    match RedisConfig::parse(&texts(urls)).unwrap().source {
        Source::Servers(servers) => servers.iter().map(ToString::to_string).collect(),
        Source::Sentinel { .. } => panic!("Sentinel"),
    }
}

#[test]
fn urls_name_servers() {
    assert_eq!(servers_of(&["redis://one"]), ["one:6379"]);
    assert_eq!(servers_of(&["redis://one:1/", "redis://[::1]:2/0"]), ["one:1", "[::1]:2"]);
    assert_eq!(servers_of(&["redis://one:1,two:2"]), ["one:1", "two:2"]);
}

#[test]
fn credentials_stand_in_a_url_or_apart() {
    let config = RedisConfig::parse(&texts(&["redis://ann:p%40ss:w@one", "redis://two"])).unwrap();
    assert_eq!(config.credentials.username.as_deref(), Some("ann"));
    assert_eq!(config.credentials.password.as_deref(), Some("p@ss:w"));
    let apart = RedisTexts { password: Some("secret".to_owned()), ..texts(&["redis://one"]) };
    let config = RedisConfig::parse(&apart).unwrap();
    assert_eq!(config.credentials.password.as_deref(), Some("secret"));
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn a_url_names_sentinels_and_their_service() {
    let config = RedisConfig::parse(&texts(&["redis+sentinel://:pass@a,b:7/main"])).unwrap();
    let Source::Sentinel { sentinels, service, credentials } = config.source else { panic!("servers") };
    assert_eq!(sentinels.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:26379", "b:7"]);
    assert_eq!((service.as_str(), credentials.password.as_deref()), ("main", Some("pass")));
    assert_eq!(config.credentials, Credentials::default());
}

#[test]
fn faults_are_sentences_without_passwords() {
    let check = |urls: &[&str], part: &str| {
        let error = RedisConfig::parse(&texts(urls)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("secret"), "{error}");
    };
    check(&[], "at least one URL");
    check(&["http://:secret@one"], "does not begin with redis://");
    check(&["one:6379"], "does not begin with redis://");
    check(&["redis://:secret@one:x"], "no number");
    check(&["redis://:secret@one:0"], "no number");
    check(&["redis://:secret@"], "no host");
    check(&["redis://:secret@one/3"], "database");
    check(&["redis://:secret@one?db=3"], "leave out");
    check(&["redis://one", "rediss://two"], "some do not");
    check(&["redis://:secret@one", "redis://:secret2@two"], "differ");
    check(&["redis+sentinel://:secret@one"], "no service");
    check(&["redis+sentinel://one/main", "redis://two"], "beside others");
    check(&["redis://%ff@one"], "UTF-8");
    check(&["redis://ann@one"], "without a password");
}

#[test]
fn prefixes_are_short_plain_names() {
    for bad in ["", "a b", "{a", "a}", "a\n", &"x".repeat(65)] {
        let texts = RedisTexts { prefix: bad.to_owned(), ..texts(&["redis://one"]) };
        assert!(RedisConfig::parse(&texts).unwrap_err().to_string().contains("prefix"), "{bad:?}");
    }
    let texts = RedisTexts { prefix: "x".repeat(64), ..texts(&["redis://one"]) };
    assert_eq!(RedisConfig::parse(&texts).unwrap().prefix().len(), 64);
}

#[test]
fn a_ca_file_wants_tls_and_certificates() {
    let with_ca = |url: &str| RedisTexts { ca: Some(b"nothing".to_vec()), ..texts(&[url]) };
    assert!(RedisConfig::parse(&with_ca("redis://one")).unwrap_err().to_string().contains("rediss://"));
    assert!(RedisConfig::parse(&with_ca("rediss://one")).unwrap_err().to_string().contains("PEM"));
}
