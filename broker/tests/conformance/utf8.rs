//! Group 6: text is UTF-8, across fragments and in the middle of a character.

use super::case::{Case, NOT_UTF8, check_all};
use crate::support::{Frame, Opcode};

/// Sequences that are UTF-8: edges of each length, noncharacters, and what looks odd.
const VALID: [&[u8]; 15] = [
    b"Hello",
    "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!".as_bytes(),
    "κόσμε".as_bytes(),
    b"\x00",
    b"\x7F",
    b"\xC2\x80",
    b"\xDF\xBF",
    b"\xE0\xA0\x80",
    b"\xED\x9F\xBF",
    b"\xEE\x80\x80",
    b"\xEF\xBF\xBD",
    b"\xEF\xBF\xBF",
    b"\xF0\x90\x80\x80",
    b"\xF4\x8F\xBF\xBF",
    b"\xEF\xBB\xBFa",
];

/// Sequences that are not.
const INVALID_SEQUENCES: [&[u8]; 30] = [
    b"\x80",
    b"\xBF",
    b"\x80\xBF\x80",
    b"\xC0\x80",
    b"\xC1\xBF",
    b"\xC2",
    b"\xC2 ",
    b"\xDF",
    b"\xE0\x80\x80",
    b"\xE0\x9F\xBF",
    b"\xE0\xA0",
    b"\xE1\x80",
    b"\xEF\xBF",
    b"\xED\xA0\x80",
    b"\xED\xAF\xBF",
    b"\xED\xB0\x80",
    b"\xED\xBF\xBF",
    b"\xED\xA0\x80\xED\xB0\x80",
    b"\xF0\x80\x80\x80",
    b"\xF0\x8F\xBF\xBF",
    b"\xF0\x90\x80",
    b"\xF4\x90\x80\x80",
    b"\xF5\x80\x80\x80",
    b"\xF8\x88\x80\x80\x80",
    b"\xFC\x84\x80\x80\x80\x80",
    b"\xFE",
    b"\xFF",
    b"\xFE\xFE\xFF\xFF",
    b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited",
    b"Hello \xC3(",
];

fn text(bytes: &[u8]) -> Frame {
    Frame::new(Opcode::TEXT, bytes)
}

/// The text in one frame, in one frame and chops, and in fragments of one, two and three bytes.
fn cut(bytes: &[u8]) -> Vec<Case> {
    let name = format!("{bytes:02X?}");
    let mut cases = vec![Case::new(&*name, &[text(bytes)]), Case::new(&*name, &[text(bytes)]).in_chops(1)];
    for part in 1..=3 {
        let frames = Frame::fragments(Opcode::TEXT, bytes, part);
        cases.push(Case::new(format!("{name} in fragments of {part}"), &frames));
    }
    cases
}

#[tokio::test]
async fn valid_text_is_echoed_however_it_is_cut() {
    check_all(VALID.iter().flat_map(|bytes| cut(bytes).into_iter().map(|case| case.expect(text(bytes)))))
        .await;
}

#[tokio::test]
async fn invalid_text_closes_with_1007_however_it_is_cut() {
    check_all(
        INVALID_SEQUENCES.iter().flat_map(|bytes| cut(bytes).into_iter().map(|case| case.end(NOT_UTF8))),
    )
    .await;
}

#[tokio::test]
async fn a_character_cut_by_a_fragment_and_a_ping_survives() {
    let bytes = "😀".as_bytes();
    check_all((1..4).map(|at| {
        let frames = [
            text(&bytes[..at]).not_final(),
            Frame::ping("p"),
            Frame::new(Opcode::CONTINUATION, &bytes[at..]),
        ];
        Case::new(format!("cut at {at}"), &frames).expect(Frame::pong("p")).expect(text(bytes))
    }))
    .await;
}

#[tokio::test]
async fn bytes_need_not_be_text() {
    check_all(INVALID_SEQUENCES.map(|bytes| {
        Case::new(format!("{bytes:02X?}"), &[Frame::binary(bytes)]).expect(Frame::binary(bytes))
    }))
    .await;
}

#[tokio::test]
async fn an_error_far_into_a_long_text_closes_with_1007() {
    let mut bytes = "é".repeat(100_000).into_bytes();
    bytes.push(0xC3);
    check_all([
        Case::new("one frame", &[text(&bytes)]).end(NOT_UTF8),
        Case::new("fragments", &Frame::fragments(Opcode::TEXT, &bytes, 4_095)).end(NOT_UTF8),
    ])
    .await;
}
