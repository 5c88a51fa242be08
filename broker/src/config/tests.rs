mod broker;
mod handlers;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::entry::{self, BROKER, DEV, Entry, Kind, PUBLIC_DEVELOPMENT_KEY, Program};
use super::*;
use crate::auth::key::AccessKey;
use crate::auth::token::EntraTokens;
use crate::events::webhook::{Credentials, ProxyConfig};
use crate::rest::CorsOrigins;

const KEY: &str = "a-key-of-thirty-two-characters-or-more";

/// A file of its own for each test, gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hubbub-config-{:032x}.yaml", rand::random::<u128>()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn machine() -> Machine {
    Machine {
        processors: NonZeroUsize::new(3).unwrap(),
        data_dir: Some("/home/ann/.local/share/hubbub".into()),
    }
}

fn flags(given: &[(&'static Entry, &[&str])]) -> Raw {
    let mut raw = Raw::default();
    for (entry, texts) in given {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        raw.give(entry, Given { texts, place: Place::Flag(entry) });
    }
    raw
}

/// The same for `hubbub broker`, with what it needs.
fn broker_flags(given: &[(&'static Entry, &[&str])]) -> Raw {
    let mut raw = Raw::new(Program::Broker);
    let needed: [(&'static Entry, &[&str]); 2] =
        [(&entry::BROKER_LISTEN, &["127.0.0.1:0"]), (&entry::BROKER_ACCESS_KEY, &[KEY])];
    for (entry, texts) in given.iter().chain(&needed) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        raw.give(entry, Given { texts, place: Place::Flag(entry) });
    }
    raw
}

fn filled(mut raw: Raw) -> Raw {
    raw.fill(&machine());
    raw
}

fn config(raw: Raw) -> Config {
    let internal_key = AccessKey::new(KEY).unwrap();
    check(&filled(raw)).unwrap().into_config(Kept { internal_key, identity: None })
}

fn check_refused(raw: Raw, expected: &[&str]) {
    let faults = check(&filled(raw)).unwrap_err().to_string();
    assert_eq!(faults.lines().count(), expected.len(), "{faults}");
    for (line, part) in faults.lines().zip(expected) {
        assert!(line.contains(part), "{part}\n{faults}");
    }
}

#[test]
fn names_of_an_entry_follow_one_rule() {
    for entry in DEV.into_iter().chain(BROKER) {
        assert_eq!(entry.variable, format!("HUBBUB_{}", entry.flag.replace('-', "_").to_uppercase()));
        let key = entry.key.to_lowercase();
        let flag = entry.flag.replace('-', "");
        let plural =
            if let Some(stem) = flag.strip_suffix('y') { format!("{stem}ies") } else { format!("{flag}s") };
        let expected = if matches!(entry.kind, Kind::Many | Kind::Lines) { plural } else { flag };
        assert_eq!(key, expected);
        assert!(!entry.help.ends_with('.') && !entry.help.contains("  "), "{}", entry.flag);
    }
}

#[test]
fn nothing_written_means_the_defaults_of_the_house() {
    let config = config(Raw::default());
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.operations_listen.unwrap().to_string(), "127.0.0.1:8090");
    assert!(config.tls.is_none(), "there is no identity to show");
    assert_eq!(config.workers.get(), 3);
    assert_eq!(config.node_id.to_string(), "dev");
    assert_eq!(config.settings.keys.primary.expose(), PUBLIC_DEVELOPMENT_KEY);
    assert!(config.settings.keys.secondary.is_none() && config.settings.hubs.is_empty());
    assert_eq!(config.client.max_connections, 100_000);
    assert_eq!(config.client.handshake_timeout, Duration::from_secs(10));
    assert_eq!(config.client.reconnect_window, Duration::from_secs(30));
    assert_eq!((config.client.window_messages, config.client.window_bytes), (1000, 16_777_216));
    assert_eq!(config.client.message_bytes, 1_048_576);
    assert_eq!((config.client.outbox_messages, config.client.outbox_bytes), (1000, 16_777_216));
    assert_eq!(config.rest.cors_origins, CorsOrigins::Any);
    assert!(!config.rest.legacy_slash_escape && config.rest.entra_tokens == EntraTokens::Refused);
    assert!(format!("{:?}", config.origins).contains("check: Strict"));
    assert_eq!(config.drain.grace, Duration::from_secs(30));
    let webhooks = config.webhooks;
    assert_eq!((webhooks.timeout, webhooks.limits.calls), (Duration::from_secs(100), 1000));
    assert_eq!((webhooks.limits.waiting_calls, webhooks.limits.waiting_bytes), (10_000, 16_777_216));
    assert_eq!(webhooks.answer_bytes, 16_777_216);
    assert!(!webhooks.addresses.refuse_private && webhooks.addresses.allowed.is_empty());
    assert_eq!((webhooks.proxy, webhooks.h2c.len()), (ProxyConfig::Environment, 0));
    assert!(webhooks.tokens.is_none());
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let file = Scratch::new("workers: 5\nnodeId: file\nmaxConnections: 7\n");
    let mut raw = flags(&[(&entry::WORKERS, &["1"])]);
    let variable = |entry, text: &str| Given { texts: vec![text.to_owned()], place: Place::Variable(entry) };
    raw.give(&entry::WORKERS, variable(&entry::WORKERS, "2"));
    raw.give(&entry::NODE_ID, variable(&entry::NODE_ID, "variable"));
    raw.read_file(&file.0);
    let config = config(raw);
    assert_eq!(config.workers.get(), 1);
    assert_eq!(config.node_id.to_string(), "variable");
    assert_eq!(config.client.max_connections, 7);
}

#[test]
fn every_key_of_the_file_is_understood() {
    let made = rcgen::generate_simple_self_signed(vec!["ca.example.com".to_owned()]).unwrap();
    let authorities = Scratch::new(&made.cert.pem());
    let hubs = Scratch::new("hubs:\n  Chat:\n    anonymousConnectPolicy: allow\n");
    let file = Scratch::new(&format!(
        "listen: 0.0.0.0:1\ntlsListen: off\noperationsListen: \"off\"\npublicEndpoints: [https://a.example.com/p]\n\
         trustedProxies: [10.0.0.0/8]\naccessKey: {KEY}\nsecondaryKey: '{KEY}2'\naudienceCheck: path-only\n\
         allowUnvalidatedEntraTokens: true\ncorsOrigins:\n  - https://b.example.com\nhubs: {}\ndataDir: /d\n\
         workers: 64\nnodeId: 12\ndrainGrace: 0s\nmaxConnections: 9\nhandshakeTimeout: 500ms\n\
         legacySlashEscape: yes\nlogLevel: off\nlogFormat: json\nhandlerTimeout: 30s\nhandlerConcurrency: 8\n\
         handlerCaFile: {}\nhandlerProxy: http://paula:s3cret@proxy:3128\nhandlerNoProxies: [.example.com]\n\
         refusePrivateHandlers: true\nallowHandlerNetworks: [10.1.0.0/16]\nhandlerH2cs: [http://127.0.0.1:7070/]\n\
         handlerTokenUrl: https://login.example.com/token\nhandlerClientId: me\nhandlerClientSecret: s3cret\n\
         handlerClientAuth: body\nhandlerTokenScope: all\nhandlerDefaultResource: api://app\n",
        hubs.path(),
        authorities.path(),
    ));
    let mut raw = Raw::default();
    raw.read_file(&file.0);
    let config = config(raw);
    assert_eq!((config.tls.is_none(), config.operations_listen), (true, None));
    assert!(format!("{:?}", config.origins).contains("10.0.0.0"));
    assert_eq!(config.origins.strip_prefix("/p/api/health"), "/api/health");
    assert!(format!("{:?}", config.origins).contains("check: PathOnly"));
    assert_eq!(config.settings.keys.secondary.unwrap().expose(), format!("{KEY}2"));
    assert_eq!(config.settings.hubs.keys().next().unwrap().as_str(), "chat");
    assert_eq!(config.rest.entra_tokens, EntraTokens::Unvalidated);
    assert_eq!(config.rest.cors_origins, CorsOrigins::List(vec!["https://b.example.com".to_owned()]));
    assert_eq!(config.node_id.to_string(), "12");
    assert_eq!(config.drain.grace, Duration::ZERO);
    let shown = format!("{:?}", config.webhooks);
    assert!(!shown.contains("s3cret") && !shown.contains("paula"), "{shown}");
    let webhooks = config.webhooks;
    assert_eq!((webhooks.timeout, webhooks.limits.calls), (Duration::from_secs(30), 8));
    assert_eq!(format!("{:?}", webhooks.authorities), "Authorities(1)");
    assert_eq!(format!("{:?}", webhooks.proxy), "Via(http://proxy:3128, except [\".example.com\"])");
    assert!(webhooks.addresses.refuse_private && webhooks.addresses.permit("10.1.2.3".parse().unwrap()));
    assert_eq!(webhooks.h2c, ["http://127.0.0.1:7070"]);
    let tokens = webhooks.tokens.unwrap();
    assert_eq!((tokens.url.as_str(), tokens.client_id.as_str()), ("https://login.example.com/token", "me"));
    assert_eq!((tokens.client_secret.expose(), tokens.credentials), ("s3cret", Credentials::Body));
    assert_eq!((tokens.scope.as_str(), tokens.default_resource.as_deref()), ("all", Some("api://app")));
}

#[test]
fn all_faults_are_told_at_once_each_with_its_place() {
    let hubs = Scratch::new("hubs:\n  chat:\n    eventListeners: []\n");
    let file = Scratch::new("lisen: 1\nlog-level: info\nworkers: 65\nhandshakeTimeout: 10\n");
    let mut raw = flags(&[
        (&entry::LISTEN, &["8080"]),
        (&entry::ACCESS_KEY, &["short-secret"]),
        (&entry::HUBS, &[hubs.path()]),
        (&entry::CORS_ORIGINS, &["*", "app"]),
    ]);
    raw.read_file(&file.0);
    let at = |line: u64, rest: &str| format!("{}:{line}: {rest}", file.path());
    check_refused(
        raw,
        &[
            &at(1, "unknown key \"lisen\""),
            &at(2, "unknown key \"log-level\"; write logLevel"),
            "--listen: \"8080\" is not an address; write IP:PORT",
            "--access-key: the access key is too short; use one of at least 32",
            &format!("{}:3: this version does not have eventListeners", hubs.path()),
            &at(3, "workers: \"65\" does not fit; write a whole number from 1 to 64"),
            &at(4, "handshakeTimeout: \"10\" does not fit; write a whole number with ms, s, m or h"),
            "--cors-origin: \"app\" is not an origin",
        ],
    );
}

#[test]
fn files_that_cannot_be_read_are_faults() {
    let missing = std::env::temp_dir().join("hubbub-config-that-is-not-there.yaml");
    let mut raw = flags(&[(&entry::HUBS, &[missing.to_str().unwrap()])]);
    raw.read_file(&missing);
    check_refused(raw, &["cannot read the configuration file", "--hubs: cannot read the hub settings in"]);

    let broken = Scratch::new("accessKey: [secret\n");
    let mut raw = Raw::default();
    raw.read_file(&broken.0);
    let faults = check(&filled(raw)).unwrap_err().to_string();
    assert!(!faults.contains("secret"), "{faults}");
}

#[test]
fn faults_never_show_a_key() {
    for key in
        ["short-secret", " surrounded-secret-secret-secret-secret ", "secret;secret;secret;secret;secret"]
    {
        let raw = flags(&[(&entry::ACCESS_KEY, &[key]), (&entry::SECONDARY_KEY, &[key])]);
        let faults = check(&filled(raw)).unwrap_err().to_string();
        assert!(
            faults.lines().count() == 2 && !faults.contains("secret-s") && !faults.contains("secret;"),
            "{faults}"
        );
    }
}

#[test]
fn two_listeners_do_not_share_an_address() {
    let raw =
        flags(&[(&entry::LISTEN, &["127.0.0.1:8443"]), (&entry::OPERATIONS_LISTEN, &["localhost:8443"])]);
    check_refused(raw, &["is the address of --listen already", "is the address of --listen already"]);
    config(flags(&[(&entry::LISTEN, &["127.0.0.1:0"]), (&entry::TLS_LISTEN, &["127.0.0.1:0"])]));
}

#[test]
fn a_data_directory_is_needed_from_somewhere() {
    let mut raw = Raw::default();
    raw.fill(&Machine { data_dir: None, ..machine() });
    let faults = check(&raw).unwrap_err().to_string();
    assert!(faults.starts_with("--data-dir: neither HOME nor XDG_DATA_HOME is set"), "{faults}");
}

#[test]
fn open_doors_are_warned_about() {
    let count = |given: &[(&'static Entry, &[&str])]| check(&filled(flags(given))).unwrap().warnings.len();
    let all: (&Entry, &[&str]) = (&entry::LISTEN, &["0.0.0.0:8080"]);
    let believed: (&Entry, &[&str]) = (&entry::ALLOW_UNVALIDATED_ENTRA_TOKENS, &["true"]);
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&[believed]), 0);
    assert_eq!(count(&[all]), 1);
    assert_eq!(count(&[(&entry::TLS_LISTEN, &["[::]:8443"])]), 1);
    assert_eq!(count(&[all, (&entry::ACCESS_KEY, &[KEY])]), 0);
    assert_eq!(count(&[all, believed]), 2);
}

#[test]
fn what_is_printed_can_be_given_back() {
    let secret = "a-secret-key-that-nobody-else-may-see";
    let hubs = Scratch::new("hubs: {chat: {}}\n");
    let raw = filled(flags(&[
        (&entry::LISTEN, &["[::1]:8088"]),
        (&entry::TLS_LISTEN, &["off"]),
        (&entry::PUBLIC_ENDPOINTS, &["https://a.example.com", "http://[::1]:1/p"]),
        (&entry::ACCESS_KEY, &[secret]),
        (&entry::HANDLER_PROXY, &["http://ann:a-secret-key-that-nobody-else-may-see@proxy"]),
        (&entry::HUBS, &[hubs.path()]),
        (&entry::EVENT_HANDLERS, &["hub=a url-template=http://a.test/{event} user-event-pattern=a,b"]),
        (&entry::LOG_LEVEL, &["off"]),
        (&entry::DATA_DIR, &["/a dir: with \"odd\" # name"]),
    ]));
    let page = print(&raw);
    assert!(!page.contains(secret), "{page}");
    for line in [
        "listen: \"[::1]:8088\"  # --listen",
        "# accessKey is set, and not shown  # --access-key",
        "workers: 3  # default",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
    }

    let file = Scratch::new(&page);
    let mut again = Raw::default();
    again.read_file(&file.0);
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    let again = filled(again);
    for entry in DEV.into_iter().filter(|entry| entry.kind != Kind::Secret) {
        let texts = |raw: &Raw| raw.get(entry).map(|given| given.texts.clone()).unwrap_or_default();
        assert_eq!(texts(&raw), texts(&again), "{}", entry.key);
    }
    check(&again).unwrap();
}

#[test]
fn each_program_refuses_the_keys_of_another() {
    let file = Scratch::new("redis: redis://a\n");
    let mut raw = Raw::default();
    raw.read_file(&file.0);
    check_refused(raw, &[&format!("{}:1: redis is not for this program; remove it", file.path())]);

    let file = Scratch::new("playground: true\ntlsListen: off\ndataDir: /d\n");
    let mut raw = broker_flags(&[]);
    raw.read_file(&file.0);
    check_refused(raw, &["playground is not for", "tlsListen is not for", "dataDir is not for"]);

    let file = Scratch::new(&format!("accessKey: {KEY}\nredis: [redis://a]\nplayground: true\n"));
    let mut raw = Raw::new(Program::Check);
    raw.read_file(&file.0);
    assert_eq!(config(raw).settings.keys.primary.expose(), KEY);
}
