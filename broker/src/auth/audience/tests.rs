use super::*;

/// A request over plain HTTP to `localhost:8080` from this machine.
fn to(path: &str) -> RequestOrigin<'_> {
    RequestOrigin {
        scheme: Scheme::Http,
        authority: "localhost:8080",
        path,
        peer: [127, 0, 0, 1].into(),
        forwarded: Forwarded::default(),
    }
}

fn known_as(endpoints: &[&str]) -> Origins {
    let public_endpoints = endpoints.iter().map(|url| url.parse().unwrap()).collect();
    Origins { public_endpoints, trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Origins::default() }
}

/// A request that the proxy 10.0.0.1 passed on, with the values of `Forwarded::read`.
fn through_proxy<'a>(path: &'a str, headers: &'a [(&str, &str)]) -> RequestOrigin<'a> {
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    RequestOrigin { peer: [10, 0, 0, 1].into(), forwarded: Forwarded::read(header), ..to(path) }
}

fn check_rest(origins: &Origins, request: RequestOrigin<'_>, rows: &[(&str, bool)]) {
    for (audience, expected) in rows {
        assert_eq!(origins.rest(&request).accepts(audience), *expected, "{request:?} {audience}");
    }
}

fn check_client(origins: &Origins, request: RequestOrigin<'_>, rows: &[(&str, bool)]) {
    let hub = HubName::new("chat").unwrap();
    for (audience, expected) in rows {
        assert_eq!(origins.client(&request, &hub).accepts(audience), *expected, "{request:?} {audience}");
    }
}

#[test]
fn the_table_of_the_specification() {
    let origins = Origins::default();
    let rows = [
        ("http://localhost:8080/api/hubs/chat/groups/room/connections", true),
        ("http://localhost:8080/api/hubs/chat/groups/room/connections?maxpagesize=1", true),
        ("http://localhost:8080/api/hubs/chat/groups/room/connections?maxpagesize=99", true),
        ("HTTP://LOCALHOST:8080/API/hubs/CHAT/groups/Room/connections", true),
        ("wss://localhost:8080/api/hubs/chat/groups/room/connections", true),
        ("https://localhost:8080/api/hubs/chat/groups/room/connections", true),
        ("ftp://localhost:8080/api/hubs/chat/groups/room/connections", false),
        ("http://localhost:8080/api/hubs/chat/groups/room/connections/child", true),
        ("http://localhost:8080/api/hubs/chat/groups/room/connections/", true),
        ("http://localhost:8080/api/hubs/chat/groups/room/connectionsSuffix", false),
        ("http://localhost:8080/api/hubs/chat/groups/room/connections%253Fquery", false),
        ("http://localhost:8080/api/hubs/other/groups/room/connections", false),
        ("http://localhost:8080/api/hubs/chat/groups/other/connections", false),
        ("http://otherhost:8080/api/hubs/chat/groups/room/connections", false),
        ("http://localhost:8081/api/hubs/chat/groups/room/connections", false),
        ("http://localhost/api/hubs/chat/groups/room/connections", false),
        ("http://user@localhost:8080/api/hubs/chat/groups/room/connections", false),
        ("http://localhost:8080/api/hubs/chat", false),
        ("http://localhost:8080", false),
        ("http://", false),
        ("localhost:8080/api/hubs/chat/groups/room/connections", false),
        ("https://webpubsub.azure.com", false),
        ("", false),
    ];
    check_rest(&origins, to("/api/hubs/chat/groups/room/connections"), &rows);
    check_rest(&origins, to("/api/hubs/chat/groups/room/connections/"), &rows);
}

#[test]
fn escaped_paths_are_accepted_raw_and_decoded() {
    let origins = Origins::default();
    let check = |raw: &str, decoded: &str, other: &str| {
        let path = format!("/api/hubs/{raw}/:send");
        let audience = |part: &str| format!("https://localhost:8080/api/hubs/{part}/:send");
        let with_query = format!("{}?filter=a%20b", audience(raw));
        let rows = [
            (&*audience(raw), true),
            (&with_query, true),
            (&audience(decoded), true),
            (&audience(other), false),
        ];
        check_rest(&origins, to(&path), &rows);
    };
    check("chat/groups/room%252Fpart", "chat/groups/room%2Fpart", "chat/groups/roompart");
    check("chat/groups/literal%2520value", "chat/groups/literal%20value", "chat/groups/literal+value+");
    check("chat/groups/room%20name", "chat/groups/room name", "chat/groups/room");
    check("chat/groups/room+part", "chat/groups/room+part", "chat/groups/room%20part%20");
    check("chat/groups/room%2Fpart", "chat/groups/room/part", "chat/groups/part");
    check("chat%5B1%5D/groups/room%2Fpart", "chat[1]/groups/room%2Fpart", "chat/groups/room%2Fpart");
    check("chat%5B1%5D/groups/room%2Fpart", "chat[1]/groups/room/part", "chat%5B2%5D/groups/room%2Fpart");
    check("chat%5B1%5D/groups/room+part", "chat[1]/groups/room+part", "chat[1]/groups/room");
    check("chat%5B1%5D/groups/room%3Fpart", "chat[1]/groups/room?part", "chat[1]/groups/part");
    check("chat/groups/%E4%BD%A0", "chat/groups/你", "chat/groups/%E4%BD%A1");
    check("chat/groups/%ff%2f%", "chat/groups/%ff%2F%", "chat/groups/%fe%2F%");
    check("chat/groups/room%20name", "chat/groups/room+name", "chat/groups/room%252520name");
}

#[test]
fn default_ports_may_be_left_out() {
    let origins = Origins::default();
    let check = |scheme, authority: &str, rows: &[(&str, bool)]| {
        check_rest(&origins, RequestOrigin { scheme, authority, ..to("/api") }, rows);
    };
    let plain = [("http://rt/api", true), ("http://rt:80/api", true), ("ws://rt:80/api", true)];
    check(Scheme::Http, "rt", &plain);
    check(Scheme::Http, "rt:80", &plain);
    let secured = [("https://rt/api", true), ("https://RT:443/api", true), ("wss://rt:443/api", true)];
    check(Scheme::Https, "rt", &secured);
    check(Scheme::Https, "rt:443", &secured);
    // TLS ended in front of us.
    check(Scheme::Http, "rt", &secured);
    check(Scheme::Http, "rt:443", &secured);
    check(Scheme::Http, "rt", &[("http://rt:443/api", false), ("https://rt:80/api", false)]);
    check(Scheme::Https, "[::1]:443", &[("https://[::1]/api", true), ("https://[::1]:80/api", false)]);
    check(Scheme::Http, "", &[("http:///api", false), ("/api", false)]);
}

#[test]
fn public_endpoints_are_accepted_with_their_prefix() {
    let origins = known_as(&["https://rt.example.com", "https://rt.example.com:8443/prefix"]);
    let rows = [
        ("https://rt.example.com/api/hubs/chat?api-version=2024-12-01", true),
        ("https://RT.example.com:443/api/hubs/chat", true),
        ("https://rt.example.com:8443/prefix/api/hubs/chat", true),
        ("https://rt.example.com:8443/api/hubs/chat", false),
        ("https://rt.example.com/prefix/api/hubs/chat", false),
        ("https://rt.example.com:8443/prefixed/api/hubs/chat", false),
    ];
    check_rest(&origins, to("/api/hubs/chat"), &rows);
    check_rest(&origins, to("/api/hubs/chat"), &[("http://localhost:8080/api/hubs/chat", true)]);
    check_rest(&origins, to("/prefix/api/hubs/chat"), &rows);
    check_rest(
        &origins,
        to("/prefix/api/hubs/chat"),
        &[("http://localhost:8080/prefix/api/hubs/chat", true)],
    );
    check_client(
        &origins,
        to("/prefix/client/hubs/chat"),
        &[
            ("https://rt.example.com:8443/prefix/client/hubs/chat", true),
            ("https://rt.example.com/client/hubs/chat", true),
            ("https://rt.example.com:8443/client/hubs/chat", false),
        ],
    );
}

#[test]
fn prefixes_are_stripped_before_routing() {
    let origins = known_as(&["https://a", "https://a/p", "https://b/p/q"]);
    let check = |path: &str, expected: &str| assert_eq!(origins.strip_prefix(path), expected, "{path}");
    check("/api/hubs/chat", "/api/hubs/chat");
    check("/p/api/hubs/chat", "/api/hubs/chat");
    check("/p/q/api/hubs/chat", "/api/hubs/chat");
    check("/pp/api", "/pp/api");
    check("/p", "");
    check("/", "/");
    assert_eq!(Origins::default().strip_prefix("/p/api"), "/p/api");
}

#[test]
fn only_a_trusted_proxy_is_believed() {
    let headers = [
        ("x-forwarded-host", "rt.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/p"),
    ];
    let request = through_proxy("/api/hubs/chat", &headers);
    let origins = known_as(&[]);
    let outside =
        [("https://rt.example.com/p/api/hubs/chat", true), ("http://localhost:8080/api/hubs/chat", false)];
    check_rest(&origins, request, &outside);
    assert_eq!(origins.public_url(&request), "https://rt.example.com/p");
    let stranger = RequestOrigin { peer: [11, 0, 0, 1].into(), ..request };
    let inside =
        [("https://rt.example.com/p/api/hubs/chat", false), ("http://localhost:8080/api/hubs/chat", true)];
    check_rest(&origins, stranger, &inside);
    assert_eq!(origins.public_url(&stranger), "http://localhost:8080");
}

#[test]
fn absolute_urls_name_the_origin_that_the_caller_used() {
    let origins = known_as(&["https://rt.example.com", "https://rt.example.com:8443/prefix"]);
    let check =
        |request: RequestOrigin<'_>, expected: &str| assert_eq!(origins.public_url(&request), expected);
    check(to("/api"), "http://localhost:8080");
    check(RequestOrigin { scheme: Scheme::Https, ..to("/api") }, "https://localhost:8080");
    check(to("/prefix/api"), "http://localhost:8080/prefix");
    check(RequestOrigin { authority: "rt.example.com", ..to("/api") }, "https://rt.example.com");
    check(
        RequestOrigin { authority: "RT.example.com:8443", ..to("/api") },
        "https://RT.example.com:8443/prefix",
    );
    check(
        RequestOrigin { authority: "rt.example.com:8443", ..to("/prefix/api") },
        "https://rt.example.com:8443/prefix",
    );
    check(through_proxy("/api", &[("x-forwarded-proto", "https")]), "https://localhost:8080");
    check(
        through_proxy("/api", &[("forwarded", "host=\"rt.example.com:8443\";proto=https")]),
        "https://rt.example.com:8443/prefix",
    );
    check(
        through_proxy("/api", &[("x-forwarded-host", "rt.example.com:8443"), ("x-forwarded-prefix", "/")]),
        "https://rt.example.com:8443",
    );
}

#[test]
fn path_only_ignores_the_authority() {
    let origins = Origins { check: AudienceCheck::PathOnly, ..known_as(&["https://a/p"]) };
    check_rest(
        &origins,
        to("/api/hubs/chat"),
        &[
            ("https://anything:1/api/hubs/chat?x", true),
            ("https://anything/p/api/hubs/chat", true),
            ("https://anything/q/api/hubs/chat", false),
            ("https://anything/api/hubs/other", false),
            ("anything/api/hubs/chat", false),
        ],
    );
    check_client(
        &origins,
        to("/client/hubs/chat"),
        &[("wss://b/client/hubs/chat", true), ("wss://b", false)],
    );
}

#[test]
fn client_audiences_name_the_endpoint_of_the_hub() {
    let rows = [
        ("http://localhost:8080/client/hubs/chat", true),
        ("ws://LOCALHOST:8080/Client/Hubs/CHAT", true),
        ("https://localhost:8080/client/hubs/%63hat", true),
        ("http://localhost:8080/client/hubs/chat/", false),
        ("http://localhost:8080/client/hubs/chat?a=b", false),
        ("http://localhost:8080/client/hubs/chat2", false),
        ("http://localhost:8080/client/hubs/cha", false),
        ("http://localhost:8080/clients/mqtt/hubs/chat", false),
        ("http://localhost:8080/clients/socketio/hubs/chat", false),
        ("http://localhost:8080/api/hubs/chat", false),
        ("http://otherhost:8080/client/hubs/chat", false),
        ("ftp://localhost:8080/client/hubs/chat", false),
        ("", false),
    ];
    let legacy = |expected| {
        [
            ("http://localhost:8080/client/?hub=chat", expected),
            ("wss://localhost:8080/client?hub=Chat", expected),
        ]
    };
    let origins = Origins::default();
    check_client(&origins, to("/client/hubs/CHAT"), &rows);
    check_client(&origins, to("/client/hubs/chat"), &legacy(false));
    for path in ["/client", "/client/"] {
        check_client(&origins, to(path), &rows);
        check_client(&origins, to(path), &legacy(true));
    }
    let hub = HubName::new("a[1]").unwrap();
    for audience in ["http://localhost:8080/client/hubs/a%5B1%5D", "http://localhost:8080/client/hubs/A[1]"] {
        assert!(origins.client(&to("/client/hubs/a%5B1%5D"), &hub).accepts(audience), "{audience}");
    }
}
