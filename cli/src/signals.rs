//! Signals: the first that ends the process asks for an orderly end, the second does not ask; SIGHUP has files read
//! again.

use std::io;

use broker::Reread;
use tokio::sync::mpsc;

/// Exit code of a process that a signal ended, above the number of the signal.
const SIGNALLED: i32 = 128;

/// Signals to end that have come since [`Signals::listen`].
pub(crate) struct Signals {
    sender: mpsc::Sender<i32>,
    receiver: mpsc::Receiver<i32>,
}

impl Signals {
    /// Starts to listen for Ctrl-C and SIGTERM, which end the process no longer by themselves.
    ///
    /// # Errors
    /// The operating system's, when it does not let us.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(2);
        listen(&sender)?;
        Ok(Self { sender, receiver })
    }

    /// Has SIGHUP mean that files are to be read again. When it comes because the terminal was closed, it ends the
    /// process in order, for nobody would know of it any more. Does nothing on systems without that signal.
    ///
    /// # Errors
    /// The operating system's, when it does not let us.
    pub(crate) fn reread_on_hangup(&self, reread: Reread) -> io::Result<()> {
        hangup(self.sender.clone(), reread)
    }

    /// Resolves at the first signal to end. A second one ends the process at once.
    pub(crate) async fn first(mut self) {
        if let Some(signal) = self.receiver.recv().await {
            tracing::info!(signal, "stopping; a second signal ends the process at once");
        }
        tokio::spawn(async move {
            if let Some(signal) = self.receiver.recv().await {
                std::process::exit(SIGNALLED + signal);
            }
        });
    }
}

#[cfg(unix)]
fn listen(sender: &mpsc::Sender<i32>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() && sender.send(kind.as_raw_value()).await.is_ok() {}
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn listen(sender: &mpsc::Sender<i32>) -> io::Result<()> {
    const INTERRUPT: i32 = 2;
    let sender = sender.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send(INTERRUPT).await.is_ok() {}
    });
    Ok(())
}

#[cfg(unix)]
fn hangup(sender: mpsc::Sender<i32>, reread: Reread) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let kind = SignalKind::hangup();
    let mut signals = signal(kind)?;
    let had_terminal = has_terminal();
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            if !had_terminal || has_terminal() {
                reread.ask();
            } else if sender.send(kind.as_raw_value()).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn hangup(_: mpsc::Sender<i32>, _: Reread) -> io::Result<()> {
    Ok(())
}

/// Whether somebody may be looking. A terminal that was closed is none any more.
#[cfg(unix)]
fn has_terminal() -> bool {
    use std::io::IsTerminal;

    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}
