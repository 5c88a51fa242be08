//! What `hubbub broker` needs: a key of its own, and Redis to have company.

use super::*;

#[test]
fn a_broker_needs_an_address_and_a_key_of_its_own() {
    let mut raw = Raw::new(Program::Broker);
    raw.give(
        &entry::SECONDARY_KEY,
        Given { texts: vec![KEY.to_owned()], place: Place::Flag(&entry::SECONDARY_KEY) },
    );
    check_refused(
        raw,
        &[
            "--listen: say where to listen for clients and REST calls, such as 0.0.0.0:8080",
            "--access-key: give the access key of the installation, 32 bytes or more: in HUBBUB_ACCESS_KEY, or in a \
             file that --access-key-file names",
        ],
    );
    let known = Scratch::new(PUBLIC_DEVELOPMENT_KEY);
    check_refused(
        broker_flags(&[
            (&entry::BROKER_ACCESS_KEY, &[PUBLIC_DEVELOPMENT_KEY]),
            (&entry::SECONDARY_KEY_FILE, &[known.path()]),
        ]),
        &[
            "--access-key: this is the public development key, which everybody knows",
            "--secondary-key-file: this is the public development key",
        ],
    );
}

#[test]
fn a_broker_is_alone_and_keeps_nothing_unless_it_is_told() {
    let mut raw = broker_flags(&[]);
    // Nothing is kept, so that a home is not needed.
    raw.fill(&Machine { data_dir: None, ..machine() });
    let checked = check(&raw).unwrap();
    assert!(checked.data_dir.is_none() && checked.tls_listen.is_none() && checked.redis.is_none());
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let config = checked.into_config(Kept { internal_key: AccessKey::new(KEY).unwrap(), identity: None });
    assert!(!config.playground && config.settings.keys.secondary.is_none());
    assert_eq!(config.operations_listen.unwrap().to_string(), "127.0.0.1:8090");
}

#[test]
fn every_broker_has_another_node_id_and_none_is_printed() {
    let ids = [0, 1].map(|_| config(broker_flags(&[])).node_id.to_string());
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 8), "{ids:?}");
    let page = print(&filled(broker_flags(&[])));
    assert!(page.contains("\n# nodeId is made at each start\n"), "{page}");
    let pod = filled(broker_flags(&[(&entry::BROKER_NODE_ID, &["hubbub-broker-7d9f8c6b5d-x2x4z"])]));
    assert!(print(&pod).contains("\nnodeId: hubbub-broker-7d9f8c6b5d-x2x4z  # --node-id\n"));
}

#[test]
fn keys_may_stand_in_files() {
    let (first, second) = (Scratch::new(&format!("{KEY}1\n")), Scratch::new(&format!("{KEY}2\r\n")));
    let mut raw = Raw::new(Program::Broker);
    let settings = Scratch::new(&format!(
        "listen: 127.0.0.1:0\naccessKeyFile: {}\nsecondaryKeyFile: {}\n",
        first.path(),
        second.path()
    ));
    raw.read_file(&settings.0);
    let keys = config(raw).settings.keys;
    assert_eq!(keys.primary.expose(), format!("{KEY}1"));
    assert_eq!(keys.secondary.unwrap().expose(), format!("{KEY}2"));
}

#[test]
fn faults_of_files_with_keys_name_the_file_and_no_key() {
    let (short, empty) = (Scratch::new("short-secret\n"), Scratch::new("\n"));
    let raw = broker_flags(&[
        (&entry::ACCESS_KEY_FILE, &[short.path()]),
        (&entry::SECONDARY_KEY_FILE, &[empty.path()]),
        (&entry::REDIS_PASSWORD_FILE, &["/nowhere/password"]),
    ]);
    let faults = check(&filled(raw)).unwrap_err().to_string();
    for part in [
        "--access-key-file: the access key is too short",
        "--access-key-file: the key is given by --access-key too; leave one of them out",
        &format!("--secondary-key-file: {} is empty", empty.path()),
        "--redis-password-file: cannot read /nowhere/password",
        "--redis-password-file: it needs --redis beside it",
    ] {
        assert!(faults.contains(part), "{part}\n{faults}");
    }
    assert!(!faults.contains("short-secret"), "{faults}");
}

#[test]
fn what_is_written_about_redis_is_kept_as_it_is_and_shows_no_password() {
    let password = Scratch::new("s3cret\n");
    let raw = filled(broker_flags(&[
        (&entry::REDIS, &["redis://10.0.0.1:6379", "redis://paula:s3cret@b.example.com"]),
        (&entry::REDIS_PREFIX, &["blue:1"]),
        (&entry::REDIS_USERNAME, &["paula"]),
        (&entry::REDIS_PASSWORD_FILE, &[password.path()]),
    ]));
    let page = print(&raw);
    assert!(
        page.contains("\n# redis is set, and not shown because a URL may hold a key  # --redis\n"),
        "{page}"
    );
    assert!(page.contains("\nredisPrefix: blue:1  # --redis-prefix\n"), "{page}");
    assert!(!page.contains("s3cret"), "{page}");
    let checked = check(&raw).unwrap();
    assert!(!format!("{checked:?}").contains("s3cret"));
    let redis = checked.redis.unwrap();
    assert_eq!(redis.prefix(), "blue:1");
    assert_eq!(redis.addresses(), ["10.0.0.1:6379", "b.example.com:6379"]);
}

#[test]
fn what_redis_cannot_be_reached_by_is_told_with_all_other_faults() {
    let authorities = Scratch::new("-----BEGIN");
    check_refused(
        broker_flags(&[(&entry::REDIS, &["http://a"])]),
        &["--redis: a Redis URL does not begin with"],
    );
    let raw =
        broker_flags(&[(&entry::REDIS, &["rediss://a"]), (&entry::REDIS_CA_FILE, &[authorities.path()])]);
    check_refused(raw, &["--redis: "]);
}

#[test]
fn one_redis_or_a_list_of_them_stands_in_the_file() {
    let urls = |text: &str| {
        let file = Scratch::new(&format!("redis: {text}\n"));
        let mut raw = broker_flags(&[]);
        raw.read_file(&file.0);
        let raw = filled(raw);
        // What is printed can be given back.
        let page = Scratch::new(&print(&raw));
        let mut again = broker_flags(&[]);
        again.read_file(&page.0);
        let urls = |raw: &Raw| check(raw).unwrap().redis.unwrap().addresses();
        assert_eq!(urls(&raw), urls(&filled(again)));
        urls(&raw)
    };
    assert_eq!(urls("redis://a:6379"), ["a:6379"]);
    assert_eq!(urls("[redis://a:6379, redis://b:6379]"), ["a:6379", "b:6379"]);
    let prefix = |text: &'static str| broker_flags(&[(&entry::REDIS_PREFIX, &[text])]);
    for wrong in ["", "{1}", "a b", "ä"] {
        check_refused(prefix(wrong), &["--redis-prefix: "]);
    }
}
