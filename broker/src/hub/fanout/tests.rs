use std::collections::BTreeMap;
use std::io::IoSlice;
use std::task::Poll;

use codec::ids::NodeId;
use codec::message::{Content, Payload};

use super::*;
use crate::hub::gather::LONGEST_COPY;
use crate::hub::{Gather, NewMember, OutboxLimits, QueueLimits, WindowLimits};

const LIMITS: QueueLimits = QueueLimits {
    outbox: OutboxLimits { messages: 10, bytes: 1 << 20 },
    window: WindowLimits { messages: 10, bytes: 1 << 20 },
};
/// What members speak.
const SPOKEN: [Option<Subprotocol>; DELIVERY_KINDS] = [
    None,
    Some(Subprotocol::Json),
    Some(Subprotocol::JsonReliable),
    Some(Subprotocol::Protobuf),
    Some(Subprotocol::ProtobufReliable),
];
const MEMBERS_OF_EACH_KIND: u128 = 7;

fn hub() -> HubName {
    HubName::new("chat").unwrap()
}

fn id(number: u128) -> ConnectionId {
    ConnectionId::new(number, 0, &NodeId::new("n").unwrap())
}

fn text_to(target: Target, text: String) -> Outgoing {
    let command = Command {
        hub: hub(),
        target,
        body: Body::from_application(Content { payload: Payload::text(text), metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    Outgoing::new(Arc::new(command), Instant::now())
}

/// A worker's part, and what each of its members speaks.
struct Worker {
    shard: Shard,
    members: Vec<(MemberKey, Encoding)>,
}

impl Worker {
    fn new() -> Self {
        let (mut shard, mut members) = (Shard::new(LIMITS), Vec::new());
        for number in 0..SPOKEN.len() as u128 * MEMBERS_OF_EACH_KIND {
            let subprotocol = SPOKEN[number as usize % SPOKEN.len()];
            let new = NewMember { hub: hub(), connection_id: id(number), user_id: None, subprotocol };
            members.push((shard.attach(&new), Encoding::of(subprotocol)));
        }
        Self { shard, members }
    }

    /// Where the long piece ends that each member's socket is given; all is taken.
    fn write(&mut self) -> Vec<(Encoding, *const u8)> {
        let dirty = self.shard.take_dirty(Vec::new());
        assert_eq!(dirty.len(), self.members.len(), "the message is for everybody");
        self.members
            .iter()
            .map(|&(key, encoding)| (encoding, end_of_long_piece(&mut self.shard, key)))
            .collect()
    }
}

/// The last piece ends where the frame does, whatever stands before it.
fn end_of_long_piece(shard: &mut Shard, key: MemberKey) -> *const u8 {
    let outbox = shard.begin_flush(key, Instant::now()).unwrap();
    let (mut room, mut slices) = ([0; 4096], [IoSlice::new(&[]); 4]);
    let mut gather = Gather::new(&mut room, &mut slices);
    outbox.gather(&mut gather);
    let last = gather.finish().last().unwrap();
    assert!(last.len() > LONGEST_COPY, "not a copy");
    let end = last.as_ptr_range().end;
    let all = outbox.len_bytes();
    outbox.advance(all);
    assert_eq!(shard.end_flush(key, Poll::Ready(())), crate::hub::Flushed::Done);
    end
}

#[test]
fn each_encoding_is_made_once_however_many_members_need_it() {
    let mut workers = [Worker::new(), Worker::new()];
    // Members who have been sent more than others have other numbers.
    for worker in &mut workers {
        for number in 0..SPOKEN.len() as u128 * 2 {
            worker.shard.deliver(&text_to(Target::Connection(id(number)), "first".to_owned()));
        }
        for key in worker.shard.take_dirty(Vec::new()) {
            let outbox = worker.shard.begin_flush(key, Instant::now()).unwrap();
            outbox.advance(outbox.len_bytes());
            worker.shard.end_flush(key, Poll::Ready(()));
        }
    }
    let outgoing = text_to(Target::Hub, "x".repeat(10 * LONGEST_COPY));
    for worker in &mut workers {
        worker.shard.deliver(&outgoing);
    }
    let mut ends = BTreeMap::<usize, Vec<*const u8>>::new();
    for (encoding, end) in workers.iter_mut().flat_map(Worker::write) {
        ends.entry(encoding.index()).or_default().push(end);
    }
    for encoding in Encoding::ALL {
        let frame = outgoing.frame(encoding).unwrap().bytes().as_ptr_range().end;
        let ends = &ends[&encoding.index()];
        // Two workers, and each encoding but the bare payload is spoken in two ways.
        let ways = if encoding == Encoding::Simple { 1 } else { 2 };
        assert_eq!(ends.len() as u128, 2 * ways * MEMBERS_OF_EACH_KIND);
        assert!(ends.iter().all(|&end| end == frame), "{encoding:?} was made more than once, or copied");
    }
}
