//! Equal texts: one spelling of each character, and case folding.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

/// The text in Unicode's normalization form C (<https://www.unicode.org/reports/tr15/>): canonically equal texts become the
/// same bytes. Text that is in this form already is borrowed.
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// The text without case, for `contains` and full text: Unicode's full case folding of its [`nfc`] form. The dot that folding
/// leaves above the `i` of `İ` is dropped, so that `istanbul` finds `İstanbul`.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    Cow::Owned(CaseMapper::new().fold_string(&nfc(text)).replace(DOTTED_I, "i"))
}

/// What `İ` is folded to.
pub const DOTTED_I: &str = "i\u{307}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonically_equal_texts_become_the_same() {
        assert_eq!(nfc("и\u{306}"), "й");
        assert_eq!(nfc("e\u{301}"), "é");
        assert!(matches!(nfc("скидка 限时"), Cow::Borrowed(_)));
    }

    #[test]
    fn case_is_folded_as_unicode_does() {
        for (one, other) in [
            ("İSTANBUL", "istanbul"),
            ("ΟΔΟΣ", "οδος"),
            ("Straße", "STRASSE"),
            ("СЕГОДНЯ", "сегодня"),
            ("И\u{306}од", "йод"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }
}
