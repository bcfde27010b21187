//! What a stream of choices is about: the second word of its key (see [`crate::rng::Rng::keyed`]).

pub const CAMPAIGN_DAY: u64 = 1;
pub const MESSAGE: u64 = 2;
pub const SENDER_DAY: u64 = 3;
pub const BAN: u64 = 4;
pub const BAN_WAVE: u64 = 5;
pub const TURNOVER: u64 = 6;
pub const GROUP_DAY: u64 = 7;
pub const LOAD_EVENT: u64 = 8;
