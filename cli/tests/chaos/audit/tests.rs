//! The audit finds what is planted, and nothing else.

use std::time::Duration;

use super::*;
use crate::dialect::Dialect;
use crate::record::{Told, Trouble};

const RUN: Run = Run { node: 0, life: 1 };
const OTHER: Run = Run { node: 1, life: 1 };
const ACCEPTS_ALL: &str = "killed,stopped,gap,slow,elsewhere,unsent";

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Twenty messages of one client to group 0, one each second from second 1, acknowledged after a hundredth.
fn publisher() -> Publisher {
    let message = |number: u32| {
        let begun = at(f64::from(number));
        Publication { scope: 1, begun, node: RUN, acknowledged: Some(begun + at(0.01)) }
    };
    Publisher {
        group: 0,
        kind: PublisherKind::Client,
        messages: (1..=20).map(message).collect(),
        stays: vec![],
    }
}

/// A reliable client at another node that joined in second 0.5 and got these of them.
fn stay(numbers: impl IntoIterator<Item = u32>, end: End) -> Stay {
    let receipt = |(sequence, number)| Receipt { publisher: 0, scope: 1, number, sequence: Some(sequence) };
    Stay {
        connection: "c".to_owned(),
        joined: vec![(0, at(0.5))],
        received: (1..).zip(numbers).map(receipt).collect(),
        sockets: vec![(OTHER, at(0.1))],
        asked: Vec::new(),
        recoveries: [0; 2],
        repeats: 0,
        end,
        ended: at(30.0),
    }
}

fn record(kind: Kind, stays: Vec<Stay>) -> Record {
    let clients = vec![Transcript { name: "client".to_owned(), kind, dialect: Dialect::Json, stays }];
    Record { publishers: vec![publisher()], clients, ..Record::default() }
}

fn found(record: &Record, accepted: &str) -> Vec<Broken> {
    let verdict = audit(record, &accepted.parse().unwrap());
    verdict.findings.into_iter().map(|finding| finding.what).collect()
}

/// What is found if a reliable client gets these until the end of the run.
fn check(numbers: impl IntoIterator<Item = u32>, expected: &[Broken]) {
    let record = record(Kind::Reliable, vec![stay(numbers, End::Finished)]);
    assert_eq!(found(&record, ACCEPTS_ALL), expected);
}

fn lost(number: u32) -> Broken {
    Broken::Lost { publisher: 0, number }
}

fn without(numbers: &[u32]) -> Vec<u32> {
    (1..=20).filter(|number| !numbers.contains(number)).collect()
}

#[test]
fn whoever_got_everything_once_and_in_order_is_no_finding() {
    check(1..=20, &[]);
}

#[test]
fn losses_are_found_at_the_beginning_in_the_middle_and_at_the_end() {
    check(2..=20, &[lost(1)]);
    check(without(&[7, 8]), &[lost(7), lost(8)]);
    check(1..=19, &[lost(20)]);
    check([], &(1..=20).map(lost).collect::<Vec<_>>());
}

#[test]
fn doubles_and_reorderings_are_found() {
    check([1, 2, 2].into_iter().chain(3..=20), &[Broken::Doubled { publisher: 0, number: 2 }]);
    let swapped = [1, 3, 2].into_iter().chain(4..=20);
    check(swapped, &[Broken::Reordered { publisher: 0, number: 2, after: 3 }]);
    let late = (2..=20).chain([1]);
    check(late, &[Broken::Reordered { publisher: 0, number: 1, after: 20 }]);
}

#[test]
fn what_nobody_sent_or_is_not_for_the_client_is_found() {
    check(1..=21, &[Broken::Strange { publisher: 0, number: 21 }]);
    let mut stray = stay(1..=2, End::Finished);
    stray.joined = vec![(1, at(0.5))];
    let strange = [1, 2].map(|number| Broken::Strange { publisher: 0, number });
    assert_eq!(found(&record(Kind::Reliable, vec![stray]), ACCEPTS_ALL), strange);
}

#[test]
fn what_is_older_than_the_membership_may_come_late_but_not_twice_and_is_counted() {
    let with = |numbers: Vec<u32>| {
        let mut late = stay(numbers, End::Finished);
        late.joined = vec![(0, at(15.5))];
        let record = record(Kind::Reliable, vec![late]);
        assert_eq!(audit(&record, &ACCEPTS_ALL.parse().unwrap()).report.older, 5);
        found(&record, ACCEPTS_ALL)
    };
    assert_eq!(with((16..=20).chain(1..=5).collect()), []);
    assert_eq!(
        with((16..=20).chain(1..=4).chain([4]).collect()),
        [Broken::Doubled { publisher: 0, number: 4 }]
    );
}

#[test]
fn a_hole_in_the_numbers_of_a_connection_is_found() {
    let mut holed = stay(1..=20, End::Finished);
    holed.received.iter_mut().skip(5).for_each(|receipt| receipt.sequence = receipt.sequence.map(|n| n + 1));
    let hole = [Broken::Sequence { after: 5, came: 7 }];
    assert_eq!(found(&record(Kind::Reliable, vec![holed]), ACCEPTS_ALL), hole);
}

#[test]
fn what_was_sent_before_the_join_was_known_or_never_acknowledged_may_be_missing_but_not_doubled() {
    let mut late = stay(11..=20, End::Finished);
    late.joined = vec![(0, at(10.5))];
    assert_eq!(found(&record(Kind::Reliable, vec![late]), ACCEPTS_ALL), []);

    let silent = |numbers: Vec<u32>| {
        let mut record = record(Kind::Reliable, vec![stay(numbers, End::Finished)]);
        record.publishers[0].messages[8].acknowledged = None;
        found(&record, ACCEPTS_ALL)
    };
    assert_eq!(silent(without(&[9])), []);
    assert_eq!(silent((1..=20).collect()), []);
    assert_eq!(silent((1..=9).chain(9..=20).collect()), [Broken::Doubled { publisher: 0, number: 9 }]);
    let reordered = (1..=8).chain([10, 9]).chain(11..=20).collect();
    assert_eq!(silent(reordered), [Broken::Reordered { publisher: 0, number: 9, after: 10 }]);
}

#[test]
fn order_holds_within_a_scope_and_not_for_calls_that_were_not_answered() {
    let in_two = |kind, is_answered: bool| {
        let mut record =
            record(Kind::Reliable, vec![stay((1..=9).chain([11, 10]).chain(12..=20), End::Finished)]);
        let publisher = &mut record.publishers[0];
        publisher.kind = kind;
        if !is_answered {
            publisher.messages[9].acknowledged = None;
        }
        record
    };
    assert_eq!(found(&in_two(PublisherKind::Caller, false), ACCEPTS_ALL), []);
    let expected = [Broken::Reordered { publisher: 0, number: 10, after: 11 }];
    assert_eq!(found(&in_two(PublisherKind::Caller, true), ACCEPTS_ALL), expected);

    let mut other_scope = in_two(PublisherKind::Client, true);
    other_scope.publishers[0].messages[10..].iter_mut().for_each(|message| message.scope = 2);
    let received = &mut other_scope.clients[0].stays[0].received;
    received.iter_mut().filter(|receipt| receipt.number > 10).for_each(|receipt| receipt.scope = 2);
    assert_eq!(found(&other_scope, ACCEPTS_ALL), []);
}

#[test]
fn only_what_came_before_the_end_of_a_session_counts_and_its_end_needs_an_accepted_cause() {
    let refused = |numbers| {
        let mut record = record(Kind::Reliable, vec![stay(numbers, End::Refused)]);
        record.incidents.push(Incident { from: at(15.0), until: at(20.0), trouble: Trouble::Killed(OTHER) });
        record
    };
    assert_eq!(found(&refused((1..=15).collect()), ACCEPTS_ALL), []);
    assert_eq!(found(&refused((1..=15).collect()), "strict"), []);
    assert_eq!(found(&refused((1..=15).collect()), "none"), [Broken::Ended(Cause::Killed)]);
    assert_eq!(found(&refused(without(&[4, 16, 17, 18, 19, 20])), ACCEPTS_ALL), [lost(4)]);
    // Killed long before the session had a socket there.
    let mut early = refused((1..=15).collect());
    early.incidents[0].from = Duration::ZERO;
    early.clients[0].stays[0].sockets[0].1 = at(10.0);
    assert_eq!(found(&early, ACCEPTS_ALL), [Broken::Ended(Cause::Unexplained)]);
}

#[test]
fn the_causes_of_ends_are_told_apart() {
    let check = |change: fn(&mut Record), expected: Cause| {
        let mut record = record(Kind::Reliable, vec![stay(1..=15, End::Refused)]);
        change(&mut record);
        assert_eq!(found(&record, ""), [Broken::Ended(expected)]);
    };
    fn log(record: &mut Record, category: &str) {
        let told = Told { run: OTHER, at: at(29.0), category: category.to_owned() };
        record.ends.insert("c".to_owned(), vec![told]);
    }
    check(|_| {}, Cause::Unexplained);
    check(|record| record.clients[0].stays[0].asked = vec![RUN], Cause::Elsewhere);
    check(|record| record.clients[0].stays[0].asked = vec![OTHER], Cause::Unexplained);
    check(|record| log(record, "SlowClient"), Cause::Slow);
    check(|record| log(record, "ServiceReload"), Cause::Stopped);
    check(
        |record| {
            log(record, "SlowClient");
            record.ends.get_mut("c").unwrap()[0].at = at(40.0);
        },
        Cause::Unexplained,
    );
    check(|record| log(record, "Moved"), Cause::Unexplained);
    check(|record| log(record, "BadRequest"), Cause::Category("BadRequest".to_owned()));
    // A broker that ends a session for a gap has to count the gap.
    check(|record| log(record, "ServiceTransientError"), Cause::Category("ServiceTransientError".to_owned()));
    check(
        |record| {
            log(record, "ServiceTransientError");
            record.gaps.insert(OTHER, 1.0);
        },
        Cause::Gap,
    );
    check(
        |record| {
            // It may have moved there when the client asked for it.
            record.clients[0].stays[0].asked = vec![RUN];
            record.incidents.push(Incident {
                from: at(20.0),
                until: at(22.0),
                trouble: Trouble::Killed(RUN),
            });
        },
        Cause::Killed,
    );
}

#[test]
fn a_client_that_is_not_back_is_found() {
    let record = record(Kind::Reliable, vec![stay(1..=20, End::Missing)]);
    assert_eq!(found(&record, ACCEPTS_ALL), [Broken::Missing]);
}

#[test]
fn plain_clients_may_miss_messages_while_a_fault_concerns_them_and_then_alone() {
    let with = |trouble: Option<Trouble>| {
        let mut record = record(Kind::Plain, vec![stay(without(&[10]), End::Finished)]);
        record.incidents.extend(trouble.map(|trouble| Incident { from: at(9.5), until: at(10.5), trouble }));
        found(&record, ACCEPTS_ALL)
    };
    let unexplained = [Broken::LostForNoReason { publisher: 0, number: 10 }];
    assert_eq!(with(None), unexplained);
    assert_eq!(with(Some(Trouble::Paused(Run { node: 2, life: 1 }))), unexplained);
    for trouble in [Trouble::Redis, Trouble::Cut(RUN), Trouble::Killed(OTHER)] {
        assert_eq!(with(Some(trouble)), []);
    }
    let mut twice = record(Kind::Plain, vec![stay([1, 1].into_iter().chain(2..=20), End::Finished)]);
    twice.clients[0].stays[0].received.iter_mut().for_each(|receipt| receipt.sequence = None);
    assert_eq!(found(&twice, ACCEPTS_ALL), [Broken::Doubled { publisher: 0, number: 1 }]);
}

#[test]
fn what_died_with_the_node_that_had_acknowledged_it_is_told_from_other_losses() {
    let with = |incidents: &[(f64, f64, Trouble)], accepted: &str| {
        let mut record = record(Kind::Reliable, vec![stay(without(&[10]), End::Finished)]);
        let incident = |&(from, until, trouble)| Incident { from: at(from), until: at(until), trouble };
        record.incidents = incidents.iter().map(incident).collect();
        found(&record, accepted)
    };
    let killed = |at| (at, at + 2.0, Trouble::Killed(RUN));
    assert_eq!(with(&[killed(10.1)], "strict"), []);
    assert_eq!(with(&[killed(10.1)], "none"), [lost(10)]);
    assert_eq!(with(&[killed(12.0)], "strict"), [lost(10)]);
    assert_eq!(with(&[killed(12.0), (9.0, 13.0, Trouble::Cut(RUN))], "strict"), []);
    assert_eq!(with(&[killed(12.0), (9.0, 13.0, Trouble::Cut(OTHER))], "strict"), [lost(10)]);
    assert_eq!(with(&[killed(9.0)], "strict"), [lost(10)]);
}
