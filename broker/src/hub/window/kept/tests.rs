use codec::subprotocol::Encoding;
use codec::websocket::{Frame, Opcode};
use proptest::prelude::*;

use super::*;
use crate::hub::run::Runs;

/// Number of the first message that is kept. The lengths of the others depend on where they stand.
const FIRST: u64 = 95;

#[derive(Debug, Clone)]
enum Step {
    /// A message of this length for those of two windows who are to have it.
    Push(usize, [bool; 2]),
    /// One of them forgets so many of its first messages, or all.
    DropFront(usize, usize),
    /// One of them forgets the message at this position, or at the last.
    Remove(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![4 => 0_usize..50, 1 => 5_000_usize..20_000], any::<[bool; 2]>())
            .prop_map(|(len, receivers)| Step::Push(len, receivers)),
        4 => Just(Step::Push(10, [true, true])),
        1 => (0_usize..2, 0_usize..60).prop_map(|(window, count)| Step::DropFront(window, count)),
        1 => (0_usize..2, 0_usize..60).prop_map(|(window, position)| Step::Remove(window, position)),
    ]
}

fn number_at(position: usize) -> SequenceId {
    SequenceId(FIRST + position as u64)
}

fn wire_len(parcel: &Parcel, position: usize) -> u32 {
    parcel.len(number_at(position)) as u32
}

/// What is kept as a list.
#[derive(Default)]
struct Model {
    kept: Kept,
    expected: Vec<(Rc<Parcel>, u32)>,
}

impl Model {
    fn push(&mut self, parcel: &Rc<Parcel>) {
        let bytes = wire_len(parcel, self.expected.len());
        self.kept.push(parcel, bytes);
        self.expected.push((Rc::clone(parcel), bytes));
    }

    /// Lets the numbers begin anew, as everything here counts from the same first one.
    fn renumber(&mut self) {
        let _before = std::mem::take(&mut self.kept);
        let expected = std::mem::take(&mut self.expected);
        expected.iter().for_each(|(parcel, _)| self.push(parcel));
    }

    fn check(&self) {
        let all: Vec<_> = self.expected.iter().map(|(parcel, _)| Rc::as_ptr(parcel)).collect();
        let from = |kept: &Kept, position| kept.from(position).map(Rc::as_ptr).collect::<Vec<_>>();
        assert_eq!(self.kept.len(), all.len());
        assert_eq!(self.kept.back().map(Rc::as_ptr), all.last().copied());
        for position in 0..=all.len() {
            assert_eq!(from(&self.kept, position), all[position..], "from {position}");
            let bytes = self.expected[position..].iter().map(|(_, bytes)| bytes).sum();
            let mut rest = self.kept.rest(position, bytes);
            assert_eq!(from(&rest, 0), all[position..], "the rest from {position}");
            assert_eq!(rest.drop_front(rest.len(), number_at), bytes, "the rest from {position}");
        }
    }
}

proptest! {
    #[test]
    fn windows_that_share_runs_keep_each_what_they_were_given(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let (mut runs, mut models) = (Runs::default(), [Model::default(), Model::default()]);
        for step in steps {
            match step {
                Step::Push(len, receivers) => {
                    let frame = Frame::new(Opcode::Text, "x".repeat(len).as_bytes());
                    let parcel = Rc::new(Parcel::of(Encoding::Json, &frame, None));
                    let _run = runs.add(Encoding::Json, &parcel);
                    for (model, _) in models.iter_mut().zip(receivers).filter(|&(_, receives)| receives) {
                        model.push(&parcel);
                    }
                }
                Step::DropFront(window, count) => {
                    let model = &mut models[window];
                    let count = count.min(model.expected.len());
                    let bytes: u32 = model.expected.drain(..count).map(|(_, bytes)| bytes).sum();
                    prop_assert_eq!(model.kept.drop_front(count, number_at), bytes);
                    model.check();
                    model.renumber();
                }
                Step::Remove(window, position) => {
                    let model = &mut models[window];
                    if let Some(last) = model.expected.len().checked_sub(1) {
                        let (_, bytes) = model.expected.remove(position.min(last));
                        prop_assert_eq!(model.kept.remove(position.min(last), number_at), bytes);
                        model.check();
                        model.renumber();
                    }
                }
            }
        }
        models.iter().for_each(Model::check);
    }
}
