//! What stands between a broker and Redis: a relay of bytes that can be cut while neither of them knows.
//!
//! A network namespace for each broker, with a pair of virtual interfaces whose packets are dropped, would cut off its
//! clients too. That needs root and Linux; this works everywhere, and clients lose their sockets by the schedule instead.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::schedule::Way;

/// Bytes that are carried at once.
const PIECE: usize = 64 * 1024;

/// A relay to one address. It carries until the runtime that it was started on ends.
pub(crate) struct Relay {
    address: SocketAddr,
    state: watch::Sender<Option<Way>>,
}

/// Nothing while all is well.
type State = watch::Receiver<Option<Way>>;

impl Relay {
    /// A relay to `target`, which need not be there yet.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(None);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(link(near, target, seen.clone()));
            }
        });
        Self { address, state }
    }

    /// Where the broker finds it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it.
    pub(crate) fn cut(&self, way: Way) {
        self.state.send_replace(Some(way));
    }

    /// Lets bytes pass again.
    pub(crate) fn heal(&self) {
        self.state.send_replace(None);
    }
}

async fn link(mut near: TcpStream, target: SocketAddr, state: State) {
    let doom = doom(state.clone());
    let linked = async {
        let mut far = TcpStream::connect(target).await?;
        let carried = carry_both(&mut near, &mut far, &state).await;
        // Told to nobody while nothing passes.
        passing(&mut state.clone()).await;
        Ok::<_, io::Error>((carried, far))
    };
    let far = tokio::select! {
        linked = linked => match linked {
            Ok((Ok(()), _)) => return,
            Ok((Err(_), far)) => Some(far),
            Err(_) => None,
        },
        // The other end is reset by the system, for its bytes have not been read, or told of the end.
        () = doom => None,
    };
    let _ = near.set_zero_linger();
    if let Some(far) = far {
        let _ = far.set_zero_linger();
    }
}

/// Resolves when a connection that is there now must be reset.
async fn doom(mut state: State) {
    loop {
        match *state.borrow_and_update() {
            Some(Way::Refused) => return,
            Some(Way::Vanishing) => break,
            Some(Way::Held) | None => {}
        }
        if state.changed().await.is_err() {
            return;
        }
    }
    let _ = state.wait_for(|way| *way != Some(Way::Vanishing)).await;
}

async fn passing(state: &mut State) {
    let _ = state.wait_for(Option::is_none).await;
}

async fn carry_both(near: &mut TcpStream, far: &mut TcpStream, state: &State) -> io::Result<()> {
    for socket in [&near, &far] {
        let _ = socket.set_nodelay(true);
    }
    let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
    tokio::try_join!(carry(near_read, far_write, state.clone()), carry(far_read, near_write, state.clone()))?;
    Ok(())
}

async fn carry(mut source: ReadHalf<'_>, mut sink: WriteHalf<'_>, mut state: State) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = source.read(&mut buffer).await;
        let way = state.wait_for(|way| *way != Some(Way::Held)).await.map_or(None, |way| *way);
        match (way, read?) {
            (None, 0) => return sink.shutdown().await,
            (None, len) => sink.write_all(&buffer[..len]).await?,
            // Doomed: nobody is told of the end, and what has come is gone.
            (Some(_), 0) => std::future::pending().await,
            (Some(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Long enough to see that nothing comes.
    const QUIET: Duration = Duration::from_millis(200);
    const DEADLINE: Duration = Duration::from_secs(10);

    /// A relay, and both ends of a connection through it.
    async fn linked() -> (Relay, TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).await;
        let near = TcpStream::connect(relay.address()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (relay, listener, near, far)
    }

    async fn read(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 64];
        let len = timeout(DEADLINE, socket.read(&mut buffer)).await.expect("nothing came")?;
        Ok(buffer[..len].to_vec())
    }

    async fn expect_nothing(socket: &mut TcpStream) {
        assert!(timeout(QUIET, socket.read_u8()).await.is_err());
    }

    #[tokio::test]
    async fn what_is_held_arrives_when_the_cut_is_over() {
        let (relay, _listener, mut near, mut far) = linked().await;
        near.write_all(b"before").await.unwrap();
        assert_eq!(read(&mut far).await.unwrap(), b"before");
        relay.cut(Way::Held);
        near.write_all(b"during").await.unwrap();
        expect_nothing(&mut far).await;
        relay.heal();
        assert_eq!(read(&mut far).await.unwrap(), b"during");
    }

    #[tokio::test]
    async fn what_vanishes_never_arrives_and_the_connection_is_reset_afterwards() {
        let (relay, _listener, mut near, mut far) = linked().await;
        relay.cut(Way::Vanishing);
        near.write_all(b"gone").await.unwrap();
        expect_nothing(&mut far).await;
        expect_nothing(&mut near).await;
        relay.heal();
        assert_eq!(read(&mut near).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(read(&mut far).await.is_ok_and(|bytes| bytes.is_empty()));
    }

    #[tokio::test]
    async fn an_end_during_the_cut_is_told_to_nobody() {
        for way in [Way::Held, Way::Vanishing] {
            let (relay, _listener, mut near, far) = linked().await;
            relay.cut(way);
            drop(far);
            expect_nothing(&mut near).await;
            relay.heal();
            assert!(read(&mut near).await.is_ok_and(|bytes| bytes.is_empty()) || way == Way::Vanishing);
        }
    }

    #[tokio::test]
    async fn who_is_refused_is_reset_and_comes_through_again_later() {
        let (relay, listener, mut near, _far) = linked().await;
        relay.cut(Way::Refused);
        assert!(read(&mut near).await.is_err());
        let mut next = TcpStream::connect(relay.address()).await.unwrap();
        assert!(read(&mut next).await.is_err());
        relay.heal();
        let mut next = TcpStream::connect(relay.address()).await.unwrap();
        let (mut far, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
        next.write_all(b"again").await.unwrap();
        while read(&mut far).await.unwrap_or_default() != b"again" {
            (far, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
        }
    }
}
