//! Which failures are worth another attempt, and when. Source: `event-handlers.md` 16.

use std::time::Duration;

use http::StatusCode;

use super::CallError;

/// Waits between attempts, so that there are four of them.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];

/// How long to wait after the attempt with this number (the first is 0) failed like this. Nothing means that it was
/// the last.
pub(super) fn wait_after(attempt: usize, error: &CallError) -> Option<Duration> {
    let again = match error {
        CallError::Unreachable(_) => true,
        CallError::Status(status) => *status == StatusCode::REQUEST_TIMEOUT || status.is_server_error(),
        _ => false,
    };
    WAITS.get(attempt).copied().filter(|_| again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_connections_and_some_statuses_are_worth_four_attempts() {
        let status = |code| CallError::Status(StatusCode::from_u16(code).unwrap());
        let again = |error: &CallError| wait_after(0, error).is_some();
        for code in [408, 500, 501, 502, 503, 504, 599] {
            assert!(again(&status(code)), "{code}");
        }
        for code in [100, 300, 302, 304, 400, 401, 403, 404, 409, 429, 499, 600] {
            assert!(!again(&status(code)), "{code}");
        }
        assert!(again(&CallError::Unreachable("".into())));
        for error in [
            CallError::TimedOut,
            CallError::AddressRefused,
            CallError::AnswerTooLarge(1),
            CallError::InvalidRequest(""),
        ] {
            assert!(!again(&error), "{error}");
        }
        let waits: Vec<_> = (0..4).map(|attempt| wait_after(attempt, &status(500))).collect();
        assert_eq!(waits, [1, 3, 5, 0].map(|s| Some(Duration::from_secs(s)).filter(|wait| !wait.is_zero())));
    }
}
