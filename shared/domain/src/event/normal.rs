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

/// Whether every character belongs to a block in which nothing composes, decomposes or combines.
fn is_plain(text: &str) -> bool {
    // Without an early end, and with a length known in advance, this is a few vector instructions.
    let (chunks, rest) = text.as_bytes().as_chunks::<CHUNK>();
    let are_common = |bytes: &[u8]| bytes.iter().fold(true, |common, byte| common & is_common(*byte));
    let is_plain_in = |start: usize, bytes: &[u8]| {
        bytes.iter().enumerate().all(|(at, byte)| is_common(*byte) || starts_plain(&text[start + at..]))
    };
    chunks.iter().enumerate().all(|(number, chunk)| are_common(chunk) || is_plain_in(number * CHUNK, chunk))
        && is_plain_in(text.len() - rest.len(), rest)
}

/// Bytes that are looked at together.
const CHUNK: usize = 32;

/// The byte is of a character that nearly all text is made of: ASCII, Latin letters with their accents (to U+02FF), Cyrillic (U+0400
/// to U+047F) or Chinese characters (U+4000 to U+9FFF). The first byte of a character in UTF-8 tells it; any other byte may pass.
const fn is_common(byte: u8) -> bool {
    (byte < 0xCC) | (byte == 0xD0) | (byte == 0xD1) | (byte >= 0xE4 && byte <= 0xE9)
}

/// Beside the common ones: Arabic letters, dashes, quotes and dots, currency signs, arrows, Chinese punctuation, full-width letters,
/// emoji.
fn starts_plain(text: &str) -> bool {
    matches!(
        text.chars().next(),
        Some(
            '\u{60C}'
            | '\u{61B}'
            | '\u{61F}'..='\u{64A}'
            | '\u{660}'..='\u{66D}'
            | '\u{2010}'..='\u{206F}'
            | '\u{20A0}'..='\u{20BF}'
            | '\u{2190}'..='\u{21FF}'
            | '\u{2600}'..='\u{27BF}'
            | '\u{3000}'..='\u{3029}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FF00}'..='\u{FF65}'
            | '\u{1F000}'..='\u{1FAFF}',
        )
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_of_a_plain_block_is_normal_beside_every_other() {
        let normalizer = ComposingNormalizerBorrowed::new_nfc();
        let all: String = ('\0'..=char::MAX).filter(|character| is_plain(&character.to_string())).collect();
        assert!(is_plain(&all) && normalizer.is_normalized(&all));
        let last_to_first: String = all.chars().rev().collect();
        assert!(normalizer.is_normalized(&last_to_first));
        for character in ['\u{300}', '\u{3FF}', '\u{483}', '\u{2000}', '\u{3099}', '\u{A000}', '\u{FE20}'] {
            assert!(!is_plain(&character.to_string()), "{character:?}");
        }
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
