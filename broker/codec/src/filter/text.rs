//! Text as the service sees it: a row of UTF-16 code units.
//!
//! Lengths and offsets count units, so a part of a text can begin or end within a pair of surrogates and is then no
//! text that Rust knows. Such torn texts are kept exactly, in a form of their own, so that putting the halves together
//! again gives the whole. Nothing of connections or of the language lives here. Called by `eval`.

use std::borrow::Cow;
use std::ops::Range;

/// A text. Equal texts have the same form, because whatever is whole is kept whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Text<'a> {
    /// A well-formed text.
    Whole(Cow<'a, str>),
    /// A text with half a pair somewhere, spread out: one char per code unit, see [`spread_char`].
    Torn(String),
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Whole(Cow::Owned(text))
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Whole(Cow::Borrowed(text))
    }
}

impl<'a> Text<'a> {
    pub(super) fn borrowed(&self) -> Text<'_> {
        match self {
            Self::Whole(text) => Text::Whole(Cow::Borrowed(text)),
            Self::Torn(spread) => Text::Torn(spread.clone()),
        }
    }

    /// The text, if it is well-formed.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Whole(text) => Some(text),
            Self::Torn(_) => None,
        }
    }

    /// Length in UTF-16 code units.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Whole(text) => units(text),
            Self::Torn(spread) => spread.chars().count(),
        }
    }

    pub(super) fn into_lower(self) -> Self {
        self.mapped(lower)
    }

    pub(super) fn into_upper(self) -> Self {
        self.mapped(upper)
    }

    /// Without white space at both ends.
    pub(super) fn trim(self) -> Self {
        match self {
            Self::Whole(Cow::Borrowed(text)) => Self::from(text.trim()),
            Self::Whole(Cow::Owned(text)) => Self::from(text.trim().to_owned()),
            Self::Torn(spread) => Self::Torn(spread.trim().to_owned()),
        }
    }

    pub(super) fn contains(&self, part: &Text<'_>) -> bool {
        self.alike(part, |text, part| text.contains(part))
    }

    pub(super) fn starts_with(&self, part: &Text<'_>) -> bool {
        self.alike(part, |text, part| text.starts_with(part))
    }

    pub(super) fn ends_with(&self, part: &Text<'_>) -> bool {
        self.alike(part, |text, part| text.ends_with(part))
    }

    /// Where the part first begins, in UTF-16 code units.
    pub(super) fn index_of(&self, part: &Text<'_>) -> Option<usize> {
        if let (Self::Whole(text), Text::Whole(part)) = (self, part) {
            return text.split_once(part.as_ref()).map(|(before, _)| units(before));
        }
        self.alike(part, |text, part| text.split_once(part).map(|(before, _)| before.chars().count()))
    }

    /// The code units in the range, which must lie within the text.
    pub(super) fn part(self, range: Range<usize>) -> Self {
        if let Self::Whole(text) = &self
            && let (Some(start), Some(end)) = (offset(text, range.start), offset(text, range.end))
        {
            return match self {
                Self::Whole(Cow::Borrowed(text)) => Self::from(text.get(start..end).unwrap_or_default()),
                Self::Whole(Cow::Owned(text)) => {
                    Self::from(text.get(start..end).unwrap_or_default().to_owned())
                }
                torn @ Self::Torn(_) => torn,
            };
        }
        gather(self.spread().chars().skip(range.start).take(range.len()).collect())
    }

    pub(super) fn followed_by(self, other: &Text<'_>) -> Self {
        match (self, other) {
            (Self::Whole(text), Text::Whole(other)) => Self::from(text.into_owned() + other),
            (text, other) => gather(text.spread().into_owned() + &other.spread()),
        }
    }

    /// Looks at both texts in the same form.
    fn alike<R>(&self, part: &Text<'_>, look: impl FnOnce(&str, &str) -> R) -> R {
        match (self, part) {
            (Self::Whole(text), Text::Whole(part)) => look(text, part),
            _ => look(&self.spread(), &part.spread()),
        }
    }

    fn mapped(self, change: fn(char) -> char) -> Self {
        match self {
            Self::Whole(text) if text.chars().all(|char| change(char) == char) => Self::Whole(text),
            Self::Whole(text) => Self::from(text.chars().map(change).collect::<String>()),
            Self::Torn(spread) => Self::Torn(mapped_units(&spread, change)),
        }
    }

    fn spread(&self) -> Cow<'_, str> {
        match self {
            Self::Whole(text) => Cow::Owned(spread_text(text)),
            Self::Torn(spread) => Cow::Borrowed(spread),
        }
    }
}

/// Number of UTF-16 code units of a well-formed text.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Offset in bytes of a UTF-16 offset; `None` beyond the end and within a pair.
fn offset(text: &str, units: usize) -> Option<usize> {
    let mut left = units;
    for (offset, char) in text.char_indices() {
        if left == 0 {
            return Some(offset);
        }
        left = left.checked_sub(char.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}

/// A char that stands for one code unit. Halves of pairs become characters of the last private plane; real characters
/// of that plane are two halves themselves, so nothing else is written like that.
fn spread_char(unit: u16) -> char {
    let unit = u32::from(unit);
    char::from_u32(unit).or_else(|| char::from_u32(0x10_0000 | unit)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The code unit that a char stands for.
fn unit(spread: char) -> u16 {
    let [_, _, high, low] = u32::from(spread).to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn spread_text(text: &str) -> String {
    text.encode_utf16().map(spread_char).collect()
}

/// The text of spread-out code units.
fn gather(spread: String) -> Text<'static> {
    let units: Vec<u16> = spread.chars().map(unit).collect();
    match String::from_utf16(&units) {
        Ok(text) => Text::from(text),
        Err(_) => Text::Torn(spread),
    }
}

/// Changes the characters between the halves of a spread-out text.
fn mapped_units(spread: &str, change: fn(char) -> char) -> String {
    let mut mapped = String::with_capacity(spread.len());
    for char in char::decode_utf16(spread.chars().map(unit)) {
        match char {
            Ok(char) => {
                mapped.extend(change(char).encode_utf16(&mut [0; 2]).iter().copied().map(spread_char))
            }
            Err(half) => mapped.push(spread_char(half.unpaired_surrogate())),
        }
    }
    mapped
}

/// The lower-case form, where it is one character. The Turkish dotted I stays as it is in an invariant culture.
fn lower(char: char) -> char {
    match char {
        '\u{130}' => char,
        _ => only(char.to_lowercase()).unwrap_or(char),
    }
}

/// The upper-case form, where it is one character. The Turkish dotless i stays as it is in an invariant culture.
/// Greek letters with an iota below have a one-character form that the full mapping of `char` does not tell.
fn upper(char: char) -> char {
    match char {
        '\u{131}' => char,
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(char, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(char, 9),
        _ => only(char.to_uppercase()).unwrap_or(char),
    }
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

fn shifted(char: char, by: u32) -> char {
    char::from_u32(u32::from(char) + by).unwrap_or(char)
}
