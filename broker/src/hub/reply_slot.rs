//! Where a worker's answer to a survey goes.

use std::fmt::{self, Debug, Formatter};

use crate::model::survey::Answer;

/// What is done with an answer, or without one.
type Take = Box<dyn FnOnce(Option<Answer>) + Send>;

/// Takes one answer. Whoever drops it without giving one says that there is none: nobody waits for a worker that is
/// gone.
pub struct ReplySlot(Option<Take>);

impl ReplySlot {
    /// `take` is called once, on whatever thread the answer is given.
    pub fn new(take: impl FnOnce(Option<Answer>) + Send + 'static) -> Self {
        Self(Some(Box::new(take)))
    }

    /// Gives the answer.
    pub fn give(mut self, answer: Answer) {
        self.settle(Some(answer));
    }

    fn settle(&mut self, answer: Option<Answer>) {
        if let Some(take) = self.0.take() {
            take(answer);
        }
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        self.settle(None);
    }
}

impl Debug for ReplySlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySlot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn every_slot_is_settled_once() {
        let (sender, settled) = mpsc::channel();
        let slot = || {
            let sender = sender.clone();
            ReplySlot::new(move |answer| sender.send(answer).unwrap())
        };
        slot().give(Answer::Count(3));
        drop(slot());
        assert_eq!(settled.try_iter().collect::<Vec<_>>(), [Some(Answer::Count(3)), None]);
    }
}
