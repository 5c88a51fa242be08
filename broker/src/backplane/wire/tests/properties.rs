//! Properties over all that an envelope can hold.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Whether these bytes lie inside those.
fn lie_within(inner: &[u8], outer: &[u8]) -> bool {
    outer.as_ptr_range().contains(&inner.as_ptr())
}

proptest! {
    #[test]
    fn an_envelope_comes_back_as_it_was(
        origin in arbitrary::node(), epoch: u64, body in arbitrary::body(), sequence: u64, previous: u64,
    ) {
        let bytes = Unsealed::new(&origin, epoch, &body).seal(sequence, previous);
        let (stamp, decoded) = decode(bytes).unwrap();
        prop_assert_eq!(stamp, Stamp { origin, epoch, sequence, previous });
        prop_assert_eq!(format!("{decoded:?}"), format!("{body:?}"));
    }

    #[test]
    fn sealing_changes_the_numbers_and_nothing_else(
        body in arbitrary::body(), sequence: u64, previous: u64,
    ) {
        let unsealed = Unsealed::new(&node(), 3, &body);
        let (len, bytes) = (unsealed.len(), unsealed.seal(sequence, previous));
        let blank = Unsealed::new(&node(), 3, &body).seal(0, 0);
        prop_assert_eq!(bytes.len(), len);
        prop_assert_eq!(&bytes[SEQUENCE], &sequence.to_le_bytes());
        prop_assert_eq!(&bytes[PREVIOUS], &previous.to_le_bytes());
        let rest = |bytes: &Bytes| [&bytes[..1], &bytes[9..10], &bytes[18..]].concat();
        prop_assert_eq!(rest(&bytes), rest(&blank));
    }
}

#[test]
fn sealing_copies_nothing() {
    let unsealed = Unsealed::new(&node(), 3, &on_receipt(command(Payload::text("t"))));
    let place = unsealed.0.as_ptr();
    assert_eq!(unsealed.seal(2, 1).as_ptr(), place);
}

#[test]
fn decoding_copies_neither_a_payload_nor_an_envelope_within() {
    let bytes = sealed(&on_receipt(command(Payload::binary(vec![7; 1000].into()))));
    match decode(bytes.clone()).unwrap().1 {
        Body::Content(Content::Command { command, .. }) => match &command.body {
            command::Body::Message { content, .. } => assert!(lie_within(content.payload.bytes(), &bytes)),
            other => panic!("another body: {other:?}"),
        },
        other => panic!("another body: {other:?}"),
    }
    let envelopes = vec![(crate::backplane::Partition(1), "c".to_owned(), bytes)];
    let outer = sealed(&Body::Link(LinkMessage::Repaired {
        question: 1,
        part: 0,
        envelopes,
        is_last: true,
        lacking: crate::backplane::PartitionSet::EMPTY,
    }));
    match decode(outer.clone()).unwrap().1 {
        Body::Link(LinkMessage::Repaired { envelopes, .. }) => assert!(lie_within(&envelopes[0].2, &outer)),
        other => panic!("another body: {other:?}"),
    }
}

#[test]
fn no_time_to_live_becomes_none() {
    let check = |given: Duration, expected: Duration| {
        let bytes = sealed(&on_receipt(Command { time_to_live: Some(given), ..command(Payload::text("")) }));
        match decode(bytes).unwrap().1 {
            Body::Content(Content::Command { command, .. }) => {
                assert_eq!(command.time_to_live, Some(expected))
            }
            other => panic!("another body: {other:?}"),
        }
    };
    check(Duration::ZERO, Duration::ZERO);
    check(Duration::from_nanos(1), Duration::from_millis(1));
    check(Duration::from_micros(1001), Duration::from_millis(2));
    check(Duration::from_secs(300), Duration::from_secs(300));
}
