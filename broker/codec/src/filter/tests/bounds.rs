//! Depth, length and sharing of filters.

use std::sync::Arc;

use super::{ALL, SAMPLES, check, check_fault};
use crate::filter::{Compiled, Filter, MAX_FILTER_LENGTH, Reason, condition};

#[test]
fn one_hundred_levels_are_accepted_and_one_more_is_refused() {
    let shapes: [fn(usize) -> String; 5] = [
        |levels| format!("{}true{}", "(".repeat(levels), ")".repeat(levels)),
        |levels| format!("{}true", "not ".repeat(levels)),
        |levels| format!("{}'a'{} eq 'a'", "trim(".repeat(levels), ")".repeat(levels)),
        |levels| format!("{}true{}", "true in (".repeat(levels), ")".repeat(levels)),
        |levels| format!("{}true{}", "true or true and true eq (".repeat(levels), ")".repeat(levels)),
    ];
    for shape in shapes {
        check(&shape(100), ALL);
        let error = Filter::parse(&shape(101)).unwrap_err();
        assert_eq!(error.reason, Reason::TooDeep, "{}", shape(101));
        assert_eq!(Filter::parse(&shape(1_500)).unwrap_err().reason, error.reason);
    }
}

/// Runs with half the stack that a thread has by default.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn long_chains_need_no_deep_stack() {
    on_a_small_stack(|| {
        for operator in ["or", "and", "eq", "ne", "in (true) eq"] {
            let text = vec!["true"; 10_001].join(&format!(" {operator} "));
            let filter =
                Filter(Arc::new(Compiled { text: Arc::from(""), condition: condition(&text).unwrap() }));
            assert!(SAMPLES.iter().all(|sample| sample.is_matched_by(&filter)), "{operator}");
            let refused = condition(&format!("{text} {operator} 1 lt 'a'")).unwrap_err();
            assert!(refused.to_string().len() < 2048, "{refused}");
        }
    });
}

#[test]
fn the_deepest_filter_fits_a_small_stack() {
    on_a_small_stack(|| {
        let levels = "true or true and true eq true in (".repeat(100);
        let ends = ")".repeat(100);
        check(&format!("{levels}true{ends}"), ALL);
        check_fault(&format!("{levels}1 lt 'a'{ends}"), "1 lt 'a'", "Type 'string', expect 'int'.");
        let printed = Filter::parse(&format!("{levels}true{ends} and 1")).unwrap_err();
        assert!(printed.to_string().len() < 2048, "{printed}");
    });
}

#[test]
fn lists_of_thousands_are_accepted() {
    let items: Vec<String> = (0..5_000).map(|n| format!("'u{n}'")).collect();
    check(&format!("connectionId in ({},'c3')", items.join(",")), "C3");
    check(&format!("userId in ({},null)", items.join(",")), "C2");
    let numbers: Vec<String> = (0..9_000).map(|n| n.to_string()).collect();
    check(&format!("length(userId) in ({})", numbers.join(",")), "C1 C3 C4");
}

#[test]
fn a_text_of_64_kib_is_accepted_and_a_longer_one_is_refused() {
    let frame = "userId ne ''".len();
    check(&format!("userId ne '{}'", "x".repeat(MAX_FILTER_LENGTH - frame)), ALL);
    let error =
        Filter::parse(&format!("userId ne '{}'", "x".repeat(MAX_FILTER_LENGTH - frame + 1))).unwrap_err();
    assert_eq!(error.reason, Reason::TooLong);
    assert!(error.to_string().contains("longer than 65536 bytes"), "{error}");
    assert!(error.to_string().len() < 2048);
}

#[test]
fn a_filter_keeps_its_text_and_is_shared_between_threads() {
    fn is_shareable<T: Send + Sync + Clone>(_: &T) {}
    let filter = Filter::parse(" userId  eq 'a' ").unwrap();
    is_shareable(&filter);
    assert_eq!(filter.text(), " userId  eq 'a' ");
    assert_eq!(format!("{filter:?}"), r#"Filter(" userId  eq 'a' ")"#);
}
