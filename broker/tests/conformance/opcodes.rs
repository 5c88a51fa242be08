//! Groups 3 and 4: reserved bits and reserved opcodes.

use super::case::{Case, INVALID, check_all};
use crate::support::{Frame, Opcode};

#[tokio::test]
async fn reserved_bits_are_refused() {
    let frames = [
        Frame::text("hi"),
        Frame::text(""),
        Frame::binary("hi"),
        Frame::ping("hi"),
        Frame::pong("hi"),
        Frame::close(1000, ""),
    ];
    check_all((1..=7).flat_map(|bits| {
        frames.clone().map(|frame| {
            let name = format!("bits {bits} on opcode {}", frame.opcode.0);
            Case::new(name, &[frame.with_reserved(bits)]).end(INVALID)
        })
    }))
    .await;
}

#[tokio::test]
async fn reserved_bits_in_the_middle_of_a_message_are_refused() {
    let start = Frame::text("a").not_final();
    check_all((1..=7).map(|bits| {
        let rest = Frame::new(Opcode::CONTINUATION, "b").with_reserved(bits);
        Case::new(format!("bits {bits}"), &[start.clone(), rest]).end(INVALID)
    }))
    .await;
}

#[tokio::test]
async fn reserved_opcodes_are_refused() {
    check_all((3..=7).chain(11..=15).flat_map(|code| {
        let frame = |content: &str| Frame::new(Opcode(code), content);
        [
            Case::new(format!("empty {code}"), &[frame("")]).end(INVALID),
            Case::new(format!("{code} with content"), &[frame("hi")]).end(INVALID),
            Case::new(format!("{code} in chops"), &[frame("hi")]).in_chops(1).end(INVALID),
            Case::new(format!("{code} that is not final"), &[frame("hi").not_final()]).end(INVALID),
            Case::new(format!("{code} after a ping"), &[Frame::ping("p"), frame("hi")])
                .expect(Frame::pong("p"))
                .end(INVALID),
            Case::new(format!("{code} within a message"), &[Frame::text("a").not_final(), frame("hi")])
                .end(INVALID),
        ]
    }))
    .await;
}

#[tokio::test]
async fn a_message_before_a_forbidden_frame_is_still_echoed() {
    let frames = [Frame::text("hi"), Frame::new(Opcode(3), "x")];
    check_all([Case::new("text, opcode 3", &frames).expect(Frame::text("hi")).end(INVALID)]).await;
}
