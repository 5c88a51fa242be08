//! A bus between nodes of one process, which hands on at once and in one order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, Weak};

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::*;
use crate::backplane::{
    Arrival, BusError, BusFull, Channel, Envelope, Number, Outlook, Overview, PartitionSet, Position,
    Receipt, Receiver, Standing,
};

/// What takes a while over a network, so that much happens meanwhile.
const DELAY: Duration = Duration::from_millis(5);

/// What the nodes share.
#[derive(Default)]
pub(super) struct Mesh {
    nodes: Mutex<BTreeMap<String, Arc<Node>>>,
    /// Those that have said farewell.
    ended: Mutex<HashSet<NodeId>>,
    /// All that there have ever been.
    known: Mutex<HashSet<NodeId>>,
}

struct Node {
    receive: Receiver,
    watched: Mutex<HashSet<Channel>>,
    /// By origin and partition.
    heard: Mutex<HashMap<(String, u8), u64>>,
}

pub(super) struct MeshBus {
    mesh: Weak<Mesh>,
    id: NodeId,
    last: Mutex<u64>,
}

impl Mesh {
    pub(super) fn link(self: &Arc<Self>, exchange: &Arc<Exchange>, id: &NodeId) -> Arc<dyn Bus> {
        let node = Node { receive: exchange.receiver(), watched: Mutex::default(), heard: Mutex::default() };
        self.nodes.lock().unwrap().insert(id.to_string(), Arc::new(node));
        self.known.lock().unwrap().insert(id.clone());
        Arc::new(MeshBus { mesh: Arc::downgrade(self), id: id.clone(), last: Mutex::new(0) })
    }

    /// A node is out of reach.
    pub(super) fn unlink(&self, id: &NodeId) {
        self.nodes.lock().unwrap().remove(id.as_str());
    }

    /// A node has ended, and the others know it.
    pub(super) fn end(&self, id: &NodeId) {
        self.unlink(id);
        self.ended.lock().unwrap().insert(id.clone());
    }

    fn node(&self, id: &NodeId) -> Arc<Node> {
        Arc::clone(&self.nodes.lock().unwrap()[id.as_str()])
    }
}

impl Bus for MeshBus {
    fn publish(
        &self,
        channel: &Channel,
        envelope: Envelope,
        receipt: Option<Receipt>,
    ) -> Result<Number, BusFull> {
        let mesh = self.mesh.upgrade().unwrap();
        let sequence = {
            let mut last = self.last.lock().unwrap();
            *last += 1;
            *last
        };
        let number = Number { epoch: 1, sequence };
        let nodes: Vec<_> = mesh.nodes.lock().unwrap().clone().into_iter().collect();
        let mut receivers = 0;
        for (id, node) in nodes {
            let is_own = match channel {
                Channel::Node(to) | Channel::Probe(to, _) => to.as_str() == id,
                Channel::AllNodes => true,
                Channel::Topic(_) => node.watched.lock().unwrap().contains(channel),
            };
            if is_own {
                receivers += 1;
                let place = (self.id.to_string(), channel.partition().0);
                node.heard.lock().unwrap().insert(place, sequence);
                let arrival = Arrival::Envelope(envelope.clone(), number);
                if let Channel::Probe(..) = channel {
                    tokio::task::spawn_local(async move {
                        tokio::time::sleep(DELAY).await;
                        (node.receive)(arrival);
                    });
                } else {
                    (node.receive)(arrival);
                }
            }
        }
        if let Some(receipt) = receipt {
            let _ = receipt.send(Ok(receivers));
        }
        Ok(number)
    }

    fn watch(&self, channel: &Channel) -> BoxFuture<'static, Result<(), BusError>> {
        let (mesh, id, channel) = (self.mesh.upgrade().unwrap(), self.id.clone(), channel.clone());
        async move {
            tokio::time::sleep(DELAY).await;
            mesh.node(&id).watched.lock().unwrap().insert(channel);
            Ok(())
        }
        .boxed()
    }

    fn unwatch(&self, channel: &Channel) {
        if let Some(mesh) = self.mesh.upgrade() {
            mesh.node(&self.id).watched.lock().unwrap().remove(channel);
        }
    }

    fn flush(&self) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }

    fn leave(&self) -> BoxFuture<'static, ()> {
        self.mesh.upgrade().unwrap().end(&self.id);
        ready(()).boxed()
    }
}

impl Overview for MeshBus {
    fn position(&self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        let mesh = self.mesh.upgrade()?;
        let node = mesh.node(&self.id);
        let heard = node.heard.lock().unwrap();
        let all = partitions.iter().flat_map(|partition| {
            let here = heard.iter().filter(move |((_, at), _)| *at == partition.0);
            here.map(move |((origin, _), sequence)| Position {
                origin: NodeId::new(origin).unwrap(),
                partition,
                up_to: Number { epoch: 1, sequence: *sequence },
            })
        });
        Some(all.collect())
    }

    fn outlook(&self) -> Outlook {
        let mesh = self.mesh.upgrade().unwrap();
        let (linked, ended) = (mesh.nodes.lock().unwrap(), mesh.ended.lock().unwrap());
        let standing = |node: &NodeId| match (linked.contains_key(node.as_str()), ended.contains(node)) {
            (true, _) => Standing::Alive,
            (false, true) => Standing::Gone,
            (false, false) => Standing::Silent,
        };
        let known = mesh.known.lock().unwrap();
        let others = known.iter().filter(|node| **node != self.id);
        let others = others.map(|node| (node.clone(), standing(node))).collect();
        Outlook { fault: None, others, unheard: Standing::Silent }
    }
}
