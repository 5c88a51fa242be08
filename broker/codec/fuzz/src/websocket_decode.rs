//! Bytes of a client, in pieces: whatever they are, they are decoded or refused, alike however they are cut, and no
//! message is longer than allowed.

use arbitrary::{Arbitrary, Unstructured};
use codec::websocket::{Decoder, FrameError, Item};

/// Longest message. Small, so that the fuzzer reaches the limit.
const MAX: usize = 300;

/// What came of a run: how many items of which size, and how it ended.
fn decode(bytes: &[u8], piece: usize) -> (Vec<usize>, Option<FrameError>) {
    let mut decoder = Decoder::default();
    let mut sizes = Vec::new();
    for chunk in bytes.chunks(piece) {
        let mut buffer = chunk.to_vec();
        let mut input = buffer.as_mut_slice();
        loop {
            match decoder.next(&mut input, MAX) {
                Ok(Some(item)) => sizes.push(size(&item)),
                Ok(None) => break,
                Err(error) => return (sizes, Some(error)),
            }
        }
        assert!(input.is_empty(), "everything is used up");
    }
    (sizes, None)
}

fn size(item: &Item<'_>) -> usize {
    match item {
        Item::Text(text) => text.len(),
        Item::Binary(bytes) | Item::Ping(bytes) => bytes.len(),
        Item::Pong => 0,
        Item::Close(_, reason) => reason.len(),
    }
}

/// Panics when a rule is broken.
pub fn run(bytes: &[u8]) {
    let Ok((piece, bytes)) = <(u8, &[u8])>::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let whole = decode(bytes, bytes.len().max(1));
    assert!(whole.0.iter().all(|&size| size <= MAX));
    assert_eq!(whole, decode(bytes, usize::from(piece).max(1)));
}
