//! Any answer to a user event: header lines up to an empty one, then the body. What is understood must become an
//! envelope that clients can parse.

use codec::cloud_event::{connection_state, read_reply};
use codec::json::encode;
use codec::message::{Downstream, Origin};
use serde::de::IgnoredAny;

/// Panics when a rule is broken.
pub fn run(answer: &[u8]) {
    let end = answer.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((&[][..], answer), |end| (&answer[..end], &answer[end + 2..]));
    let lines = head.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name, line[colon + 1..].trim_ascii()))
    });

    let state = connection_state(lines.clone());
    assert!(state.is_none_or(str::is_ascii), "a state goes into headers again");
    match read_reply(lines, body.to_vec().into()) {
        Ok(Some(content)) => {
            assert_eq!(content.payload.bytes(), body, "the reply is passed on unchanged");
            let mut frame = Vec::new();
            encode(&Downstream::Message { origin: Origin::Server, content, stream: None }, &mut frame);
            serde_json::from_slice::<IgnoredAny>(&frame).expect("an envelope is JSON");
        }
        Ok(None) => assert!(body.is_empty(), "only nothing means nothing"),
        Err(error) => drop(error.to_string()),
    }
}
