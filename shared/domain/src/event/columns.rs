//! Properties that have typed columns of their own within the event store's JSON column. Names that accounts choose share its
//! other columns: these are never pushed out by them.

use std::borrow::Cow;

use super::Tree;

/// Most of the properties that built-in metrics read and are split by: not those with names so general that they may hold objects.
pub const TYPED_PROPERTIES: [&str; 27] = [
    "campaignId",
    "groupId",
    "senderId",
    "variantId",
    "postId",
    "clickerHash",
    "botSuspected",
    "readTrackable",
    "final",
    "views",
    "forwards",
    "reactions",
    "replies",
    "members",
    "amount",
    "value",
    "currency",
    "waitS",
    "latencyMs",
    "messageKey",
    "senderKind",
    "placementId",
    "ageMinutes",
    "isForwardedCopy",
    "daysSinceJoin",
    "removedBy",
    "margin",
];

/// Stands before a name whose typed column would hide what is within it. A private-use character: no name that people give
/// starts with it.
const HIDDEN: char = '\u{E000}';

/// Where a property is found in the JSON column. Nothing is found within a typed column, so that what would stand there has
/// another name.
#[must_use]
pub fn column_path(property: &str) -> Cow<'_, str> {
    if is_within_typed(property) { Cow::Owned(format!("{HIDDEN}{property}")) } else { Cow::Borrowed(property) }
}

fn is_within_typed(path: &str) -> bool {
    path.split_once('.').is_some_and(|(first, _)| TYPED_PROPERTIES.contains(&first))
}

/// What the JSON column is made of, where that is not the properties as they are: an object stands in the place of a typed
/// property.
#[must_use]
pub fn column_source(properties: &str) -> Option<String> {
    let Tree::Object(mut members) = Tree::object(properties) else { return None };
    for (name, value) in &mut members {
        let is_object = matches!(value, Tree::Object(_)) && TYPED_PROPERTIES.contains(&name.as_str());
        if is_object || is_within_typed(name) {
            name.insert(0, HIDDEN);
        }
    }
    serde_json::to_string(&Tree::Object(members)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_typed_column_would_hide_has_another_name() {
        let source = column_source(r#"{"campaignId":{"z":1},"value.x":2,"views":3,"o":{"views":{"y":4}}}"#);
        assert_eq!(
            source.as_deref(),
            Some("{\"\u{E000}campaignId\":{\"z\":1},\"\u{E000}value.x\":2,\"views\":3,\"o\":{\"views\":{\"y\":4}}}")
        );
        assert_eq!(column_path("campaignId.z"), "\u{E000}campaignId.z");
        assert_eq!(column_path("campaignId"), "campaignId");
        assert_eq!(column_path("o.views.y"), "o.views.y");
    }
}
