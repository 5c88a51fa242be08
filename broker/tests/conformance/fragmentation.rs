//! Group 5: messages in fragments, with control frames between them, and what is no right fragment.

use super::case::{Case, INVALID, check_all};
use crate::support::{Frame, Opcode};

fn start(text: &str) -> Frame {
    Frame::text(text).not_final()
}

fn middle(text: &str) -> Frame {
    Frame::new(Opcode::CONTINUATION, text).not_final()
}

fn end(text: &str) -> Frame {
    Frame::new(Opcode::CONTINUATION, text)
}

/// The case at once, in chops of a byte, and in chops of a few.
fn cut(case: &Case) -> [Case; 3] {
    [case.clone(), case.clone().in_chops(1), case.clone().in_chops(3)]
}

#[tokio::test]
async fn fragments_make_one_message() {
    let cases = [
        Case::new("two", &[start("frag"), end("ment")]).expect(Frame::text("fragment")),
        Case::new("three", &[start("a"), middle("b"), end("c")]).expect(Frame::text("abc")),
        Case::new("the first is empty", &[start(""), end("x")]).expect(Frame::text("x")),
        Case::new("the last is empty", &[start("x"), end("")]).expect(Frame::text("x")),
        Case::new("all are empty", &[start(""), middle(""), end("")]).expect(Frame::text("")),
        Case::new("bytes", &[Frame::binary([0, 255]).not_final(), end("x")])
            .expect(Frame::binary([0, 255, b'x'])),
        Case::new("no bytes", &[Frame::binary("").not_final(), end("")]).expect(Frame::binary("")),
    ];
    check_all(cases.iter().flat_map(cut)).await;
}

#[tokio::test]
async fn a_message_after_a_fragmented_one_stands_alone() {
    let frames = [start("a"), end("b"), Frame::binary("c"), start("d"), end("e")];
    let case = Case::new("three messages", &frames);
    check_all(cut(&case.expect(Frame::text("ab")).expect(Frame::binary("c")).expect(Frame::text("de"))))
        .await;
}

#[tokio::test]
async fn control_frames_between_fragments_are_answered_at_once() {
    let cases = [
        Case::new("a ping", &[start("a"), Frame::ping("p"), end("b")])
            .expect(Frame::pong("p"))
            .expect(Frame::text("ab")),
        Case::new(
            "pings",
            &[start("a"), Frame::ping("1"), Frame::ping(""), middle("b"), Frame::ping("2"), end("c")],
        )
        .expect(Frame::pong("1"))
        .expect(Frame::pong(""))
        .expect(Frame::pong("2"))
        .expect(Frame::text("abc")),
        Case::new("a pong", &[start("a"), Frame::pong("p"), end("b")]).expect(Frame::text("ab")),
    ];
    check_all(cases.iter().flat_map(cut)).await;
}

#[tokio::test]
async fn control_frames_may_not_be_fragmented() {
    let frames = [Frame::ping("p"), Frame::pong("p"), Frame::ping(""), Frame::close(1000, "")];
    check_all(frames.into_iter().flat_map(|frame| {
        let opcode = frame.opcode.0;
        let case = Case::new(format!("opcode {opcode}"), &[frame.not_final(), end("x")]).end(INVALID);
        cut(&case)
    }))
    .await;
}

#[tokio::test]
async fn a_continuation_of_nothing_is_refused() {
    let cases = [
        Case::new("final", &[end("x")]),
        Case::new("not final", &[middle("x")]),
        Case::new("empty", &[end("")]),
        Case::new("after a whole fragmented message", &[Frame::ping("p"), end("x"), Frame::text("y")]),
    ];
    let [first, second, third, fourth] = cases;
    let fourth = fourth.expect(Frame::pong("p"));
    check_all([first, second, third, fourth].iter().flat_map(|case| cut(&case.clone().end(INVALID)))).await;
}

#[tokio::test]
async fn a_new_message_within_a_message_is_refused() {
    let cases = [
        Case::new("text in text", &[start("a"), Frame::text("b")]),
        Case::new("bytes in text", &[start("a"), Frame::binary("b")]),
        Case::new("text in bytes", &[Frame::binary("a").not_final(), Frame::text("b")]),
        Case::new("a start in text", &[start("a"), start("b")]),
        Case::new("after a middle", &[start("a"), middle("b"), Frame::text("c")]),
    ];
    check_all(cases.iter().flat_map(|case| cut(&case.clone().end(INVALID)))).await;
}

#[tokio::test]
async fn a_close_between_fragments_ends_the_connection_and_the_message_is_dropped() {
    let frames = [start("a"), Frame::close(1000, "enough"), end("b")];
    let content = Frame::close(1000, "enough").content;
    check_all([Case::new("close", &frames).end(super::case::End::Echoes(content))]).await;
}
