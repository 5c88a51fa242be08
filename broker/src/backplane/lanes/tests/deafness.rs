//! What may have been missed while nothing was heard of some partitions.

use super::*;

#[test]
fn whoever_was_heard_is_asked_after_a_deafness() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(Sample { node: "m", ..c(4, 0) }, &["4"]);
    ear.deaf(&[7, 8], &[]);
    ear.wait(1_000, &[]);
    ear.hearing(&[7], &["ask n #1 7>1", "ask m #2 7>0"]);
    // It waits, whether or not something is missing.
    ear.hears(a(3, 1), &[]);
    ear.hearing(&[8], &[]);
    ear.answer(1, &[a(3, 1)], &["3", "ask n #3 8>0"]);
    ear.answer(3, &[c(2, 0)], &["2"]);
    ear.wait(500, &["ask m #4 7>0 8>4"]);
}

#[test]
fn a_quiet_lane_is_asked_from_what_had_been_confirmed_and_has_come() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    for sequence in 10..30 {
        ear.beat("n", 1, sequence, &[]);
        ear.wait(1_000, &[]);
        if sequence < 20 {
            ear.proves();
        }
    }
    // What 20 says has come. Later beats may have overtaken something.
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>20 8>20"]);
    ear.answer(1, &[], &[]);
    ear.is_at_rest();
}

#[test]
fn a_beat_never_goes_back() {
    let mut ear = Ear::new();
    ear.hears(a(9, 0), &["9"]);
    for sequence in [3, 2, 2] {
        ear.proves();
        ear.beat("n", 1, sequence, &[]);
        ear.wait(1_000, &[]);
    }
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>9 8>3"]);
}

#[test]
fn a_deafness_that_cannot_be_repaired_is_a_loss_in_every_partition() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>1 8>0"]);
    // The numbers of `a` show no gap, but other channels may have lost something.
    ear.short_answer(1, &[a(5, 1)], &["lost n 7 8", "5"]);
    ear.is_at_rest();
}

#[test]
fn a_node_that_has_lost_the_link_too_is_waited_for_while_nothing_else_waits() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.wait(5_000, &["ask n #2 7>1", "ask n #3 7>1", "ask n #4 7>1"]);
    ear.hears(a(5, 2), &[]);
    ear.wait(4_999, &["ask n #5 7>1", "ask n #6 7>1", "ask n #7 7>1"]);
    ear.wait(1, &["lost n 7", "5"]);
    ear.is_at_rest();
}

#[test]
fn a_node_that_is_gone_is_given_up() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    let again: Vec<_> = (2..=7).map(|number| format!("ask n #{number} 7>1")).collect();
    ear.wait(9_999, &again.iter().map(String::as_str).collect::<Vec<_>>());
    ear.wait(1, &["lost n 7"]);
    ear.is_at_rest();
}

#[test]
fn who_was_gone_before_a_deafness_is_asked_when_it_comes_back() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.wait(5_000, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &[]);
    ear.wait(5_999, &[]);
    ear.proves();
    assert_eq!(ear.position(), None);
    ear.wait(1, &[]);
    ear.proves();
    assert_eq!(ear.position(), Some(vec![(1, 1)]));
    ear.wait(14_000, &[]);
    ear.beat("n", 1, 4, &["ask n #1 7>1"]);
    assert_eq!(ear.position(), None);
    ear.answer(1, &[a(4, 1)], &["4"]);
    assert_eq!(ear.position(), Some(vec![(1, 4)]));
    ear.is_at_rest();
}

#[test]
fn who_could_not_be_heard_is_not_taken_for_gone() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.proves();
    // We may have stood still.
    ear.wait(6_000, &[]);
    ear.deaf(&[7], &[]);
    ear.wait(6_000, &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.answer(1, &[], &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.wait(6_000, &[]);
    ear.hearing(&[7], &["ask n #2 7>1"]);
    ear.answer(2, &[], &[]);
    // It is there, and has not said so again.
    ear.wait(4_999, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #3 7>1"]);
}

#[test]
fn a_second_deafness_starts_the_repair_anew() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(c(2, 0), &["2"]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>1 8>2"]);
    ear.part(1, (0, false, true), &[a(3, 1)], &["3"]);
    ear.hears(a(9, 3), &[]);
    ear.deaf(&[7], &[]);
    ear.part(1, (1, true, true), &[a(4, 3), c(5, 2)], &["5"]);
    ear.hearing(&[7], &["ask n #2 7>3"]);
    ear.answer(1, &[a(4, 3)], &[]);
    ear.answer(2, &[a(9, 3), a(10, 9)], &["9", "10"]);
    ear.is_at_rest();
}

#[test]
fn who_is_heard_first_after_a_deafness_is_asked_for_everything() {
    let mut ear = Ear::new();
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7], &[]);
    ear.hears(a(5, 3), &["ask n #1 7>0"]);
    ear.answer(1, &[a(3, 0), a(5, 3)], &["3", "5"]);
    ear.hearing(&[8], &["ask n #2 8>0"]);
    ear.answer(2, &[], &[]);
    ear.wait(9_999, &[]);
    // Still too soon to know everybody.
    ear.beat("m", 1, 5, &["ask m #3 7>0 8>0"]);
    ear.wait(1, &[]);
    ear.beat("o", 1, 5, &[]);
}

#[test]
fn nobody_is_asked_for_what_is_older_than_what_may_have_been_missed() {
    let mut ear = Ear::new();
    let within = |ear: &mut Ear, name: &str| {
        let mut steps = Vec::new();
        ear.heard.on_beat((&node(name), 1), 5, ear.now, &mut steps);
        match steps.as_slice() {
            [Step::Ask(question)] => question.within - EARLIER,
            other => panic!("{other:?}"),
        }
    };
    ear.wait(40_000, &[]);
    ear.deaf(&[7], &[]);
    ear.wait(2_000, &[]);
    ear.hearing(&[7], &[]);
    // It has been there since long before, and could not be heard while we could hear.
    assert_eq!(within(&mut ear, "n"), Duration::from_secs(2));
    ear.wait(1_000, &["ask n #2 7>0"]);
    assert_eq!(within(&mut ear, "m"), Duration::from_secs(3));
}

#[test]
fn parts_are_halved_while_answers_do_not_come_and_grow_again() {
    let mut ear = Ear::new();
    let part = |ear: &mut Ear, is_heard_again: bool| {
        let mut steps = Vec::new();
        if is_heard_again {
            ear.heard.on_hearing(&set(&[7]), ear.now, &mut steps);
        } else {
            ear.heard.on_time(ear.now, &mut steps);
        }
        steps.iter().find_map(|step| if let Step::Ask(question) = step { Some(question.part) } else { None })
    };
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    assert_eq!(part(&mut ear, true), Some(PART));
    ear.now += ASK_AGAIN;
    assert_eq!(part(&mut ear, false), Some(PART / 2));
    // It cut us off.
    for expected in [PART / 4, PART / 8, PART / 16, PART / 32, SMALLEST_PART, SMALLEST_PART] {
        ear.deaf(&[7], &[]);
        assert_eq!(part(&mut ear, true), Some(expected));
    }
    ear.answer(8, &[], &[]);
    ear.deaf(&[7], &[]);
    assert_eq!(part(&mut ear, true), Some(2 * SMALLEST_PART));
}

#[test]
fn only_partitions_of_which_something_is_gone_are_lost() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>1 8>0"]);
    let n = node("n");
    let lacking = set(&[8]);
    let part = Part { question: 1, number: 0, is_last: true, lacking, envelopes: Vec::new() };
    ear.does(&["lost n 8"], |heard, now, steps| heard.on_part((&n, 1), part, now, steps));
    ear.is_at_rest();
}
