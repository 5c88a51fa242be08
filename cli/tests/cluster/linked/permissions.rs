//! Permissions of connections on other nodes.

use hyper::Method;
use serde_json::json;

use super::{Nodes, chat};
use crate::support::ClientSpec;

#[tokio::test]
async fn a_grant_and_a_revocation_reach_a_client_of_another_node() {
    let nodes = Nodes::start();
    let mut client = nodes.node(1).connect("chat", ClientSpec::json()).await;
    let path =
        chat(&format!("permissions/sendToGroup/connections/{}?targetName=room", client.connection_id()));
    let publish =
        json!({"type": "sendToGroup", "group": "room", "dataType": "text", "data": "x", "noEcho": true});
    for (method, status, is_permitted) in [(Method::PUT, 200, true), (Method::DELETE, 204, false)] {
        nodes.node(3).rest().call(method, &path).expect(status).await;
        let known = if is_permitted { 200 } else { 404 };
        for server in nodes.all() {
            server.rest().head(&path).expect(known).await;
        }
        assert_eq!(client.request(publish.clone()).await["success"], is_permitted);
    }
    let missing = chat("permissions/sendToGroup/connections/none?targetName=room");
    nodes.node(3).rest().put(&missing).expect(404).await;
}
