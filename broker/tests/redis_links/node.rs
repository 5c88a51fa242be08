//! The links of one node, and what they have brought.

use std::sync::Arc;
use std::time::Duration;

use broker::backplane::redis::{LinkError, LinkEvent, Links, Outgoing, QueueLimits, RedisConfig, RedisTexts};
use broker::backplane::{BusError, BusFull, Partition, PartitionSet};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

/// Longest wait for something that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) links: Links,
    prefix: String,
    events: mpsc::UnboundedReceiver<LinkEvent>,
}

pub(crate) fn texts(url: &str) -> RedisTexts {
    RedisTexts { urls: vec![url.to_owned()], ..RedisTexts::default() }
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

impl Node {
    pub(crate) async fn start(url: &str) -> Self {
        Self::with(&texts(url), QueueLimits::default()).await.unwrap()
    }

    pub(crate) async fn with(texts: &RedisTexts, limits: QueueLimits) -> Result<Self, LinkError> {
        Self::patient(texts, limits, DEADLINE).await
    }

    pub(crate) async fn patient(
        texts: &RedisTexts,
        limits: QueueLimits,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let (sender, events) = mpsc::unbounded_channel();
        let config = RedisConfig::parse(texts)?;
        let prefix = config.prefix().to_owned();
        let take = move |event| {
            // The test may be over.
            let _ = sender.send(event);
        };
        let links = Links::start(config, limits, patience, take).await?;
        Ok(Self { links, prefix, events })
    }

    pub(crate) fn channel(&self, partition: u8, name: &str) -> String {
        format!("{}:{{{partition}}}:{name}", self.prefix)
    }

    pub(crate) async fn subscribe(&self, partition: u8, name: &str) {
        within("the subscription", self.wish(partition, name)).await.unwrap();
    }

    pub(crate) fn wish(&self, partition: u8, name: &str) -> BoxFuture<'static, Result<(), BusError>> {
        self.links.subscribe(Partition(partition), &Arc::from(self.channel(partition, name)))
    }

    pub(crate) fn outgoing(&self, partition: u8, name: &str, payload: &str) -> Outgoing {
        Outgoing {
            partition: Partition(partition),
            channel: Arc::from(self.channel(partition, name)),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            receipt: None,
            through: None,
        }
    }

    pub(crate) fn publish(&self, partition: u8, name: &str, payload: &str) -> Result<(), BusFull> {
        self.links.publish(self.outgoing(partition, name, payload))
    }

    /// Publishes; the receiver gets the receipt.
    pub(crate) fn post(
        &self,
        partition: u8,
        name: &str,
        payload: &str,
    ) -> oneshot::Receiver<Result<u64, BusError>> {
        let (sender, receipt) = oneshot::channel();
        let outgoing = Outgoing { receipt: Some(sender), ..self.outgoing(partition, name, payload) };
        self.links.publish(outgoing).unwrap();
        receipt
    }

    /// To how many subscribers it is handed.
    pub(crate) async fn reach(&self, partition: u8, name: &str, payload: &str) -> u64 {
        within("the receipt", self.post(partition, name, payload)).await.unwrap().unwrap()
    }

    pub(crate) async fn event(&mut self) -> LinkEvent {
        within("an event", self.events.recv()).await.unwrap()
    }

    /// The next message: its channel and its payload.
    pub(crate) async fn message(&mut self) -> (String, String) {
        loop {
            if let LinkEvent::Message { channel, payload, .. } = self.event().await {
                return (text(&channel), text(&payload));
            }
        }
    }

    pub(crate) async fn payload(&mut self) -> String {
        self.message().await.1
    }

    /// Skips to the next time that something becomes deaf.
    pub(crate) async fn deaf(&mut self) -> PartitionSet {
        loop {
            if let LinkEvent::Deaf(partitions) = self.event().await {
                return partitions;
            }
        }
    }

    /// Skips to the next time that something is heard again.
    pub(crate) async fn hearing(&mut self) -> PartitionSet {
        loop {
            if let LinkEvent::Hearing(partitions) = self.event().await {
                return partitions;
            }
        }
    }

    /// Waits until everything is heard, however many steps that takes.
    pub(crate) async fn all_hearing(&self) {
        let mut state = self.links.state();
        within("everything is heard", state.wait_for(|state| state.hearing)).await.unwrap();
    }

    /// What has arrived until a payload, that included.
    pub(crate) async fn until(&mut self, last: &str) -> Vec<String> {
        let mut payloads = Vec::new();
        while payloads.last().is_none_or(|payload| payload != last) {
            payloads.push(self.payload().await);
        }
        payloads
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
