//! What is not remembered for ever: channels, and who has published to them.

use super::*;

#[test]
fn a_channel_that_is_not_watched_any_more_gets_nothing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(b(2, 0), &["2"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.hears(b(6, 2), &[]);
    ear.heard.forget_channel("a");
    ear.answer(1, &[], &["6"]);
    ear.is_at_rest();
}

#[test]
fn origins_make_room_for_new_ones() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    let mut lost = Vec::new();
    for number in 0..ORIGINS {
        ear.now += Duration::from_micros(1);
        let name = node(&format!("n-{number}"));
        let mut steps = Vec::new();
        ear.heard.on_beat((&name, 1), 1, ear.now, &mut steps);
        lost.extend(steps.iter().map(text));
    }
    assert_eq!(lost, ["lost n 7", "5"]);
    // It is not known any more.
    ear.hears(a(1, 0), &["1"]);
}

#[test]
fn who_is_silent_for_long_keeps_its_place_but_not_its_channels() {
    let mut ear = Ear::new();
    ear.hears(a(3, 0), &["3"]);
    ear.wait(120_000, &[]);
    ear.hears(a(3, 0), &[]);
    ear.hears(a(9, 7), &["9"]);
}
