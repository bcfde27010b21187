//! What a stream of choices is about: the second word of its key (see [`crate::rng::Rng::keyed`]).

pub const CAMPAIGN_DAY: u64 = 1;
pub const MESSAGE: u64 = 2;
pub const SENDER_DAY: u64 = 3;
pub const BAN: u64 = 4;
pub const BAN_WAVE: u64 = 5;
pub const TURNOVER: u64 = 6;
pub const GROUP_DAY: u64 = 7;
pub const LOAD_EVENT: u64 = 8;
pub const JOIN: u64 = 9;
pub const LEAVE: u64 = 10;
pub const INCIDENT: u64 = 11;
pub const ACCOUNT: u64 = 12;
pub const PLACEMENT: u64 = 13;
pub const PLACEMENT_EVENTS: u64 = 14;
pub const ACCESS: u64 = 15;
pub const BOOST: u64 = 16;
pub const CHANNEL_DAY: u64 = 17;
pub const STREAM: u64 = 18;
pub const SAMPLES: u64 = 19;
