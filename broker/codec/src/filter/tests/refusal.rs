//! What is refused, and with which words.

use super::{check_fault, check_refused};
use crate::filter::Filter;

#[test]
fn filters_of_the_specification_are_refused() {
    for text in [
        " ",
        "   ",
        "userId",
        "''",
        "1",
        "userId lt 1",
        "userId gt 'a'",
        "not 'a'",
        "not length(userId) gt 5",
        "not 'group1' in groups",
        "not userId eq 'user1'",
        "true or userId",
        "ab eq 1",
        "invalid(ab,c)",
        "Length(userId) gt 1",
        "userId EQ 'user1'",
        "length(userId, 1) gt 1",
        "length(userId) add 1 eq 6",
        "groups/any(g: g eq 'x')",
        "userId eq \"user1\"",
        "userId eq 'a",
        "userId eq 'a' or",
        "(true",
        "9999999999 gt 1",
        "startswith(userId,1)",
        "user eq 'a'",
        "groups",
    ] {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}

#[test]
fn messages_are_those_of_the_service() {
    for (text, message) in [
        ("( not 'a' )", "Invalid syntax for 'not 'a'': Type 'string', expect 'bool'. (Parameter 'filter')"),
        (
            "userId lt 1",
            "Invalid syntax for 'userId lt 1': Type 'string', expect 'int'. (Parameter 'filter')",
        ),
        (
            "invalid(ab,c)",
            "Invalid syntax for 'invalid(ab,c)': Token 'invalid(ab,c)' is not supported. (Parameter 'filter')",
        ),
        ("ab eq 1", "Invalid syntax for 'ab eq 1': Token 'ab' is not supported. (Parameter 'filter')"),
        (
            "not length(userId) gt 5",
            "Invalid syntax for 'not length(userId)': Type 'null', expect 'bool'. (Parameter 'filter')",
        ),
    ] {
        check_refused(text, message);
    }
}

#[test]
fn the_smallest_failing_operator_or_call_is_printed_in_normal_form() {
    let not_bool = "Type 'string', expect 'bool'.";
    for (text, expression, detail) in [
        ("userId", "userId", not_bool),
        ("ab", "ab", "Token 'ab' is not supported."),
        ("not  ab", "not ab", "Token 'ab' is not supported."),
        ("length( ab ) gt 1 and true", "length(ab)", "Token 'ab' is not supported."),
        ("true or  userId", "true or userId", not_bool),
        ("true  and (false or true) and 'it''s'", "(true and (false or true)) and 'it''s'", not_bool),
        ("true or (1 and true) or 2", "1 and true", "Type 'int', expect 'bool'."),
        ("ab and 1 and true", "ab and 1", "Token 'ab' is not supported."),
        ("1 and ab", "1 and ab", "Token 'ab' is not supported."),
        ("true and not userId eq 'a'", "not userId", not_bool),
        ("userId eq 'a' lt 1", "(userId eq 'a') lt 1", "Type 'bool', expect 'int'."),
        ("1 lt ( true and false )", "1 lt (true and false)", "Type 'bool', expect 'int'."),
        ("groups lt +5", "groups lt 5", "Type 'collection', expect 'int'."),
        ("length( userId , 1 ) gt 1", "length(userId,1)", "Invalid token 'length(userId,1)'."),
        ("length() gt 1", "length()", "Invalid token 'length()'."),
        ("substring('a') eq 'a'", "substring('a')", "Invalid token 'substring('a')'."),
        ("Length(userId) gt 1", "Length(userId)", "Token 'Length(userId)' is not supported."),
        ("now() eq 1", "now()", "Token 'now()' is not supported."),
        ("ab in ('x' , 1)", "ab in ('x',1)", "Token 'ab' is not supported."),
        ("'a' in (1, ab)", "'a' in (1,ab)", "Token 'ab' is not supported."),
        ("'a' in rooms", "'a' in rooms", "Token 'rooms' is not supported."),
        ("'a' in userId", "'a' in userId", "Type 'string', expect 'collection'."),
        ("1 in groups", "1 in groups", "Type 'int', expect 'string'."),
        ("not (1)", "not 1", "Type 'int', expect 'bool'."),
        ("length(1) gt 0", "length(1)", "Type 'int', expect 'string'."),
        ("tolower(groups) eq 'a'", "tolower(groups)", "Type 'collection', expect 'string'."),
        ("length(userId)", "length(userId)", "Type 'null', expect 'bool'."),
        ("null", "null", "Type 'null', expect 'bool'."),
    ] {
        check_fault(text, expression, detail);
    }
}

#[test]
fn errors_behind_a_null_are_found_before_matching() {
    for (text, expression, found, expected) in [
        ("startswith(userId,1)", "startswith(userId,1)", "int", "string"),
        ("tolower(userId) lt 1", "tolower(userId) lt 1", "string", "int"),
        ("length(userId) gt 'a'", "length(userId) gt 'a'", "string", "int"),
        ("contains(null,1)", "contains(null,1)", "int", "string"),
        ("substring(userId,'1') eq 'a'", "substring(userId,'1')", "string", "int"),
        ("length(userId) in groups", "length(userId) in groups", "int", "string"),
    ] {
        check_fault(text, expression, &format!("Type '{found}', expect '{expected}'."));
    }
}

#[test]
fn an_error_of_the_dry_run_is_told_before_one_behind_a_null() {
    check_fault("startswith(userId,1) and not 'a'", "not 'a'", "Type 'string', expect 'bool'.");
}

#[test]
fn syntax_errors_say_what_and_where() {
    for (text, detail) in [
        ("", "Unexpected end at character 1; expected a property, a function or a value."),
        ("userId eq 'a' or", "Unexpected end at character 17; expected a property, a function or a value."),
        ("(true", "Unexpected end at character 6; expected an operator, ',' or ')'."),
        ("true)", "Unexpected ')' at character 5; expected an operator or the end."),
        ("'é' eq  , ", "Unexpected ',' at character 9; expected a property, a function or a value."),
        ("true 'a'", "Unexpected text 'a' at character 6; expected an operator or the end."),
        ("'a' in 'b'", "Unexpected text 'b' at character 8; expected a list in parentheses or a collection."),
        ("userId eq eq", "Unexpected 'eq' at character 11; expected a property, a function or a value."),
        ("userId EQ 'user1'", "Token 'EQ' is not supported."),
        ("length(userId) add 1 eq 6", "Token 'add' is not supported."),
        ("groups/any(g: g eq 'x')", "Token 'groups/any' is not supported."),
        ("9999999999 gt 1", "Token '9999999999' is not supported."),
        ("userId eq \"user1\"", "Double quotes are not supported; write text in single quotes."),
        ("userId eq 'a", "The text that starts at character 11 has no closing quote."),
        ("userId eq'a'", "A space is missing beside the quote at character 10."),
        ("'a'eq 'a'", "A space is missing beside the quote at character 3."),
    ] {
        check_fault(text, text.trim(), detail);
    }
}

#[test]
fn what_the_language_does_not_have_is_refused() {
    for text in [
        "1.5 gt 1",
        "1e3 gt 1",
        "5L gt 1",
        "2147483648 gt 1",
        "-2147483649 lt 1",
        "- 1 lt 1",
        "--1 lt 1",
        "-(1) lt 1",
        "-length(userId) lt 1",
        "1 eq 1and true",
        "duration'PT1S' eq 1",
        "length (userId) gt 1",
        "True",
        "NULL eq null",
        "userId in ('a',)",
        "userId in (,'a')",
        "userId in 'a'",
        "userId in",
        "'a' in groups()",
        "()",
        "(true))",
        "true true",
        "true and",
        "and true",
        "not",
        "userId = 'a'",
        "userId == 'a'",
        "userId has 'a'",
        "@x eq 1",
        "$count eq 1",
        "[1] eq 1",
        "userId eq 'it's'",
        "userId eq \\'a\\'",
        "true,true",
        "'a' 'b' eq 'c'",
        "5 mod 2 eq 1",
        "matchesPattern(userId,'a')",
        "userId.length eq 1",
        "trueand false",
        "nottrue",
        "true(1)",
        "true\0",
        "user_id eq 'a'",
        "length(groups",
    ] {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}
