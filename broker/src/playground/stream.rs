//! The trace as a stream of server-sent events: `record` for what happened, `missed` for how much the reader missed,
//! and a comment now and then, so that whoever has gone is noticed.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Frame;
use tokio::sync::watch;

use crate::telemetry::trace::{Heard, Listener};

/// Longest silence.
const BREATH: Duration = Duration::from_secs(15);

/// Everything that `listener` hears until `stopping` turns true. It begins with a comment: whoever has read it misses
/// nothing from then on.
pub(super) fn body(listener: Listener, stopping: watch::Receiver<bool>) -> UnsyncBoxBody<Bytes, Infallible> {
    let start = Bytes::from_static(b": listening\n\n");
    let events = stream::unfold((Some(start), listener, stopping), async |state| {
        let (start, mut listener, mut stopping) = state;
        let event = match start {
            Some(start) => start,
            None => next(&mut listener, &mut stopping).await?,
        };
        Some((Ok(Frame::data(event)), (None, listener, stopping)))
    });
    UnsyncBoxBody::new(StreamBody::new(events))
}

async fn next(listener: &mut Listener, stopping: &mut watch::Receiver<bool>) -> Option<Bytes> {
    tokio::select! {
        heard = listener.next() => Some(event(&heard?)),
        // An error means that the node is gone, which ends the stream as well.
        _ = stopping.wait_for(|&stopping| stopping) => None,
        () = tokio::time::sleep(BREATH) => Some(Bytes::from_static(b": \n\n")),
    }
}

fn event(heard: &Heard) -> Bytes {
    let text = match heard {
        // JSON has no bare line break, so it is one line of the event.
        Heard::Record(record) => {
            let json = serde_json::to_string(&**record).unwrap_or_default();
            format!("id: {}\nevent: record\ndata: {json}\n\n", record.number)
        }
        Heard::Missed(count) => format!("event: missed\ndata: {count}\n\n"),
    };
    text.into()
}
