//! A client that is in two groups and checks what it receives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::client::MessageData;
use proto::client::downstream_message::{DataMessage, Message as Downstream};
use proto::client::message_data::Data;
use proto::client::upstream_message::{Message as Upstream, PingMessage, SequenceAckMessage};

use super::client::{Client, Line, Lost};
use super::plan::{Plan, groups_of};
use crate::support::ClientSpec;

/// What the application sends to all in the end.
pub(super) const FAREWELL: &str = "farewell";
/// Messages after which a member acknowledges.
const ACKNOWLEDGED_AFTER: u64 = 50;
/// Time without a message after which it does so too.
const IDLE: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Member {
    index: usize,
    plan: Arc<Plan>,
    client: Client,
    /// How many messages it has, which on a reliable connection is the number of the last.
    received: u64,
    /// How many it had when it acknowledged last.
    acknowledged: u64,
    numbers: Option<Numbers>,
}

/// What a member on a reliable connection knows of sequence ids.
#[derive(Default)]
struct Numbers {
    /// The last that came on this socket.
    on_this_socket: Option<u64>,
    /// What it has acknowledged on this socket, each before a ping that is not answered yet.
    unanswered: VecDeque<u64>,
    /// All up to this one the broker has forgotten.
    settled: u64,
}

impl Member {
    pub(super) async fn connect(line: &Line<'_>, plan: &Arc<Plan>, index: usize) -> Self {
        let [first, second] = groups_of(index).map(|group| format!("group-{group}"));
        let spec = ClientSpec::simple().offer(line.subprotocol()).group(&first).group(&second);
        let client = Client::connect(line, format!("member {index}"), spec).await;
        let numbers = client.is_reliable().then(Numbers::default);
        Self { index, plan: Arc::clone(plan), client, received: 0, acknowledged: 0, numbers }
    }

    /// Receives until the farewell, which must come after all else. Says how often it has come back.
    pub(super) async fn run(mut self) -> Option<u32> {
        loop {
            let next = tokio::time::timeout(IDLE, self.client.next()).await;
            let kept = match next {
                Ok(Ok(Downstream::DataMessage(message))) => {
                    if self.take(message) {
                        return self.client.recoveries();
                    }
                    self.acknowledge_after(ACKNOWLEDGED_AFTER).await
                }
                Ok(Ok(Downstream::PongMessage(_))) => {
                    self.settle();
                    Ok(())
                }
                Ok(Ok(other)) => panic!("member {} was sent {other:?}", self.index),
                Ok(Err(Lost)) => Err(Lost),
                Err(_) => self.acknowledge_after(1).await,
            };
            if kept.is_err() {
                self.come_back().await;
            }
        }
    }

    /// Looks at a message and says whether it is the farewell.
    fn take(&mut self, message: DataMessage) -> bool {
        let index = self.index;
        if let Some(numbers) = &mut self.numbers {
            let number = message.sequence_id.expect("a message of a reliable connection has a number");
            let settled = numbers.settled;
            assert!(
                number > settled,
                "member {index} was sent {number} again, and had acknowledged {settled}"
            );
            if let Some(last) = numbers.on_this_socket.replace(number) {
                assert_eq!(number, last + 1, "member {index} was sent another number than comes next");
            }
            if number <= self.received {
                return false;
            }
            assert_eq!(number, self.received + 1, "member {index} will not be sent what is between");
        }
        self.received += 1;
        let Some(MessageData { data: Some(Data::TextData(text)) }) = message.data else {
            panic!("member {index} was sent no text");
        };
        if message.from == "server" {
            assert_eq!(text, FAREWELL);
            return true;
        }
        self.plan.received(index, &text);
        false
    }

    /// Acknowledges if so many messages have come since it did so last.
    async fn acknowledge_after(&mut self, count: u64) -> Result<(), Lost> {
        if self.received < self.acknowledged + count {
            return Ok(());
        }
        self.acknowledge().await
    }

    /// Acknowledges, and asks for a pong: when it has come, the broker knows. On the plain subprotocol there is nothing
    /// to acknowledge.
    async fn acknowledge(&mut self) -> Result<(), Lost> {
        let sequence_id = self.received;
        self.acknowledged = sequence_id;
        let Some(numbers) = &mut self.numbers else {
            self.plan.settled(self.index, sequence_id);
            return Ok(());
        };
        numbers.unanswered.push_back(sequence_id);
        let acknowledgement = Upstream::SequenceAckMessage(SequenceAckMessage { sequence_id });
        self.client.send([acknowledgement, Upstream::PingMessage(PingMessage {})]).await
    }

    fn settle(&mut self) {
        let numbers = self.numbers.as_mut().expect("only acknowledgements are followed by pings");
        numbers.settled = numbers.unanswered.pop_front().expect("a pong that nobody wanted");
        self.plan.settled(self.index, numbers.settled);
    }

    /// Comes back, and acknowledges again, for that may have been lost.
    async fn come_back(&mut self) {
        loop {
            self.client.recover().await;
            if let Some(numbers) = &mut self.numbers {
                numbers.on_this_socket = None;
                numbers.unanswered.clear();
            }
            if self.acknowledge().await.is_ok() {
                return;
            }
        }
    }
}
