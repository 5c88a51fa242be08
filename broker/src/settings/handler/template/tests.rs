use super::*;

fn resolved(template: &str, hub: &str, event: &str) -> String {
    let hub = HubName::new(hub).unwrap();
    UrlTemplate::parse(template).unwrap().resolve(&hub, event).unwrap().to_string()
}

#[test]
fn hub_and_event_are_put_in_wherever_path_and_query_name_them() {
    let check = |template: &str, expected: &str| {
        assert_eq!(resolved(template, "Chat", "room.new"), expected, "{template}");
    };
    check("https://app.test/api/{hub}/{event}?code=k", "https://app.test/api/chat/room.new?code=k");
    check("https://app.test/{HUB}/{Event}", "https://app.test/chat/room.new");
    check(
        "https://app.test/{hub}{hub}?e={event}&e={event}",
        "https://app.test/chatchat?e=room.new&e=room.new",
    );
    check("https://app.test", "https://app.test/");
    check("https://app.test?code=k", "https://app.test/?code=k");
    check("HTTP://App.Test:80/x", "http://app.test/x");
    check("http://127.0.0.1:7070/{event}", "http://127.0.0.1:7070/room.new");
    check("http://[::1]:7070/{event}", "http://[::1]:7070/room.new");
    check("https://app.test:/x", "https://app.test/x");
    check("https://app.test/%7Bid%7D/{event}", "https://app.test/%7Bid%7D/room.new");
    check("https://app.test/a@b/{event}?u=a@b", "https://app.test/a@b/room.new?u=a@b");
    check("https://bücher.test/straße/{event}", "https://xn--bcher-kva.test/stra%C3%9Fe/room.new");
    check(
        "https://f.test/runtime/webhooks/webpubsub?code=a%2Fb==",
        "https://f.test/runtime/webhooks/webpubsub?code=a%2Fb==",
    );
}

#[test]
fn what_is_put_in_is_escaped() {
    assert_eq!(resolved("http://a/{hub}/x", "a`b,c.[d]", "e"), "http://a/a%60b%2Cc.%5Bd%5D/x");
    assert_eq!(resolved("http://a/{event}?e={event}", "h", "a/b?c#d&e"), {
        "http://a/a%2Fb%3Fc%23d%26e?e=a%2Fb%3Fc%23d%26e"
    });
}

#[test]
fn the_url_to_validate_has_its_own_event() {
    let template = UrlTemplate::parse("http://a/{hub}/{event}?code=k").unwrap();
    let url = template.validation(&HubName::new("Chat").unwrap()).unwrap();
    assert_eq!(url.as_str(), "http://a/chat/validate?code=k");
}

#[test]
fn what_cannot_be_a_handlers_url_is_refused_by_name() {
    use InvalidTemplate::*;
    let check = |template: &str, expected| {
        assert_eq!(UrlTemplate::parse(template), Err(expected), "{template}");
    };
    check("", NotUrl);
    check("app.test/x", NotUrl);
    check("/api/{event}", NotUrl);
    check("http:app.test/x", NotUrl);
    check("http:/app.test/x", NotUrl);
    check("http://a b/x", Character);
    check("http://[::1/x", NotUrl);
    check("http://%7Bhub%7D.test/x", Host);
    check("ftp://app.test/x", Scheme);
    check("{hub}://app.test/x", Scheme);
    check("tunnel:///eventhandler/{event}", Tunnel);
    check("TUNNEL:///", Tunnel);
    check("http:///path", NoHost);
    check("http://", NoHost);
    check("http://:8080/", NoHost);
    check("http://?x", NoHost);
    check("http://app.test:0/", Port);
    check("http://app.test:65536/", Port);
    check("http://app.test:x/", Port);
    check("http://user:secret@app.test/x", Credentials);
    check("http://user@app.test/x", Credentials);
    check("http://@app.test/x", Credentials);
    check("https://{hub}.app.test/x", Host);
    check("https://app.test{event}/x", Host);
    check("https://app.test:{hub}/x", Host);
    check("https://app.test:80{hub}?x", Host);
    check("https://app.test/{id}", Brace);
    check("https://app.test/{}", Brace);
    check("https://app.test/{{hub}}", Brace);
    check("https://app.test/{hub", Brace);
    check("https://app.test/hub}", Brace);
    check("https://app.test/?q={ hub }", Character);
    check("https://app.test/{@Microsoft.KeyVault(SecretUri=https://v.test/secrets/a)}", KeyVault);
    check("https://{@microsoft.keyvault(SecretUri=https://v.test)}/", KeyVault);
    check("https://app.test/a\tb", Character);
    check("https://app.test/a\nb", Character);
    check("https://app.test\\x", Character);
    check(" https://app.test/x", Character);
    check("https://app.test/x#y", Fragment);
    check("https://app.test#", Fragment);
}

#[test]
fn a_template_has_at_most_8_kib() {
    let of_length = |length: usize| {
        let start = "http://app.test/";
        UrlTemplate::parse(&format!("{start}{}", "x".repeat(length - start.len())))
    };
    assert!(of_length(8192).is_ok());
    assert_eq!(of_length(8193), Err(InvalidTemplate::TooLong));
}

#[test]
fn a_template_is_shown_without_the_values_of_its_query() {
    let template = UrlTemplate::parse("https://app.test/{HUB}/{event}?code=secret&b={hub}").unwrap();
    assert_eq!(template.to_string(), "https://app.test/{hub}/{event}?…");
    assert_eq!(format!("{template:?}"), "UrlTemplate(https://app.test/{hub}/{event}?…)");
    let refused = UrlTemplate::parse("http://user:secret@app.test/x").unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("secret"));
}
