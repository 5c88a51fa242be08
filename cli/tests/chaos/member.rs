//! A client that listens: it joins its groups in every session, and writes down what arrives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::dialect::Said;
use crate::line::{Happening, Line};
use crate::record::{End, Kind, Receipt, Transcript};
use crate::socket::{Heard, Outcome};
use crate::world::{World, group_name};

/// See the module.
pub(crate) struct Member {
    line: Line,
    name: String,
    groups: Vec<usize>,
    /// For each of its groups, whether its broker has confirmed it.
    is_in: Vec<bool>,
    is_present: bool,
}

impl Member {
    /// A client that is not there yet. `id` tells it from all others.
    pub(crate) fn new(world: Arc<World>, kind: Kind, id: u64, groups: Vec<usize>) -> Self {
        let is_in = vec![false; groups.len()];
        let line = Line::new(world, kind, id);
        let name = format!("{kind:?} {id} in {:?}", line.dialect).to_lowercase();
        Self { line, name, groups, is_in, is_present: false }
    }

    /// Listens until all go home.
    pub(crate) async fn run(mut self) -> Transcript {
        let mut stays = Vec::new();
        loop {
            if !self.line.begin().await {
                break;
            }
            self.is_in.fill(false);
            self.join().await;
            let end = self.session().await;
            self.set_present(false);
            let is_over = matches!(end, End::Finished | End::Missing);
            stays.push(self.line.end(end).await);
            if is_over {
                break;
            }
        }
        Transcript { name: self.name, kind: self.line.kind, dialect: self.line.dialect, stays }
    }

    async fn session(&mut self) -> End {
        loop {
            match self.line.next().await {
                Happening::Heard(heard) => self.hear(heard).await,
                Happening::Lost => self.set_present(false),
                Happening::Back | Happening::Round => {
                    self.join().await;
                    self.set_present(self.is_everywhere());
                }
                Happening::Over(end) => return end,
                Happening::Orders(orders) if orders.finish => {
                    return if self.is_everywhere() { End::Finished } else { End::Missing };
                }
                Happening::Orders(_) => {}
            }
        }
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Ack { id, outcome: Outcome::Done } => {
                let index = id as usize - 1;
                if !std::mem::replace(&mut self.is_in[index], true) {
                    let (group, at) = (self.groups[index], self.line.world.now());
                    self.line.stay().joined.push((group, at));
                }
                self.set_present(self.is_everywhere());
            }
            Heard::Message { tag, sequence } => {
                self.line.world.pulse.received.fetch_add(1, Ordering::Relaxed);
                if self.line.is_new(sequence).await {
                    let (publisher, scope, number) = (tag.publisher, tag.scope, tag.number);
                    self.line.stay().received.push(Receipt { publisher, scope, number, sequence });
                }
            }
            // One that was refused is tried again with the next round.
            _ => {}
        }
    }

    /// Asks to be let into the groups that have not been confirmed.
    async fn join(&mut self) {
        for index in 0..self.groups.len() {
            if !self.is_in[index] {
                let (group, ack) = (group_name(self.groups[index]), index as u64 + 1);
                self.line.say(Said::Join { group, ack }).await;
            }
        }
    }

    fn is_everywhere(&self) -> bool {
        self.line.is_up() && self.is_in.iter().all(|is_in| *is_in)
    }

    fn set_present(&mut self, is_present: bool) {
        if std::mem::replace(&mut self.is_present, is_present) != is_present {
            let present = &self.line.world.pulse.present;
            match is_present {
                true => present.fetch_add(1, Ordering::Relaxed),
                false => present.fetch_sub(1, Ordering::Relaxed),
            };
        }
    }
}
