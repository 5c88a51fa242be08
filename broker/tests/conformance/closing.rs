//! Group 7: close frames and what comes after them.

use super::case::{Case, End, INVALID, NOT_UTF8, check_all};
use crate::support::{Frame, Opcode};

#[tokio::test]
async fn a_close_with_1000_comes_back_with_its_reason() {
    let longest = "r".repeat(123);
    check_all(["", "bye", "grüß 😀", &longest].map(|reason| {
        let close = [Frame::close(1000, reason)];
        Case::new(reason, &close).end(End::Echoes(close[0].content.clone()))
    }))
    .await;
}

#[tokio::test]
async fn a_close_without_a_code_comes_back_without_one() {
    let close = Frame::close_without_code();
    check_all([Case::new("no code", &[close]).end(End::Echoes(Vec::new()))]).await;
}

#[tokio::test]
async fn every_other_valid_code_comes_back() {
    let codes = [1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    check_all(codes.into_iter().flat_map(|code| {
        ["", "a reason"].map(|reason| {
            Case::new(format!("{code} {reason}"), &[Frame::close(code, reason)]).end(End::EchoesCode(code))
        })
    }))
    .await;
}

#[tokio::test]
async fn a_code_that_may_not_be_sent_is_refused() {
    let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    check_all(codes.map(|code| Case::new(code.to_string(), &[Frame::close(code, "")]).end(INVALID))).await;
}

#[tokio::test]
async fn a_close_frame_of_one_byte_or_more_than_125_is_refused() {
    check_all([1, 126, 127, 65_536].map(|length| {
        let frame = Frame::new(Opcode::CLOSE, vec![3; length]);
        Case::new(format!("{length} bytes"), &[frame]).end(INVALID)
    }))
    .await;
}

#[tokio::test]
async fn a_reason_that_is_not_utf8_closes_with_1007() {
    check_all([&b"\xFF"[..], b"\xC3", b"fine until \xED\xA0\x80"].map(|reason| {
        let frame = Frame::new(Opcode::CLOSE, [&[3, 0xE8], reason].concat());
        Case::new(format!("{reason:02X?}"), &[frame]).end(NOT_UTF8)
    }))
    .await;
}

#[tokio::test]
async fn what_comes_after_a_close_is_ignored() {
    let close = Frame::close(1000, "bye");
    let after = [
        Frame::text("late"),
        Frame::ping("late"),
        Frame::close(1001, "again"),
        close.clone(),
        Frame::new(Opcode(3), "forbidden"),
        Frame::text("cut").not_final(),
    ];
    check_all(after.map(|frame| {
        let name = format!("opcode {} after a close", frame.opcode.0);
        Case::new(name, &[close.clone(), frame]).end(End::Echoes(close.content.clone()))
    }))
    .await;
}

#[tokio::test]
async fn a_message_and_a_ping_before_a_close_are_answered_first() {
    let close = Frame::close(1000, "");
    let case = Case::new("ping, close", &[Frame::ping("p"), close.clone()])
        .expect(Frame::pong("p"))
        .end(End::Echoes(close.content.clone()));
    let text = Case::new("text, close", &[Frame::text("hi"), close.clone()])
        .expect(Frame::text("hi"))
        .end(End::Echoes(close.content));
    check_all([case.clone(), case.in_chops(1), text.clone(), text.in_chops(1)]).await;
}
