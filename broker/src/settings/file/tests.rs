use super::*;
use crate::settings::handler::{EventHandler, GroupPresence, UpstreamAuth, UserEventPattern};

fn read(text: &str) -> Result<Hubs, Vec<Fault>> {
    parse(text, HandlerTokens::Unavailable)
}

fn check_read(text: &str, expected: &[(&str, AnonymousConnectPolicy, u64)]) {
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(name, policy, seconds)| {
            let settings = HubSettings {
                anonymous_connect_policy: *policy,
                keep_alive_interval: Duration::from_secs(*seconds),
                ..HubSettings::default()
            };
            (HubName::new(name).unwrap(), Arc::new(settings))
        })
        .collect();
    assert_eq!(read(text).map(|hubs| hubs.settings), Ok(expected), "{text}");
}

fn check_faults(faults: &[Fault], expected: &[(u64, &str)]) {
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, (line, part)) in faults.iter().zip(expected) {
        assert_eq!(fault.line, Some(*line), "{fault:?}");
        assert!(fault.reason.contains(part), "{fault:?}");
        assert!(!fault.reason.contains("secret"), "{fault:?}");
    }
}

fn check_refused(text: &str, expected: &[(u64, &str)]) {
    check_faults(&read(text).unwrap_err(), expected);
}

/// The handlers of the one hub of a file.
fn handlers(text: &str, tokens: HandlerTokens) -> Vec<EventHandler> {
    let hubs = parse(text, tokens).unwrap();
    let settings = hubs.settings.values().next().unwrap();
    settings.event_handlers.iter().map(|handler| (**handler).clone()).collect()
}

/// A file with one handler, its lines from the fourth on.
fn with_handler(lines: &[&str]) -> String {
    let mut text =
        "hubs:\n  chat:\n    eventHandlers:\n      - urlTemplate: http://a.test/{event}\n".to_owned();
    for line in lines {
        text.push_str("        ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[test]
fn fields_left_out_have_the_services_defaults() {
    use AnonymousConnectPolicy::{Allow, Deny};
    check_read("", &[]);
    check_read("hubs:\n", &[]);
    check_read("hubs: {}\n", &[]);
    check_read("hubs:\n  chat:\n", &[("chat", Deny, 20)]);
    check_read("hubs:\n  chat:\n    eventHandlers: []\n", &[("chat", Deny, 20)]);
    check_read(
        "hubs:\n  chat:\n    eventHandlers:\n    anonymousConnectPolicy: null\n",
        &[("chat", Deny, 20)],
    );
    check_read("hubs:\n  Chat:\n    anonymousConnectPolicy: Allow\n", &[("chat", Allow, 20)]);
    check_read(
        "hubs:\n  a:\n    webSocketKeepAliveIntervalInSeconds: 120\n    anonymousConnectPolicy: deny\n  b: {webSocketKeepAliveIntervalInSeconds: 1}\n",
        &[("a", Deny, 120), ("b", Deny, 1)],
    );
}

#[test]
fn every_fault_of_a_file_is_named_with_its_line() {
    check_refused("hub:\n  chat:\n", &[(1, "unknown key \"hub\"; a settings file has the one key hubs")]);
    check_refused("hubs:\n  ch-at:\n", &[(2, "\"ch-at\" is not a hub name")]);
    check_refused("hubs:\n  chat:\n  CHAT:\n", &[(3, "on line 2 already")]);
    check_refused("hubs: [chat]\n", &[(1, "")]);
    check_refused("hubs:\n  chat: 7\n", &[(2, "")]);
    check_refused("hubs:\n  chat:\n    eventHandlers: http://a.test/\n", &[(3, "")]);
    check_refused(
        "hubs:\n  chat:\n    eventListeners: []\n    anonymousConnectPolicy: maybe\n  b:\n    webSocketKeepAliveIntervalInSeconds: 0\n    eventHandler: {}\nx: 1\n",
        &[
            (3, "this version does not have eventListeners (hub \"chat\"): remove it"),
            (4, "anonymousConnectPolicy is allow or deny, not \"maybe\""),
            (6, "webSocketKeepAliveIntervalInSeconds is a whole number from 1 to 120, not \"0\""),
            (7, "unknown key \"eventHandler\" in hub \"b\": remove it"),
            (8, "unknown key \"x\""),
        ],
    );
    check_refused("hubs: {a: {chat: {}, socketIO: {}}}\n", &[(1, "not have chat"), (1, "not have socketIO")]);
    for seconds in ["121", "-1", "1.5", "20s", ""] {
        let text = format!("hubs:\n  a:\n    webSocketKeepAliveIntervalInSeconds: \"{seconds}\"\n");
        check_refused(&text, &[(3, "from 1 to 120")]);
    }
}

#[test]
fn a_hub_is_durable_when_the_file_says_so() {
    let text = "hubs:\n  a: {durable: true}\n  b: {durable: false}\n  c: {durable: null}\n  d: {}\n";
    let hubs = read(text).unwrap().settings;
    let durable: Vec<&str> =
        hubs.iter().filter(|(_, hub)| hub.is_durable).map(|(name, _)| name.as_str()).collect();
    assert_eq!(durable, ["a"]);
    check_refused("hubs:\n  a:\n    durable: maybe\n", &[(3, "durable is true or false, not \"maybe\"")]);
}

#[test]
fn event_handlers_are_read_in_their_order() {
    let text = "\
hubs:
  chat:
    eventHandlers:
      - urlTemplate: http://127.0.0.1:7070/eventhandler/{hub}/{event}
        userEventPattern: \"*\"
        systemEvents: [connect, Connected, DISCONNECTED, connect]
        auth: { type: None }
      - urlTemplate: https://a.test/{event}
        userEventPattern: join, MESSAGE
        systemEvents:
        groupPresenceEvents:
          eventNames: [joined]
          groupFilters: [room.*, lobby]
        auth: null
";
    let handlers = handlers(text, HandlerTokens::Unavailable);
    let urls: Vec<_> = handlers.iter().map(|handler| handler.url.to_string()).collect();
    assert_eq!(urls, ["http://127.0.0.1:7070/eventhandler/{hub}/{event}", "https://a.test/{event}"]);
    assert_eq!(handlers[0].user_events, UserEventPattern::Every);
    let system = handlers[0].system_events;
    assert!(system.connect && system.connected && system.disconnected);
    assert_eq!(handlers[0].presence, GroupPresence::default());
    assert_eq!(
        handlers[1].user_events,
        UserEventPattern::Names(vec!["join".to_owned(), "message".to_owned()])
    );
    assert!(!handlers[1].system_events.connect);
    let presence = &handlers[1].presence;
    assert!(presence.joined && !presence.left);
    let covered = |group: &str| presence.groups.iter().any(|pattern| pattern.matches(group));
    assert!(covered("room.a") && covered("lobby") && !covered("room.a.b") && !covered("lobbies"));
    assert!(handlers.iter().all(|handler| handler.auth == UpstreamAuth::None));
    assert_eq!(read(text).unwrap().warnings, []);
}

#[test]
fn a_block_of_the_services_resource_can_be_pasted_as_json() {
    let text = r#"{ "hubs": { "chat": {
      "eventHandlers": [
        { "urlTemplate": "https://app.example.com/api/{hub}/{event}", "userEventPattern": "*",
          "systemEvents": ["connect", "connected", "disconnected"], "groupPresenceEvents": null,
          "auth": { "type": "ManagedIdentity", "managedIdentity": { "resource": "api://app" }, "header": null } },
        { "urlTemplate": "https://b.example.com", "userEventPattern": null, "systemEvents": null, "auth": null }
      ],
      "anonymousConnectPolicy": "allow",
      "webSocketKeepAliveIntervalInSeconds": 30
    } } }"#;
    let hubs = parse(text, HandlerTokens::ForNamedResources).unwrap();
    let chat = hubs.settings.values().next().unwrap();
    assert_eq!(chat.anonymous_connect_policy, AnonymousConnectPolicy::Allow);
    assert_eq!(chat.keep_alive_interval, Duration::from_secs(30));
    assert_eq!(chat.event_handlers[0].auth, UpstreamAuth::Token { resource: Some("api://app".to_owned()) });
    check_faults(&hubs.warnings, &[(6, "takes no event")]);

    check_refused(
        "{\n\"hubs\": {\"chat\": {\n\"eventHandlers\": [\n{\"urlTemplate\": \"ftp://a\"}],\n\"filter\": 1}}}",
        &[(4, "its scheme is not supported"), (5, "unknown key \"filter\"")],
    );
}

#[test]
fn every_fault_of_a_handler_is_named_with_its_line() {
    check_refused(
        "hubs:\n  chat:\n    eventHandlers:\n      - userEventPattern: a\n      - {}\n",
        &[(4, "an event handler needs urlTemplate"), (5, "an event handler needs urlTemplate")],
    );
    check_refused(
        &with_handler(&[
            "userEventPattern: room.*",
            "systemEvents: [connect, joined,",
            "  closed]",
            "groupPresenceEvents:",
            "  groupFilters: ['']",
            "  when: now",
            "auth:",
            "  type: Basic",
            "retry: 3",
        ]),
        &[
            (5, "userEventPattern: \"room.*\" has a wildcard"),
            (6, "systemEvents are connect, connected and disconnected, not \"joined\""),
            (7, "not \"closed\""),
            (8, "groupPresenceEvents needs eventNames"),
            (9, "groupFilters: a pattern has 1 to 1024 characters"),
            (10, "unknown key \"when\" in groupPresenceEvents"),
            (12, "the type of auth is None, ManagedIdentity or Header, not \"Basic\""),
            (13, "unknown key \"retry\" in an event handler"),
        ],
    );
    check_refused(
        &with_handler(&["groupPresenceEvents: {eventNames: [joined, connect]}"]),
        &[(5, "eventNames are joined and left, not \"connect\"")],
    );
    for (url, part) in [
        ("tunnel:///x/{event}", "tunnels are not supported yet"),
        ("https://user:secret@a.test/", "remove them"),
        ("https://a.test/?code={@Microsoft.KeyVault(SecretUri=https://secret.test)}", "Azure Key Vault"),
        ("https://a.test/{secret}", "parameters are {hub} and {event}"),
    ] {
        let text = format!(
            "hubs:\n  a:\n    eventHandlers:\n      - systemEvents: [connect]\n        urlTemplate: \"{url}\"\n"
        );
        check_refused(&text, &[(5, part)]);
    }
}

#[test]
fn a_handler_that_takes_no_event_is_warned_about() {
    let check = |lines: &[&str], expected: &[(u64, &str)]| {
        check_faults(&read(&with_handler(lines)).unwrap().warnings, expected);
    };
    check(&[], &[(4, "takes no event")]);
    check(&["userEventPattern: ''", "systemEvents: []"], &[(4, "takes no event")]);
    check(&["groupPresenceEvents: {eventNames: []}"], &[(4, "takes no event")]);
    check(&["groupPresenceEvents: {eventNames: [left]}"], &[]);
    check(&["systemEvents: [connected]"], &[]);
}

#[test]
fn a_managed_identity_needs_a_provider_and_a_resource() {
    use HandlerTokens::*;
    let check = |tokens, lines: &[&str], expected: Result<Option<&str>, (u64, &str)>| {
        let text = with_handler(&[&["systemEvents: [connect]"], lines].concat());
        match expected {
            Ok(resource) => {
                let expected = UpstreamAuth::Token { resource: resource.map(str::to_owned) };
                assert_eq!(handlers(&text, tokens)[0].auth, expected);
            }
            Err(fault) => check_faults(&parse(&text, tokens).unwrap_err(), &[fault]),
        }
    };
    let named = ["auth:", "  type: managedidentity", "  managedIdentity: {resource: 'api://app'}"];
    check(ForNamedResources, &named, Ok(Some("api://app")));
    check(ForAll, &["auth: {type: ManagedIdentity}"], Ok(None));
    check(ForAll, &["auth: {type: ManagedIdentity, managedIdentity: {resource: null}}"], Ok(None));
    check(Unavailable, &named, Err((8, "needs an identity provider")));
    check(ForNamedResources, &["auth:", "  type: ManagedIdentity"], Err((7, "names no resource")));
    check(ForAll, &["auth: {managedIdentity: {resource: x}}"], Err((6, "auth needs type")));
    check(ForAll, &["auth: {type: None, managedIdentity: {}}"], Err((6, "of type ManagedIdentity only")));
    let unknown = ["auth: {type: ManagedIdentity, managedIdentity: {client: x}}"];
    check(ForAll, &unknown, Err((6, "unknown key \"client\" in managedIdentity")));
}

#[test]
fn a_header_has_a_name_and_one_secret_that_is_never_shown() {
    let file = std::env::temp_dir().join(format!("hubbub-header-{:032x}", rand::random::<u128>()));
    std::fs::write(&file, "secret-of-a-file\n").unwrap();
    let from_file = format!("  header: {{name: Authorization, valueFile: {}}}", file.display());
    let text = |line: &str| with_handler(&["systemEvents: [connect]", "auth:", "  type: Header", line]);
    let check = |line: &str, expected: &str| {
        let handler = handlers(&text(line), HandlerTokens::Unavailable).remove(0);
        assert!(!format!("{handler:?}").contains(expected), "{handler:?}");
        let UpstreamAuth::Header { value, .. } = handler.auth else { panic!("{line}") };
        assert_eq!(value, expected);
    };
    check("  header: {name: x-api-key, value: a secret}", "a secret");
    check("  header: {name: x-api-key, valueEnv: CARGO_PKG_NAME}", "broker");
    check(&from_file, "secret-of-a-file");
    std::fs::remove_file(&file).unwrap();

    let check = |line: &str, expected: &[(u64, &str)]| check_refused(&text(line), expected);
    check(&from_file, &[(8, "valueFile: cannot read")]);
    check("  header: {name: x-a, valueEnv: HUBBUB_NOT_SET}", &[(8, "no variable HUBBUB_NOT_SET")]);
    check("  header: {name: Ce-Id, value: secret}", &[(8, "the header ce-id belongs to the protocol")]);
    check("  header: {name: 'a b', value: secret}", &[(8, "\"a b\" is not the name of a header")]);
    check("  header: {value: secret}", &[(8, "header needs name")]);
    check("  header: {name: x-a}", &[(8, "needs one of value, valueFile and valueEnv")]);
    check("  header: {name: x-a, value: secret, valueEnv: X}", &[(8, "needs one of value")]);
    check(
        "  header: {name: x-a, value: \"secret\\nsecret\"}",
        &[(8, "value: the value of the header is empty")],
    );
    check("  header: {name: x-a, value: [secret]}", &[(8, "")]);
    check("  header: {name: x-a, value: secret, colour: secret}", &[(8, "unknown key \"colour\" in header")]);
    check("  managedIdentity: {}", &[(7, "needs header"), (8, "of type ManagedIdentity only")]);
}
