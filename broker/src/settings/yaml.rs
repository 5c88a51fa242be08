//! Reading YAML mappings so that every fault can name its line, and all faults of a file are found in one reading.
//!
//! Serde's derived readers stop at the first unknown key; here the owner of a mapping is handed each key with its
//! line and decides. No key of any file is known here. Callers: `config` and `settings`, for the files they own.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

/// The entries of one mapping, as their owner keeps them.
pub(crate) trait Entries: Default {
    /// Takes one entry: reads its value from `map`, into whatever type fits `key`.
    ///
    /// # Errors
    /// Those of reading the value; a key that is not known is the owner's to note, and no error.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error>;
}

/// A mapping of a file, read by `E`.
#[derive(Debug, Default)]
pub(crate) struct Mapping<E>(pub(crate) E);

/// A mapping that stands in a list, and where.
#[derive(Debug)]
pub(crate) struct Item<E> {
    /// What it holds.
    pub(crate) entries: E,
    /// Its first line, counted from 1.
    pub(crate) line: u64,
}

/// A scalar as it is written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The text; of a number or a truth value, its spelling in the file.
    pub(crate) text: String,
    /// Its line, counted from 1.
    pub(crate) line: u64,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, counted from 1, if the place is known.
    pub(crate) line: Option<u64>,
    /// What, and what to change. Never quotes a secret.
    pub(crate) reason: String,
}

/// Reads one mapping; an empty document is an empty mapping.
///
/// # Errors
/// [`Fault`] at the first place that is not YAML or has a value of the wrong shape; it quotes nothing of the file.
pub(crate) fn read<E: Entries>(text: &str) -> Result<E, Fault> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Option<Mapping<E>>>(text, options) {
        Ok(mapping) => Ok(mapping.unwrap_or_default().0),
        Err(error) => Err(Fault {
            line: error.location().map(|place| place.line()).filter(|line| *line > 0),
            reason: error.without_snippet().to_string(),
        }),
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { text: spanned.value, line: spanned.referenced.line() })
    }
}

impl<'de, E: Entries> Deserialize<'de> for Mapping<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MappingVisitor(PhantomData))
    }
}

impl<'de, E: Entries> Deserialize<'de> for Item<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Mapping<E>>::deserialize(deserializer)?;
        Ok(Self { entries: spanned.value.0, line: spanned.referenced.line() })
    }
}

struct MappingVisitor<E>(PhantomData<E>);

impl<'de, E: Entries> Visitor<'de> for MappingVisitor<E> {
    type Value = Mapping<E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of keys to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = E::default();
        while let Some(key) = map.next_key::<Word>()? {
            entries.take(key, &mut map)?;
        }
        Ok(Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Flat(Vec<(String, u64, Vec<String>)>);

    impl Entries for Flat {
        fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
            let texts = match key.text.as_str() {
                "one" => vec![map.next_value::<Word>()?.text],
                "many" => map.next_value::<Vec<Word>>()?.into_iter().map(|word| word.text).collect(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    Vec::new()
                }
            };
            self.0.push((key.text, key.line, texts));
            Ok(())
        }
    }

    fn check(text: &str, expected: &[(&str, u64, &[&str])]) {
        let expected = expected
            .iter()
            .map(|(key, line, texts)| {
                ((*key).to_owned(), *line, texts.iter().map(|t| (*t).to_owned()).collect())
            })
            .collect();
        assert_eq!(read::<Flat>(text), Ok(Flat(expected)), "{text}");
    }

    #[test]
    fn keys_come_with_their_lines_and_values_as_they_are_spelled() {
        check("", &[]);
        check("# nothing\n", &[]);
        check("one: 0x10\n", &[("one", 1, &["0x10"])]);
        check("\n\none: off # comment\n", &[("one", 3, &["off"])]);
        check("one: 1.10\n", &[("one", 1, &["1.10"])]);
        check("one: \"a: b\"\n", &[("one", 1, &["a: b"])]);
        check(
            "one: 00000000000000000000000000000000012\n",
            &[("one", 1, &["00000000000000000000000000000000012"])],
        );
        check("many:\n  - 1\n  - yes\n", &[("many", 1, &["1", "yes"])]);
        check("other:\n  a: [1]\none: x\n", &[("other", 1, &[]), ("one", 3, &["x"])]);
    }

    #[test]
    fn what_cannot_be_read_names_its_line_and_quotes_nothing() {
        let check = |text: &str, line: u64| {
            let fault = read::<Flat>(text).unwrap_err();
            assert_eq!(fault.line, Some(line), "{text}: {fault:?}");
            assert!(!fault.reason.contains("secret"), "{fault:?}");
            assert!(!fault.reason.contains('\n'), "{fault:?}");
        };
        check("one: a\none: b\n", 2);
        check("x: secret\none: [secret]\n", 2);
        check("- one\n", 1);
        check("x: 1\none: \"secret\n", 3);
        check("x: 1\nmany: secret\n", 2);
    }
}
