//! What has a number, and what is sent again.

use serde_json::{Value, json};

use crate::dialect::{Dialect, both};
use crate::peer::{Peer, next_frame, publish};
use crate::support::{Frame, Server};

both!(
    messages_are_numbered_from_one_and_nothing_else_is,
    each_connection_counts_for_itself_and_plain_ones_do_not,
    what_is_not_acknowledged_comes_again_in_order_and_as_it_was,
    a_message_that_was_written_in_part_comes_again_whole,
    an_acknowledgement_is_cumulative_and_never_taken_back,
    a_message_that_nobody_wants_any_more_does_not_come_again,
    acks_that_were_lost_are_made_up_for_by_the_duplicate,
    what_was_sent_before_the_loss_is_done,
    ack_ids_are_remembered_across_a_recovery_also_the_smallest_and_the_largest,
    a_socket_that_takes_over_in_the_middle_of_a_message_gets_it_whole,
);

async fn messages_are_numbered_from_one_and_nothing_else_is(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    publish(&server, "a").await;
    let first = peer.next().await;
    let expected = json!({"type": "message", "from": "group", "group": "g", "fromUserId": null,
        "dataType": "text", "data": "a", "sequenceId": 1});
    assert_eq!(first, expected);
    peer.send(json!({"type": "joinGroup", "group": "h", "ackId": 1})).await;
    assert_eq!(peer.next().await, json!({"type": "ack", "ackId": 1, "success": true}));
    server.rest().post("/api/hubs/chat/:send").json(&json!({"b": 1})).expect(202).await;
    let second = peer.next().await;
    assert_eq!((&second["from"], &second["sequenceId"]), (&json!("server"), &json!(2)));
    peer.expect_nothing_before_pong().await;
    peer.send(json!({"type": "sendToGroup", "group": "h", "dataType": "text", "data": "c"})).await;
    peer.expect("c", 3).await;
}

async fn each_connection_counts_for_itself_and_plain_ones_do_not(dialect: Dialect) {
    let server = Server::start().await;
    let mut early = Peer::connect(&server, dialect).await;
    publish(&server, "a").await;
    early.expect("a", 1).await;
    let mut late = Peer::connect(&server, dialect).await;
    let mut plain = server.connect("chat", crate::support::ClientSpec::json().group("g")).await;
    publish(&server, "b").await;
    early.expect("b", 2).await;
    late.expect("b", 1).await;
    assert_eq!(plain.next_json().await.get("sequenceId"), None);
}

async fn what_is_not_acknowledged_comes_again_in_order_and_as_it_was(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    for data in ["1", "2", &"3".repeat(200), &"4".repeat(70_000), "5"] {
        publish(&server, data).await;
    }
    let mut before = Vec::new();
    for _ in 0..5 {
        before.push(next_frame(&mut peer.socket).await);
    }
    peer.acknowledge(2).await;
    let ticket = peer.lose();
    publish(&server, "6").await;
    let mut peer = ticket.recover(&server).await;
    for frame in &before[2..] {
        assert!(next_frame(&mut peer.socket).await == *frame, "not the bytes of before");
    }
    peer.expect("6", 6).await;
    publish(&server, "7").await;
    peer.expect("7", 7).await;
    peer.expect_nothing_before_pong().await;
}

async fn a_message_that_was_written_in_part_comes_again_whole(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    let big = "x".repeat(900_000);
    // More than the kernel takes, so that one is broken off somewhere.
    for _ in 0..12 {
        publish(&server, &big).await;
    }
    assert!(peer.socket.fill().await);
    let ticket = peer.lose();
    let mut peer = ticket.recover(&server).await;
    for sequence_id in 1..=12 {
        peer.expect(&big, sequence_id).await;
    }
}

async fn a_socket_that_takes_over_in_the_middle_of_a_message_gets_it_whole(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.window(1000, 64 << 20);
    })
    .await;
    let mut old = Peer::connect(&server, dialect).await;
    let big = "x".repeat(900_000);
    // More than the kernel takes, so that one is broken off somewhere, on a socket that nobody closes.
    for _ in 0..30 {
        publish(&server, &big).await;
    }
    let mut new = old.ticket.recover(&server).await;
    for sequence_id in 1..=30 {
        new.expect(&big, sequence_id).await;
    }
    publish(&server, "after").await;
    new.expect("after", 31).await;
    while let Some(frame) = old.socket.try_read_frame().await {
        assert_eq!(frame.opcode, dialect.opcode(), "the old one ends without a word");
    }
}

/// What comes after a recovery when these were acknowledged of five.
async fn replayed(dialect: Dialect, acknowledged: &[u64]) -> Vec<u64> {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    for sequence_id in 1..=5 {
        publish(&server, "x").await;
        peer.expect("x", sequence_id).await;
    }
    for &sequence_id in acknowledged {
        peer.acknowledge(sequence_id).await;
    }
    let mut peer = peer.lose().recover(&server).await;
    publish(&server, "end").await;
    let mut replayed = Vec::new();
    loop {
        let message: Value = peer.next().await;
        if message["data"] == "end" {
            assert_eq!(message["sequenceId"], 6, "numbers go on");
            return replayed;
        }
        replayed.push(message["sequenceId"].as_u64().unwrap());
    }
}

async fn an_acknowledgement_is_cumulative_and_never_taken_back(dialect: Dialect) {
    for (acknowledged, expected) in [
        (&[][..], &[1, 2, 3, 4, 5][..]),
        (&[0], &[1, 2, 3, 4, 5]),
        (&[3], &[4, 5]),
        (&[4, 2], &[5]),
        (&[5], &[]),
        (&[u64::MAX], &[]),
    ] {
        assert_eq!(replayed(dialect, acknowledged).await, expected, "{acknowledged:?}");
    }
}

async fn a_message_that_nobody_wants_any_more_does_not_come_again(dialect: Dialect) {
    let server = Server::start().await;
    let ticket = Peer::connect(&server, dialect).await.lose();
    let send = |data: &str, ttl: u64| {
        let target = format!("/api/hubs/chat/groups/g/:send?messageTtlSeconds={ttl}");
        server.rest().post(&target).text(data).expect(202)
    };
    send("old", 1).await;
    send("lasting", 300).await;
    // Not a wait for an event: that time passes is what is tested.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let mut peer = ticket.recover(&server).await;
    let next = peer.next().await;
    // It may have been taken by the first socket before its end was seen.
    assert_eq!(next["data"], "lasting");
    assert_eq!(next["sequenceId"], 2, "a gap is harmless");
}

async fn acks_that_were_lost_are_made_up_for_by_the_duplicate(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    let request =
        json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "once", "ackId": 7});
    peer.send(request.clone()).await;
    peer.expect("once", 1).await;
    assert_eq!(peer.next().await["success"], true);
    let mut peer = peer.lose().recover(&server).await;
    peer.expect("once", 1).await;
    peer.send(request).await;
    let again = peer.next().await;
    assert_eq!((&again["ackId"], &again["error"]["name"]), (&json!(7), &json!("Duplicate")), "{again}");
    peer.expect_nothing_before_pong().await;
}

async fn what_was_sent_before_the_loss_is_done(dialect: Dialect) {
    let server = Server::start().await;
    let mut watcher = Peer::connect(&server, dialect).await;
    let mut peer = Peer::connect(&server, dialect).await;
    let publish = json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "last words"});
    let mut bytes = dialect.frame(&publish).bytes();
    // The beginning of a message whose end never comes must not be mixed with what the next socket brings.
    bytes.extend(&Frame::new(dialect.opcode(), "x".repeat(100)).bytes()[..50]);
    peer.socket.write(&bytes).await;
    watcher.expect("last words", 1).await;
    let mut peer = peer.lose().recover(&server).await;
    peer.expect("last words", 1).await;
    peer.expect_nothing_before_pong().await;
}

async fn ack_ids_are_remembered_across_a_recovery_also_the_smallest_and_the_largest(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    let ids = [0, 7, u64::MAX];
    for id in ids {
        peer.send(json!({"type": "joinGroup", "group": "h", "ackId": id})).await;
        assert_eq!(peer.next().await, json!({"type": "ack", "ackId": id, "success": true}));
    }
    // An id whose request failed is free, before and after.
    let refused = json!({"type": "event", "event": "unhandled", "dataType": "text", "data": "x", "ackId": 8});
    peer.send(refused.clone()).await;
    assert_eq!(peer.next().await["error"]["name"], "InternalServerError");
    for _ in 0..2 {
        peer = peer.lose().recover(&server).await;
        for id in ids {
            peer.send(json!({"type": "leaveGroup", "group": "h", "ackId": id})).await;
            let message = format!("Message with ack-id: {id} has been processed");
            let error = json!({"name": "Duplicate", "message": message});
            let expected = json!({"type": "ack", "ackId": id, "success": false, "error": error});
            assert_eq!(peer.next().await, expected);
        }
        peer.send(refused.clone()).await;
        assert_eq!(peer.next().await["error"]["name"], "InternalServerError");
    }
    let publish =
        json!({"type": "sendToGroup", "group": "h", "dataType": "text", "data": "member", "ackId": 9});
    peer.send(publish).await;
    peer.expect("member", 1).await;
    assert_eq!(peer.next().await["success"], true, "no leave was carried out");
}
