//! More at once than a client may leave unacknowledged.

use serde_json::json;

use crate::dialect::{Dialect, both};
use crate::peer::{Peer, ended, member, next_frame};
use crate::support::{ClientSpec, Frame, RawSocket, Server, within_deadline};

both!(
    a_client_that_acknowledges_gets_a_burst_of_many_windows_from_another_worker,
    a_client_that_does_not_acknowledge_ends_and_its_neighbour_gets_all,
);

/// Messages of the burst: five windows of the service.
const BURST: u64 = 5000;
/// Messages after which a client acknowledges.
const ACKNOWLEDGED_AFTER: u64 = 200;

/// A reliable member of the worker B. An id begins with its worker.
async fn on_b(server: &Server, dialect: Dialect) -> Peer {
    loop {
        let peer = Peer::connect_as(server, dialect, &member(dialect)).await;
        if peer.ticket.id.starts_with('B') {
            return peer;
        }
    }
}

/// A client of the worker A that may publish.
async fn publisher(server: &Server) -> RawSocket {
    loop {
        let mut socket = server.raw_upgraded("chat", &ClientSpec::member()).await;
        let connected = next_frame(&mut socket).await;
        let connected: serde_json::Value = serde_json::from_slice(&connected.content).unwrap();
        if connected["connectionId"].as_str().unwrap().starts_with('A') {
            return socket;
        }
    }
}

async fn burst(server: &Server) -> RawSocket {
    let mut publisher = publisher(server).await;
    let publish = json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "x"});
    let frames = Frame::text(&publish.to_string()).bytes().repeat(BURST as usize);
    publisher.write(&frames).await;
    publisher
}

async fn a_client_that_acknowledges_gets_a_burst_of_many_windows_from_another_worker(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.workers(2);
    })
    .await;
    let mut reader = on_b(&server, dialect).await;
    let read = async {
        for sequence_id in 1..=BURST {
            reader.expect("x", sequence_id).await;
            if sequence_id % ACKNOWLEDGED_AFTER == 0 {
                reader.send(json!({"type": "sequenceAck", "sequenceId": sequence_id})).await;
            }
        }
    };
    let (_publisher, ()) = tokio::join!(burst(&server), within_deadline("the whole burst", read));
    reader.expect_nothing_before_pong().await;
}

async fn a_client_that_does_not_acknowledge_ends_and_its_neighbour_gets_all(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.workers(2);
    })
    .await;
    let silent = on_b(&server, dialect).await;
    let mut neighbour = loop {
        let spec = ClientSpec::member().group("g");
        let mut socket = server.raw_upgraded("chat", &spec).await;
        let connected = next_frame(&mut socket).await;
        let connected: serde_json::Value = serde_json::from_slice(&connected.content).unwrap();
        if connected["connectionId"].as_str().unwrap().starts_with('B') {
            break socket;
        }
    };
    let read = async {
        for _ in 0..BURST {
            next_frame(&mut neighbour).await;
        }
    };
    let (_publisher, ()) = tokio::join!(burst(&server), within_deadline("the whole burst", read));
    ended(&server, &silent.ticket.id).await;
}
