//! Listing the members of a group.

use serde_json::{Value, json};

use crate::support::{Client, ClientSpec, Server, escape};
use crate::{assert_error, chat};

async fn members(server: &Server, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..count {
        let spec = ClientSpec::json().user(&format!("user{number}")).group("room");
        clients.push(server.connect("chat", spec).await);
    }
    clients.sort_by(|a, b| a.connection_id().cmp(b.connection_id()));
    clients
}

fn ids(clients: &[Client]) -> Vec<String> {
    clients.iter().map(|client| client.connection_id().to_owned()).collect()
}

fn listed(page: &Value) -> Vec<String> {
    let items = page["value"].as_array().unwrap();
    items.iter().map(|item| item["connectionId"].as_str().unwrap().to_owned()).collect()
}

/// Path and query of a link, which must start with the broker's origin.
fn target<'l>(server: &Server, link: &'l Value) -> &'l str {
    link.as_str().unwrap().strip_prefix(&server.origin()).unwrap()
}

async fn page(server: &Server, target: &str) -> Value {
    let reply = server.rest().get(target).expect(200).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

/// Follows the links from `first` to the end.
async fn pages(server: &Server, first: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut next = chat(first);
    loop {
        let page = page(server, &next).await;
        all.push(listed(&page));
        match &page["nextLink"] {
            Value::Null => return all,
            link => next = target(server, link).to_owned(),
        }
    }
}

#[tokio::test]
async fn members_are_listed_with_their_users() {
    let server = Server::start().await;
    let ann = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
    let nobody = server.connect("chat", ClientSpec::json().group("room")).await;
    let _other = server.connect("chat", ClientSpec::json().group("hall")).await;
    let mut expected = [
        json!({"connectionId": ann.connection_id(), "userId": "ann"}),
        json!({"connectionId": nobody.connection_id(), "userId": null}),
    ];
    expected.sort_by_key(|item| item["connectionId"].to_string());
    let page = page(&server, &chat("groups/room/connections?api-version=2024-12-01")).await;
    assert_eq!(page["value"], json!(expected));
    assert_eq!(page.get("nextLink").unwrap_or(&Value::Null), &Value::Null);
}

#[tokio::test]
async fn a_missing_group_or_hub_is_an_empty_list() {
    let server = Server::start().await;
    let _client = server.connect("chat", ClientSpec::json().group("room")).await;
    for target in [chat("groups/empty/connections"), "/api/hubs/none/groups/room/connections".into()] {
        assert_eq!(page(&server, &target).await["value"], json!([]));
    }
}

#[tokio::test]
async fn pages_cover_all_members_in_the_order_of_their_ids() {
    let server = Server::start().await;
    let clients = members(&server, 7).await;
    for (query, sizes) in [
        ("", vec![7]),
        ("?maxpagesize=7", vec![7]),
        ("?maxpagesize=200", vec![7]),
        ("?maxpagesize=3", vec![3, 3, 1]),
        ("?maxpagesize=1", vec![1; 7]),
        ("?maxpagesize=3&top=7", vec![3, 3, 1]),
        ("?maxpagesize=3&top=5", vec![3, 2]),
        ("?maxpagesize=3&top=3", vec![3]),
        ("?maxpagesize=3&top=6", vec![3, 3]),
        ("?top=2", vec![2]),
        ("?top=2147483647", vec![7]),
    ] {
        let pages = pages(&server, &format!("groups/room/connections{query}")).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{query}");
        let all: Vec<String> = pages.concat();
        assert_eq!(all, ids(&clients)[..all.len()], "{query}");
    }
}

#[tokio::test]
async fn a_page_has_at_most_200_members() {
    let server = Server::start().await;
    let clients = members(&server, 203).await;
    let pages = pages(&server, "groups/room/connections").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [200, 3]);
    assert_eq!(pages.concat(), ids(&clients));
}

#[tokio::test]
async fn members_who_come_and_go_neither_shift_nor_repeat_others() {
    let server = Server::start().await;
    let mut clients = members(&server, 6).await;
    let first = page(&server, &chat("groups/room/connections?maxpagesize=2")).await;
    assert_eq!(listed(&first), ids(&clients)[..2]);
    let link = target(&server, &first["nextLink"]).to_owned();
    // The cursor itself goes, one behind it, and one ahead.
    for gone in [4, 1, 0] {
        let client = clients.remove(gone);
        let path = chat(&format!("groups/room/connections/{}", client.connection_id()));
        server.rest().delete(&path).expect(204).await;
    }
    let late = server.connect("chat", ClientSpec::json().group("room")).await;
    let mut expected = ids(&clients);
    let is_ahead = late.connection_id() > listed(&first)[1].as_str();
    if is_ahead {
        expected.push(late.connection_id().to_owned());
        expected.sort();
    }
    let mut seen = Vec::new();
    let mut next = link;
    loop {
        let page = page(&server, &next).await;
        seen.extend(listed(&page));
        match &page["nextLink"] {
            Value::Null => break,
            link => next = target(&server, link).to_owned(),
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_link_names_page_size_rest_of_top_and_newest_version() {
    let server = Server::start().await;
    let _clients = members(&server, 4).await;
    let page =
        page(&server, &chat("groups/room/connections?api-version=2021-10-01&top=3&maxpagesize=2")).await;
    let link = page["nextLink"].as_str().unwrap();
    let (path, query) = link.split_once('?').unwrap();
    assert_eq!(path, format!("{}/api/hubs/chat/groups/room/connections", server.origin()));
    let parameters: Vec<&str> = query.split('&').collect();
    assert!(parameters.contains(&"api-version=2024-12-01"), "{query}");
    assert!(parameters.contains(&"maxpagesize=2"), "{query}");
    assert!(parameters.contains(&"top=1"), "{query}");
    assert!(parameters.iter().any(|part| part.starts_with("continuationToken=")), "{query}");
}

#[tokio::test]
async fn a_token_for_the_path_opens_every_page_and_each_page_needs_one() {
    let server = Server::start().await;
    let _clients = members(&server, 3).await;
    let path = chat("groups/room/connections");
    let token = server.rest().token(&path).sign();
    let first = server.rest().get(&format!("{path}?maxpagesize=2")).token(&token).expect(200).await;
    let link = first.json()["nextLink"].clone();
    server.rest().get(target(&server, &link)).token(&token).expect(200).await;
    server.rest().get(target(&server, &link)).without_token().expect(401).await;
}

#[tokio::test]
async fn a_group_with_an_odd_name_is_continued() {
    let server = Server::start().await;
    let odd = "a/b c?d&e=%2F+é";
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect("chat", ClientSpec::json().group(odd)).await);
    }
    let pages = pages(&server, &format!("groups/{}/connections?maxpagesize=1", escape(odd))).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn a_continuation_token_is_good_for_its_own_group_and_unaltered() {
    let server = Server::start().await;
    let _clients = members(&server, 3).await;
    let first = page(&server, &chat("groups/room/connections?maxpagesize=1")).await;
    let link = first["nextLink"].as_str().unwrap();
    let token = link.split(['?', '&']).find_map(|part| part.strip_prefix("continuationToken=")).unwrap();
    let own = chat(&format!("groups/room/connections?continuationToken={token}"));
    assert_eq!(listed(&page(&server, &own).await).len(), 2);

    let mut altered = token.to_owned();
    altered.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
    let last = token.len() - 2;
    let mut cut = token.to_owned();
    cut.truncate(last);
    let too_long = "a".repeat(2049);
    for bad in ["", "%20", "x", "1", &altered, &cut, &format!("{token}x"), &too_long] {
        let path = chat(&format!("groups/room/connections?continuationToken={bad}"));
        let reply = server.rest().get(&path).expect(400).await;
        assert_error(&reply, "Error.BadRequest", "continuationToken");
    }
    for elsewhere in [chat("groups/hall/connections"), "/api/hubs/other/groups/room/connections".into()] {
        let path = format!("{elsewhere}?continuationToken={token}");
        let reply = server.rest().get(&path).expect(400).await;
        assert_error(&reply, "Error.BadRequest", "continuationToken");
    }
}

#[tokio::test]
async fn paging_parameters_have_their_rules() {
    let server = Server::start().await;
    for (name, values) in [
        ("maxpagesize", &["0", "201", "-1", "", "%20", "1.5", "x", "2147483648"][..]),
        ("top", &["0", "-1", "", "%20", "1.5", "x", "2147483648"]),
    ] {
        for value in values {
            let path = chat(&format!("groups/room/connections?{name}={value}"));
            let reply = server.rest().get(&path).expect(400).await;
            assert_error(&reply, "Error.BadRequest", name);
        }
        let path = chat(&format!("groups/room/connections?{name}=1&{name}=1"));
        let reply = server.rest().get(&path).expect(400).await;
        assert_error(&reply, "Error.BadRequest", name);
    }
}
