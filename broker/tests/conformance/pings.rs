//! Group 2: pings and pongs.

use super::case::{Case, INVALID, check_all, noise};
use crate::support::{Frame, Opcode};

#[tokio::test]
async fn a_ping_is_answered_with_its_content() {
    let contents = [Vec::new(), b"hello".to_vec(), vec![0, 0xFF, 0xFE, 0xFD], noise(125)];
    check_all(contents.into_iter().flat_map(|content| {
        let name = format!("ping of {} bytes", content.len());
        let case = Case::new(name, &[Frame::ping(content.clone())]).expect(Frame::pong(content));
        [case.clone(), case.in_chops(1)]
    }))
    .await;
}

#[tokio::test]
async fn a_ping_of_every_allowed_length_is_answered() {
    let pings: Vec<Frame> = (0..=125).map(|length| Frame::ping(noise(length))).collect();
    let answers = (0..=125).map(|length| Frame::pong(noise(length)));
    check_all([answers.fold(Case::new("126 pings", &pings), Case::expect)]).await;
}

#[tokio::test]
async fn a_control_frame_of_126_bytes_or_more_is_refused() {
    check_all([Opcode::PING, Opcode::PONG].into_iter().flat_map(|opcode| {
        [126, 127, 65_536].map(|length| {
            Case::new(format!("{opcode:?} of {length}"), &[Frame::new(opcode, noise(length))]).end(INVALID)
        })
    }))
    .await;
}

#[tokio::test]
async fn an_unsolicited_pong_is_ignored() {
    check_all([
        Case::new("empty", &[Frame::pong("")]),
        Case::new("with content", &[Frame::pong("hi")]),
        Case::new("pong, ping, pong", &[Frame::pong("a"), Frame::ping("b"), Frame::pong("c")])
            .expect(Frame::pong("b")),
    ])
    .await;
}

#[tokio::test]
async fn pings_are_answered_in_order() {
    let pings: Vec<Frame> = (0..50).map(|n| Frame::ping(format!("ping {n}"))).collect();
    let answers = (0..50).map(|n| Frame::pong(format!("ping {n}")));
    let case = answers.fold(Case::new("50 pings", &pings), Case::expect);
    check_all([case.clone(), case.in_chops(1)]).await;
}

#[tokio::test]
async fn a_ping_before_a_message_is_answered() {
    let frames = [Frame::ping("p"), Frame::text("two")];
    check_all([Case::new("ping, text", &frames).expect(Frame::pong("p")).expect(Frame::text("two"))]).await;
}
