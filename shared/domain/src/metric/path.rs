//! Names of what filters, formulas and dimensions read: the event's own fields, such as `$userId`, and properties.
//!
//! A property may have any name. One whose name starts with `$` is written with another `$` in front: `$$browser` is the property
//! `$browser`. Quotes in formulas and filters do that by themselves.

use std::borrow::Cow;

/// The event's own fields that formulas, filters and dimensions can read like properties.
pub const FIELDS: [&str; 4] = ["$userId", "$sessionId", "$locale", "$eventType"];

/// What ClickHouse reads as syntax of its own within a JSON path, wherever a part of the path starts so.
const UNREADABLE: [&str; 3] = [":`", "^`", "@`"];

/// The property that a path names. The path is none of [`FIELDS`].
#[must_use]
pub fn property_of(path: &str) -> &str {
    if path.starts_with("$$") { &path[1..] } else { path }
}

/// The path that names a property, whatever it is called.
#[must_use]
pub fn path_of(property: &str) -> Cow<'_, str> {
    if property.starts_with('$') { Cow::Owned(format!("${property}")) } else { Cow::Borrowed(property) }
}

/// Whether a property can have this name, or this path of names.
///
/// # Errors
/// Says what is wrong.
pub fn check_property(name: &str) -> Result<(), String> {
    if let Some(odd) = UNREADABLE.iter().find(|odd| name.contains(**odd)) {
        return Err(format!("a property's name must not hold {odd}"));
    }
    Ok(())
}

/// Whether this can name a property or a field of the event.
///
/// # Errors
/// Says what is wrong.
pub fn check_path(path: &str) -> Result<(), String> {
    let property = property_of(path);
    if property.is_empty() || property.chars().count() > LONGEST {
        return Err(format!("a property's name has 1 to {LONGEST} characters"));
    }
    if property.starts_with('$') && property.len() == path.len() && !FIELDS.contains(&path) {
        let fields = FIELDS.join(", ");
        return Err(format!(
            "of the event's own fields there are {fields}; a property of this name is written ${path}"
        ));
    }
    check_property(property)
}

/// Characters of a path: eight names, each as long as a name may be, with dots between.
pub const LONGEST: usize = 8 * (crate::event::limits::NAME_CHARS + 1) - 1;
