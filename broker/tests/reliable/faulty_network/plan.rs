//! Who publishes what to whom, and how far it has come.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

pub(super) const GROUPS: usize = 16;
/// Members on the reliable subprotocol. Each is in two groups, and each group has two of them.
pub(super) const RELIABLE_MEMBERS: usize = GROUPS;
/// All members; the others are on the plain subprotocol. Each is in two groups, and each group has one of them.
pub(super) const MEMBERS: usize = RELIABLE_MEMBERS + GROUPS / 2;
/// Every second publisher is behind the faulty network.
pub(super) const PUBLISHERS: usize = 8;
/// Each publisher sends to so many groups, in turn.
pub(super) const GROUPS_OF_PUBLISHER: u64 = 4;
/// Most messages that may be on their way to a member or not acknowledged: the broker ends a connection that leaves
/// 1,000 unacknowledged, and that is not what is tested here.
const MOST_UNSETTLED: u64 = 900;

/// See the module.
pub(super) struct Plan {
    /// Numbers of each publisher, from 0 on.
    pub(super) share: u64,
    backlogs: Vec<Backlog>,
    changed: Notify,
}

/// What a member is to receive.
#[derive(Default)]
struct Backlog {
    published: AtomicU64,
    /// How many of those the broker is known to have forgotten.
    settled: AtomicU64,
    /// The number that is due from each publisher.
    due: Mutex<Vec<u64>>,
}

/// The group of a number of a publisher.
pub(super) fn group_of(publisher: usize, number: u64) -> usize {
    (publisher * (GROUPS / PUBLISHERS) + (number % GROUPS_OF_PUBLISHER) as usize) % GROUPS
}

/// The groups of a member.
pub(super) fn groups_of(member: usize) -> [usize; 2] {
    let first = if member < RELIABLE_MEMBERS { member } else { (member - RELIABLE_MEMBERS) * 2 };
    [first, (first + 1) % GROUPS]
}

/// The text that a publisher sends under a number. Its length varies, and with it the lengths in the frames.
pub(super) fn content(publisher: usize, number: u64) -> String {
    format!("{publisher} {number} {}", "x".repeat((number * 37 % 300) as usize))
}

impl Plan {
    pub(super) fn new(messages: u64) -> Self {
        let plan = Self {
            share: messages.div_ceil(PUBLISHERS as u64),
            backlogs: (0..MEMBERS).map(|_| Backlog::default()).collect(),
            changed: Notify::new(),
        };
        for (member, backlog) in plan.backlogs.iter().enumerate() {
            let first = (0..PUBLISHERS).map(|publisher| plan.first_from(member, publisher, 0));
            *backlog.due.lock().unwrap() = first.collect();
        }
        plan
    }

    /// The first number from `from` on that this publisher sends to a group of this member.
    fn first_from(&self, member: usize, publisher: usize, from: u64) -> u64 {
        (from..self.share)
            .find(|number| groups_of(member).contains(&group_of(publisher, *number)))
            .unwrap_or(self.share)
    }

    /// Waits until `condition` holds; looks again whenever a member has received something.
    pub(super) async fn wait_until(&self, condition: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until all members that these numbers concern have room for them, and notes that they are published.
    pub(super) async fn publish(&self, publisher: usize, numbers: std::ops::Range<u64>) {
        let count_for = |member| {
            let groups = groups_of(member);
            numbers.clone().filter(|number| groups.contains(&group_of(publisher, *number))).count() as u64
        };
        let counts = self.backlogs.iter().zip((0..MEMBERS).map(count_for));
        let concerned: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        let has_room =
            || concerned.iter().all(|(backlog, count)| backlog.unsettled() + count <= MOST_UNSETTLED);
        self.wait_until(has_room).await;
        for (backlog, count) in concerned {
            backlog.published.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// A member has received a message, which must be what is due from its publisher.
    pub(super) fn received(&self, member: usize, text: &str) {
        let mut words = text.split(' ').map(|word| word.parse::<u64>().ok());
        let (Some(Some(publisher)), Some(Some(number))) = (words.next(), words.next()) else {
            panic!("member {member} received {text:?}, which nobody sent");
        };
        let publisher = publisher as usize;
        assert_eq!(text, content(publisher, number), "member {member}");
        let mut due = self.backlogs[member].due.lock().unwrap();
        let due = &mut due[publisher];
        assert_eq!(
            number, *due,
            "member {member} received another number of publisher {publisher} than was due"
        );
        *due = self.first_from(member, publisher, number + 1);
    }

    /// The broker has forgotten so many messages of a member.
    pub(super) fn settled(&self, member: usize, count: u64) {
        self.backlogs[member].settled.fetch_max(count, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// What the members still have to receive, one line for each.
    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self.backlogs.iter().enumerate().filter_map(|(member, backlog)| {
            let due = backlog.due.lock().unwrap();
            let is_missing = due.iter().any(|number| *number < self.share);
            is_missing.then(|| format!("to member {member} the numbers {due:?} of {}", self.share))
        });
        missing.collect()
    }
}

impl Backlog {
    fn unsettled(&self) -> u64 {
        self.published.load(Ordering::Relaxed) - self.settled.load(Ordering::Relaxed)
    }
}
