//! Real programs for tests: brokers, the Redis or Redis Cluster that links them, and both together. Each is found by its process id, can
//! be paused and killed alone, and is gone when its value is.
//!
//! No assertion about the broker belongs here.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by suites of which some do not use all of it"
)]

mod broker;
mod cluster;
mod process;
mod redis;
#[path = "../../../../broker/tests/support/redis.rs"]
mod servers;

use std::thread;
use std::time::{Duration, Instant};

pub use broker::Broker;
pub use cluster::{Backplane, Cluster};
pub use redis::Redis;
pub use servers::{Cluster as RedisCluster, Redis as RedisServer};

/// Longest wait for what must happen.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Time between two looks whether it has happened.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `look` gives something.
///
/// # Panics
/// When it has not within [`DEADLINE`]; `what` names it.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not happen within {DEADLINE:?}");
        thread::sleep(LOOK);
    }
}
