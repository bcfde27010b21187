//! Who takes part: audiences, groups, campaigns with their variants, and the accounts that send.

use std::borrow::Cow;
use std::ops::Range;

use crate::stream;

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

    /// Russian clients pay in roubles, all others in dollars.
    pub const fn currency(self) -> &'static str {
        match self {
            Self::Russian => "RUB",
            Self::Chinese | Self::English | Self::Arabic => "USD",
        }
    }

    /// How many user accounts send to this audience at a time.
    pub const fn senders(self) -> u64 {
        match self {
            Self::Chinese => 5,
            Self::Russian => 10,
            Self::English => 7,
            Self::Arabic => 3,
        }
    }

    /// The bot that this audience has subscribed to.
    pub const fn bot(self) -> Option<&'static str> {
        match self {
            Self::Chinese => Some("bot:7104485210"),
            Self::Russian => Some("bot:6930217745"),
            Self::Arabic => Some("bot:7218840369"),
            Self::English => None,
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

/// 1 January 2025: the day on which every group has [`Group::members`]. Groups have no events before.
pub const FIRST_DAY: i64 = 20_089;

/// A kind of chat, in Telegram's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Supergroup,
    /// A basic group: Telegram numbers its messages for each account separately.
    Basic,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Supergroup => "supergroup",
            Self::Basic => "group",
        }
    }
}

/// A group or a channel.
pub struct Group {
    /// The dialog id of the Bot API. Empty for the chat that migrates: see `stream`.
    pub id: &'static str,
    pub name: &'static str,
    pub language: Language,
    pub kind: Kind,
    /// How many members the group had on [`FIRST_DAY`].
    pub members: i64,
    /// Our bot is an admin here: the bot sees joins and leaves.
    pub ours: bool,
    /// New members ask for admission.
    pub by_request: bool,
    pub slowmode_s: i64,
    /// The channel's group for comments.
    pub linked: Option<&'static str>,
}

impl Group {
    /// Telegram shows the readers of a message only in groups of at most 100 members. A small group of the demo stays
    /// below this threshold.
    pub const fn is_small(&self) -> bool {
        self.members <= SMALL
    }

    pub const fn is_stream(&self) -> bool {
        self.id.is_empty()
    }

    pub fn id_at(&self, at_ms: i64) -> Cow<'static, str> {
        if self.is_stream() { stream::id_at(at_ms).into() } else { self.id.into() }
    }

    pub fn kind_at(&self, at_ms: i64) -> Kind {
        if self.is_stream() { stream::kind_at(at_ms) } else { self.kind }
    }
}

/// TDLib's default of `chat_read_mark_size_threshold`.
pub const SMALL: i64 = 100;

/// The recipients of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One message to each person.
    People,
    /// Messages into groups, each seen by many.
    Groups,
    /// Messages into the chat of the running course: see `stream`.
    Stream,
}

/// The kind of account that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Users,
    Bot,
}

pub struct Campaign {
    pub id: &'static str,
    pub name: &'static str,
    pub language: Language,
    pub reach: Reach,
    pub by: By,
    /// The group of ours that the campaign's invite links lead to.
    pub destination: &'static str,
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
