//! Any text is a filter or is refused, and a filter can be asked about any connection.

use arbitrary::{Arbitrary, Unstructured};
use codec::filter::{Filter, Subject};

/// Panics when a rule is broken.
pub fn run(bytes: &[u8]) {
    let Ok(text) = <&str>::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let Ok(filter) = Filter::parse(text) else {
        return;
    };
    filter.matches(&Subject {
        connection_id: "",
        user_id: None,
        protocol: None,
        group_count: 0,
        in_group: &|_| false,
    });
    filter.matches(&Subject {
        connection_id: "c1",
        user_id: Some("O'Brien 😀"),
        protocol: Some("json.webpubsub.azure.v1"),
        group_count: 2,
        in_group: &|group| group == "group1" || group == "😀",
    });
}
