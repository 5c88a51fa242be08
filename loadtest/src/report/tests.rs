//! Medians, ratios within a run, and the verdict.

use super::*;

fn run(subjects: &[(&'static str, f64)]) -> Run {
    let subjects = subjects.iter().map(|(subject, value)| {
        let mut phase = PhaseReport::new("saturation");
        phase.add(Figure::DeliveriesPerCpuSecond, *value);
        SubjectReport { subject, phases: vec![phase] }
    });
    Run { subjects: subjects.collect() }
}

#[test]
fn a_ratio_is_taken_within_a_run_before_its_median() {
    let runs = [(100.0, 200.0), (400.0, 500.0), (90.0, 1_000.0)];
    let runs = runs.map(|(server, limit)| run(&[("limit-single", limit), ("server", server)]));
    let report = Report::new("title".to_owned(), runs.into());
    let figure = &report.medians[0].figures[0];
    assert_eq!(figure.by_subject, BTreeMap::from([("limit-single", 500.0), ("server", 100.0)]));
    assert_eq!(figure.ratio_to, BTreeMap::from([("limit-single", 0.5)]));
    let table = report.to_string();
    assert!(table.contains("deliveries per server CPU s"), "{table}");
    assert!(table.contains("50.0 %") && !table.contains("WRONG"), "{table}");
}

#[test]
fn medians_of_an_even_number_lie_between() {
    assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    assert!((median(&mut [7.0]) - 7.0).abs() < 1e-9);
}

#[test]
fn a_figure_without_a_divisor_is_left_out() {
    let mut phase = PhaseReport::new("paced");
    phase.add(Figure::DeliveriesPerCpuSecond, 1.0 / 0.0);
    assert!(phase.figures.is_empty());
}

fn check(tally: &Tally, expected: &[&str]) {
    let mut phase = PhaseReport::new("paced");
    phase.check_deliveries(10, tally);
    let faults = phase.faults.clone();
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, wanted) in faults.iter().zip(expected) {
        assert!(fault.contains(wanted), "{fault}");
    }
    let subjects = vec![SubjectReport { subject: "server", phases: vec![phase] }];
    let report = Report::new("title".to_owned(), vec![Run { subjects }]);
    assert_eq!(report.is_good(), expected.is_empty());
}

#[test]
fn anything_but_every_message_in_order_is_a_fault() {
    let good = || Tally { deliveries: 10, ..Tally::default() };
    check(&good(), &[]);
    check(&Tally { deliveries: 9, ..good() }, &["9 deliveries instead of 10"]);
    check(&Tally { deliveries: 11, ..good() }, &["11 deliveries instead of 10"]);
    check(&Tally { disordered: 1, ..good() }, &["did not follow"]);
    check(&Tally { foreign: 1, ..good() }, &["none of ours"]);
    let lost = Tally { lost: 2, first_loss: Some("reset".to_owned()), ..good() };
    check(&lost, &["2 connections ended, the first: reset"]);
}

#[test]
fn silence_and_lateness_are_checked() {
    let mut phase = PhaseReport::new("idle");
    phase.check_silence(&Tally::default());
    phase.check_arrival(Duration::from_millis(999));
    assert!(phase.faults.is_empty());
    phase.check_silence(&Tally { deliveries: 1, ..Tally::default() });
    phase.check_arrival(Duration::from_millis(1_001));
    assert_eq!(phase.faults.len(), 2);
}

fn faults_of(judge: impl Fn(&mut PhaseReport)) -> Vec<String> {
    let mut phase = PhaseReport::new("HTTP/1.1, closed loop");
    judge(&mut phase);
    phase.faults
}

fn check_echoes(calls: &Calls, expected: &[&str]) {
    let faults = faults_of(|phase| phase.check_echoes(calls));
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, wanted) in faults.iter().zip(expected) {
        assert!(fault.contains(wanted), "{fault}");
    }
}

#[test]
fn anything_but_every_echo_in_order_is_a_fault() {
    let good = || Calls { sent: 10, replies: 10, done: 10, ..Calls::default() };
    check_echoes(&good(), &[]);
    check_echoes(&Calls::default(), &["no event was raised"]);
    check_echoes(&Calls { replies: 9, ..good() }, &["9 echoes of 10 events"]);
    check_echoes(&Calls { replies: 11, ..good() }, &["11 echoes of 10 events"]);
    check_echoes(&Calls { done: 9, ..good() }, &["9 of 10 events came to their end"]);
    check_echoes(&Calls { refused: 1, ..good() }, &["1 events failed"]);
    check_echoes(&Calls { disordered: 1, ..good() }, &["out of order"]);
    check_echoes(&Calls { foreign: 1, ..good() }, &["none of ours"]);
    let lost = Calls { lost: 1, first_loss: Some("reset".to_owned()), ..good() };
    check_echoes(&lost, &["1 callers' connections ended, the first: reset"]);
}

#[test]
fn events_without_a_handler_may_fail_but_not_succeed() {
    let check = |calls: &Calls, expected: usize| {
        assert_eq!(faults_of(|phase| phase.check_unanswered(calls)).len(), expected);
    };
    check(&Calls { sent: 10, done: 4, refused: 4, ..Calls::default() }, 0);
    check(&Calls { sent: 10, done: 5, refused: 4, ..Calls::default() }, 1);
    check(&Calls { sent: 10, replies: 1, ..Calls::default() }, 1);
    check(&Calls { lost: 1, ..Calls::default() }, 1);
}

#[test]
fn the_table_has_a_column_for_each_who_took_part() {
    let report =
        |subjects: &[(&'static str, f64)]| Report::new("title".to_owned(), vec![run(subjects)]).to_string();
    let both = report(&[("limit-proxy", 200.0), ("server", 50.0)]);
    assert!(both.contains("of limit-proxy") && both.contains("25.0 %"), "{both}");
    assert!(!both.contains("limit-single"), "{both}");
    let limit = report(&[("limit-proxy", 200.0)]);
    assert!(!limit.contains("of limit-proxy"), "{limit}");
}
