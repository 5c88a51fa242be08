//! Signals that end the process: the first asks for an orderly end, the second does not ask.

use std::io;

use tokio::sync::mpsc;

/// Exit code of a process that a signal ended, above the number of the signal.
const SIGNALLED: i32 = 128;

/// Signals that have come since [`Signals::listen`].
pub(crate) struct Signals(mpsc::Receiver<i32>);

impl Signals {
    /// Starts to listen for Ctrl-C and SIGTERM, which end the process no longer by themselves.
    ///
    /// # Errors
    /// The operating system's, when it does not let us.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(2);
        listen(&sender)?;
        Ok(Self(receiver))
    }

    /// Resolves at the first signal. A second one ends the process at once.
    pub(crate) async fn first(mut self) {
        if let Some(signal) = self.0.recv().await {
            tracing::info!(signal, "stopping; a second signal ends the process at once");
        }
        tokio::spawn(async move {
            if let Some(signal) = self.0.recv().await {
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
