//! The file with the settings of hubs while the node runs: a good change is applied, a bad one is told and changes
//! nothing.
//!
//! The text is read once a second and compared. Notices of the file system would come sooner, but not at all from
//! network file systems, and for a mounted ConfigMap they tell of a link somewhere above the file. Started by `app`, on
//! the main thread; `config` reads the file first, so that a node does not start with a bad one.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs::File;
use std::future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codec::ids::HubName;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::file::{self, Hubs};
use super::handler::HandlerTokens;
use super::yaml::Fault;
use super::{HubSettings, Settings};
use crate::telemetry::metrics::{Metrics, Reload};

/// Time between two looks.
const POLL: Duration = Duration::from_secs(1);
/// Time for which a changed text must stay the same, so that a file is not taken while it is being written.
const SETTLE: Duration = Duration::from_millis(100);
/// Longest file, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// A file that has this key names other files, which may change while its own text does not.
const NAMES_FILES: &str = "valueFile";

/// Where the settings of hubs come from.
#[derive(Debug, Clone, Default)]
pub struct HubsSource {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Settings of hubs that came with the start of the node and stay. The file must not name these hubs.
    pub given: BTreeMap<HubName, Arc<HubSettings>>,
    /// What handlers can have.
    pub tokens: HandlerTokens,
    /// The hubs that were durable when the node started, and are as long as it runs.
    pub durable: BTreeSet<HubName>,
}

/// Asks for the file to be read at once. All clones ask the same node.
#[derive(Debug, Clone, Default)]
pub struct Reread(Arc<Notify>);

impl Reread {
    /// Asks. What is asked before the node runs, or while it reads, is done next.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

/// Follows a [`HubsSource`]. Owns the settings in force, so that nobody else changes them.
pub(crate) struct Follower {
    pub(crate) source: HubsSource,
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    pub(crate) reread: Reread,
    pub(crate) metrics: Arc<Metrics>,
}

/// The text of a settings file.
///
/// # Errors
/// Why it cannot be had, in the words of the system.
pub(crate) fn read_text(path: &Path) -> Result<String, io::Error> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is longer than 4 MiB"));
    }
    Ok(text)
}

/// A place in a file, as faults and warnings name it.
pub(crate) fn place(path: &Path, line: Option<u64>) -> String {
    line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()))
}

impl Follower {
    /// Follows until the node is told to stop.
    pub(crate) async fn run(self, mut stopping: watch::Receiver<bool>) {
        tokio::select! {
            // An error means that the node is gone without a word.
            _ = stopping.wait_for(|&stopping| stopping) => {}
            never = self.follow() => match never {},
        }
    }

    async fn follow(&self) -> Infallible {
        let Some(path) = &self.source.file else {
            // The settings are kept all the same: whoever waits for a change shall wait, and not be told of an end.
            return future::pending().await;
        };
        let mut known = Known::default();
        let mut ticks = interval(POLL);
        // After a pause of the machine one look is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                _ = ticks.tick() => Cause::Poll,
                () = self.reread.0.notified() => Cause::Asked,
            };
            let Some(text) = settled(path, known.fingerprint).await else {
                continue;
            };
            let fingerprint = fingerprint(&text);
            let is_new = known.fingerprint.replace(fingerprint).is_some_and(|known| known != fingerprint);
            let names_files = text.as_ref().is_ok_and(|text| text.contains(NAMES_FILES));
            let is_first = known.outcome.is_none();
            if is_first || is_new || names_files || cause == Cause::Asked {
                let source = self.source.clone();
                let text = self.unless_emptied(text);
                // Secrets may be on a file system that does not answer, and the operations page should.
                let Ok(outcome) = spawn_blocking(move || source.understand(text)).await else {
                    continue;
                };
                let is_event = is_new || cause == Cause::Asked;
                self.take(path, outcome, &mut known, is_event);
            }
        }
    }

    /// The text, if it is not empty while hubs have settings of it. Whoever writes a file empties it first, and may be
    /// slow, or fail: all hubs would be without their handlers, that of `connect` among them, which keeps clients out.
    fn unless_emptied(&self, text: Result<String, String>) -> Result<String, String> {
        let is_empty = text.as_ref().is_ok_and(|text| text.trim().is_empty());
        if is_empty && self.settings.borrow().hubs.len() > self.source.given.len() {
            return Err(
                "the file is empty; write \"hubs: {}\" if no hub shall have settings any more".to_owned()
            );
        }
        text
    }

    /// Applies what was understood, or tells why not. It is told of once, unless `is_event` says that somebody waits
    /// for an answer.
    fn take(&self, path: &Path, outcome: Result<Hubs, Vec<Fault>>, known: &mut Known, is_event: bool) {
        match outcome {
            Ok(hubs) => {
                let recovers = matches!(known.outcome, Some(Err(_)));
                known.outcome = Some(Ok(()));
                let changes = self.apply(hubs.settings);
                if !(changes || recovers || is_event) {
                    return;
                }
                for warning in &hubs.warnings {
                    tracing::warn!("{}: {}", place(path, warning.line), warning.reason);
                }
                self.metrics.settings_reload(Reload::Applied);
                let file = path.display();
                match (recovers, changes) {
                    (true, _) => tracing::info!(%file, "the hub settings are good again and are applied"),
                    (false, true) => tracing::info!(%file, "changed hub settings are applied"),
                    (false, false) => {
                        tracing::info!(%file, "the hub settings were read and have not changed")
                    }
                }
            }
            Err(faults) => {
                if is_event || known.outcome.as_ref() != Some(&Err(faults.clone())) {
                    for fault in &faults {
                        let place = place(path, fault.line);
                        tracing::error!(
                            "{place}: {}; the last good hub settings stay in force",
                            fault.reason
                        );
                    }
                    self.metrics.settings_reload(Reload::Refused);
                }
                known.outcome = Some(Err(faults));
            }
        }
    }

    /// Says whether anything was different.
    fn apply(&self, mut hubs: BTreeMap<HubName, Arc<HubSettings>>) -> bool {
        hubs.extend(self.source.given.clone());
        self.settings.send_if_modified(|settings| {
            if settings.hubs == hubs {
                return false;
            }
            *settings = Arc::new(Settings { keys: settings.keys.clone(), hubs });
            true
        })
    }
}

impl HubsSource {
    /// What the text of the file means. Hubs that were given are faults of a file that names them.
    fn understand(&self, text: Result<String, String>) -> Result<Hubs, Vec<Fault>> {
        let text = text.map_err(|reason| vec![Fault { line: None, reason }])?;
        let hubs = file::parse(&text, self.tokens)?;
        let taken = hubs.lines.iter().filter(|(hub, _)| self.given.contains_key(*hub));
        let mut faults: Vec<_> = taken
            .map(|(hub, line)| Fault {
                line: Some(*line),
                reason: format!("hub \"{hub}\" has event handlers from the command line of this node; restart it without them"),
            })
            .collect();
        let changed =
            |hub: &HubName, settings: &HubSettings| settings.is_durable != self.durable.contains(hub);
        for (hub, settings) in hubs.settings.iter().filter(|(hub, settings)| changed(hub, settings)) {
            let reason = if settings.is_durable { "was not durable" } else { "was durable" };
            let reason =
                format!("hub \"{hub}\" {reason} when this node started; restart all nodes to change that");
            faults.push(Fault { line: hubs.lines.get(hub).copied(), reason });
        }
        for hub in self.durable.iter().filter(|hub| !hubs.settings.contains_key(*hub)) {
            let reason =
                format!("hub \"{hub}\" is durable and cannot go while this node runs; restart all nodes");
            faults.push(Fault { line: None, reason });
        }
        faults.sort_by_key(|fault| fault.line);
        if faults.is_empty() { Ok(hubs) } else { Err(faults) }
    }
}

/// Why the file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Poll,
    Asked,
}

/// What the last look has found.
#[derive(Debug, Default)]
struct Known {
    /// Of the text, which is not kept because it may have secrets.
    fingerprint: Option<u64>,
    outcome: Option<Result<(), Vec<Fault>>>,
}

/// The text, or why it cannot be had, once it is what was known or has stayed the same for [`SETTLE`]. Nothing when the
/// look failed by a fault of ours.
async fn settled(path: &Path, known: Option<u64>) -> Option<Result<String, String>> {
    let mut last = known;
    loop {
        let path = path.to_owned();
        let look = spawn_blocking(move || {
            read_text(&path).map_err(|error| format!("cannot read the hub settings: {error}"))
        });
        let text = look.await.ok()?;
        let fingerprint = fingerprint(&text);
        if last.replace(fingerprint) == Some(fingerprint) {
            return Some(text);
        }
        sleep(SETTLE).await;
    }
}

fn fingerprint(text: &Result<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
