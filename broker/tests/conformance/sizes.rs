//! Groups 9 and 10: long messages, in one frame, in fragments of many sizes, and as a client would fragment them.

use super::case::{Case, End, check_all, noise, text};
use crate::support::{Frame, Opcode};

const TOO_LARGE: End = End::Fails(1009, "The client message is too large.");
const MIB: usize = 1 << 20;

#[tokio::test]
async fn long_messages_in_one_frame_are_echoed() {
    check_all([64, 256, 512, 1024].into_iter().flat_map(|kib| {
        let (text, bytes) = (Frame::text(&text(kib << 10)), Frame::binary(noise(kib << 10)));
        [
            Case::echo(format!("{kib} KiB of text"), text),
            Case::echo(format!("{kib} KiB of bytes"), bytes.clone()),
            Case::echo(format!("{kib} KiB of bytes"), bytes).in_chops(997),
        ]
    }))
    .await;
}

#[tokio::test]
async fn one_mebibyte_in_fragments_is_echoed() {
    let (text, bytes) = (text(MIB), noise(MIB));
    check_all([64, 256, 1024, 4096, 16_384, 65_536, 262_144, MIB - 1].into_iter().flat_map(|part| {
        let name = format!("fragments of {part}");
        [
            Case::new(&*name, &Frame::fragments(Opcode::TEXT, text.as_bytes(), part))
                .expect(Frame::text(&text)),
            Case::new(&*name, &Frame::fragments(Opcode::BINARY, &bytes, part)).expect(Frame::binary(&*bytes)),
        ]
    }))
    .await;
}

#[tokio::test]
async fn messages_as_a_client_fragments_them_are_echoed() {
    check_all([65_536, 131_072].into_iter().flat_map(|length| {
        let content = noise(length);
        [1300, 997].map(|part| {
            let frames = Frame::fragments(Opcode::BINARY, &content, part);
            Case::new(format!("{length} in {part}"), &frames).in_chops(1460).expect(Frame::binary(&*content))
        })
    }))
    .await;
}

#[tokio::test]
async fn many_messages_of_one_size_are_echoed() {
    check_all([0, 16, 64, 256, 1024, 4096].map(|length| {
        let frames: Vec<Frame> = (0..250).map(|_| Frame::binary(noise(length))).collect();
        frames.iter().cloned().fold(Case::new(format!("250 of {length}"), &frames), Case::expect)
    }))
    .await;
}

#[tokio::test]
async fn more_than_one_mebibyte_is_refused() {
    let bytes = noise(MIB + 1);
    check_all([
        Case::new("one frame", &[Frame::binary(&*bytes)]).end(TOO_LARGE),
        Case::new("fragments", &Frame::fragments(Opcode::BINARY, &bytes, 65_536)).end(TOO_LARGE),
        Case::new("the last byte", &Frame::fragments(Opcode::BINARY, &bytes, MIB)).end(TOO_LARGE),
    ])
    .await;
}
