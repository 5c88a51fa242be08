use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SEND: Action = Action::SendToGroup;
const JOIN: Action = Action::JoinLeaveGroup;
const SET: Action = Action::SetGroupState;
const GET: Action = Action::GetGroupState;

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn roles(list: &[&str]) -> Vec<String> {
    list.iter().map(|&role| role.to_owned()).collect()
}

/// Permissions from roles of which none is dropped.
fn with(list: &[&str]) -> Permissions {
    let (permissions, dropped) = Permissions::from_roles(&roles(list));
    assert_eq!(dropped, [], "{list:?}");
    permissions
}

/// Permissions from the roles that `role` makes of the first `count` numbers.
fn with_many(count: usize, role: impl Fn(usize) -> String) -> (Permissions, Vec<DroppedRole>) {
    Permissions::from_roles(&(0..count).map(role).collect::<Vec<_>>())
}

#[test]
fn roles_permit_what_they_name() {
    let check = |list: &[&str], action, allowed: &[&str], denied: &[&str]| {
        let permissions = with(list);
        for name in allowed {
            assert!(permissions.allows(action, &group(name)), "{list:?} {name}");
        }
        for name in denied {
            assert!(!permissions.allows(action, &group(name)), "{list:?} {name}");
        }
    };
    check(&[], SEND, &[], &["a", "*"]);
    check(&["webpubsub.sendToGroup"], SEND, &["a", "a.b"], &[]);
    check(&["webpubsub.sendToGroup"], JOIN, &[], &["a"]);
    check(&["webpubsub.joinLeaveGroup"], JOIN, &["a"], &[]);
    check(&["webpubsub.sendToGroup.a.b"], SEND, &["a.b"], &["a", "b", "a.b.c"]);
    check(&["webpubsub.sendToGroup.*"], SEND, &["*"], &["a"]);
    check(&["webpubsub.sendToGroup.a?"], SEND, &["a?"], &["ab"]);
    check(&["webpubsub.joinLeaveGroups.a*"], JOIN, &["a", "ab"], &["b", "a.b"]);
    check(&["webpubsub.joinLeaveGroups.**"], JOIN, &["a", "a.b"], &[]);
    check(&["webpubsub.sendToGroups.a", "webpubsub.sendToGroup.b"], SEND, &["a", "b"], &["c"]);
    check(&["webpubsub.sendToGroups.a*", "webpubsub.sendToGroup"], SEND, &["a", "b.c"], &[]);
    check(&["webpubsub.setGroupState"], SET, &["a", "a.b"], &[]);
    check(&["webpubsub.setGroupState"], GET, &[], &["a"]);
    check(&["webpubsub.getGroupState"], GET, &["a"], &[]);
    check(&["webpubsub.setGroupState.a*"], SET, &["a", "ab"], &["b", "a.b"]);
    check(&["webpubsub.getGroupState.a?"], GET, &["ab"], &["a", "a?c"]);
    check(&["webpubsub.getGroupState.**"], GET, &["a", "a.b"], &[]);
    check(&["webpubsub.setGroupState.a\\*"], SET, &["a*"], &["ab"]);
    check(&["webpubsub.setGroupState.a.b"], SET, &["a.b"], &["a"]);
    check(&["webpubsub.setGroupStates.a", "webpubsub.joinLeaveGroup"], SET, &[], &["a"]);
    check(
        &[
            "WebPubSub.sendToGroup",
            " webpubsub.sendToGroup",
            "webpubsub.sendToGroup ",
            "webpubsub.sendtogroup",
            "webpubsub.sendToGroups",
            "webpubsub.sendToGroupx",
            "webpubsub.sendToGroup.",
            "webpubsub.setGroupState",
            "webpubsub.getGroupState.a",
            "admin",
            "",
        ],
        SEND,
        &[],
        &["a", "x", "s"],
    );
}

#[test]
fn unusable_patterns_are_dropped_and_told() {
    let list = ["webpubsub.sendToGroups.******", "webpubsub.sendToGroups.a*", "webpubsub.sendToGroups."];
    let (permissions, dropped) = Permissions::from_roles(&roles(&list));
    assert!(permissions.allows(SEND, &group("ab")));
    let told: Vec<_> = dropped.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "\"webpubsub.sendToGroups.\": a pattern has 1 to 1024 characters",
            "\"webpubsub.sendToGroups.******\": a pattern has at most 5 '*', of which '**' is two",
        ]
    );
    let (_, dropped) =
        Permissions::from_roles(&roles(&["webpubsub.setGroupState.", "webpubsub.getGroupState.a\\"]));
    let told: Vec<_> = dropped.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "\"webpubsub.getGroupState.a\\\\\": a backslash in a pattern stands before '*', '?' or another backslash",
            "\"webpubsub.setGroupState.\": a pattern has 1 to 1024 characters",
        ]
    );
    let long = format!("webpubsub.sendToGroups.{}", "a".repeat(2000));
    let (_, dropped) = Permissions::from_roles(&[long]);
    assert!(dropped[0].to_string().len() < 200);
}

#[test]
fn ten_patterns_hold_and_the_last_sorting_one_does_not() {
    let role = |index: usize| format!("webpubsub.sendToGroups.{index:02}*");
    let (permissions, dropped) = with_many(10, role);
    assert_eq!(dropped, []);
    assert!(permissions.allows(SEND, &group("09x")));
    let reversed: Vec<_> = (0..11).rev().map(role).collect();
    let (permissions, dropped) = Permissions::from_roles(&reversed);
    assert!(permissions.allows(SEND, &group("09x")));
    assert!(!permissions.allows(SEND, &group("10x")));
    assert_eq!(dropped.len(), 1);
    assert!(dropped[0].to_string().contains("10*"), "{}", dropped[0]);
    let (permissions, dropped) = with_many(11, |index| role(index / 2));
    assert_eq!(dropped.len(), 1, "duplicates use slots");
    assert!(!permissions.allows(SEND, &group("05x")));
    let (_, dropped) = with_many(11, |index| format!("webpubsub.sendToGroups.{index}"));
    assert_eq!(dropped, [], "a pattern without wildcards uses none");
}

#[test]
fn revoking_and_granting_again_leaves_no_exception() {
    let mut permissions = with(&["webpubsub.sendToGroup"]);
    permissions.revoke(SEND, &group("room")).unwrap();
    assert!(!permissions.allows(SEND, &group("room")));
    assert!(permissions.allows(SEND, &group("other")));
    permissions.grant(SEND, &group("room")).unwrap();
    assert!(permissions.allows(SEND, &group("room")));
    assert!(matches!(permissions.send, Rights::Every), "its slot and its memory are free");
}

#[test]
fn a_revocation_is_stronger_than_a_pattern() {
    let mut permissions = with(&["webpubsub.sendToGroups.room*"]);
    permissions.revoke(SEND, &group("room")).unwrap();
    assert!(!permissions.allows(SEND, &group("room")));
    assert!(permissions.allows(SEND, &group("room-other")));
}

#[test]
fn a_granted_star_is_a_name() {
    let mut permissions = with(&[]);
    permissions.grant(JOIN, &group("*")).unwrap();
    assert!(permissions.allows(JOIN, &group("*")));
    assert!(!permissions.allows(JOIN, &group("a")));
    assert!(!permissions.allows(SEND, &group("*")));
}

#[test]
fn a_thousand_exceptions_are_the_most() {
    let mut permissions = with(&[]);
    for index in 0..1000 {
        permissions.grant(SEND, &group(&index.to_string())).unwrap();
    }
    assert_eq!(permissions.grant(SEND, &group("more")), Err(TooManyExceptions));
    assert!(!permissions.allows(SEND, &group("more")));
    permissions.grant(JOIN, &group("more")).unwrap();
    permissions.grant(SEND, &group("7")).unwrap();
    permissions.revoke(SEND, &group("absent")).unwrap();
    permissions.revoke(SEND, &group("7")).unwrap();
    permissions.grant(SEND, &group("more")).unwrap();
    assert!(permissions.allows(SEND, &group("more")));
}

#[test]
fn roles_may_leave_one_exception_too_many() {
    let mut list: Vec<_> = (0..1001).map(|index| format!("webpubsub.sendToGroup.{index:04}")).collect();
    let (permissions, dropped) = Permissions::from_roles(&list);
    assert_eq!(dropped, [], "names beyond the limit are dropped in silence");
    assert!(permissions.allows(SEND, &group("0999")));
    assert!(!permissions.allows(SEND, &group("1000")));

    list.push("webpubsub.sendToGroups.x".to_owned());
    let (mut permissions, _) = Permissions::from_roles(&list);
    assert!(permissions.allows(SEND, &group("x")));
    assert_eq!(permissions.grant(SEND, &group("x")), Err(TooManyExceptions), "even without a change");
    assert_eq!(permissions.grant(SEND, &group("y")), Err(TooManyExceptions));
    permissions.revoke(SEND, &group("x")).unwrap();
    permissions.grant(SEND, &group("0001")).unwrap();
    assert_eq!(permissions.grant(SEND, &group("y")), Err(TooManyExceptions), "a thousand are left");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Permissions>() <= 64);
    let permissions = with(&["webpubsub.sendToGroup", "webpubsub.sendToGroups.a*"]);
    assert!(matches!((&permissions.send, &permissions.join), (Rights::Every, Rights::None)));
}

/// Section 7 of the specification, word for word, for patterns with one star at the end and without the limit.
#[derive(Default)]
struct Model {
    everywhere: bool,
    patterns: Vec<String>,
    literals: BTreeMap<String, bool>,
}

impl Model {
    fn ruled(&self, name: &str) -> bool {
        self.everywhere || self.patterns.iter().any(|prefix| matches_prefix(prefix, name))
    }

    fn check(&self, name: &str) -> bool {
        self.literals.get(name).copied().unwrap_or_else(|| self.ruled(name))
    }

    fn set(&mut self, name: &str, want: bool) {
        match self.literals.get(name) {
            Some(&value) if value == want => {}
            Some(_) => drop(self.literals.remove(name)),
            None if self.ruled(name) == want => {}
            None => drop(self.literals.insert(name.to_owned(), want)),
        }
    }

    fn apply(&mut self, role: &str) {
        if role == "webpubsub.sendToGroup" || role == "webpubsub.sendToGroups.**" {
            *self = Self { everywhere: true, ..Self::default() };
        } else if let Some(name) = role.strip_prefix("webpubsub.sendToGroup.") {
            self.set(name, true);
        } else if let Some(pattern) = role.strip_prefix("webpubsub.sendToGroups.") {
            let Some(prefix) = pattern.strip_suffix('*') else {
                return self.set(pattern, true);
            };
            if self.patterns.len() < 10 {
                self.patterns.insert(0, prefix.to_owned());
                self.literals.retain(|name, _| !matches_prefix(prefix, name));
            }
        }
    }
}

fn matches_prefix(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|tail| !tail.contains('.'))
}

proptest! {
    #[test]
    fn agrees_with_the_specification(
        mut list in prop::collection::vec(
            r"webpubsub\.sendToGroup(|s\.\*\*|\.[abc]{1,2}|\.[abc]{1,2}|s\.[abc]{1,2}|s\.[abc]{0,1}\*|s\.[abc]\*)",
            0..14,
        ),
        changes in prop::collection::vec(("[abc.]{1,2}", any::<bool>()), 0..30),
    ) {
        let (mut permissions, _) = Permissions::from_roles(&list);
        let mut model = Model::default();
        list.sort();
        for role in &list {
            model.apply(role);
        }
        for (name, want) in changes {
            let outcome = match want {
                true => permissions.grant(SEND, &group(&name)),
                false => permissions.revoke(SEND, &group(&name)),
            };
            prop_assert_eq!(outcome, Ok(()));
            model.set(&name, want);
            for first in ["a", "b", "c", "."] {
                for name in ["", "a", "b", "c", "."].map(|second| format!("{first}{second}")) {
                    prop_assert_eq!(permissions.allows(SEND, &group(&name)), model.check(&name), "{}", name);
                }
            }
        }
    }
}
