//! What one process publishes to the channels of one partition, as it has been heard here.

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lane {
    pub(super) state: State,
    /// The highest number that was heard, 0 when there is none.
    pub(super) highest: u64,
    /// What was or is to be asked for: all numbers above this one ...
    pub(super) floor: u64,
    /// ... and, at the least, up to this one.
    pub(super) up_to: u64,
    /// Whether it is asked for because we were deaf: any channel may then have lost something, and nothing else will show it.
    pub(super) was_deaf: bool,
    /// Whether nothing more is to be said about what was asked for: all of it was there, or it was reported lost.
    pub(super) is_settled: bool,
}

/// Whether what arrives may pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Open,
    /// Nothing can be heard. Stragglers wait.
    Deaf,
    /// Something is missing, and has not been asked for. All waits.
    Suspicious,
    /// It has been asked for. All waits.
    Asked,
}

/// What it means that an envelope before this one on its channel has not been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing: it has never been published, or was reported already.
    Settled,
    /// It is gone, and nobody has been told.
    Lost,
    /// Its publisher may still have it.
    Missing,
}

impl Lane {
    /// Judges that `previous` was not heard on a channel where `last` was.
    pub(super) fn gap(&mut self, last: u64, previous: u64) -> Gap {
        if last < self.floor || previous > self.up_to {
            return Gap::Missing;
        }
        if std::mem::replace(&mut self.is_settled, true) { Gap::Settled } else { Gap::Lost }
    }

    /// All from `last` on is to be asked for.
    pub(super) fn suspect(&mut self, last: u64) {
        self.floor = if self.state == State::Open { last } else { last.min(self.floor) };
        self.state = State::Suspicious;
    }

    /// Nothing can be heard. What was published up to `settled` has arrived.
    pub(super) fn go_deaf(&mut self, settled: u64) {
        if self.state == State::Open {
            self.floor = settled.max(self.highest);
        }
        self.state = State::Deaf;
        self.was_deaf = true;
    }

    /// It is asked for. `known` is the highest number that its process is known to have given.
    pub(super) fn ask(&mut self, known: u64) {
        self.state = State::Asked;
        self.up_to = known;
        self.is_settled = false;
    }

    /// All may pass again.
    pub(super) fn open(&mut self) {
        self.state = State::Open;
        self.was_deaf = false;
    }

    /// Nothing up to `known` will be asked for any more, and that has been reported.
    pub(super) fn give_up(&mut self, known: u64) {
        self.open();
        self.floor = 0;
        self.up_to = known;
        self.is_settled = true;
    }
}
