//! Redis is away for a while. Nodes say that they are not ready, sockets stay open, and what was published meanwhile
//! arrives when it is back.

use std::time::{Duration, Instant};

use super::traffic::{Kind, Traffic};
use super::{LOST, counted, expect_not_ready, expect_ready, start};

/// How long Redis hangs.
const HANGS: Duration = Duration::from_secs(3);

#[test]
fn a_redis_that_is_killed_and_started_again_costs_no_message() {
    let mut cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Reliable, 2), (Kind::Plain, 3)]);
    for _ in 0..2 {
        let since = Instant::now();
        cluster.redis().kill();
        expect_not_ready(&cluster, since);
        cluster.redis().restart();
        expect_ready(&cluster);
        traffic.flows();
    }
    traffic.expect_whole();
    assert_eq!(counted(&cluster, LOST), 0.0);
}

#[test]
fn a_redis_that_hangs_costs_no_message() {
    let mut cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Reliable, 2), (Kind::Plain, 3)]);
    let since = Instant::now();
    cluster.redis().pause();
    expect_not_ready(&cluster, since);
    std::thread::sleep(HANGS.saturating_sub(since.elapsed()));
    cluster.redis().resume();
    expect_ready(&cluster);
    traffic.flows();
    traffic.expect_whole();
    assert_eq!(counted(&cluster, LOST), 0.0);
}
