//! Strings and numbers as they are spelled in JSON: where a string ends, and which spellings are canonical.

use memchr::memchr2;

use super::{rejection::Code, stored::canonical_number};

/// What is wrong with a value.
pub(super) type Problem = (Code, String);

/// Where a piece of a string ends.
pub(super) struct PieceEnd {
    pub(super) at: usize,
    /// Nothing but ASCII stands before.
    pub(super) is_ascii: bool,
    /// False if no dot stands before. True for long pieces and near the end of the text, which are not searched for dots.
    pub(super) may_have_dots: bool,
}

/// One in each byte, and its high bit.
const EACH: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = EACH << 7;

/// The high bit of each byte that is zero; of the bytes above the lowest of them, perhaps by mistake.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & HIGH
}

/// Whether all is visible ASCII without a backslash.
pub(super) fn is_visible(bytes: &[u8]) -> bool {
    let is_visible = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        let below_visible = word.wrapping_sub(EACH * 0x21) & !word;
        let others = zeros(word ^ (EACH * 0x7F)) | zeros(word ^ (EACH * u64::from(b'\\')));
        (word | below_visible | others) & HIGH == 0
    };
    match bytes.last_chunk::<8>() {
        // The last eight bytes may overlap the word before.
        Some(last) => bytes.as_chunks::<8>().0.iter().all(|word| is_visible(*word)) && is_visible(*last),
        None => bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\'),
    }
}

/// The first quote or backslash. Most strings are short: eight bytes are looked at together, and what is longer is left to
/// `memchr`, which takes longer to begin.
pub(super) fn quote_or_escape(bytes: &[u8]) -> Option<PieceEnd> {
    const WORDS: usize = 4;
    let (words, _) = bytes.as_chunks::<8>();
    let (mut high, mut dots) = (0, 0);
    for (number, word) in words.iter().take(WORDS).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (EACH * u64::from(b'"'))) | zeros(word ^ (EACH * u64::from(b'\\')));
        if found != 0 {
            let before = (found & found.wrapping_neg()) - 1;
            let at = 8 * number + found.trailing_zeros() as usize / 8;
            let may_have_dots = (dots | zeros(word ^ (EACH * u64::from(b'.'))) & before) != 0;
            return Some(PieceEnd { at, is_ascii: (high | word & before) & HIGH == 0, may_have_dots });
        }
        high |= word;
        dots |= zeros(word ^ (EACH * u64::from(b'.')));
    }
    let start = 8 * words.len().min(WORDS);
    let at = start + memchr2(b'"', b'\\', &bytes[start..])?;
    Some(PieceEnd { at, is_ascii: high & HIGH == 0 && bytes[start..at].is_ascii(), may_have_dots: true })
}

/// Whether canonical form has this escape too (without its backslash): a short one where there is one, else that of a
/// control character in lower case.
pub(super) fn is_needed(escape: &[u8]) -> bool {
    match escape {
        [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't'] => true,
        [b'u', b'0', b'0', b'0', last] => matches!(last, b'0'..=b'7' | b'b' | b'e' | b'f'),
        [b'u', b'0', b'0', b'1', last] => matches!(last, b'0'..=b'9' | b'a'..=b'f'),
        _ => false,
    }
}

pub(super) fn code_unit(digits: &[u8]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

pub(super) fn half_a_character() -> Problem {
    let detail = "a \\uD800 to \\uDFFF escape stands without its other half, so the string is not valid Unicode";
    (Code::InvalidString, detail.to_owned())
}

/// Integers must fit 64 bits, others a finite double: that is what storage and formulas compute with. Says whether the
/// number is spelled as in canonical form.
pub(super) fn check_number(number: &str, is_integer: bool) -> Result<bool, Problem> {
    let is_canonical = match number.len() {
        ..=18 if is_integer => Some(number != "-0"),
        _ if is_integer => (number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()).then_some(true),
        ..=15 if is_short_decimal(number) => Some(true),
        _ => number.parse().ok().filter(|value: &f64| value.is_finite()).map(|value| canonical_number(value) == number),
    };
    is_canonical.ok_or_else(|| {
        let detail = "the number is larger than 64 bits hold: send it as a string if it is an id".to_owned();
        (Code::NumberOutOfRange, detail)
    })
}

/// Whether this number, of at most fifteen characters, is the shortest spelling of its value without a doubt: doubles tell
/// all decimals of fifteen digits apart, and write those between 0.001 and 10^15 without an exponent.
fn is_short_decimal(number: &str) -> bool {
    let (whole, fraction) = number.split_once('.').unwrap_or_default();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole.strip_prefix('-').unwrap_or(whole))
        && is_digits(fraction)
        && !fraction.ends_with('0')
        && !fraction.starts_with("000")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tells_visible_ascii(bytes in prop_oneof![
            prop::collection::vec(0x20_u8..0x80, 0..24),
            prop::collection::vec(any::<u8>(), 0..10),
            "[!-\\[\\]-~]{0,30}".prop_map(String::into_bytes),
        ]) {
            let wanted = bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
            prop_assert_eq!(is_visible(&bytes), wanted);
        }

        #[test]
        fn finds_where_a_piece_of_a_string_ends(text in "[a-zй漢.]{0,50}[\"\\\\]?[a-z.й\"\\\\\u{80}]{0,20}") {
            let wanted = text.find(['"', '\\']);
            let found = quote_or_escape(text.as_bytes());
            prop_assert_eq!(found.as_ref().map(|end| end.at), wanted);
            if let (Some(end), Some(at)) = (found, wanted) {
                prop_assert_eq!(end.is_ascii, text[..at].is_ascii());
                prop_assert!(end.may_have_dots || !text[..at].contains('.'));
                let is_known = at < 32 && at + 8 <= text.len();
                prop_assert!(!is_known || end.may_have_dots == text[..at].contains('.'));
            }
        }
    }
}
