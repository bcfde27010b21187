//! The tenant.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
    sync::Arc,
};

use serde::{Serialize, Serializer};

use crate::text::nfc;

/// Characters of an account id.
const CHARS: usize = 128;

/// What names of the service's own begin with, beside those of accounts.
const RESERVED: char = '#';

/// The id of an account, the tenant: 1 to 128 characters in Unicode's normalization form C, without control characters, and not a
/// name of the service's own, which begins with `#`.
///
/// Ids are read from verified tokens, and nowhere else. Whatever is stored belongs to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Arc<str>);

/// Why a text is no account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccountId {
    #[error("must be a name of 1 to {CHARS} characters")]
    Length,
    #[error("must not have control characters")]
    Control,
    #[error("must not begin with {RESERVED}: such names are the service's own")]
    Reserved,
    // Two spellings of a name are two accounts: normalizing one would merge tenants.
    #[error("must be in Unicode's normalization form C (NFC)")]
    Spelling,
}

impl AccountId {
    /// Reads the id that a verified token names.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidAccountId> {
        if text.is_empty() || text.chars().count() > CHARS {
            return Err(InvalidAccountId::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidAccountId::Control);
        }
        if text.starts_with(RESERVED) {
            return Err(InvalidAccountId::Reserved);
        }
        if nfc(text) != text {
            return Err(InvalidAccountId::Spelling);
        }
        Ok(Self(text.into()))
    }

    /// An id that was read from a token before it was stored or sent.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for AccountId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&AccountId> for String {
    fn from(id: &AccountId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl<'i> From<&'i AccountId> for Cow<'i, str> {
    fn from(id: &'i AccountId) -> Self {
        Self::Borrowed(&id.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_taken_and_everything_else_is_refused() {
        for name in ["a", "shop-7", "магазин", "店铺", "a b", "a#b", "é", &"я".repeat(128)] {
            assert_eq!(AccountId::parse(name).as_deref(), Ok(name));
        }
        for (name, why) in [
            ("", InvalidAccountId::Length),
            (&*"a".repeat(129), InvalidAccountId::Length),
            ("a\nb", InvalidAccountId::Control),
            ("\u{85}", InvalidAccountId::Control),
            ("#leases", InvalidAccountId::Reserved),
            ("e\u{301}", InvalidAccountId::Spelling),
            ("\u{212B}ngström", InvalidAccountId::Spelling),
        ] {
            assert_eq!(AccountId::parse(name), Err(why), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_never_changed_and_never_equal_to_another_spelling(text in "\\PC{1,40}") {
            if let Ok(id) = AccountId::parse(&text) {
                prop_assert_eq!(id.as_str(), &*text);
                prop_assert_eq!(nfc(&text), &*text);
            }
        }
    }
}
