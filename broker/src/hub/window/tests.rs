use std::time::Duration;

use codec::websocket::{Frame, Opcode};
use proptest::prelude::*;

use super::*;

const LIMITS: WindowLimits = WindowLimits { messages: 4, bytes: 100 };

fn parcel(content: &[u8], expires_at: Option<Instant>) -> Rc<Parcel> {
    Rc::new(Parcel::new(&Frame::new(Opcode::Binary, content), expires_at))
}

/// Puts a message in and gives its number.
fn push(window: &mut Window, content: &[u8], expires_at: Option<Instant>) -> Result<u64, Overrun> {
    window.push(&parcel(content, expires_at), LIMITS).map(|()| window.last)
}

/// A window with messages of one byte, which take three on the wire.
fn window_with(count: u64) -> Window {
    let mut window = Window::default();
    for id in 1..=count {
        assert_eq!(push(&mut window, b"x", None), Ok(id));
    }
    window
}

fn ids(window: &Window) -> Vec<u64> {
    window.unacknowledged().map(|(_, id)| id.0).collect()
}

#[test]
fn an_acknowledgement_is_cumulative() {
    let check = |acknowledged: &[u64], left: &[u64]| {
        let mut window = window_with(4);
        for &id in acknowledged {
            window.acknowledge(SequenceId(id));
        }
        assert_eq!(ids(&window), left, "{acknowledged:?}");
        assert_eq!(window.bytes as usize, 3 * left.len(), "{acknowledged:?}");
        assert_eq!(window.last, 4, "numbers go on");
    };
    check(&[], &[1, 2, 3, 4]);
    check(&[0], &[1, 2, 3, 4]);
    check(&[2], &[3, 4]);
    check(&[3, 1], &[4]);
    check(&[3, 3], &[4]);
    check(&[4], &[]);
    check(&[u64::MAX], &[]);
}

#[test]
fn an_empty_window_owns_no_memory() {
    let mut window = window_with(4);
    window.acknowledge(SequenceId(4));
    assert!(window.kept.owns_nothing() && window.exceptions.is_none());
}

#[test]
fn the_message_that_does_not_fit_is_the_last() {
    let check = |window: &mut Window, content: &[u8]| {
        assert_eq!(push(window, content, None), Err(Overrun));
        window.acknowledge(SequenceId(u64::MAX));
        assert!(window.is_overrun());
        assert_eq!(push(window, b"", None), Err(Overrun), "one is missing for ever");
    };
    check(&mut window_with(4), b"x");
    check(&mut window_with(3), &[0; 90]);
    check(&mut window_with(0), &[0; 99]);
    let mut just = window_with(0);
    assert_eq!(push(&mut just, &[0; 98], None), Ok(1), "a hundred bytes with the header");
    check(&mut just, b"");
}

#[test]
fn expired_messages_make_room_and_leave_a_gap() {
    let now = Instant::now();
    let mut window = Window::default();
    for (expires_at, id) in
        [None, Some(now), Some(now + Duration::from_secs(3600)), Some(now)].into_iter().zip(1..)
    {
        assert_eq!(push(&mut window, b"x", expires_at), Ok(id));
    }
    assert_eq!(push(&mut window, b"x", None), Ok(5));
    assert_eq!(ids(&window), [1, 3, 5]);
    assert_eq!(window.bytes, 9);
    window.drop_expired(now + Duration::from_secs(3600));
    assert_eq!(ids(&window), [1, 5]);
}

#[test]
fn a_window_says_when_it_fills_by_number_and_by_bytes() {
    let filling = |limits: WindowLimits, content: &[u8]| -> Vec<u64> {
        let mut window = Window::default();
        let push = |_: &u64| {
            window.push(&parcel(content, None), limits).unwrap();
            window.is_filling(limits)
        };
        (1..=16).filter(push).collect()
    };
    assert_eq!(filling(WindowLimits { messages: 16, bytes: 1 << 20 }, b"x"), [8, 10, 12, 14, 16]);
    // Twelve bytes with the header, steps of thirty.
    assert_eq!(filling(WindowLimits { messages: 1_000, bytes: 240 }, &[0; 10]), [10, 13, 15]);
    assert_eq!(filling(WindowLimits { messages: 16, bytes: 1 << 20 }, &[0; 200]), [8, 10, 12, 14, 16]);
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    /// The client acknowledges what it has seen.
    Acknowledge,
    /// It acknowledges this.
    AcknowledgeAny(u64),
    /// The socket takes so much of what waits.
    Write(usize),
    /// The client reads so much of that.
    Read(usize),
    /// The socket is lost, with what it holds.
    Lose,
    /// Another takes its place.
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Push),
        2 => Just(Step::Acknowledge),
        1 => (0_u64..6).prop_map(Step::AcknowledgeAny),
        3 => (0_usize..5).prop_map(Step::Write),
        3 => (0_usize..5).prop_map(Step::Read),
        1 => Just(Step::Lose),
        1 => Just(Step::Resume),
    ]
}

/// A client and its sockets, as far as a window has to do with them.
#[derive(Default)]
struct Model {
    window: Window,
    is_attached: bool,
    /// What the socket has of messages that the client has not read yet.
    wire: VecDeque<u64>,
    /// All that was ever sent.
    sent: Vec<u64>,
    /// All that the client has taken for new.
    seen: Vec<u64>,
    acknowledged: u64,
}

impl Model {
    /// The number that the message was given, which stands in it as well.
    fn number_of((parcel, id): (&Rc<Parcel>, SequenceId)) -> u64 {
        let content = u64::from_be_bytes(parcel.frame().content().try_into().unwrap());
        assert_eq!(SequenceId(content), id);
        content
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Push => {
                let id = self.sent.len() as u64 + 1;
                let limits = WindowLimits { messages: usize::MAX, bytes: usize::MAX };
                self.window.push(&parcel(&id.to_be_bytes(), None), limits).unwrap();
                assert_eq!(self.window.last, id);
                self.sent.push(id);
            }
            Step::Acknowledge => self.acknowledge(self.seen.last().copied().unwrap_or_default()),
            // A client that acknowledges what it has not seen has only itself to blame.
            Step::AcknowledgeAny(back) => {
                let last = self.seen.last().copied().unwrap_or_default();
                self.acknowledge(last.saturating_sub(back));
            }
            Step::Write(count) => {
                let waiting = self.window.waiting().take(if self.is_attached { count } else { 0 });
                let taken: Vec<_> = waiting.map(|next| (Self::number_of(next), next.0.len(next.1))).collect();
                for (id, len) in taken {
                    self.window.wrote_one(len);
                    self.wire.push_back(id);
                }
            }
            Step::Read(count) => {
                for id in self.wire.drain(..count.min(self.wire.len())) {
                    // What clients do with a message that they have seen before.
                    if self.seen.last().is_none_or(|&last| id > last) {
                        self.seen.push(id);
                    }
                }
            }
            Step::Lose => {
                self.is_attached = false;
                self.wire.clear();
                self.window.rewind();
            }
            Step::Resume => self.is_attached = true,
        }
    }

    fn acknowledge(&mut self, id: u64) {
        self.acknowledged = self.acknowledged.max(id);
        self.window.acknowledge(SequenceId(id));
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled_or_out_of_order(steps in proptest::collection::vec(step(), 0..200)) {
        let mut model = Model::default();
        for step in &steps {
            model.take(step);
            let kept: Vec<u64> =
                model.sent.iter().copied().filter(|&id| id > model.acknowledged).collect();
            prop_assert_eq!(ids(&model.window), kept);
        }
        model.take(&Step::Lose);
        model.take(&Step::Resume);
        model.take(&Step::Write(usize::MAX));
        model.take(&Step::Read(usize::MAX));
        prop_assert_eq!(&model.seen, &model.sent);
    }
}

#[test]
fn a_window_is_no_longer_than_a_line_of_the_cache() {
    assert_eq!(size_of::<Window>(), 64);
}
