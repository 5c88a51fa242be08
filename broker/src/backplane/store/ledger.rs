//! What an owner still has to write of a connection. A message may be sent to the client only when it has been written.
//!
//! A value, without time and without Redis. At most one write is under way, and the next one brings all that has come
//! meanwhile; so no write can overtake another, and many messages cost one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::record::message_field;
use super::{Fate, Floors, Owner, Record, Write};
use crate::backplane::Partition;
use crate::backplane::wire::session;
use crate::model::command::Identity;
use crate::model::portable::{KeptMessage, Membership};

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    owner: Owner,
    /// No record holds anything of it yet, as far as is known.
    is_new: bool,
    /// What the connection has been served, so that it can be written again.
    served: Floors,
    due: Due,
    /// What is under way.
    sent: Option<Due>,
    /// Numbers that are written or under way, and not acknowledged before that.
    written: VecDeque<u64>,
    acknowledged: u64,
    /// Everything up to here has been written.
    confirmed: u64,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Due {
    session: Option<Bytes>,
    messages: VecDeque<Message>,
    floors: Floors,
    removed: Vec<u64>,
    last: Option<u64>,
}

#[derive(Debug)]
struct Message {
    number: u64,
    bytes: Bytes,
    /// It may have been written: nobody knows.
    is_doubtful: bool,
}

impl Ledger {
    /// That of a connection without a record. Its session, and all that its client has not acknowledged, must be given to
    /// it before the first write.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            is_new: true,
            served: Floors::default(),
            due: Due::default(),
            sent: None,
            written: VecDeque::new(),
            acknowledged: 0,
            confirmed: 0,
        }
    }

    /// That of a connection whose record has just been taken.
    pub fn taken(owner: Owner, record: &Record) -> Self {
        let Membership { messages, last, .. } = &record.portable.membership;
        let written = messages.iter().map(|message| message.number).collect();
        let served = record.floors.clone();
        Self { is_new: false, written, served, confirmed: *last, ..Self::new(owner) }
    }

    /// Who writes.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Another message is for the client; its number is the next one. `source` says what it came with, if other nodes know
    /// that.
    pub fn keep(&mut self, message: &KeptMessage, source: Option<(Partition, &Identity)>) {
        let bytes = session::encode_kept(message).into();
        self.due.messages.push_back(Message { number: message.number, bytes, is_doubtful: false });
        self.due.last = Some(message.number);
        if let Some((partition, identity)) = source {
            self.due.floors.raise(partition, identity);
            self.served.raise(partition, identity);
        }
    }

    /// The connection has been served everything up to these, or it was before it was there.
    pub fn serve(&mut self, floors: Floors) {
        self.due.floors.raise_all(floors.clone());
        self.served.raise_all(floors);
    }

    /// What the connection has been served.
    pub fn served(&self) -> &Floors {
        &self.served
    }

    /// The client has everything up to this; one beyond the last means all that there are.
    pub fn acknowledge(&mut self, up_to: u64) {
        let under_way = self.sent.as_ref().and_then(|sent| sent.last);
        let last = self.due.last.max(under_way).unwrap_or_default().max(self.confirmed);
        self.acknowledged = self.acknowledged.max(up_to.min(last));
    }

    /// Nothing is of use any more but the messages with these numbers, which rise. Not while something is under way.
    pub fn retain(&mut self, kept: &[u64]) {
        let is_kept = |number: &u64| kept.binary_search(number).is_ok();
        let Self { written, due, .. } = self;
        due.removed.extend(written.iter().filter(|number| !is_kept(number)));
        written.retain(is_kept);
        let gone = due.messages.iter().filter(|message| message.is_doubtful && !is_kept(&message.number));
        due.removed.extend(gone.map(|message| message.number));
        due.messages.retain(|message| is_kept(&message.number));
    }

    /// The connection has changed in something else than its messages.
    pub fn describe(&mut self, session: Bytes) {
        self.due.session = Some(session);
    }

    /// Up to which number messages may be sent to the client.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Whether everything is written.
    pub fn is_settled(&self) -> bool {
        self.sent.is_none()
            && self.due.is_empty()
            && self.written.front().is_none_or(|&first| first > self.acknowledged)
    }

    /// What is to be written next; nothing while something is under way, or when nothing is to be written. A `renewal` is
    /// written all the same, so that the record lives on.
    pub fn next(&mut self, is_renewal: bool) -> Option<Write> {
        if self.sent.is_some()
            || (self.is_settled() && !is_renewal)
            || (self.is_new && self.due.session.is_none())
        {
            return None;
        }
        let mut due = std::mem::take(&mut self.due);
        while let Some(message) = due.messages.pop_front_if(|message| message.number <= self.acknowledged) {
            if message.is_doubtful {
                due.removed.push(message.number);
            }
        }
        while let Some(number) = self.written.pop_front_if(|number| *number <= self.acknowledged) {
            due.removed.push(number);
        }
        self.written.extend(due.messages.iter().map(|message| message.number));
        let write = due.write(&self.owner, self.is_new);
        self.sent = Some(due);
        Some(write)
    }

    /// What was under way is written, or is not because the record belongs to another or is lost. If it is lost, the
    /// session, and all that the client has not acknowledged, must be given again.
    pub fn decided(&mut self, fate: Fate) {
        let Some(sent) = self.sent.take() else { return };
        match fate {
            Fate::Stays => {
                self.is_new = false;
                self.confirmed = self.confirmed.max(sent.last.unwrap_or_default());
            }
            Fate::Anew => {
                let (owner, acknowledged, confirmed) =
                    (self.owner.clone(), self.acknowledged, self.confirmed);
                let served = std::mem::take(&mut self.served);
                *self = Self { acknowledged, confirmed, ..Self::new(owner) };
                self.due.floors = served.clone();
                self.served = served;
            }
            Fate::Ends => {}
        }
    }

    /// It cannot be known whether what was under way is written: it is due again.
    pub fn undecided(&mut self) {
        let Some(sent) = self.sent.take() else { return };
        if let Some(Message { number: first, .. }) = sent.messages.front() {
            while self.written.pop_back_if(|number| *number >= *first).is_some() {}
        }
        let later = std::mem::replace(&mut self.due, sent);
        self.due.messages.iter_mut().for_each(|message| message.is_doubtful = true);
        self.due.messages.extend(later.messages);
        self.due.floors.raise_all(later.floors);
        self.due.session = later.session.or(self.due.session.take());
        self.due.last = later.last.or(self.due.last);
    }
}

impl Due {
    fn is_empty(&self) -> bool {
        self.session.is_none()
            && self.messages.is_empty()
            && self.floors.is_empty()
            && self.removed.is_empty()
            && self.last.is_none()
    }

    fn write(&self, owner: &Owner, is_whole: bool) -> Write {
        let mut fields: Vec<(String, Bytes)> = Vec::new();
        fields.extend(self.session.clone().map(|session| ("session".to_owned(), session)));
        fields.extend(self.last.map(|last| ("last".to_owned(), last.to_string().into())));
        fields.extend(self.floors.fields().map(|(name, value)| (name, value.into())));
        fields.extend(
            self.messages.iter().map(|message| (message_field(message.number), message.bytes.clone())),
        );
        let removed = self.removed.iter().map(|&number| message_field(number)).collect();
        Write { owner: owner.clone(), is_whole, removed, fields }
    }
}

#[cfg(test)]
mod tests;
