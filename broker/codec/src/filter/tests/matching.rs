//! Who is matched by what: the rows of the specification, and the edges of its rules.

use super::{ALL, check};
use crate::filter::{Filter, Subject};

#[test]
fn filters_of_the_specification_match_its_connections() {
    for (text, expected) in SPECIFIED {
        check(text, expected);
    }
}

const SPECIFIED: &[(&str, &str)] = &[
    ("userId eq 'user1'", "C1"),
    ("USERID eq 'user1'", "C1"),
    ("userId ne 'user1'", "C2 C3 C4"),
    ("userId eq null", "C2"),
    ("userId ne null", "C1 C3 C4"),
    ("userId eq ''", ""),
    ("null eq null", ALL),
    ("userId eq 1", ""),
    ("userId eq 'O''Brien, Jane'", "C3"),
    ("userId eq connectionId", ""),
    ("connectionId in ('c1','c4')", "C1 C4"),
    ("userId in ('O''Brien, Jane', 'nobody')", "C3"),
    ("userId in (null)", "C2"),
    ("userId in ('user1', null)", "C1 C2"),
    ("length(groups) in (0,1)", "C2 C3"),
    ("'group1' in groups", "C1 C3"),
    ("'GROUP1' in groups", ""),
    ("not ('group1' in groups)", "C2 C4"),
    ("'group3' in groups or 'group1' in groups", "C1 C3 C4"),
    ("'group1' in groups and connectionId ne 'c1'", "C3"),
    ("length(groups) gt 1", "C1 C4"),
    ("length(groups) eq 0", "C2"),
    ("length(userId) gt 4", "C1 C3 C4"),
    ("length(userId) le 5", "C1 C4"),
    ("not (length(userId) gt 5)", "C1 C2 C4"),
    ("length(userId) lt null", ""),
    ("userId lt null", ""),
    ("length('😀') eq 2", ALL),
    ("tolower(userId) eq 'user1'", "C1 C4"),
    ("toupper(userId) eq 'USER1'", "C1 C4"),
    ("tolower(userId) eq null", "C2"),
    ("startswith(userId,'user')", "C1"),
    ("startswith(tolower(userId),'user')", "C1 C4"),
    ("endswith(userId,'1')", "C1 C4"),
    ("not endswith(userId,'1')", "C2 C3"),
    ("contains(userId,'Brien')", "C3"),
    ("contains(userId,null)", ""),
    ("indexof(userId,'ser') ge 0", "C1"),
    ("indexof(userId,'1') eq 4", "C1 C4"),
    ("indexof(userId,'zzz') eq -1", ALL),
    ("substring(userId,0,4) eq 'user'", "C1"),
    ("substring(userId,1) eq 'ser1'", "C1"),
    ("substring(userId,99) eq null", ALL),
    ("substring('abc',0,9) eq null", ALL),
    ("trim(concat(' ',userId)) eq 'user1'", "C1"),
    ("concat(userId,'-x') eq '-x'", "C2"),
    ("concat(userId,null) eq userId", ALL),
    ("protocol eq 'json.webpubsub.azure.v1'", "C1"),
    ("protocol eq null", "C2"),
    ("startswith(protocol,'json.')", "C1 C3"),
    ("true", ALL),
    ("false", ""),
    ("not true or true", ALL),
    ("userId eq 'user1' eq true", "C1"),
    ("userId eq null or userId eq 'user1' and 'group3' in groups", "C2"),
    ("(userId eq null or userId eq 'user1') and 'group3' in groups", ""),
    ("userId eq 'user1' and (not ('group3' in groups))", "C1"),
    ("groups eq null", ""),
];

#[test]
fn tokens_and_spaces_are_read_leniently_where_the_grammar_says_so() {
    for (text, expected) in [
        ("  userId\teq\n'user1'  ", "C1"),
        ("(userId)eq('user1')", "C1"),
        ("not(userId eq 'user1')and(true)", "C2 C3 C4"),
        ("userId in('user1','USER1')", "C1 C4"),
        ("userId in ( 'user1' , 'USER1' )", "C1 C4"),
        ("startswith( userId , 'us' )", "C1"),
        ("+5 eq 5", ALL),
        ("-0 eq 0 and 007 eq 7", ALL),
        ("2147483647 gt -2147483648", ALL),
        ("'''' eq ''''''", ""),
        ("length('''') eq 1 and length('''''') eq 2", ALL),
        ("'\\n' eq 'n'", ""),
        ("GROUPS eq Groups and ConnectionID eq connectionid and PROTOCOL eq 'json.webpubsub.azure.v1'", "C1"),
        ("not not true", ALL),
        ("not false and false", ""),
        ("true or true and false", ALL),
        ("1 lt 2 eq true", ALL),
        ("userId in ('user1') eq false", "C2 C3 C4"),
    ] {
        check(text, expected);
    }
}

#[test]
fn operators_at_the_edges_of_types_and_null() {
    for (text, expected) in [
        ("userId eq protocol", "C2"),
        ("null eq length(null)", ALL),
        ("null lt 'a' or 'a' ge null or null le null", ""),
        ("null ge null", ""),
        ("1 eq '1' or 1 eq true or 'true' eq true", ""),
        ("userId ne 1", ALL),
        ("groups eq groups", ALL),
        ("groups ne null", ALL),
        ("groups in (groups)", ALL),
        ("groups in ('group1')", ""),
        ("1 in ()", ""),
        ("not (1 in ())", ALL),
        ("true in (1, true)", ALL),
        ("connectionId in (userId, concat('c','3'), 'c1')", "C1 C3"),
        ("null in groups", ""),
        ("userId in groups", ""),
        ("concat('g', '2') in groups", "C1"),
        ("'' in groups", ""),
        ("2 ge 2 and 2 le 2 and 3 gt 2 and 2 lt 3", ALL),
        ("2 gt 2 or 2 lt 2 or 2 ge 3 or 3 le 2", ""),
        ("length(userId) lt 1", ""),
    ] {
        check(text, expected);
    }
}

#[test]
fn functions_at_the_edges() {
    for (text, expected) in [
        ("length(null) eq null", ALL),
        ("length('') eq 0 and length('é') eq 1 and length('a😀b') eq 4", ALL),
        ("tolower('ΑΣ') eq 'ας'", ""),
        ("toupper('straße') eq 'STRAßE' and tolower('ΑΣ') eq 'ασ'", ALL),
        ("tolower('İ') eq 'İ' and toupper('ı') eq 'ı' and toupper('ᾳ') eq 'ᾼ' and toupper('ᾀ') eq 'ᾈ'", ALL),
        ("toupper('𐐨a') eq '𐐀A' and tolower(null) eq null", ALL),
        ("trim('\u{a0}\u{2003} a b \t\u{3000}') eq 'a b' and trim('  ') eq '' and trim(null) eq null", ALL),
        (
            "contains('abc','') and startswith('abc','') and endswith('abc','') and indexof('abc','') eq 0",
            ALL,
        ),
        ("contains(null,'') or startswith('a',null) or endswith(null,null) or contains('', 'a')", ""),
        ("contains('e\u{301}','é') or startswith('a\u{200d}b','ab')", ""),
        ("indexof(null,'a') eq -1 and indexof('a',null) eq -1 and indexof('a','b') eq -1", ALL),
        ("indexof('😀a😀b','b') eq 5 and indexof('abab','b') eq 1", ALL),
        ("substring('abc',0) eq 'abc' and substring('abc',3) eq '' and substring('abc',4) eq null", ALL),
        (
            "substring('abc',-1) eq null and substring('abc',0,-1) eq null and substring('abc',1,3) eq null",
            ALL,
        ),
        ("substring('abc',1,2) eq 'bc' and substring('abc',3,0) eq '' and substring('abc',1,0) eq ''", ALL),
        ("substring('abc',2147483647,2147483647) eq null and substring('abc',1,2147483647) eq null", ALL),
        ("substring(null,0) eq null and substring('a',null) eq null and substring('a',0,null) eq null", ALL),
        ("substring('a😀b',1,2) eq '😀' and substring('a😀b',3) eq 'b'", ALL),
        ("concat(null,null) eq null and concat('a','b') eq 'ab' and concat('a',null) eq 'a'", ALL),
        ("substring(userId,1,1) eq 's'", "C1"),
        ("substring(userId,length(userId)) eq ''", "C1 C3 C4"),
        ("trim(tolower(toupper(concat(' ',substring(userId,0,4))))) eq 'user'", "C1 C4"),
    ] {
        check(text, expected);
    }
}

#[test]
fn half_a_surrogate_pair_is_kept_as_it_is() {
    for (text, expected) in [
        ("length(substring('a😀b',0,2)) eq 2", ALL),
        ("substring('😀',0,1) eq substring('😀',0,1)", ALL),
        ("substring('😀',0,1) eq substring('😁',0,1) and substring('😀',1) ne substring('😁',1)", ALL),
        ("substring('😀',0,1) eq '' or substring('😀',0,1) eq null or substring('😀',0,1) eq '\u{fffd}'", ""),
        ("concat(substring('😀',0,1),substring('😀',1)) eq '😀'", ALL),
        ("concat(substring('😀',1),substring('😀',0,1)) eq '😀'", ""),
        ("contains('a😀b',substring('😀',1)) and indexof('a😀b',substring('😀',1)) eq 2", ALL),
        ("startswith('😀',substring('😀',0,1)) and endswith('😀',substring('😀',1))", ALL),
        ("startswith(substring('a😀',0,2),'a') and not contains('\u{10d83d}',substring('😀',0,1))", ALL),
        ("trim(concat(' ',substring('😀',1))) eq substring('😀',1)", ALL),
        ("toupper(substring('aß𐐨😀',0,5)) eq concat('Aß𐐀',substring('😀',0,1))", ALL),
        ("substring(substring('ab😀',0,3),0,2) eq 'ab'", ALL),
        ("substring('😀',0,1) in groups or substring('😀',0,1) in ('😀')", ""),
    ] {
        check(text, expected);
    }
}

#[test]
fn cases_pinned_by_the_emulator() {
    for (text, user_id, expected) in [
        ("substring(userId,1,1) eq 'b'", "abc", true),
        ("substring(userId,1) eq 'b'", "", false),
        ("substring(userId,1,2) eq 'bc'", "a", false),
        ("connectionId eq 'a' and 'g' in groups and protocol eq 'p'", "", true),
    ] {
        let subject = Subject {
            connection_id: "a",
            user_id: Some(user_id),
            protocol: Some("p"),
            group_count: 1,
            in_group: &|group| group == "g",
        };
        assert_eq!(Filter::parse(text).unwrap().matches(&subject), expected, "{text}");
    }
}
