//! Entries by event name in the order of the product's catalogue.

use std::collections::BTreeMap;

use analytics_domain::catalogue::EVENTS;

/// Unknown names come last.
pub fn in_order<'a, T>(by_name: &'a BTreeMap<&'static str, T>) -> Vec<(&'static str, &'a T)> {
    let position = |name: &str| EVENTS.iter().position(|known| known.name == name).unwrap_or(EVENTS.len());
    let mut entries: Vec<_> = by_name.iter().map(|(name, entry)| (*name, entry)).collect();
    entries.sort_by_key(|(name, _)| position(name));
    entries
}
