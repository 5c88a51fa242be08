//! Whether the others have all that a node has published: it asks them, again and again, and whoever has it says so.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use codec::ids::NodeId;

use super::nodes::Nodes;
use super::{Inner, lock};
use crate::backplane::Channel;
use crate::backplane::wire::LinkMessage;

/// How often the others are asked.
const AGAIN: Duration = Duration::from_millis(100);
/// How often the node looks who has answered.
const LOOK: Duration = Duration::from_millis(5);
/// Stands for the node's farewell among its checkpoints.
pub(super) const FAREWELL: u64 = 0;

/// Who has answered which checkpoint. What nobody waits for any more is not here.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    last: u64,
    complete: BTreeMap<u64, HashSet<NodeId>>,
}

impl Checkpoints {
    fn begin(&mut self) -> u64 {
        self.last += 1;
        self.open(self.last);
        self.last
    }

    fn open(&mut self, number: u64) {
        self.complete.insert(number, HashSet::new());
    }

    /// A node has all that was published before.
    pub(super) fn on_complete(&mut self, number: u64, node: NodeId) {
        if let Some(nodes) = self.complete.get_mut(&number) {
            nodes.insert(node);
        }
    }
}

/// Forgets a checkpoint when nobody waits for it any more.
struct Waiting<'a> {
    inner: &'a Inner,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.inner.checkpoints).complete.remove(&self.number);
    }
}

impl Inner {
    /// See [`crate::backplane::Overview::all_have_all`].
    pub(super) async fn all_have_all(&self) {
        let number = lock(&self.checkpoints).begin();
        self.all_answer(number, LinkMessage::Checkpoint { number }, Nodes::there).await;
    }

    /// The same when the node ends. Whoever has said farewell too may have ended, and will not answer.
    pub(super) async fn all_have_heard_farewell(&self) {
        lock(&self.checkpoints).open(FAREWELL);
        self.all_answer(FAREWELL, LinkMessage::Farewell { is_complete: true }, Nodes::staying).await;
    }

    /// Asks until all have answered whom `awaited` names then.
    async fn all_answer(&self, number: u64, question: LinkMessage, awaited: fn(&Nodes) -> Vec<NodeId>) {
        let _waiting = Waiting { inner: self, number };
        loop {
            self.tell(&Channel::AllNodes, question.clone());
            for _ in 0..AGAIN.as_millis() / LOOK.as_millis() {
                if self.have_answered(number, awaited) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    fn have_answered(&self, number: u64, awaited: fn(&Nodes) -> Vec<NodeId>) -> bool {
        let awaited = awaited(&lock(&self.nodes));
        let checkpoints = lock(&self.checkpoints);
        let complete = checkpoints.complete.get(&number);
        awaited.iter().all(|node| complete.is_some_and(|complete| complete.contains(node)))
    }
}
