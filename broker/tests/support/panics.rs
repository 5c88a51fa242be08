//! Notices panics inside the broker, which a task would otherwise swallow.

use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::sync::{Mutex, Once};

static HOOK: Once = Once::new();
static BROKER_PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this is the thread of a test, where a panic is a failed assertion.
    static IS_TEST: Cell<bool> = const { Cell::new(false) };
}

/// Says that the calling thread is a test's and that every other thread's panic is the broker's.
pub(super) fn watch() {
    IS_TEST.set(true);
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_TEST.get() {
                BROKER_PANICS.lock().unwrap().push(info.to_string());
            }
            usual(info);
        }));
    });
}

/// No thread of a broker has panicked so far.
///
/// # Panics
/// When one has, whichever test of this process it served.
pub(super) fn assert_none() {
    let panics = BROKER_PANICS.lock().unwrap();
    assert!(panics.is_empty(), "the broker panicked: {panics:?}");
}
