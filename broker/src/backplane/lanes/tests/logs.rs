//! What whoever goes on from logs waits for, and is told.

use super::*;

#[test]
fn whoever_reads_logs_does_not_wait_for_who_is_quiet_after_a_deafness() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    assert_eq!(ear.position_with_logs(), None);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    // It is there, and is lost before it answers.
    ear.wait(1_000, &["ask n #2 7>1"]);
    ear.hears(a(3, 2), &[]);
    ear.wait(3_499, &["ask n #3 7>1", "ask n #4 7>1"]);
    ear.proves();
    assert_eq!(ear.position_with_logs(), None);
    ear.wait(1, &[]);
    assert_eq!(ear.position_with_logs(), None, "it may have been heard but for what is under way");
    ear.proves();
    assert_eq!(ear.position(), None);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 1)]));
    ear.wait(1_500, &["ask n #5 7>1", "lost n 7", "3"]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 3)]));
    ear.is_at_rest();
}

#[test]
fn whoever_has_gone_on_without_who_was_quiet_is_behind_when_it_is_heard_again() {
    let mut ear = Ear::new();
    let passed_over = |ear: &mut Ear| {
        ear.deaf(&[7], &[]);
        ear.hearing(&[7], &["ask n #1 7>1"]);
        ear.wait(QUIET.as_millis().try_into().unwrap(), &["ask n #2 7>1", "ask n #3 7>1", "ask n #4 7>1"]);
        ear.proves();
        assert_eq!(ear.position_with_logs(), Some(vec![(1, 1)]));
    };
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    // Before what it publishes, and once.
    ear.hears(a(3, 2), &["behind 7"]);
    assert_eq!(ear.position_with_logs(), None);
    ear.beat("n", 1, 3, &[]);
    ear.answer(4, &[a(2, 1), a(3, 2)], &["2", "3"]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 3)]));
    ear.hears(a(4, 3), &["4"]);
    ear.is_at_rest();

    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    ear.beat("n", 1, 1, &["behind 7"]);

    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    ear.farewell(false, &["behind 7"]);

    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    ear.answer(2, &[a(2, 1)], &["behind 7", "2"]);
}

#[test]
fn whoever_reads_logs_is_told_what_has_to_wait() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 1)]));
    ear.hears(a(3, 2), &["behind 7", "ask n #1 7>1"]);
    ear.hears(a(5, 4), &[]);
    ear.answer(1, &[a(2, 1), a(3, 2)], &["2", "3", "behind 7", "ask n #2 7>3"]);
    ear.answer(2, &[a(4, 3)], &["4", "5"]);
    // Who is heard for the first time after a deafness may have begun in it.
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #3 7>5"]);
    ear.answer(3, &[], &[]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 5)]));
    ear.beat("m", 1, 0, &["ask m #4 7>0", "behind 7"]);
    assert_eq!(ear.position_with_logs(), None);
}

#[test]
fn whoever_reads_logs_waits_for_what_no_deafness_has_kept_away() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    // Whoever was there has not fallen behind: it is to get this here.
    ear.hears(a(3, 2), &["ask n #1 7>1"]);
    ear.wait(QUIET.as_millis().try_into().unwrap(), &["ask n #2 7>1", "ask n #3 7>1", "ask n #4 7>1"]);
    ear.proves();
    assert_eq!(ear.position_with_logs(), None);
}
