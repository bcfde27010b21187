//! Which texts of an event are in normalization form C as they came. Nearly all are, and are not copied.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::text::nfc;

/// As [`nfc`], of text that may be owned.
pub(super) fn nfc_cow(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) if is_plain(text) => Cow::Borrowed(text),
        Cow::Borrowed(text) => nfc(text),
        Cow::Owned(text) if is_nfc(&text) => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(nfc(&text).into_owned()),
    }
}

/// Whether [`nfc`] leaves the text as it is.
pub(super) fn is_nfc(text: &str) -> bool {
    is_plain(text) || ComposingNormalizerBorrowed::new_nfc().is_normalized(text)
}

/// Whether every character belongs to a block in which nothing composes, decomposes or combines: ASCII, Latin letters with
/// their accents (to U+02FF), Cyrillic (U+0400 to U+047F) and Chinese characters (U+4000 to U+9FFF). The first byte of a
/// character in UTF-8 tells its block, and without an early end this is a few vector instructions.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| {
        plain & ((byte < 0xCC) | (byte == 0xD0) | (byte == 0xD1) | (0xE4..=0xE9).contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_of_a_plain_block_is_normal_beside_every_other() {
        let normalizer = ComposingNormalizerBorrowed::new_nfc();
        let blocks = ['\0'..='\u{2FF}', '\u{400}'..='\u{47F}', '\u{4000}'..='\u{9FFF}'];
        let all: String = blocks.into_iter().flatten().collect();
        assert!(is_plain(&all) && normalizer.is_normalized(&all));
        let last_to_first: String = all.chars().rev().collect();
        assert!(normalizer.is_normalized(&last_to_first));
        assert!(!is_plain("\u{300}") && !is_plain("\u{3FF}") && !is_plain("\u{480}") && !is_plain("\u{A000}"));
    }

    proptest! {
        #[test]
        fn knows_what_is_normal(
            text in "[a-zйñ漢\u{300}-\u{345}\u{AC00}-\u{AC10}\u{1100}-\u{1112}\u{1161}-\u{1175}\u{11A8}が]{0,12}"
        ) {
            let normal = nfc(&text).into_owned();
            prop_assert_eq!(is_nfc(&text), normal == text);
            prop_assert!(is_nfc(&normal));
            prop_assert_eq!(nfc_cow(Cow::Borrowed(&text)), &*normal);
            prop_assert_eq!(nfc_cow(Cow::Owned(text)), &*normal);
        }
    }
}
