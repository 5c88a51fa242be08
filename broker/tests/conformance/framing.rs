//! Group 1: messages in one frame, of every form of length, however the network cuts them; and masking.

use super::case::{Case, INVALID, check_all, noise, text};
use crate::support::Frame;

const LENGTHS: [usize; 11] = [0, 1, 2, 125, 126, 127, 128, 65_535, 65_536, 65_537, 100_000];

fn echo(name: &str, frame: Frame) -> Case {
    Case::echo(format!("{name} of {} bytes", frame.content.len()), frame)
}

#[tokio::test]
async fn text_of_every_form_of_length_is_echoed() {
    check_all(LENGTHS.map(|length| echo("text", Frame::text(&text(length))))).await;
}

#[tokio::test]
async fn bytes_of_every_form_of_length_are_echoed() {
    check_all(LENGTHS.map(|length| echo("bytes", Frame::binary(noise(length))))).await;
}

#[tokio::test]
async fn messages_in_chops_of_one_byte_are_echoed() {
    let short = LENGTHS.into_iter().filter(|length| *length <= 65_536);
    check_all(short.flat_map(|length| {
        let (text, bytes) = (Frame::text(&text(length)), Frame::binary(noise(length)));
        [echo("text", text).in_chops(1), echo("bytes", bytes).in_chops(1)]
    }))
    .await;
}

#[tokio::test]
async fn messages_in_chops_of_997_bytes_are_echoed() {
    check_all(LENGTHS.into_iter().flat_map(|length| {
        let (text, bytes) = (Frame::text(&text(length)), Frame::binary(noise(length)));
        [echo("text", text).in_chops(997), echo("bytes", bytes).in_chops(997)]
    }))
    .await;
}

#[tokio::test]
async fn many_messages_in_one_packet_are_echoed_in_order() {
    let frames: Vec<Frame> = (0..200).map(|n| Frame::text(&format!("message {n}"))).collect();
    let case = frames.iter().cloned().fold(Case::new("200 messages", &frames), Case::expect);
    check_all([case.clone(), case.clone().in_chops(7), case.in_chops(1)]).await;
}

#[tokio::test]
async fn every_mask_is_undone() {
    let masks = [[0; 4], [0xFF; 4], [1, 2, 3, 4], [0x80, 0, 0, 1]];
    check_all(masks.into_iter().flat_map(|mask| {
        [1, 5, 130, 70_001].map(|length| {
            let frame = Frame { mask: Some(mask), ..Frame::binary(noise(length)) };
            echo(&format!("mask {mask:?}"), frame)
        })
    }))
    .await;
}

#[tokio::test]
async fn a_frame_without_a_mask_is_refused() {
    check_all(
        [Frame::text("hi"), Frame::binary("hi"), Frame::text(""), Frame::ping("hi"), Frame::close(1000, "")]
            .map(|frame| Case::new(format!("unmasked {}", frame.opcode.0), &[frame.unmasked()]).end(INVALID)),
    )
    .await;
}
