//! What comes in order, twice, or not at all: what is missing is asked for, and what follows it waits.

use super::*;

#[test]
fn what_comes_in_order_is_delivered() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(b(2, 0), &["2"]);
    ear.hears(c(3, 0), &["3"]);
    ear.hears(a(4, 1), &["4"]);
    // Its publisher has forgotten the one before.
    ear.hears(b(9, 0), &["9"]);
    ear.is_at_rest();
}

#[test]
fn what_is_sent_again_is_dropped() {
    let mut ear = Ear::new();
    for sample in [a(1, 0), b(2, 0), a(3, 1)] {
        ear.hears(sample, &[&sample.sequence.to_string()]);
    }
    for sample in [a(1, 0), b(2, 0), a(3, 1)] {
        ear.hears(sample, &[]);
    }
    ear.hears(a(4, 3), &["4"]);
    // Another process has numbers of its own.
    ear.hears(Sample { node: "m", ..a(1, 0) }, &["1"]);
}

#[test]
fn the_first_one_on_a_channel_raises_no_suspicion() {
    let mut ear = Ear::new();
    ear.hears(a(7, 5), &["7"]);
    ear.hears(b(9, 8), &["9"]);
    // Nor does it when the channel was not watched for a while.
    ear.heard.forget_channel("a");
    ear.hears(a(20, 15), &["20"]);
    // It was heard before the channel was forgotten.
    ear.heard.forget_channel("a");
    ear.hears(a(20, 15), &[]);
    ear.is_at_rest();
}

#[test]
fn what_is_outside_of_every_order_passes() {
    let mut ear = Ear::new();
    ear.hears(a(0, 0), &["0"]);
    ear.hears(a(0, 0), &["0"]);
    assert_eq!(ear.heard.due_at(), None);
}

#[test]
fn a_gap_is_asked_for_and_what_follows_waits() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(b(2, 0), &["2"]);
    assert!(ear.heard.has_all_of(&node("n")));
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.hears(b(6, 4), &[]);
    assert!(!ear.heard.has_all_of(&node("n")));
    assert!(ear.heard.has_all_of(&node("m")));
    // Other lanes go on.
    ear.hears(c(7, 0), &["7"]);
    ear.hears(Sample { node: "m", ..a(1, 0) }, &["1"]);
    ear.part(1, (0, false, true), &[b(2, 0), a(3, 1)], &["3"]);
    ear.part(1, (1, true, true), &[b(4, 2), a(5, 3)], &["4", "5", "6"]);
    assert!(ear.heard.has_all_of(&node("n")));
    ear.hears(a(8, 5), &["8"]);
    ear.is_at_rest();
}

#[test]
fn what_was_never_published_is_not_missing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.answer(1, &[a(5, 3)], &["5"]);
    ear.is_at_rest();
}

#[test]
fn a_second_gap_in_what_waits_is_asked_for_after_the_first() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(3, 2), &["ask n #1 7>1"]);
    // 4 is missing too, and was published after the answer was given.
    ear.hears(a(5, 4), &[]);
    ear.hears(a(6, 5), &[]);
    ear.answer(1, &[a(2, 1), a(3, 2)], &["2", "3", "ask n #2 7>3"]);
    ear.answer(2, &[a(4, 3), a(5, 4)], &["4", "5", "6"]);
    ear.is_at_rest();
}

#[test]
fn gaps_that_show_while_a_question_is_under_way_are_asked_for_together() {
    let mut ear = Ear::new();
    let other = |partition, sequence, previous| Sample { partition, channel: "d", ..a(sequence, previous) };
    for sample in [a(1, 0), c(2, 0), other(9, 3, 0)] {
        ear.hears(sample, &[&sample.sequence.to_string()]);
    }
    ear.hears(a(10, 4), &["ask n #1 7>1"]);
    ear.hears(c(11, 5), &[]);
    ear.hears(other(9, 12, 6), &[]);
    ear.answer(1, &[a(4, 1), a(10, 4)], &["4", "10", "ask n #2 8>2 9>3"]);
    ear.answer(2, &[c(5, 2), other(9, 6, 3), c(11, 5)], &["5", "6", "11", "12"]);
    ear.is_at_rest();
}

#[test]
fn a_gap_older_than_other_channels_of_the_lane_reaches_back_to_its_own_channel() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.answer(1, &[], &[]);
    // 2 on `a` is lost without a sign; it shows only in the answer to another question.
    ear.hears(b(3, 0), &["3"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #2 7>3"]);
    ear.answer(2, &[a(4, 2), b(5, 3)], &["ask n #3 7>1"]);
    ear.answer(3, &[a(2, 1), b(3, 0), a(4, 2), b(5, 3)], &["2", "4", "5"]);
    ear.is_at_rest();
}

#[test]
fn what_the_ring_has_no_more_is_lost_once() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    ear.hears(a(7, 6), &[]);
    ear.short_answer(1, &[a(4, 3), a(5, 4)], &["lost n 7", "4", "5", "ask n #2 7>5"]);
    ear.short_answer(2, &[a(7, 6)], &["lost n 7", "7"]);
    ear.hears(a(8, 7), &["8"]);
    ear.is_at_rest();
}

#[test]
fn a_short_ring_does_no_harm_to_a_channel_whose_numbers_show_that_nothing_is_missing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    // What the ring has lost was published to other channels.
    ear.short_answer(1, &[a(4, 1), a(5, 4)], &["4", "5"]);
    ear.is_at_rest();
}

#[test]
fn a_question_is_asked_again_and_then_given_up() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.wait(499, &[]);
    ear.wait(1, &["ask n #2 7>1"]);
    ear.wait(1_000, &["ask n #3 7>1"]);
    ear.hears(b(6, 4), &[]);
    ear.wait(3_499, &["ask n #4 7>1"]);
    ear.wait(1, &["lost n 7", "5", "6"]);
    // Too late.
    ear.answer(4, &[a(3, 1), a(5, 3)], &[]);
    ear.hears(a(7, 5), &["7"]);
    ear.is_at_rest();
}

#[test]
fn any_answer_to_the_same_question_will_do_but_they_are_not_mixed() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    ear.wait(500, &["ask n #2 7>1"]);
    ear.part(1, (0, false, true), &[a(2, 1)], &["2"]);
    ear.part(2, (0, false, true), &[a(2, 1), a(3, 2)], &[]);
    ear.part(2, (1, true, true), &[a(4, 3), a(5, 4)], &[]);
    // A part that came twice, and one that is not the next.
    ear.part(1, (0, false, true), &[a(2, 1)], &[]);
    ear.part(1, (2, true, true), &[a(5, 4)], &[]);
    // The rest does not come.
    ear.wait(500, &["ask n #3 7>2"]);
    ear.part(1, (1, false, true), &[a(3, 2)], &[]);
    ear.part(3, (0, true, true), &[a(3, 2), a(4, 3), a(5, 4)], &["3", "4", "5"]);
    ear.is_at_rest();
}

#[test]
fn an_answer_to_a_narrower_question_does_not_do() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(c(2, 0), &["2"]);
    ear.hears(a(6, 3), &["ask n #1 7>1"]);
    ear.hears(c(7, 4), &[]);
    ear.wait(500, &["ask n #2 7>1 8>2"]);
    ear.answer(1, &[a(3, 1), a(6, 3)], &[]);
    ear.answer(2, &[a(3, 1), c(4, 2), a(6, 3), c(7, 4)], &["3", "4", "6", "7"]);
    ear.is_at_rest();
}

#[test]
fn answers_nobody_waits_for_are_dropped() {
    let mut ear = Ear::new();
    ear.answer(1, &[a(1, 0)], &[]);
    ear.hears(a(1, 0), &["1"]);
    ear.answer(1, &[a(2, 1)], &[]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.answer(2, &[a(3, 1)], &[]);
    ear.answer(0, &[a(3, 1)], &[]);
    // Of another run, of another partition, of another node.
    let strange = [Sample { epoch: 2, ..a(2, 1) }, c(2, 0), Sample { partition: 9, ..a(2, 1) }];
    ear.answer(1, &strange, &["5"]);
}

#[test]
fn a_slow_answer_that_goes_on_is_waited_for() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(9, 8), &["ask n #1 7>1"]);
    for number in 0..7 {
        ear.wait(400, &[]);
        ear.part(1, (number, false, true), &[a(number + 2, number + 1)], &[&(number + 2).to_string()]);
    }
    ear.part(1, (7, true, true), &[], &["9"]);
}

#[test]
fn too_much_that_waits_is_let_go() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(Sample { len: HELD_BYTES / 2, ..a(5, 3) }, &["ask n #1 7>1"]);
    ear.hears(Sample { len: HELD_BYTES / 2, ..a(5, 3) }, &[]);
    ear.hears(Sample { len: HELD_BYTES / 2, ..b(6, 4) }, &["lost n 7", "5", "6"]);
    ear.answer(1, &[a(3, 1)], &[]);
    ear.is_at_rest();
}
