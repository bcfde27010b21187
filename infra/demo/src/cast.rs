//! Who takes part: audiences, groups, campaigns with their variants, and the accounts that send.

use std::ops::Range;

/// The language an audience reads; it decides the clock it lives by and the money it pays with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Chinese,
    Russian,
    English,
    Arabic,
}

impl Language {
    /// Shanghai, Moscow, London (winter), Dubai: fixed offsets, so that no time zone database changes the events.
    pub const fn utc_offset_ms(self) -> i64 {
        match self {
            Self::Chinese => 8 * HOUR,
            Self::Russian => 3 * HOUR,
            Self::English => 0,
            Self::Arabic => 4 * HOUR,
        }
    }

    pub const fn currency(self) -> &'static str {
        match self {
            Self::Chinese => "CNY",
            Self::Russian => "RUB",
            Self::English => "USD",
            Self::Arabic => "AED",
        }
    }

    /// How many sending accounts work for this audience at a time.
    pub const fn senders(self) -> u64 {
        match self {
            Self::Chinese | Self::Russian => 4,
            Self::English => 3,
            Self::Arabic => 2,
        }
    }

    pub const fn code(self) -> &'static str {
        match self {
            Self::Chinese => "zh",
            Self::Russian => "ru",
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }
}

pub const LANGUAGES: [Language; 4] = [Language::Chinese, Language::Russian, Language::English, Language::Arabic];

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// The start of an audience's local day.
pub const fn day_start(day: i64, language: Language) -> i64 {
    day * DAY - language.utc_offset_ms()
}

/// A Telegram group, or a channel, which also publishes posts.
pub struct Group {
    pub id: &'static str,
    pub name: &'static str,
    pub language: Language,
    /// How many were in it when the demo's world began.
    pub members: i64,
    pub channel: bool,
}

impl Group {
    /// Telegram shows who read a message only in small groups.
    pub const fn shows_readers(&self) -> bool {
        !self.channel && self.members < 200
    }
}

/// Whom a campaign writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One message to each person.
    People,
    /// Messages into groups, each seen by many.
    Groups,
}

pub struct Campaign {
    pub id: &'static str,
    pub name: &'static str,
    pub language: Language,
    pub reach: Reach,
    /// Messages on a weekday at scale 1.
    pub targets: u64,
    pub link: &'static str,
    pub goal: &'static str,
    /// What a conversion is worth, in hundredths of the audience's currency.
    pub value: Range<i64>,
    pub variants: &'static [Variant],
}

/// One of the texts a campaign tries out.
pub struct Variant {
    pub id: &'static str,
    /// Clicks in a thousand people who saw it.
    pub appeal: u64,
    pub texts: &'static [&'static str],
}

/// How busy people are in each hour of their day.
pub const RHYTHM: [u64; 24] = [3, 2, 1, 1, 1, 2, 5, 9, 13, 15, 16, 15, 17, 16, 14, 13, 14, 16, 19, 22, 23, 20, 14, 7];

/// When campaigns send: the same rhythm, but nobody is written to at night.
pub const SENDING_HOURS: [u64; 24] =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 18, 16, 15, 12, 11, 12, 13, 15, 20, 24, 18, 6, 0, 0];
