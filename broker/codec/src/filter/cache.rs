//! The filters used last, by their text.
//!
//! Callers repeat a few templates with many different user ids, so the cache is bounded and the filter that was not
//! used for longest goes out. Each worker owns its own; nothing is shared or locked here.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::{Filter, FilterError};

/// Longest text that is kept, in bytes. A long one is a list of ids that hardly comes twice, and would let a full
/// cache grow to gigabytes.
const MAX_KEPT: usize = 4 * 1024;

/// A bounded cache of compiled filters.
#[derive(Debug)]
pub struct FilterCache {
    filters: LruCache<Arc<str>, Filter>,
}

impl FilterCache {
    /// An empty cache for that many filters, each of at most 4 KiB of text; longer ones are compiled each time.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { filters: LruCache::new(capacity) }
    }

    /// The filter of that text, compiled now unless it is kept.
    ///
    /// # Errors
    /// As of [`Filter::parse`]. Errors are not kept.
    pub fn get(&mut self, text: &str) -> Result<Filter, FilterError> {
        if let Some(filter) = self.filters.get(text) {
            return Ok(filter.clone());
        }
        let filter = Filter::parse(text)?;
        if text.len() <= MAX_KEPT {
            self.filters.put(Arc::clone(&filter.0.text), filter.clone());
        }
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(left: &Filter, right: &Filter) -> bool {
        Arc::ptr_eq(&left.0, &right.0)
    }

    #[test]
    fn a_text_used_again_is_not_compiled_again() {
        let mut cache = FilterCache::new(NonZeroUsize::MIN);
        let first = cache.get("userId eq 'a'").unwrap();
        assert!(is_same(&first, &cache.get("userId eq 'a'").unwrap()));
        assert_eq!(first.text(), "userId eq 'a'");
    }

    #[test]
    fn the_filter_not_used_for_longest_goes_out() {
        let mut cache = FilterCache::new(NonZeroUsize::new(2).unwrap());
        let (a, b) = (cache.get("userId eq 'a'").unwrap(), cache.get("userId eq 'b'").unwrap());
        cache.get("userId eq 'a'").unwrap();
        cache.get("userId eq 'c'").unwrap();
        assert!(is_same(&a, &cache.get("userId eq 'a'").unwrap()));
        assert!(!is_same(&b, &cache.get("userId eq 'b'").unwrap()));
    }

    #[test]
    fn a_long_text_is_not_kept() {
        let mut cache = FilterCache::new(NonZeroUsize::MIN);
        let text = format!("userId eq '{}'", "a".repeat(MAX_KEPT));
        assert!(!is_same(&cache.get(&text).unwrap(), &cache.get(&text).unwrap()));
    }

    #[test]
    fn a_refused_text_is_refused_each_time_and_puts_nothing_out() {
        let mut cache = FilterCache::new(NonZeroUsize::MIN);
        let kept = cache.get("true").unwrap();
        assert_eq!(cache.get("userId").unwrap_err(), cache.get("userId").unwrap_err());
        assert!(is_same(&kept, &cache.get("true").unwrap()));
    }
}
