//! A client that publishes its numbers in turn and repeats what has not been answered.

use std::ops::Range;
use std::sync::Arc;

use proto::client::downstream_message::{AckMessage, Message as Downstream};
use proto::client::upstream_message::{Message as Upstream, SendToGroupMessage};

use super::client::{Client, Line, Lost};
use super::plan::{Plan, content, group_of};
use crate::support::ClientSpec;
use crate::support::protobuf::{send, text};

/// Numbers that are sent before the answers are waited for.
const BATCH: u64 = 20;

/// See the module.
pub(super) struct Publisher {
    index: usize,
    plan: Arc<Plan>,
    client: Client,
}

impl Publisher {
    pub(super) async fn connect(line: &Line<'_>, plan: &Arc<Plan>, index: usize) -> Self {
        let spec = ClientSpec::simple().offer(line.subprotocol()).role("webpubsub.sendToGroup");
        let client = Client::connect(line, format!("publisher {index}"), spec).await;
        Self { index, plan: Arc::clone(plan), client }
    }

    /// Publishes its share as fast as the members allow. Says how often it has come back.
    pub(super) async fn run(mut self) -> Option<u32> {
        let mut from = 0;
        while from < self.plan.share {
            let numbers = from..self.plan.share.min(from + BATCH);
            from = numbers.end;
            self.plan.publish(self.index, numbers.clone()).await;
            self.send_until_answered(numbers).await;
        }
        self.client.recoveries()
    }

    /// Each number is the ack id of its message, so that the broker knows a repetition.
    async fn send_until_answered(&mut self, mut numbers: Range<u64>) {
        loop {
            let publications: Vec<_> = numbers.clone().map(|number| self.publication(number)).collect();
            let sent = self.client.send(publications).await;
            if sent.is_ok() && self.hear_answers(&mut numbers).await.is_ok() {
                return;
            }
            self.client.recover().await;
        }
    }

    fn publication(&self, number: u64) -> Upstream {
        let group = format!("group-{}", group_of(self.index, number));
        let data = text(&content(self.index, number));
        Upstream::SendToGroupMessage(SendToGroupMessage { ack_id: Some(number), ..send(&group, data) })
    }

    /// Takes the numbers away that are answered, until none is left.
    async fn hear_answers(&mut self, numbers: &mut Range<u64>) -> Result<(), Lost> {
        while !numbers.is_empty() {
            let Downstream::AckMessage(AckMessage { ack_id, success, error }) = self.client.next().await?
            else {
                panic!("publisher {} was sent something else than answers", self.index);
            };
            let is_known = error.as_ref().is_some_and(|error| error.name == "Duplicate");
            assert!(success || is_known, "publisher {} was refused {ack_id}: {error:?}", self.index);
            // A repetition may be answered after what it repeats.
            if ack_id >= numbers.start {
                assert_eq!(ack_id, numbers.start, "publisher {} was answered out of order", self.index);
                numbers.start += 1;
            }
        }
        Ok(())
    }
}
