//! A connection that has ended in an orderly way leaves nothing that can be taken up.

use super::member;
use super::nodes::{Durable, Links};
use crate::dialect::Dialect;
use crate::peer::{Peer, ended};
use crate::support::{Frame, Server};

#[tokio::test]
async fn who_has_ended_is_not_taken_up_by_anybody() {
    for dialect in [Dialect::Json, Dialect::Protobuf] {
        let mut nodes = Durable::start(Links::OneRedis);
        let spec = || member().offer(dialect.subprotocol()).group("one");
        let mut left = Peer::connect_as(&nodes.server(1), dialect, &spec()).await;
        let closed = Peer::connect_as(&nodes.server(1), dialect, &spec()).await;
        // What they have not acknowledged is kept as long as they are there.
        nodes.send(2, "groups/one", "said").await;
        left.expect("said", 1).await;
        left.socket.send(&Frame::close(1000, "bye")).await;
        while left.socket.try_read_frame().await.is_some() {}
        let path = format!("/api/hubs/chat/connections/{}", closed.ticket.id);
        nodes.server(3).rest().delete(&path).expect(204).await;
        let tickets = [left.ticket, closed.ticket];
        let refused = async |server: &Server, why: &str| {
            for ticket in &tickets {
                ended(server, &ticket.id).await;
                ticket.expect_refused(server, why).await;
            }
        };
        refused(&nodes.server(2), "its node is there").await;
        nodes.kill(1);
        let gone = || tickets[0].clone();
        // Until the others know that the node is gone they may say that nobody knows.
        super::soon("a certain answer", async {
            loop {
                let offer = [("Sec-WebSocket-Protocol", dialect.subprotocol())];
                if gone().try_recover(&nodes.server(2), &offer).await.1.status == 101 {
                    return;
                }
            }
        })
        .await;
        refused(&nodes.server(2), "its node is gone").await;
        refused(&nodes.server(3), "its node is gone").await;
    }
}

/// Its client does not come back, so nobody waits for it.
#[tokio::test]
async fn who_says_farewell_behind_what_nobody_answers_has_ended() {
    let dialect = Dialect::Json;
    let mut nodes = Durable::start(Links::OneRedis);
    let mut left = Peer::connect_as(&nodes.server(1), dialect, &member().offer(dialect.subprotocol())).await;
    nodes.kill_redis(0);
    left.socket.send(&dialect.frame(&super::publication("one", ("said", 1)))).await;
    left.socket.send(&Frame::close(1000, "bye")).await;
    while left.socket.try_read_frame().await.is_some() {}
    nodes.restart_redis(0);
    ended(&nodes.server(1), &left.ticket.id).await;
    left.ticket.expect_refused(&nodes.server(1), "it has said farewell").await;
}
