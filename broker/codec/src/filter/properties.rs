//! Properties of the filter language over generated filters: nothing panics, and a second, naive evaluator agrees.
//!
//! The evaluator here shares no code with the real one. It keeps every text as UTF-16 code units, always looks at both
//! sides and searches by trying each position.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// A well-typed expression.
#[derive(Debug, Clone)]
enum Model {
    Leaf(&'static str, Value),
    Property(&'static str),
    Call(&'static str, Vec<Model>),
    Not(Box<Model>),
    Binary(Box<Model>, &'static str, Box<Model>),
    InList(Box<Model>, Vec<Model>),
    InGroups(Box<Model>),
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(Vec<u16>),
    Groups,
}

#[derive(Debug, Clone)]
struct Connection {
    connection_id: &'static str,
    user_id: Option<&'static str>,
    protocol: Option<&'static str>,
    groups: Vec<&'static str>,
}

/// Texts of the generated filters and connections, with their literals. The letters are few, so that matches are not
/// rare; among them are pairs of surrogates, a quote, white space and letters without a simple upper-case form.
const TEXTS: [(&str, &str); 12] = [
    ("", "''"),
    ("a", "'a'"),
    ("ab", "'ab'"),
    ("AB", "'AB'"),
    ("aba", "'aba'"),
    (" a\u{a0}", "' a\u{a0}'"),
    ("'", "''''"),
    ("a'b''", "'a''b'''''"),
    ("😀", "'😀'"),
    ("a😀b😁", "'a😀b😁'"),
    ("ßé", "'ßé'"),
    ("\u{10d83d}\u{10fe00}", "'\u{10d83d}\u{10fe00}'"),
];

fn plain_text() -> impl Strategy<Value = &'static str> {
    select(&TEXTS[..]).prop_map(|(text, _)| text)
}

fn connection() -> impl Strategy<Value = Connection> {
    (plain_text(), option::of(plain_text()), option::of(plain_text()), vec(plain_text(), 0..4)).prop_map(
        |(connection_id, user_id, protocol, mut groups)| {
            groups.sort_unstable();
            groups.dedup();
            Connection { connection_id, user_id, protocol, groups }
        },
    )
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn text_leaf() -> impl Strategy<Value = Model> {
    prop_oneof![
        4 => select(&TEXTS[..]).prop_map(|(text, literal)| Model::Leaf(literal, Value::Text(units(text)))),
        4 => select(vec!["userId", "USERID", "connectionId", "protocol"]).prop_map(Model::Property),
        1 => Just(Model::Leaf("null", Value::Null)),
    ]
}

fn int_leaf() -> impl Strategy<Value = Model> {
    select(vec![("-1", -1), ("0", 0), ("+1", 1), ("2", 2), ("03", 3), ("2147483647", 2_147_483_647)])
        .prop_map(|(literal, value)| Model::Leaf(literal, Value::Int(value)))
}

fn bool_leaf() -> impl Strategy<Value = Model> {
    select(vec![("true", true), ("false", false)])
        .prop_map(|(literal, value)| Model::Leaf(literal, Value::Bool(value)))
}

fn text_expr(depth: u32) -> BoxedStrategy<Model> {
    if depth == 0 {
        return text_leaf().boxed();
    }
    let text = || text_expr(depth - 1);
    let int = || int_expr(depth - 1);
    prop_oneof![
        3 => text_leaf(),
        2 => (select(vec!["tolower", "toupper", "trim"]), text()).prop_map(|(name, s)| Model::Call(name, vec![s])),
        2 => (text(), int()).prop_map(|(s, start)| Model::Call("substring", vec![s, start])),
        2 => (text(), int(), int()).prop_map(|(s, start, length)| Model::Call("substring", vec![s, start, length])),
        2 => (text(), text()).prop_map(|(a, b)| Model::Call("concat", vec![a, b])),
    ]
    .boxed()
}

fn int_expr(depth: u32) -> BoxedStrategy<Model> {
    if depth == 0 {
        return int_leaf().boxed();
    }
    prop_oneof![
        2 => int_leaf(),
        1 => Just(Model::Call("length", vec![Model::Property("groups")])),
        2 => text_expr(depth - 1).prop_map(|s| Model::Call("length", vec![s])),
        2 => (text_expr(depth - 1), text_expr(depth - 1)).prop_map(|(s, t)| Model::Call("indexof", vec![s, t])),
    ]
    .boxed()
}

fn any_expr(depth: u32) -> BoxedStrategy<Model> {
    prop_oneof![
        4 => text_expr(depth),
        2 => int_expr(depth),
        2 => bool_expr(depth),
        1 => Just(Model::Property("groups")),
        1 => Just(Model::Leaf("null", Value::Null)),
    ]
    .boxed()
}

fn bool_expr(depth: u32) -> BoxedStrategy<Model> {
    if depth == 0 {
        return bool_leaf().boxed();
    }
    let part = |expr: BoxedStrategy<Model>| expr.prop_map(Box::new);
    let binary = |side: fn(u32) -> BoxedStrategy<Model>, words: &[&'static str]| {
        (part(side(depth - 1)), select(words.to_vec()), part(side(depth - 1)))
            .prop_map(|(left, word, right)| Model::Binary(left, word, right))
    };
    prop_oneof![
        1 => bool_leaf(),
        2 => part(bool_expr(depth - 1)).prop_map(Model::Not),
        4 => binary(bool_expr, &["and", "or"]),
        3 => binary(any_expr, &["eq", "ne"]),
        2 => binary(int_expr, &["gt", "ge", "lt", "le"]),
        2 => (part(any_expr(depth - 1)), vec(any_expr(depth - 1), 0..5))
            .prop_map(|(left, items)| Model::InList(left, items)),
        2 => part(text_expr(depth - 1)).prop_map(Model::InGroups),
        2 => (select(vec!["contains", "startswith", "endswith"]), text_expr(depth - 1), text_expr(depth - 1))
            .prop_map(|(name, s, t)| Model::Call(name, vec![s, t])),
    ]
    .boxed()
}

// === printing: the fewest parentheses that precedence allows ===

impl Model {
    /// How tightly the operator binds: 0 for `or` up to 4 for what needs no parentheses anywhere.
    fn level(&self) -> u8 {
        match self {
            Self::Binary(_, "or", _) => 0,
            Self::Binary(_, "and", _) => 1,
            Self::Binary(..) | Self::InList(..) | Self::InGroups(_) => 2,
            Self::Not(_) => 3,
            Self::Leaf(..) | Self::Property(_) | Self::Call(..) => 4,
        }
    }

    /// The text where only operators of at least that level may stand bare.
    fn print(&self, level: u8) -> String {
        if self.level() < level { format!("({})", self.print_bare()) } else { self.print_bare() }
    }

    fn print_bare(&self) -> String {
        let own = self.level();
        match self {
            Self::Leaf(literal, _) => (*literal).to_owned(),
            Self::Property(name) => (*name).to_owned(),
            Self::Call(name, args) => format!("{name}{}", print_list(args)),
            Self::Not(inner) => format!("not {}", inner.print(own)),
            Self::Binary(left, word, right) => {
                format!("{} {word}  {}", left.print(own), right.print(own + 1))
            }
            Self::InList(left, items) => format!("{} in {}", left.print(own), print_list(items)),
            Self::InGroups(left) => format!("{}\tin groups", left.print(own)),
        }
    }
}

fn print_list(items: &[Model]) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { " , " };
        write!(text, "{separator}{}", item.print(0)).unwrap();
    }
    format!("({text})")
}

// === the naive evaluator ===

impl Model {
    fn value(&self, connection: &Connection) -> Value {
        match self {
            Self::Leaf(_, value) => value.clone(),
            Self::Property("userId" | "USERID") => optional(connection.user_id),
            Self::Property("protocol") => optional(connection.protocol),
            Self::Property("connectionId") => optional(Some(connection.connection_id)),
            Self::Property(_) => Value::Groups,
            Self::Call(name, args) => {
                let args: Vec<Value> = args.iter().map(|arg| arg.value(connection)).collect();
                apply(name, &args, connection)
            }
            Self::Not(inner) => Value::Bool(inner.value(connection) == Value::Bool(false)),
            Self::Binary(left, word, right) => {
                Value::Bool(binary(&left.value(connection), word, &right.value(connection)))
            }
            Self::InList(left, items) => {
                let left = left.value(connection);
                Value::Bool(items.iter().any(|item| item.value(connection) == left))
            }
            Self::InGroups(left) => {
                let left = left.value(connection);
                Value::Bool(connection.groups.iter().any(|group| Value::Text(units(group)) == left))
            }
        }
    }
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(units(text)))
}

fn binary(left: &Value, word: &str, right: &Value) -> bool {
    match (left, word, right) {
        (_, "eq", _) => left == right,
        (_, "ne", _) => left != right,
        (Value::Bool(left), "and", Value::Bool(right)) => *left && *right,
        (Value::Bool(left), "or", Value::Bool(right)) => *left || *right,
        (Value::Int(left), "gt", Value::Int(right)) => left > right,
        (Value::Int(left), "ge", Value::Int(right)) => left >= right,
        (Value::Int(left), "lt", Value::Int(right)) => left < right,
        (Value::Int(left), "le", Value::Int(right)) => left <= right,
        _ => false,
    }
}

fn apply(name: &str, args: &[Value], connection: &Connection) -> Value {
    match (name, args) {
        ("length", [Value::Text(text)]) => Value::Int(text.len() as i64),
        ("length", [Value::Groups]) => Value::Int(connection.groups.len() as i64),
        ("tolower", [Value::Text(text)]) => Value::Text(mapped(text, |char| char.to_lowercase().collect())),
        ("toupper", [Value::Text(text)]) => Value::Text(mapped(text, |char| char.to_uppercase().collect())),
        ("trim", [Value::Text(text)]) => Value::Text(trimmed(text)),
        ("contains", [Value::Text(text), Value::Text(part)]) => Value::Bool(find(text, part).is_some()),
        ("startswith", [Value::Text(text), Value::Text(part)]) => Value::Bool(text.starts_with(part)),
        ("endswith", [Value::Text(text), Value::Text(part)]) => Value::Bool(text.ends_with(part)),
        ("contains" | "startswith" | "endswith", _) => Value::Bool(false),
        ("indexof", [Value::Text(text), Value::Text(part)]) => {
            Value::Int(find(text, part).map_or(-1, |index| index as i64))
        }
        ("indexof", _) => Value::Int(-1),
        ("substring", [Value::Text(text), Value::Int(start)]) => {
            part(text, *start, text.len() as i64 - start)
        }
        ("substring", [Value::Text(text), Value::Int(start), Value::Int(length)]) => {
            part(text, *start, *length)
        }
        ("concat", [Value::Text(left), Value::Text(right)]) => Value::Text([&left[..], right].concat()),
        ("concat", [Value::Null, other] | [other, Value::Null]) => other.clone(),
        _ => Value::Null,
    }
}

fn part(text: &[u16], start: i64, length: i64) -> Value {
    if start < 0 || length < 0 || start + length > text.len() as i64 {
        return Value::Null;
    }
    Value::Text(text[start as usize..(start + length) as usize].to_vec())
}

fn find(text: &[u16], part: &[u16]) -> Option<usize> {
    (0..=text.len()).find(|start| text[*start..].starts_with(part))
}

fn trimmed(text: &[u16]) -> Vec<u16> {
    let is_space = |unit: &u16| char::from_u32(u32::from(*unit)).is_some_and(char::is_whitespace);
    let start = text.iter().position(|unit| !is_space(unit)).unwrap_or(text.len());
    let end = text.iter().rposition(|unit| !is_space(unit)).map_or(start, |last| last + 1);
    text[start..end].to_vec()
}

fn mapped(text: &[u16], change: fn(char) -> Vec<char>) -> Vec<u16> {
    let mut units = Vec::new();
    for char in char::decode_utf16(text.iter().copied()) {
        match char.map(|char| (char, change(char))) {
            Ok((_, changed)) if changed.len() == 1 => {
                units.extend_from_slice(changed[0].encode_utf16(&mut [0; 2]))
            }
            Ok((char, _)) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            Err(half) => units.push(half.unpaired_surrogate()),
        }
    }
    units
}

fn matches(filter: &Filter, connection: &Connection) -> bool {
    filter.matches(&Subject {
        connection_id: connection.connection_id,
        user_id: connection.user_id,
        protocol: connection.protocol,
        group_count: connection.groups.len(),
        in_group: &|group| connection.groups.contains(&group),
    })
}

// === the properties ===

/// Filters broken in small ways: what random characters hardly ever come near.
fn almost_a_filter() -> impl Strategy<Value = String> {
    let piece =
        select(vec!["'", "(", ")", ",", " ", "not ", " or ", " in ", "null", "😀", "1", "\"", "length("]);
    (bool_expr(3), any::<Index>(), piece, any::<bool>()).prop_map(|(model, at, piece, cut)| {
        let mut chars: Vec<char> = model.print(0).chars().collect();
        let at = at.index(chars.len());
        if cut {
            chars.truncate(at);
        }
        chars.splice(at..at, piece.chars());
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", connection in connection()) {
        if let Ok(filter) = Filter::parse(&text) {
            matches(&filter, &connection);
        }
    }

    #[test]
    fn no_broken_filter_makes_it_panic(text in almost_a_filter(), connection in connection()) {
        match Filter::parse(&text) {
            Ok(filter) => drop(matches(&filter, &connection)),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("Invalid syntax for '"), "{message}");
                prop_assert!(message.ends_with(" (Parameter 'filter')"), "{message}");
            }
        }
    }

    #[test]
    fn a_well_typed_filter_means_what_the_naive_evaluator_says(
        model in bool_expr(4),
        connections in vec(connection(), 1..6),
    ) {
        let text = model.print(0);
        let filter = Filter::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for connection in &connections {
            let expected = model.value(connection) == Value::Bool(true);
            prop_assert_eq!(matches(&filter, connection), expected, "{} for {:?}", text, connection);
        }
    }

    #[test]
    fn the_normal_form_is_read_again_as_the_same_filter(model in bool_expr(4), connection in connection()) {
        let text = model.print(0);
        let tree = parser::parse(&text).map_err(|reason| TestCaseError::fail(reason.to_string()))?;
        let normal = tree.to_string();
        let again = parser::parse(&normal).map_err(|reason| TestCaseError::fail(reason.to_string()))?;
        prop_assert_eq!(again.to_string(), &normal[..]);
        let (filter, normal) = (Filter::parse(&text).unwrap(), Filter::parse(&normal).unwrap());
        prop_assert_eq!(matches(&filter, &connection), matches(&normal, &connection), "{}", text);
    }
}
