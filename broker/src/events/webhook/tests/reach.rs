//! Which addresses are called, and by which way.

use super::server::{agreement, answer};
use super::*;

fn private_refused(allowed: &[&str]) -> AddressRules {
    AddressRules { refuse_private: true, allowed: allowed.iter().map(|text| text.parse().unwrap()).collect() }
}

#[tokio::test(start_paused = true)]
async fn addresses_in_urls_are_judged_however_they_are_written() {
    for url in [
        "http://169.254.169.254/{event}",
        "http://2852039166/{event}",
        "http://0xa9fea9fe/{event}",
        "http://[::ffff:169.254.169.254]/{event}",
        "http://[fd00:ec2::254]/{event}",
        "http://0/{event}",
    ] {
        let error = client(config()).call(&call_to(url)).await.unwrap_err();
        assert_eq!(error, CallError::AddressRefused, "{url}");
    }
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let refusing = |allowed| client(WebhookConfig { addresses: private_refused(allowed), ..config() });
    assert_eq!(refusing(&[]).call(&call(&server)).await.unwrap_err(), CallError::AddressRefused);
    assert_eq!(server.connections(), 0);
    refusing(&["127.0.0.0/8"]).call(&call(&server)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn names_are_called_at_those_of_their_addresses_that_may_be() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let url = |name: &str| format!("http://{name}:{}/{{event}}", server.address.port());
    let names: [(&str, &[&str]); 4] = [
        ("inside.test", &["127.0.0.1"]),
        ("metadata.test", &["169.254.169.254", "fd00:ec2::254"]),
        ("mixed.test", &["169.254.169.254", "127.0.0.1"]),
        ("nowhere.test", &[]),
    ];
    let open = client_that_knows(config(), &names);
    open.call(&call_to(&url("inside.test"))).await.unwrap();
    open.call(&call_to(&url("mixed.test"))).await.unwrap();
    assert_eq!(server.events()[0].headers["host"], format!("inside.test:{}", server.address.port()));
    let reason =
        async |client: &WebhookClient, name| client.call(&call_to(&url(name))).await.unwrap_err().reason();
    assert_eq!(reason(&open, "metadata.test").await, "address_refused");
    assert_eq!(reason(&open, "nowhere.test").await, "not_validated");
    assert_eq!(reason(&open, "unknown.test").await, "not_validated");

    let before = server.connections();
    let closed = client_that_knows(WebhookConfig { addresses: private_refused(&[]), ..config() }, &names);
    assert_eq!(reason(&closed, "inside.test").await, "address_refused");
    assert_eq!(reason(&closed, "mixed.test").await, "address_refused");
    assert_eq!(server.connections(), before);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_gets_what_is_not_excepted_and_addresses_are_still_judged() {
    let proxy = Server::agreeing(|_| Some(answer(200, "proxy"))).await;
    let direct = Server::agreeing(|_| Some(answer(200, "direct"))).await;
    let url = format!("http://ann:s3cret@{}", proxy.address).parse().unwrap();
    let via = ProxyConfig::Via { url, except: vec![".direct.test".to_owned()] };
    // The proxy itself is in a private network, which is the operator's choice.
    let config = WebhookConfig { proxy: via, addresses: private_refused(&["127.0.0.0/30"]), ..config() };
    let client = client_that_knows(config, &[("a.direct.test", &["127.0.0.1"])]);

    let got = client.call(&call_to("http://app.test/{event}")).await.unwrap();
    assert_eq!(got.body, "proxy");
    let event = &proxy.events()[0];
    assert_eq!(event.uri, "http://app.test/room.new");
    assert_eq!(event.headers["proxy-authorization"], "Basic YW5uOnMzY3JldA==");

    let near = format!("http://a.direct.test:{}/{{event}}", direct.address.port());
    assert_eq!(client.call(&call_to(&near)).await.unwrap().body, "direct");
    assert!(direct.seen().iter().all(|seen| !seen.headers.contains_key("proxy-authorization")));

    let before = proxy.seen().len();
    for refused in ["http://10.0.0.1/{event}", "http://169.254.169.254/{event}"] {
        assert_eq!(client.call(&call_to(refused)).await.unwrap_err(), CallError::AddressRefused);
    }
    assert_eq!(proxy.seen().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_private_proxy_may_be_used_where_private_handlers_are_refused() {
    let proxy = Server::start(None, |seen| match seen.method {
        Method::OPTIONS => Some(agreement()),
        _ => Some(answer(200, "proxy")),
    })
    .await;
    let via = ProxyConfig::Via { url: proxy.url("").parse().unwrap(), except: Vec::new() };
    let config = WebhookConfig { proxy: via, addresses: private_refused(&[]), ..config() };
    assert_eq!(client(config).call(&call_to("http://app.test/{event}")).await.unwrap().body, "proxy");
}
