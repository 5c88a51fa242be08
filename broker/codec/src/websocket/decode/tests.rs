use proptest::prelude::*;

use super::*;

const MAX: usize = 1000;

/// A client's frame: first byte, and content that is masked here.
fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match content.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What a decoder makes of `bytes` that arrive in pieces of `piece` bytes; items in a form that owns itself.
fn decode(bytes: &[u8], piece: usize) -> (Vec<Item<'static>>, Result<Decoder, FrameError>) {
    let mut decoder = Decoder::default();
    let mut items = Vec::new();
    for chunk in bytes.chunks(piece) {
        let mut buffer = chunk.to_vec();
        let mut input = buffer.as_mut_slice();
        loop {
            match decoder.next(&mut input, MAX) {
                Ok(Some(item)) => items.push(owned(item)),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
        assert!(input.is_empty(), "everything is used up");
    }
    (items, Ok(decoder))
}

fn owned(item: Item<'_>) -> Item<'static> {
    match item {
        Item::Text(text) => Item::Text(Cow::Owned(text.into_owned())),
        Item::Binary(bytes) => Item::Binary(Cow::Owned(bytes.into_owned())),
        Item::Ping(bytes) => Item::Ping(Cow::Owned(bytes.into_owned())),
        Item::Pong => Item::Pong,
        Item::Close(code, reason) => Item::Close(code, Cow::Owned(reason.into_owned())),
    }
}

fn check(frames: &[Vec<u8>], expected: &[Item<'static>]) {
    let bytes = frames.concat();
    for piece in [bytes.len().max(1), 1, 2, 3, 5, 7] {
        let (items, end) = decode(&bytes, piece);
        assert_eq!(items, expected, "in pieces of {piece}");
        assert!(end.unwrap().partial.is_none(), "an idle decoder holds nothing");
    }
}

fn check_error(frames: &[Vec<u8>], expected: FrameError) {
    let bytes = frames.concat();
    for piece in [bytes.len(), 1] {
        let (_, end) = decode(&bytes, piece);
        assert_eq!(end.err(), Some(expected), "in pieces of {piece}");
    }
}

fn text(text: &str) -> Item<'static> {
    Item::Text(Cow::Owned(text.into()))
}

#[test]
fn messages_come_whole_however_they_are_cut() {
    check(&[], &[]);
    check(&[frame(0x81, b"hello")], &[text("hello")]);
    check(&[frame(0x81, b""), frame(0x82, b"\xFF")], &[text(""), Item::Binary(Cow::Owned(vec![0xFF]))]);
    check(&[frame(0x81, "h\u{e9}".repeat(200).as_bytes())], &[text(&"h\u{e9}".repeat(200))]);
    check(&[frame(0x01, b"a"), frame(0x00, b""), frame(0x80, b"c")], &[text("ac")]);
    check(&[frame(0x01, &[0xC3]), frame(0x80, &[0xA9])], &[text("é")]);
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let ping = Item::Ping(Cow::Owned(b"p".to_vec()));
    check(
        &[frame(0x01, b"a"), frame(0x89, b"p"), frame(0x8A, b""), frame(0x80, b"b"), frame(0x81, b"c")],
        &[ping, Item::Pong, text("ab"), text("c")],
    );
}

#[test]
fn close_frames_give_code_and_reason() {
    let close = |code, reason: &str| Item::Close(code, Cow::Owned(reason.into()));
    check(&[frame(0x88, b"")], &[close(None, "")]);
    check(&[frame(0x88, b"\x03\xE8bye")], &[close(Some(1000), "bye")]);
    check(&[frame(0x88, &4999_u16.to_be_bytes())], &[close(Some(4999), "")]);
    check_error(&[frame(0x88, b"\x03")], FrameError::Invalid);
    check_error(&[frame(0x88, b"\x03\xE8\xFF")], FrameError::Utf8);
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        check_error(&[frame(0x88, &code.to_be_bytes())], FrameError::Invalid);
    }
}

#[test]
fn broken_frames_are_refused() {
    for reserved_bit in [0x40, 0x20, 0x10] {
        check_error(&[frame(0x81 | reserved_bit, b"x")], FrameError::Invalid);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check_error(&[frame(0x80 | opcode, b"")], FrameError::Invalid);
    }
    check_error(&[vec![0x81, 0x01, b'x']], FrameError::Invalid);
    check_error(&[frame(0x80, b"no message is open")], FrameError::Invalid);
    check_error(&[frame(0x01, b"a"), frame(0x81, b"b")], FrameError::Invalid);
    check_error(&[frame(0x09, b"fragmented ping")], FrameError::Invalid);
    check_error(&[frame(0x89, &[0; 126])], FrameError::Invalid);
    check_error(&[frame(0x81, b"\xC3\x28")], FrameError::Utf8);
    check_error(&[frame(0x01, b"\xC3"), frame(0x80, b"")], FrameError::Utf8);
}

#[test]
fn a_message_is_too_large_as_soon_as_a_header_says_so() {
    let half = vec![0; MAX / 2];
    check(&[frame(0x02, &half), frame(0x80, &half)], &[Item::Binary(Cow::Owned(vec![0; MAX]))]);
    check_error(&[frame(0x02, &half), frame(0x80, &[0; MAX / 2 + 1])[..8].to_vec()], FrameError::TooLarge);
    check_error(&[frame(0x82, &[0; MAX + 1])[..8].to_vec()], FrameError::TooLarge);
    let huge = [&[0x82, 0xFF][..], &[0xFF; 8], &[0; 4]].concat();
    check_error(&[huge], FrameError::TooLarge);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused_alike_in_any_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
        piece in 1_usize..50,
    ) {
        let (whole, whole_end) = decode(&bytes, bytes.len());
        let (pieces, pieces_end) = decode(&bytes, piece);
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(whole_end.err(), pieces_end.err());
    }
}
