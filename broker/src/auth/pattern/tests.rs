use proptest::prelude::*;

use super::*;

fn check(pattern: &str, matching: &[&str], other: &[&str]) {
    let coverage = Coverage::parse(pattern).unwrap();
    let matches = |name: &str| match &coverage {
        Coverage::Name(only) => only == name,
        Coverage::Everything => true,
        Coverage::Names(pattern) => pattern.matches(name),
    };
    for name in matching {
        assert!(matches(name), "{pattern} should match {name}");
    }
    for name in other {
        assert!(!matches(name), "{pattern} should not match {name}");
    }
}

#[test]
fn wildcards_match_as_the_service_says() {
    check("ab*", &["ab", "abcd"], &["ab.cd", "bcd"]);
    check("*", &["", "room"], &[".", "a.b"]);
    check("a*c", &["ac", "a123c"], &["a1.3c", "a123cd"]);
    check("ab**", &["ab", "ab.cd.ef"], &["xab"]);
    check("**ab", &["cd.ef.ab"], &["cd.ef.abc"]);
    check("a?c", &["abc"], &["ac", "abbc", "a.c"]);
    check("a.**.b", &["a..b", "a.x.y.b"], &["a.b"]);
    check("a*.**.*b", &["ab.cd.ef.ab"], &["b.cd.ef.b"]);
    check(r"a\*.***b", &["a*.ab"], &["aa.ab"]);
    check(r"a\\.***b", &[r"a\.ab"], &["aa.ab"]);
    check(r"a\?*", &["a?bc"], &["abc"]);
    check("Room*", &["Room1"], &["room1"]);
    check("clientA.*", &["clientA.alpha"], &["clientA.alpha.room1"]);
    check("clientA.rooms.?1", &["clientA.rooms.a1"], &["clientA.rooms.1", "clientA.rooms.a.1"]);
    check("*.*.*.*.*", &["a.b.c.d.e"], &["a.b.c.d"]);
    check(r"\******", &["*room.nested"], &["room"]);
    check("**x?", &["x😀", "xxä", "x.xy"], &["x.", "x"]);
    check("*aab", &["aaaab", "aab"], &["aaa", "aab.aab"]);
}

#[test]
fn without_a_wildcard_it_is_a_name_and_stars_alone_are_everything() {
    assert_eq!(Coverage::parse(r"a\*\?\\"), Ok(Coverage::Name(r"a*?\".to_owned())));
    for stars in ["**", "***", "****", "*****"] {
        assert_eq!(Coverage::parse(stars), Ok(Coverage::Everything), "{stars}");
    }
}

#[test]
fn limits_and_escapes_are_checked() {
    let check = |pattern: &str, expected: Option<InvalidPattern>| {
        assert_eq!(Coverage::parse(pattern).err(), expected, "{pattern:?}");
    };
    check("", Some(InvalidPattern::Length));
    check(&"ä".repeat(1024), None);
    check(&"a".repeat(1025), Some(InvalidPattern::Length));
    check("*****", None);
    check("******", Some(InvalidPattern::Stars));
    check("*.*.*.*.*.*", Some(InvalidPattern::Stars));
    check(r"\*******", Some(InvalidPattern::Stars));
    check("?????", None);
    check("??????", Some(InvalidPattern::Wildcards));
    check("*?*?*?", Some(InvalidPattern::Wildcards));
    check(r"a\", Some(InvalidPattern::Escape));
    check(r"a\b", Some(InvalidPattern::Escape));
    check(r"\\\", Some(InvalidPattern::Escape));
}

#[test]
fn a_hostile_pattern_and_name_are_matched_in_time() {
    let Ok(Coverage::Names(pattern)) = Coverage::parse(&format!("**{0}**{0}b", "a".repeat(500))) else {
        panic!("it has wildcards");
    };
    let name = "a".repeat(1024);
    let started = std::time::Instant::now();
    assert!(!pattern.matches(&name));
    assert!(started.elapsed() < std::time::Duration::from_secs(1));
}

/// The definition itself, trying every way.
fn naive(pattern: &[char], name: &[char]) -> bool {
    let Some(&first) = pattern.first() else {
        return name.is_empty();
    };
    let one = |tail: &[char]| name.first().is_some_and(|&c| c != '.') && naive(tail, &name[1..]);
    match first {
        '*' => {
            let stars = pattern.iter().take_while(|&&c| c == '*').count();
            let reach = |c: &char| stars > 1 || *c != '.';
            let longest = name.iter().take_while(|c| reach(c)).count();
            (0..=longest).any(|taken| naive(&pattern[stars..], &name[taken..]))
        }
        '?' => one(&pattern[1..]),
        '\\' => name.first() == Some(&pattern[1]) && naive(&pattern[2..], &name[1..]),
        c => name.first() == Some(&c) && naive(&pattern[1..], &name[1..]),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_definition(pattern in r"([ab.ä😀]|\*|\*\*|\?|\\\*|\\\\){1,9}", name in "[ab.ä😀*]{0,9}") {
        if let Ok(Coverage::Names(parsed)) = Coverage::parse(&pattern) {
            let (pattern, chars): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(parsed.matches(&name), naive(&pattern, &chars));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(pattern in ".{0,40}", name in ".{0,40}") {
        if let Ok(Coverage::Names(pattern)) = Coverage::parse(&pattern) {
            pattern.matches(&name);
        }
    }
}
