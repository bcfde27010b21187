//! Groups that have changed their id. A Telegram group that becomes a supergroup gets another one; both are the same group.

use std::collections::BTreeMap;

use super::filter::{Filter, Literal, Test};

/// The property that names a group.
pub const GROUP: &str = "groupId";

/// Ids of the same groups: each id with the one that stands for its group, which may be itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    stands_for: BTreeMap<String, String>,
}

impl Aliases {
    /// Of changes from one id to another, in the order of time. The id that stands for a group is the one it has changed to last,
    /// also if the changes go in a circle.
    #[must_use]
    pub fn of(changes: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = Self::default();
        for (old, new) in changes {
            if old == new {
                continue;
            }
            let [before, after] = [&old, &new].map(|id| all.standing_for(id).to_owned());
            for stands in all.stands_for.values_mut().filter(|stands| **stands == before || **stands == after) {
                stands.clone_from(&new);
            }
            all.stands_for.insert(old, new.clone());
            all.stands_for.insert(new.clone(), new);
        }
        all
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stands_for.is_empty()
    }

    /// The id that stands for the group of this one.
    #[must_use]
    pub fn standing_for<'a>(&'a self, id: &'a str) -> &'a str {
        self.stands_for.get(id).map_or(id, String::as_str)
    }

    /// The same, with the ids that a filter names standing for their groups.
    #[must_use]
    pub fn preferring(mut self, filter: &Filter) -> Self {
        for id in filter.texts_of(GROUP) {
            let Some(before) = self.stands_for.get(&id).cloned() else { continue };
            self.stands_for.values_mut().filter(|stands| **stands == before).for_each(|stands| stands.clone_from(&id));
        }
        self
    }

    /// The ids for which another one stands, each with that one.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stands_for.iter().filter(|(id, stands)| id != stands).map(|(id, stands)| (id.as_str(), stands.as_str()))
    }

    /// The other ids of the group.
    pub fn others<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let stands = self.stands_for.get(id);
        let is_other = move |(other, of): &(&'a String, &'a String)| Some(*of) == stands && *other != id;
        self.stands_for.iter().filter(is_other).map(|(other, _)| other.as_str())
    }

    /// The same filter, which finds a group under each of its ids.
    #[must_use]
    pub fn widen(&self, filter: &Filter) -> Filter {
        let all = |parts: &[Filter]| parts.iter().map(|part| self.widen(part)).collect();
        match filter {
            Filter::All(parts) => Filter::All(all(parts)),
            Filter::Any(parts) => Filter::Any(all(parts)),
            Filter::Not(part) => Filter::Not(Box::new(self.widen(part))),
            Filter::Test { path, test: Test::In(values) } if path == GROUP => {
                let texts: Vec<String> = values.iter().filter_map(Literal::text).collect();
                let mut wide = values.clone();
                for other in texts.iter().flat_map(|text| self.others(text)) {
                    if !wide.iter().any(|value| value.text().as_deref() == Some(other)) {
                        wide.push(Literal::Text(other.to_owned()));
                    }
                }
                Filter::Test { path: path.clone(), test: Test::In(wide) }
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::parse_filter;

    fn of(changes: &[(&str, &str)]) -> Aliases {
        Aliases::of(changes.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())))
    }

    #[test]
    fn the_last_id_stands_for_all_that_a_group_has_had() {
        let chain = of(&[("a", "b"), ("x", "y"), ("b", "c")]);
        assert_eq!(["a", "b", "c", "x", "y", "z"].map(|id| chain.standing_for(id)), ["c", "c", "c", "y", "y", "z"]);
        assert_eq!(chain.others("b").collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(chain.others("z").count(), 0);
        assert_eq!(chain.changed().collect::<Vec<_>>(), [("a", "c"), ("b", "c"), ("x", "y")]);
        // Told in another order, and two groups that become one.
        assert_eq!(of(&[("b", "c"), ("a", "b")]).standing_for("c"), "b");
        assert_eq!(of(&[("a", "c"), ("b", "c")]).others("a").collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn circles_and_changes_to_itself_end() {
        assert_eq!(of(&[("a", "a")]), Aliases::default());
        let circle = of(&[("a", "b"), ("b", "c"), ("c", "a")]);
        assert_eq!(["a", "b", "c"].map(|id| circle.standing_for(id)), ["a", "a", "a"]);
    }

    #[test]
    fn a_filter_finds_a_group_under_each_of_its_ids() {
        let aliases = of(&[("-5", "-1005")]);
        let widened = |text: &str| aliases.widen(&parse_filter(text).expect("can be read"));
        let same = |one: &str, other: &str| assert_eq!(widened(one), parse_filter(other).expect("can be read"));
        same("groupId = \"-5\" and a = 1", "groupId in (\"-5\", \"-1005\") and a = 1");
        same("not (groupId in (\"-1005\", \"-7\"))", "not (groupId in (\"-1005\", \"-7\", \"-5\"))");
        same("groupId in (\"-5\", \"-1005\")", "groupId in (\"-5\", \"-1005\")");
        same("other = \"-5\" or groupId contains \"5\"", "other = \"-5\" or groupId contains \"5\"");
        let preferred = aliases.clone().preferring(&parse_filter("not (groupId = -5)").expect("can be read"));
        assert_eq!((preferred.standing_for("-1005"), preferred.standing_for("-5")), ("-5", "-5"));
        assert_eq!(widened("groupId = -5"), aliases.widen(&widened("groupId = -5")));
    }
}
