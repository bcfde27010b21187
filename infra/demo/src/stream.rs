//! The chat of the weekly course: each week a basic group that becomes a supergroup, with another id, on the fourth day.

use crate::cast::{DAY, HOUR, Kind, Language, day_start};
use crate::rng::Rng;
use crate::topic;

const DAYS: i64 = 7;

/// The week that a day of the audience's calendar belongs to.
const fn week_of(day: i64) -> i64 {
    day.div_euclid(DAYS)
}

const fn day_of(at_ms: i64) -> i64 {
    (at_ms + Language::Russian.utc_offset_ms()).div_euclid(DAY)
}

pub const fn begins_on(day: i64) -> bool {
    day.rem_euclid(DAYS) == 0
}

fn old_id(week: i64) -> String {
    format!("-{}", 4_290_000_000 + week * 104_729)
}

/// A group that becomes a supergroup.
pub struct Migration {
    pub at_ms: i64,
    pub old_id: String,
    pub new_id: String,
}

/// The migration of the week that `day` belongs to. Every seed has the same.
pub fn migration(day: i64) -> Migration {
    let week = week_of(day);
    let mut rng = Rng::keyed(&[topic::STREAM, week.unsigned_abs()]);
    Migration {
        at_ms: day_start(week * DAYS + 3, Language::Russian) + rng.between(10 * HOUR, 18 * HOUR),
        old_id: old_id(week),
        new_id: format!("-100{}", 2_310_000_000 + week * 130_363),
    }
}

pub fn id_at(at_ms: i64) -> String {
    let migration = migration(day_of(at_ms));
    if at_ms < migration.at_ms { migration.old_id } else { migration.new_id }
}

pub fn kind_at(at_ms: i64) -> Kind {
    if at_ms < migration(day_of(at_ms)).at_ms { Kind::Basic } else { Kind::Supergroup }
}
