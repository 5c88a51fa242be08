//! Which handlers have agreed to get events: asked once for all workers, remembered, asked again in the background.
//!
//! `state` decides what holds, `ask` is the question. A question is a task of its own, so that a client who leaves
//! does not end it for the others; it ends by itself after 20 seconds at the latest.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use lru::LruCache;
use tokio::sync::watch;
use tokio::time::Instant;

use self::state::{Validity, Verdict};
use super::CallError;
use super::handlers::locked;

mod ask;
mod state;

pub(super) use ask::ask;

/// Answers that are remembered. Clients choose the origin, so the one that was not needed for longest leaves.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// See the module.
pub(super) struct Validations {
    known: Mutex<LruCache<String, Arc<Entry>>>,
}

struct Entry {
    validity: Mutex<Validity>,
    /// Changes when a question ends.
    ended: watch::Sender<()>,
}

/// A question under way. Dropping it says that there is no answer.
struct Question(Arc<Entry>);

impl Validations {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// Returns once it is known whether the handler wants events. `key` is its validation URL and the origin; `ask` is
    /// called at most once at a time for a key.
    pub(super) async fn ensure<F>(&self, key: &str, ask: impl Fn() -> F) -> Result<(), CallError>
    where
        F: Future<Output = Result<(), CallError>> + Send + 'static,
    {
        let entry = self.entry(key);
        let mut ended = entry.ended.subscribe();
        loop {
            let verdict = locked(&entry.validity).look(Instant::now());
            match verdict {
                Verdict::Go => return Ok(()),
                Verdict::Fail(error) => return Err(error),
                Verdict::GoAndAsk => {
                    start(Question(Arc::clone(&entry)), ask());
                    return Ok(());
                }
                Verdict::Ask => start(Question(Arc::clone(&entry)), ask()),
                Verdict::Wait => {}
            }
            // The sender is in the entry.
            let _ = ended.changed().await;
        }
    }

    fn entry(&self, key: &str) -> Arc<Entry> {
        let fresh = || Arc::new(Entry { validity: Mutex::default(), ended: watch::Sender::new(()) });
        Arc::clone(locked(&self.known).get_or_insert_ref(key, fresh))
    }
}

fn start(question: Question, ask: impl Future<Output = Result<(), CallError>> + Send + 'static) {
    drop(tokio::spawn(async move {
        let result = ask.await;
        locked(&question.0.validity).ended(result, Instant::now());
    }));
}

impl Drop for Question {
    fn drop(&mut self) {
        locked(&self.0.validity).abandoned();
        self.0.ended.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::time::{advance, timeout};

    use super::*;

    /// Counts its questions, and answers them when it may.
    struct Handler {
        asked: AtomicUsize,
        may_answer: Semaphore,
        result: Mutex<Result<(), CallError>>,
    }

    impl Handler {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                asked: AtomicUsize::new(0),
                may_answer: Semaphore::new(0),
                result: Mutex::new(Ok(())),
            })
        }

        fn ask(self: &Arc<Self>) -> impl Future<Output = Result<(), CallError>> + Send + 'static {
            let this = Arc::clone(self);
            async move {
                this.asked.fetch_add(1, Ordering::Relaxed);
                this.may_answer.acquire().await.unwrap().forget();
                locked(&this.result).clone()
            }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    fn unwilling() -> CallError {
        CallError::NotValidated("it answered 405".into())
    }

    #[tokio::test(start_paused = true)]
    async fn first_calls_share_a_question_even_if_the_first_of_them_leaves() {
        let validations = Arc::new(Validations::new());
        let handler = Handler::new();
        let ensure = || {
            let (validations, handler) = (Arc::clone(&validations), Arc::clone(&handler));
            async move { validations.ensure("a", || handler.ask()).await }
        };
        timeout(Duration::from_millis(10), ensure()).await.unwrap_err();
        let calls: Vec<_> = (0..10).map(|_| tokio::spawn(ensure())).collect();
        tokio::task::yield_now().await;
        assert_eq!(handler.asked(), 1);
        handler.may_answer.add_permits(1);
        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(()));
        }
        assert_eq!(handler.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_consent_is_used_while_it_is_asked_for_again() {
        let validations = Validations::new();
        let handler = Handler::new();
        handler.may_answer.add_permits(1);
        let ensure = || validations.ensure("a", || handler.ask());
        ensure().await.unwrap();
        advance(Duration::from_secs(61)).await;
        for _ in 0..3 {
            ensure().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(handler.asked(), 2);
        *locked(&handler.result) = Err(unwilling());
        handler.may_answer.add_permits(1);
        tokio::task::yield_now().await;
        assert_eq!(ensure().await, Err(unwilling()));
        assert_eq!(handler.asked(), 2);
        advance(Duration::from_secs(1)).await;
        *locked(&handler.result) = Ok(());
        handler.may_answer.add_permits(1);
        ensure().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_is_lost_is_asked_by_the_next() {
        let validations = Arc::new(Validations::new());
        let handler = Handler::new();
        // A worker that ends takes its questions with it.
        let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let waiting = {
            let (validations, handler) = (Arc::clone(&validations), Arc::clone(&handler));
            std::thread::spawn(move || {
                worker.block_on(async {
                    let ensure = validations.ensure("a", || handler.ask());
                    timeout(Duration::from_millis(20), ensure).await.unwrap_err();
                });
            })
        };
        waiting.join().unwrap();
        assert_eq!(handler.asked(), 1);
        handler.may_answer.add_permits(1);
        validations.ensure("a", || handler.ask()).await.unwrap();
        assert_eq!(handler.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_whatever_origins_clients_name() {
        let validations = Validations::new();
        let handler = Handler::new();
        handler.may_answer.add_permits(20_000);
        for number in 0..10_100 {
            validations.ensure(&format!("origin{number}"), || handler.ask()).await.unwrap();
        }
        assert_eq!(locked(&validations.known).len(), REMEMBERED.get());
    }
}
