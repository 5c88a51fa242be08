use super::*;
use crate::session::tests::{check, describe, json};
use crate::session::{Failure, Received};

const SET: &str = "webpubsub.setGroupState";
const GET: &str = "webpubsub.getGroupState";

#[test]
fn what_is_permitted_is_done() {
    check(
        &[SET, GET],
        &[
            (r#"{"type":"setGroupState","group":"g","state":{"a":"b"}}"#, "set state of g to a=b, nothing"),
            (r#"{"type":"setGroupState","group":"g","state":{},"ackId":1}"#, "set state of g to , ack 1"),
            (r#"{"type":"setGroupState","group":"g","ackId":2}"#, "clear state of g, ack 2"),
            (r#"{"type":"setGroupState","group":"g","state":null}"#, "clear state of g, nothing"),
            (r#"{"type":"subscribeGroupState","group":"g"}"#, "subscribe to g, nothing"),
            (r#"{"type":"subscribeGroupState","group":"g","ackId":3}"#, "subscribe to g, ack 3"),
            (r#"{"type":"unsubscribeGroupState","group":"g","ackId":4}"#, "unsubscribe from g, ack 4"),
        ],
    );
    check(
        &["webpubsub.setGroupState.a*", "webpubsub.getGroupState.a*"],
        &[
            (r#"{"type":"setGroupState","group":"ab","ackId":1}"#, "clear state of ab, ack 1"),
            (r#"{"type":"subscribeGroupState","group":"ab","ackId":2}"#, "subscribe to ab, ack 2"),
            (r#"{"type":"setGroupState","group":"b","ackId":3}"#, "ack 3: Forbidden"),
            (r#"{"type":"subscribeGroupState","group":"b","ackId":3}"#, "ack 3: Forbidden"),
        ],
    );
}

#[test]
fn each_half_has_a_role_of_its_own_and_to_stop_needs_none() {
    let set = r#"{"type":"setGroupState","group":"g","ackId":1}"#;
    let subscribe = r#"{"type":"subscribeGroupState","group":"g","ackId":2}"#;
    let unsubscribe = r#"{"type":"unsubscribeGroupState","group":"g","ackId":3}"#;
    check(&[SET], &[(set, "clear state of g, ack 1"), (subscribe, "ack 2: Forbidden")]);
    check(&[GET], &[(set, "ack 1: Forbidden"), (subscribe, "subscribe to g, ack 2")]);
    check(&[], &[(unsubscribe, "unsubscribe from g, ack 3")]);
    let silent = [set, subscribe]
        .map(|text| (text.replace(r#","ackId":1"#, "").replace(r#","ackId":2"#, ""), "nothing"));
    for (text, expected) in &silent {
        check(&[], &[(text, expected)]);
    }
}

#[test]
fn an_id_that_is_used_up_goes_before_every_other_check() {
    check(
        &[SET],
        &[
            (r#"{"type":"setGroupState","group":"g","ackId":7}"#, "clear state of g, ack 7"),
            (r#"{"type":"setGroupState","group":"g","ackId":7}"#, "ack 7: Duplicate"),
            (r#"{"type":"subscribeGroupState","group":"g","ackId":7}"#, "ack 7: Duplicate"),
            (r#"{"type":"unsubscribeGroupState","group":"g","ackId":7}"#, "ack 7: Duplicate"),
        ],
    );
}

#[test]
fn keys_and_values_have_512_bytes_of_utf8_and_no_more() {
    let text = |value: &str, ack: &str| {
        format!(r#"{{"type":"setGroupState","group":"g","state":{{"é":"x","k":"{value}"}}{ack}}}"#)
    };
    let state = |value: &str| format!("set state of g to k={value},é=x, ack 1");
    let (fits, wide) = ("v".repeat(508), "é".repeat(254));
    for value in [&fits, &wide] {
        check(&[SET], &[(&text(value, r#","ackId":1"#), &state(value))]);
        let long = format!("{value}v");
        check(
            &[SET],
            &[
                (&text(&long, r#","ackId":1"#), "ack 1: BadRequest"),
                (&text(&long, ""), "nothing"),
                (&text("again", r#","ackId":1"#), &state("again")),
            ],
        );
        check(&[], &[(&text(&long, r#","ackId":1"#), "ack 1: Forbidden")]);
    }
}

#[test]
fn whoever_is_not_a_member_is_told_and_may_use_the_id_again() {
    let mut session = json(&[SET, GET]);
    let group = GroupName::new("g").unwrap();
    let ack = Some(AckId(1));
    for (error, text) in [
        (AckError::SetStateNotMember, "Not a member of group."),
        (AckError::GetStateNotMember(group), "Not a member of group g."),
    ] {
        assert_eq!(error.to_string(), text);
        let told = session.done(ack, Err(Failure::Refused(error.clone())));
        assert_eq!(describe(&mut session, told), "ack 1: Forbidden");
        assert!(matches!(session.done(None, Err(Failure::Refused(error))), Effect::Nothing));
    }
    let effect = session.on_message(Received::Text(r#"{"type":"setGroupState","group":"g","ackId":1}"#));
    assert_eq!(describe(&mut session, effect), "clear state of g, ack 1");
}
