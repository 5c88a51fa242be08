//! A node that has been started again, and one that says farewell.

use super::*;

#[test]
fn a_new_run_of_a_node_is_another_origin() {
    let mut ear = Ear::new();
    let new = |sequence, previous| Sample { epoch: 2, ..a(sequence, previous) };
    ear.hears(a(5, 0), &["5"]);
    ear.hears(new(1, 0), &["1"]);
    ear.hears(new(2, 1), &["2"]);
    // A late word of the run before, and one that came twice.
    ear.hears(a(6, 5), &["6"]);
    ear.hears(a(6, 5), &[]);
    // There is nobody to ask what is missing.
    ear.hears(a(9, 8), &["lost n 7", "9"]);
    ear.hears(new(3, 2), &["3"]);
    ear.is_at_rest();
}

#[test]
fn a_new_run_cannot_repair_the_one_before() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(c(2, 0), &["2"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    ear.deaf(&[8], &[]);
    ear.beat("n", 2, 0, &["lost n 7 8", "5"]);
    ear.hearing(&[8], &["ask n #2 8>0"]);
    // Questions reach the node, and so the new run.
    ear.answer(1, &[a(4, 1)], &[]);
}

#[test]
fn a_run_that_may_have_come_back_and_ended_unheard_is_reported() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.wait(5_000, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &[]);
    ear.beat("n", 2, 0, &["lost n 7", "ask n #1 7>0"]);
}

#[test]
fn a_run_that_goes_on_after_a_new_one_has_not_ended() {
    let mut ear = Ear::new();
    ear.beat("n", 1, 0, &[]);
    // A late word of an older one.
    ear.hears(Sample { epoch: 9, ..c(1, 0) }, &["1"]);
    ear.hears(a(1, 0), &["1"]);
    // It may have been under way.
    ear.hears(a(3, 2), &["lost n 7", "3"]);
    ear.proves();
    ear.hears(a(5, 4), &["ask n #1 7>3"]);
}

#[test]
fn last_words_of_a_run_that_may_have_been_under_way_are_lost() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.wait(1_000, &[]);
    ear.proves();
    ear.wait(1_000, &[]);
    ear.beat("n", 2, 0, &[]);
    ear.heard.on_proof(&set(&[8]), ear.now);
    ear.deaf(&[7, 8], &["lost n 7"]);
    ear.hearing(&[7, 8], &["ask n #1 7>0 8>0"]);
    ear.deaf(&[7, 8], &[]);
}

#[test]
fn nothing_of_a_run_is_lost_in_a_deafness_after_its_end() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.beat("n", 2, 0, &[]);
    ear.proves();
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>0 8>0"]);
    assert_eq!(ear.position(), None);
    ear.part_of(2, (1, (0, true, true)), &[], &[]);
    assert_eq!(ear.position(), Some(vec![(1, 1)]));
    ear.wait(1_000, &[]);
    // Another one begins.
    ear.beat("n", 3, 0, &["ask n #2 7>0 8>0"]);
}

#[test]
fn a_run_that_goes_on_in_a_deafness_after_its_end_is_asked() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.beat("n", 2, 0, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>0"]);
    ear.hears(a(5, 1), &["ask n #2 7>1"]);
    ear.answer(2, &[b(4, 0), a(5, 1)], &["4", "5"]);
}

#[test]
fn nothing_is_missing_of_a_run_that_said_farewell_when_all_of_it_had_come() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    // What it said before may still be under way in other partitions.
    ear.farewell(false, &[]);
    ear.wait(100, &[]);
    ear.proves();
    ear.farewell(true, &[]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &[]);
    ear.wait(1_000, &[]);
    ear.beat("n", 2, 0, &["ask n #1 7>0 8>0"]);
}

#[test]
fn a_run_that_says_farewell_is_asked_first_for_what_is_missing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.proves();
    ear.farewell(false, &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.answer(1, &[a(2, 1)], &["2"]);
    ear.proves();
    ear.farewell(true, &[]);
    // One that ends while it is still asked takes it along.
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.proves();
    ear.farewell(false, &[]);
    ear.beat("n", 2, 0, &["lost n 7", "ask n #2 7>0"]);
}
