//! Streams that a client publishes: which part is expected next, and when a stream ends. Source:
//! `client-protocols.md` 9.
//!
//! A session that has never begun one owns a pointer for them. Of all rules of a session only these need the time, so
//! the connection's task brings a client's wish back with it: [`Effect::Stream`](super::Effect::Stream), then
//! [`Session::on_stream`]. Whenever the publisher is told that a stream is closed, none of that id runs any more.

mod memory;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use codec::ids::{GroupName, StreamId};
use codec::message::{
    Content, Downstream, InvalidStream, Payload, StreamClosedError, StreamData, StreamEnd, StreamFailure,
    StreamFragment, StreamNackError, StreamPart, StreamProgress, StreamSequenceId, StreamStart,
};

use super::{Echo, Session};
use crate::auth::permission::Action;
use crate::model::command::{Body, Command, Target};
use crate::model::portable::{RunningStream, StreamTable};
use memory::Memory;

/// Most streams of a connection at a time. Source: `limits.md` 5.
const MAX_STREAMS: usize = 100;
/// Longest id of a stream, in bytes.
const MAX_ID: usize = 1024;
/// What a publisher is told whose message cannot begin a stream.
const INVALID_START: &str = "A stream goes to a group and begins with an id, an idle timeout of 1 to 4294967295 milliseconds and no data.";
/// What a publisher is told whose message cannot be a part of a stream.
const INVALID_DATA: &str = "A part of a stream has a number of at least 1, a data type and data.";

/// What a client wants of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamRequest {
    /// Begin one.
    Start(StreamStart),
    /// Go on with one.
    Data(StreamData),
    /// End one.
    End(StreamEnd),
    /// Something that breaks a rule of streams.
    Invalid(InvalidStream),
}

/// What is to be done about a stream.
#[derive(Debug)]
pub enum StreamStep {
    /// The publisher is told this.
    Tell(Downstream),
    /// This part goes to the group, and then [`Session::on_part_published`] or
    /// [`Session::on_part_lost`] says what the publisher is told.
    Publish(Box<Command>, StreamId),
    /// The stream is over: this last message goes to the group as far as it gets, and then the publisher is told.
    End {
        /// The last message.
        last: Box<Command>,
        /// What the publisher is told, if it still can be.
        closed: Downstream,
    },
}

/// The streams of a session that has begun one.
#[derive(Debug, Default)]
pub(super) struct Streams {
    active: BTreeMap<StreamId, Stream>,
    closed: Memory,
}

#[derive(Debug)]
struct Stream {
    group: GroupName,
    echo: Echo,
    /// The part that is expected next.
    next: u64,
    idle_timeout: Duration,
    /// When it ends, unless something happens before.
    deadline: Instant,
}

impl Session {
    /// A client wants something of a stream. Nothing is to be done about a sign that it goes on.
    pub fn on_stream(&mut self, request: StreamRequest, now: Instant) -> Option<StreamStep> {
        match request {
            StreamRequest::Start(start) => Some(self.on_start(start, now)),
            StreamRequest::Data(StreamData { stream_id, fragment: Some(fragment) }) => {
                Some(self.on_fragment(stream_id, fragment, now))
            }
            StreamRequest::Data(StreamData { stream_id, fragment: None }) => match self.active(&stream_id) {
                Some(stream) => {
                    stream.touch(now);
                    None
                }
                None => Some(self.not_active(stream_id)),
            },
            StreamRequest::End(StreamEnd { stream_id, error }) => {
                let progress = match error {
                    None => StreamProgress::Complete,
                    Some(error) => StreamProgress::Broken(StreamFailure::UserError(error)),
                };
                Some(
                    self.end_stream(&stream_id, progress, None).unwrap_or_else(|| self.not_active(stream_id)),
                )
            }
            StreamRequest::Invalid(InvalidStream::Start(stream_id)) => {
                Some(self.refuse_stream(stream_id, StreamClosedError::BadRequest(INVALID_START)))
            }
            StreamRequest::Invalid(InvalidStream::Data(stream_id)) => {
                let error = StreamClosedError::BadRequest(INVALID_DATA);
                let ended = self.break_stream(&stream_id, StreamFailure::Cancelled, error);
                Some(ended.unwrap_or_else(|| self.not_active(stream_id)))
            }
        }
    }

    /// The last part of a stream has gone to the group.
    pub fn on_part_published(&mut self, stream_id: &StreamId) -> Option<StreamStep> {
        let next = self.active(stream_id)?.next;
        Some(acknowledge(stream_id.clone(), next))
    }

    /// The last part of a stream could not go to the whole group, so the stream cannot go on.
    pub fn on_part_lost(&mut self, stream_id: &StreamId) -> Option<StreamStep> {
        let error = StreamClosedError::InternalServerError;
        self.break_stream(stream_id, StreamFailure::InternalServerError, error)
    }

    /// Ends the stream that should have ended first because nothing happens in it, if there is one.
    pub fn end_idle_stream(&mut self, now: Instant) -> Option<StreamStep> {
        let active = self.streams.as_ref()?.active.iter();
        let (id, _) =
            active.min_by_key(|(_, stream)| stream.deadline).filter(|(_, stream)| stream.deadline <= now)?;
        let id = id.clone();
        self.break_stream(&id, StreamFailure::IdleTimeout, StreamClosedError::IdleTimeout)
    }

    /// Ends a stream that the client may not publish any longer, if there is one.
    pub fn end_forbidden_stream(&mut self) -> Option<StreamStep> {
        let id = self.find_stream(|session, stream| !session.may_publish(&stream.group))?;
        self.break_stream(&id, StreamFailure::Forbidden, StreamClosedError::Forbidden)
    }

    /// Ends a stream of a connection that has ended, if there is one.
    pub fn cancel_stream(&mut self) -> Option<StreamStep> {
        let id = self.find_stream(|_, _| true)?;
        // Nobody is there to hear of it.
        self.break_stream(&id, StreamFailure::Cancelled, StreamClosedError::StreamNotFound)
    }

    /// When the first of its streams ends unless something happens before; nothing when it has none.
    pub fn stream_deadline(&self) -> Option<Instant> {
        let active = self.streams.as_ref()?.active.values();
        active.map(|stream| stream.deadline).min()
    }

    /// Whether the client has ever begun a stream. One that has ended counts: the client may not know of its end.
    pub fn has_streamed(&self) -> bool {
        self.streams.is_some()
    }

    fn on_start(&mut self, start: StreamStart, now: Instant) -> StreamStep {
        let StreamStart { stream_id, group, no_echo, idle_timeout } = start;
        let error = match self.streams.as_ref().map(|streams| &streams.active) {
            Some(active) if active.contains_key(&stream_id) => {
                Some(StreamClosedError::BadRequest("A stream with this id is active already."))
            }
            Some(active) if active.len() >= MAX_STREAMS => {
                Some(StreamClosedError::BadRequest("The connection has too many active streams."))
            }
            _ if stream_id.as_str().len() > MAX_ID => {
                Some(StreamClosedError::BadRequest("The stream id is too long."))
            }
            _ if !self.may_publish(&group) => Some(StreamClosedError::Forbidden),
            _ => None,
        };
        if let Some(error) = error {
            return self.refuse_stream(stream_id, error);
        }
        let echo = if no_echo { Echo::Unwanted } else { Echo::Wanted };
        let stream = Stream { group, echo, next: 1, idle_timeout, deadline: now + idle_timeout };
        let streams = self.streams.get_or_insert_default();
        streams.closed.forget(&stream_id);
        streams.active.insert(stream_id.clone(), stream);
        acknowledge(stream_id, 1)
    }

    fn on_fragment(&mut self, stream_id: StreamId, fragment: StreamFragment, now: Instant) -> StreamStep {
        let StreamFragment { sequence_id, payload } = fragment;
        let Some(stream) = self.streams.as_mut().and_then(|streams| streams.active.get_mut(&stream_id))
        else {
            return self.not_active(stream_id);
        };
        match sequence_id.0.cmp(&stream.next) {
            // The client has not heard that it has been taken.
            Ordering::Less => return acknowledge(stream_id, stream.next),
            Ordering::Greater => {
                let expected = StreamSequenceId(stream.next);
                let error = StreamNackError::InvalidSequenceId;
                return StreamStep::Tell(Downstream::StreamNack { stream_id, expected, error });
            }
            Ordering::Equal if !self.permissions.allows(Action::SendToGroup, &stream.group) => {
                return self.refuse_stream(stream_id, StreamClosedError::Forbidden);
            }
            Ordering::Equal => {}
        }
        stream.next += 1;
        stream.touch(now);
        let (group, echo) = (stream.group.clone(), stream.echo);
        let part = StreamPart { stream_id: stream_id.clone(), sequence_id, progress: StreamProgress::Open };
        StreamStep::Publish(Box::new(self.part(group, echo, part, payload)), stream_id)
    }

    /// Tells a publisher that there is no stream. One of that id that runs ends with it.
    fn refuse_stream(&mut self, stream_id: StreamId, error: StreamClosedError) -> StreamStep {
        let failure = match error {
            StreamClosedError::Forbidden => StreamFailure::Forbidden,
            _ => StreamFailure::Cancelled,
        };
        let ended = self.break_stream(&stream_id, failure, error);
        ended.unwrap_or_else(|| close(stream_id, Some(error)))
    }

    fn break_stream(
        &mut self,
        stream_id: &StreamId,
        failure: StreamFailure,
        error: StreamClosedError,
    ) -> Option<StreamStep> {
        self.end_stream(stream_id, StreamProgress::Broken(failure), Some(error))
    }

    /// Ends a stream, if it is active. The message that says so is a text without content, because a client that finds
    /// no payload in it would not see the end.
    fn end_stream(
        &mut self,
        stream_id: &StreamId,
        progress: StreamProgress,
        error: Option<StreamClosedError>,
    ) -> Option<StreamStep> {
        let streams = self.streams.as_mut()?;
        let (stream_id, stream) = streams.active.remove_entry(stream_id)?;
        streams.closed.remember(stream_id.clone(), error);
        let sequence_id = StreamSequenceId(stream.next);
        let part = StreamPart { stream_id: stream_id.clone(), sequence_id, progress };
        let last = self.part(stream.group, stream.echo, part, Payload::text(""));
        Some(StreamStep::End { last: Box::new(last), closed: Downstream::StreamClosed { stream_id, error } })
    }

    /// What a publisher is told of a stream that is not active: how it ended, if that is known.
    fn not_active(&self, stream_id: StreamId) -> StreamStep {
        let ended = self.streams.as_ref().and_then(|streams| streams.closed.recall(&stream_id));
        close(stream_id, ended.unwrap_or(Some(StreamClosedError::StreamNotFound)))
    }

    fn part(&self, group: GroupName, echo: Echo, part: StreamPart, payload: Payload) -> Command {
        Command {
            hub: self.hub.clone(),
            target: Target::Group(group),
            body: Body::Message {
                from_user_id: self.user_id.clone(),
                content: Content { payload, metadata: None },
                stream: Some(part),
            },
            excluded: self.excluded(echo),
            filter: None,
            time_to_live: None,
        }
    }

    fn may_publish(&self, group: &GroupName) -> bool {
        self.permissions.allows(Action::SendToGroup, group)
    }

    fn active(&mut self, stream_id: &StreamId) -> Option<&mut Stream> {
        self.streams.as_mut()?.active.get_mut(stream_id)
    }

    fn find_stream(&self, is_wanted: impl Fn(&Self, &Stream) -> bool) -> Option<StreamId> {
        let mut active = self.streams.as_ref()?.active.iter();
        active.find(|(_, stream)| is_wanted(self, stream)).map(|(id, _)| id.clone())
    }
}

impl Streams {
    /// All of them, for another node.
    pub(super) fn export(&self, now: Instant) -> StreamTable {
        let running = |(stream_id, stream): (&StreamId, &Stream)| RunningStream {
            stream_id: stream_id.clone(),
            group: stream.group.clone(),
            has_echo: stream.echo == Echo::Wanted,
            next: stream.next,
            idle_timeout: stream.idle_timeout,
            time_left: stream.deadline.saturating_duration_since(now),
        };
        StreamTable { active: self.active.iter().map(running).collect(), ended: self.closed.export() }
    }

    /// Those of another node.
    pub(super) fn import(table: StreamTable, now: Instant) -> Self {
        let mut streams = Self::default();
        for running in table.active.into_iter().take(MAX_STREAMS) {
            let RunningStream { stream_id, group, has_echo, next, idle_timeout, time_left } = running;
            let echo = if has_echo { Echo::Wanted } else { Echo::Unwanted };
            let deadline = now + time_left;
            streams.active.insert(stream_id, Stream { group, echo, next, idle_timeout, deadline });
        }
        for (id, error) in table.ended {
            streams.closed.forget(&id);
            streams.closed.remember(id, error);
        }
        streams
    }
}

impl Stream {
    fn touch(&mut self, now: Instant) {
        self.deadline = now + self.idle_timeout;
    }
}

fn acknowledge(stream_id: StreamId, next: u64) -> StreamStep {
    StreamStep::Tell(Downstream::StreamAck { stream_id, expected: StreamSequenceId(next) })
}

fn close(stream_id: StreamId, error: Option<StreamClosedError>) -> StreamStep {
    StreamStep::Tell(Downstream::StreamClosed { stream_id, error })
}

#[cfg(test)]
mod tests;
