//! Event handlers, and how they are called.

use super::*;

#[test]
fn faults_of_the_options_for_event_handlers_are_told_at_once_and_show_no_secret() {
    let no_authority = Scratch::new("hello");
    let raw = flags(&[
        (&entry::HANDLER_TIMEOUT, &["10ms"]),
        (&entry::HANDLER_CONCURRENCY, &["0"]),
        (&entry::HANDLER_CA_FILE, &[no_authority.path()]),
        (&entry::HANDLER_PROXY, &["ftp://ann:s3cret@proxy"]),
        (&entry::ALLOW_HANDLER_NETWORK, &["10.0.0.1/8"]),
        (&entry::HANDLER_H2C, &["https://a.example.com"]),
        (&entry::HANDLER_TOKEN_URL, &["login.example.com"]),
        (&entry::HANDLER_CLIENT_ID, &["me"]),
        (&entry::HANDLER_CLIENT_SECRET, &["s3cret"]),
        (&entry::HANDLER_CLIENT_AUTH, &["header"]),
    ]);
    check_refused(
        raw,
        &[
            "--handler-timeout: \"10ms\" does not fit",
            "--handler-concurrency: \"0\" does not fit",
            "--handler-ca-file: cannot use",
            "--handler-proxy: this is not the URL of a service",
            "--allow-handler-network: \"10.0.0.1/8\": the network 10.0.0.1/8 has an address with bits",
            "--handler-h2c: \"https://a.example.com\" is not an origin without TLS",
            "--handler-token-url: this is not the URL of a service",
            "--handler-client-auth: \"header\" is unknown; write basic or body",
        ],
    );
    let proxy = flags(&[(&entry::HANDLER_PROXY, &["ftp://ann:s3cret@proxy"])]);
    let faults = check(&filled(proxy)).unwrap_err().to_string();
    assert!(!faults.contains("s3cret"), "{faults}");
}

#[test]
fn options_that_need_each_other_are_given_together() {
    check_refused(
        flags(&[(&entry::HANDLER_TOKEN_URL, &["https://login.example.com/token"])]),
        &[
            "--handler-token-url: it needs --handler-client-id",
            "--handler-token-url: it needs --handler-client-secret",
        ],
    );
    check_refused(
        flags(&[
            (&entry::HANDLER_CLIENT_ID, &["me"]),
            (&entry::HANDLER_CLIENT_SECRET, &["s3cret"]),
            (&entry::HANDLER_DEFAULT_RESOURCE, &["api://app"]),
        ]),
        &[
            "--handler-client-id: it needs",
            "--handler-client-secret: it needs",
            "--handler-default-resource: it needs",
        ],
    );
    check_refused(
        flags(&[(&entry::HANDLER_NO_PROXY, &["a"])]),
        &["--handler-no-proxy: it needs --handler-proxy"],
    );
    let off = config(flags(&[(&entry::HANDLER_PROXY, &["off"])]));
    assert_eq!(off.webhooks.proxy, ProxyConfig::Direct);
}

#[test]
fn event_handlers_of_the_command_line_keep_their_order() {
    let hubs = Scratch::new("hubs:\n  chat:\n    anonymousConnectPolicy: allow\n");
    let raw = flags(&[
        (&entry::HUBS, &[hubs.path()]),
        (
            &entry::EVENT_HANDLERS,
            &[
                "hub=Room url-template=http://a.test/{event} system-event=connect",
                "hub=other url-template=http://b.test/ user-event-pattern=*",
                "hub=room url-template=http://c.test/ user-event-pattern=a,b",
            ],
        ),
    ]);
    let config = config(raw);
    let urls = |hub: &str| {
        let hub = config.settings.hub(&codec::ids::HubName::new(hub).unwrap());
        hub.event_handlers.iter().map(|handler| handler.url.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(urls("room"), ["http://a.test/{event}", "http://c.test/"]);
    assert_eq!(urls("other"), ["http://b.test/"]);
    assert!(urls("chat").is_empty() && config.settings.hubs.len() == 3);
    assert_eq!(config.hubs.file.unwrap().to_str(), Some(hubs.path()));
    assert_eq!(config.hubs.given.len(), 2);
}

#[test]
fn faults_of_event_handlers_name_their_place_and_no_key() {
    let hubs = Scratch::new("hubs:\n  chat:\n");
    let handler = "hub=chat url-template=http://a.test/ system-event=connect";
    let raw = flags(&[(&entry::HUBS, &[hubs.path()]), (&entry::EVENT_HANDLERS, &[handler])]);
    let named = format!("--event-handler: hub \"chat\" is named in {}:2, and the file wins", hubs.path());
    check_refused(raw, &[&named]);

    let lines =
        [handler, "hub=a url-template=http://u:secret@a", "hub=b system-event=x url-template=http://a"];
    let texts = lines.map(str::to_owned).to_vec();
    let mut raw = Raw::default();
    raw.give(&entry::EVENT_HANDLERS, Given { texts, place: Place::Variable(&entry::EVENT_HANDLERS) });
    check_refused(
        raw,
        &[
            "HUBBUB_EVENT_HANDLER: number 2: url-template: it has a user or a password",
            "HUBBUB_EVENT_HANDLER: number 3: system-event is connect, connected or disconnected, not \"x\"",
        ],
    );

    let file = Scratch::new("workers: 1\neventHandlers:\n  - hub=a\n");
    let mut raw = Raw::default();
    raw.read_file(&file.0);
    check_refused(raw, &[&format!("{}:2: eventHandlers: url-template is missing", file.path())]);
}

#[test]
fn handlers_of_no_use_are_warned_about() {
    let hubs = Scratch::new("hubs: {chat: {eventHandlers: [{urlTemplate: http://a.test}]}}\n");
    let raw = flags(&[
        (&entry::HUBS, &[hubs.path()]),
        (&entry::EVENT_HANDLERS, &["hub=a url-template=http://a.test"]),
    ]);
    let warnings = check(&filled(raw)).unwrap().warnings;
    assert!(warnings[0].starts_with(&format!("{}:1: ", hubs.path())), "{warnings:?}");
    assert!(warnings[1].contains("hub \"a\" takes no event") && warnings.len() == 2, "{warnings:?}");
}

#[test]
fn a_url_that_may_hold_a_key_is_not_printed() {
    let page = |handler| print(&filled(flags(&[(&entry::EVENT_HANDLERS, &[handler])])));
    let shown = page("hub=a url-template=http://a.test/{event}");
    assert!(shown.contains("eventHandlers:  # --event-handler\n  - \"hub=a url-template="), "{shown}");
    for handler in
        ["hub=a url-template=http://a.test/?code=secret", "hub=a url-template=http://u:secret@a.test/"]
    {
        let hidden = page(handler);
        assert!(hidden.contains("\n# eventHandlers is set, and not shown"), "{hidden}");
        assert!(!hidden.contains("secret"), "{hidden}");
    }
}
