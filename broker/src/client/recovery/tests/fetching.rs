//! A client that comes back to another node than the one that has its connection.

use codec::ids::GroupName;

use super::mesh::Mesh;
use super::*;
use crate::model::command::{Body, Command, Target};

/// Messages of each publisher and kind, as many as a window holds together.
const COUNT: usize = 150;

struct Place {
    node: NodeId,
    connections: Rc<Connections>,
    desks: Desks,
}

fn place(mesh: &Arc<Mesh>, name: &str) -> Place {
    let node = NodeId::new(name).unwrap();
    let (connections, desks) = linked(node.clone(), |exchange| mesh.link(exchange, &node));
    Place { node, connections, desks }
}

fn group() -> Target {
    Target::Group(GroupName::new("g").unwrap())
}

fn command(target: Target, text: &str) -> Command {
    Command {
        hub: hub(),
        target,
        body: Body::from_application(Content { payload: Payload::text(text), metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    }
}

impl Place {
    /// A connection that is in the group and has no socket.
    async fn connect(&self) -> ConnectionId {
        let connection_id = ConnectionId::new(1, 0, &self.node);
        let subprotocol = Subprotocol::JsonReliable;
        let member = NewMember {
            hub: hub(),
            connection_id: connection_id.clone(),
            user_id: Some(codec::ids::UserId::new("ann").unwrap()),
            subprotocol: Some(subprotocol),
        };
        let router = &self.connections.router;
        let (key, pending) = router.attach(&member);
        let pending = pending.and(router.join(key, &hub(), GroupName::new("g").unwrap()));
        router.settle(pending).await.unwrap();
        let session = Session::new(Opening {
            hub: hub(),
            connection_id: connection_id.clone(),
            user_id: member.user_id.clone(),
            permissions: Permissions::from_roles(&["webpubsub.joinLeaveGroup".to_owned()]).0,
            speech: Speech::Messages(subprotocol),
        });
        let connection = Rc::new(Connection::new(Arrival {
            key,
            connections: Rc::clone(&self.connections),
            socket: Some(sockets().0),
            session,
            correspondence: Correspondence::new("localhost".into()),
            keep_alive: 20,
            permit: permit(),
        }));
        self.connections.insert(&connection);
        connection::start(Rc::clone(&connection), Vec::new());
        self.connections.end(key, CloseReason::ConnectionLost);
        connection_id
    }

    fn has(&self, id: &ConnectionId) -> bool {
        self.connections.router.shard().find(&hub(), id).is_some()
    }

    async fn come_back(&self, id: &ConnectionId) -> StdStream {
        self.come_back_with(id, Vec::new()).await
    }

    /// The same for a client that sends something at once.
    async fn come_back_with(&self, id: &ConnectionId, first: Vec<u8>) -> StdStream {
        let reserved = self.desks.reserve(hub(), id.clone()).await.unwrap();
        let (socket, client) = sockets();
        reserved.expect("it is somewhere").redeem(&self.connections, socket, first).await;
        client
    }

    fn submit(&self, target: Target, text: &str) {
        self.connections.router.submit(command(target, text)).unwrap();
        self.connections.flush_soon();
    }
}

/// What a client is sent until `last` is in it.
async fn received_until(client: &mut StdStream, last: &str) -> String {
    let mut bytes = Vec::new();
    for _ in 0..5000 {
        let mut more = [0; 65536];
        match client.read(&mut more) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if String::from_utf8_lossy(&bytes).contains(last) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The texts that a client is sent until `last` is among them, each with its number.
async fn texts(client: &mut StdStream, last: &str) -> Vec<(u64, String)> {
    let text = received_until(client, &format!("\"data\":\"{last}\"")).await;
    let messages = text.split("{\"sequenceId\":").skip(1).map(|message| {
        let number = message.split(',').next().unwrap().parse().unwrap();
        let data = message.split("\"data\":\"").nth(1).unwrap().split('"').next().unwrap();
        (number, data.to_owned())
    });
    let messages: Vec<_> = messages.collect();
    assert_eq!(messages.last().map(|(_, text)| text.as_str()), Some(last), "{text}");
    messages
}

fn with_nodes(test: impl AsyncFnOnce(Arc<Mesh>)) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { test(Arc::default()).await });
}

#[test]
fn it_has_everything_once_and_in_order_although_much_is_published_meanwhile() {
    with_nodes(async |mesh| {
        let (home, other, third) = (place(&mesh, "home"), place(&mesh, "other"), place(&mesh, "third"));
        let id = home.connect().await;
        let publishers: Vec<_> = [&home, &other, &third]
            .into_iter()
            .map(|place| {
                let connections = Rc::clone(&place.connections);
                let name = place.node.to_string();
                let id = id.clone();
                tokio::task::spawn_local(async move {
                    for number in 0..COUNT {
                        let text = format!("{name}-{number:03}");
                        connections.router.submit(command(group(), &text)).unwrap();
                        let direct = command(Target::Connection(id.clone()), &format!("direct-{text}"));
                        connections.router.publish(direct).await.unwrap();
                        connections.flush_soon();
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let first = other.come_back(&id).await;
        assert!(other.has(&id) && !home.has(&id));
        drop(first);
        // Home again, and on to a third one, while they still publish.
        drop(home.come_back(&id).await);
        assert!(home.has(&id) && !other.has(&id));
        let mut client = third.come_back(&id).await;
        assert!(third.has(&id) && !home.has(&id));
        assert!(publishers.iter().all(|publisher| !publisher.is_finished()), "they publish all the time");
        for publisher in publishers {
            publisher.await.unwrap();
        }
        home.submit(group(), "last");
        let texts = texts(&mut client, "last").await;
        assert!(texts.iter().zip(1..).all(|((number, _), expected)| *number == expected), "{texts:?}");
        for name in ["home", "other", "third", "direct-home", "direct-other", "direct-third"] {
            let of: Vec<&str> = texts
                .iter()
                .map(|(_, text)| text.as_str())
                .filter(|text| text.rsplit_once('-').is_some_and(|(start, _)| start == name))
                .collect();
            let expected: Vec<String> = (0..COUNT).map(|number| format!("{name}-{number:03}")).collect();
            assert_eq!(of, expected, "{name}");
        }
    });
}

#[test]
fn one_that_nobody_has_is_refused_and_one_whose_node_is_away_may_come_later() {
    with_nodes(async |mesh| {
        let (home, other) = (place(&mesh, "home"), place(&mesh, "other"));
        let unknown = ConnectionId::new(9, 0, &home.node);
        for place in [&home, &other] {
            let reserved = place.desks.reserve(hub(), unknown.clone()).await;
            assert!(matches!(reserved, Ok(None)));
        }
        let id = home.connect().await;
        mesh.unlink(&home.node);
        assert!(other.desks.reserve(hub(), id.clone()).await.is_err(), "it may still exist");
        mesh.end(&home.node);
        let reserved = other.desks.reserve(hub(), id.clone()).await;
        assert!(matches!(reserved, Ok(None)), "it has ended with its node");
    });
}

#[test]
fn one_that_has_moved_to_a_node_that_is_out_of_reach_may_come_later() {
    with_nodes(async |mesh| {
        let (home, other, third) = (place(&mesh, "home"), place(&mesh, "other"), place(&mesh, "third"));
        let id = home.connect().await;
        drop(other.come_back(&id).await);
        assert!(other.has(&id));
        mesh.unlink(&other.node);
        for place in [&home, &third] {
            assert!(place.desks.reserve(hub(), id.clone()).await.is_err(), "it may still exist");
        }
        mesh.end(&other.node);
        for place in [&home, &third] {
            let reserved = place.desks.reserve(hub(), id.clone()).await;
            assert!(matches!(reserved, Ok(None)), "it has ended with its node");
        }
    });
}

#[test]
fn one_that_waits_for_the_application_moves_when_that_has_answered() {
    with_nodes(async |mesh| {
        let (home, other) = (place(&mesh, "home"), place(&mesh, "other"));
        let id = home.connect().await;
        let key = home.connections.router.shard().find(&hub(), &id).unwrap();
        let connection = home.connections.table.borrow()[key].clone();
        let recovery = connection.recovery.as_ref().unwrap();
        recovery.is_paused.set(true);
        assert!(other.desks.reserve(hub(), id.clone()).await.is_err());
        assert!(home.has(&id), "its client may come again");
        recovery.is_paused.set(false);
        drop(other.come_back(&id).await);
        assert!(other.has(&id) && !home.has(&id));
    });
}

#[test]
fn whoever_waits_for_a_fetch_that_fails_is_not_told_that_there_is_no_connection() {
    with_nodes(async |mesh| {
        let (home, other) = (place(&mesh, "home"), place(&mesh, "other"));
        let id = home.connect().await;
        let key = home.connections.router.shard().find(&hub(), &id).unwrap();
        let connection = home.connections.table.borrow()[key].clone();
        // It waits for the application, so that it cannot move now.
        connection.recovery.as_ref().unwrap().is_paused.set(true);
        // The client has given up waiting for the first answer, and asks again.
        let twice = futures_util::future::join(
            other.desks.reserve(hub(), id.clone()),
            other.desks.reserve(hub(), id.clone()),
        );
        let (first, second) = twice.await;
        assert!(first.is_err() && second.is_err(), "it may come later");
    });
}

#[test]
fn one_that_has_moved_is_found_although_its_home_is_gone() {
    with_nodes(async |mesh| {
        let (home, other, third) = (place(&mesh, "home"), place(&mesh, "other"), place(&mesh, "third"));
        let id = home.connect().await;
        drop(other.come_back(&id).await);
        mesh.unlink(&home.node);
        let mut client = third.come_back(&id).await;
        other.submit(group(), "last");
        assert_eq!(texts(&mut client, "last").await, [(1, "last".to_owned())]);
    });
}
