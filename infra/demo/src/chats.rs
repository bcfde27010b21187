//! The groups and channels: ours, those of others that campaigns write into, and those that sell us posts.

use crate::cast::Language::{self, Arabic, Chinese, English, Russian};
use crate::cast::{Group, Kind};

const fn channel(id: &'static str, name: &'static str, language: Language, members: i64) -> Group {
    Group {
        id,
        name,
        language,
        kind: Kind::Channel,
        members,
        ours: true,
        by_request: false,
        slowmode_s: 0,
        linked: None,
    }
}

const fn supergroup(id: &'static str, name: &'static str, language: Language, members: i64) -> Group {
    Group { kind: Kind::Supergroup, slowmode_s: 30, ..channel(id, name, language, members) }
}

/// A small group whose admins admit each member.
const fn circle(id: &'static str, name: &'static str, language: Language, members: i64) -> Group {
    Group { by_request: true, slowmode_s: 0, ..supergroup(id, name, language, members) }
}

const fn with_comments(channel: Group, linked: &'static str) -> Group {
    Group { linked: Some(linked), ..channel }
}

/// A group of others: we have no bot there that sees joins.
const fn theirs(group: Group) -> Group {
    Group { ours: false, ..group }
}

pub const GROUPS: &[Group] = &[
    channel("-1001384500127", "深圳跨境电商圈", Chinese, 11_300),
    channel("-1001512077340", "茶友小院 🍵", Chinese, 2_460),
    channel("-1001290466815", "Скидки Москвы | Распродажи", Russian, 18_700),
    with_comments(channel("-1001173902254", "Маркетинг без воды", Russian, 7_940), "-1001790268145"),
    with_comments(channel("-1001445209968", "Indie SaaS Founders", English, 6_410), "-1001668290351"),
    channel("-1001236871450", "Remote Jobs Europe", English, 14_200),
    channel("-1001620713392", "عروض دبي اليومية 🛍️", Arabic, 8_050),
    supergroup("-1001407733126", "水晶能量交流群 💎", Chinese, 4_820),
    supergroup("-1001533810946", "Expats in 上海 🏙️", Chinese, 3_150),
    circle("-1001988340271", "杭州亲子周末", Chinese, 84),
    supergroup("-1001310592877", "Дача и сад 🌱", Russian, 5_230),
    Group {
        by_request: true, ..supergroup("-1001692054418", "中俄贸易 · Торговля с Китаем", Russian, 2_890)
    },
    supergroup("-1001790268145", "Маркетинг без воды: чат", Russian, 1_980),
    circle("-1001874410533", "Питер с детьми", Russian, 91),
    supergroup("-1001668290351", "Indie SaaS Founders: chat", English, 2_120),
    circle("-1001955127604", "London Brunch Club 🥞", English, 78),
    supergroup("-1001547820963", "رواد الأعمال العرب", Arabic, 1_720),
    // Its id depends on the time: see `stream`.
    Group { slowmode_s: 0, ..supergroup("", "Интенсив «Таргет»: чат потока", Russian, 38) },
    theirs(supergroup("-1001275530418", "广州外贸互助群", Chinese, 9_640)),
    theirs(supergroup("-1001482290735", "手作饰品交流", Chinese, 2_870)),
    theirs(supergroup("-1001850067129", "义乌货源对接", Chinese, 15_300)),
    theirs(supergroup("-1001339748206", "喝茶聊天群 ☕", Chinese, 1_140)),
    theirs(supergroup("-1001226014873", "Барахолка Москва и область", Russian, 31_200)),
    theirs(supergroup("-1001567731940", "Мамы Химки", Russian, 6_450)),
    theirs(supergroup("-1001403385267", "Дачники Подмосковья", Russian, 8_900)),
    theirs(supergroup("-1001719452038", "Закупки и совместные покупки", Russian, 12_700)),
    theirs(supergroup("-1001638027591", "Bootstrapped Makers", English, 5_380)),
    theirs(supergroup("-1001351946780", "Startup Feedback Exchange", English, 11_900)),
    theirs(supergroup("-1001810573364", "Customer Support Pros", English, 2_240)),
    theirs(supergroup("-1001494820657", "تسوق الإمارات", Arabic, 7_430)),
    theirs(supergroup("-1001265398014", "عطور وعود", Arabic, 3_010)),
    theirs(channel("-1001108823746", "出海日报", Chinese, 26_400)),
    theirs(channel("-1001420657139", "卖家早报", Chinese, 18_900)),
    theirs(channel("-1001092476583", "Бизнес по утрам", Russian, 41_500)),
    theirs(channel("-1001357019428", "Реклама и люди", Russian, 23_800)),
    theirs(channel("-1001503264897", "Деньги в Телеграме", Russian, 33_600)),
    theirs(channel("-1001187930652", "Maker Weekly", English, 21_700)),
    theirs(channel("-1001466205813", "The Growth Feed", English, 15_200)),
    theirs(channel("-1001249581736", "أخبار الإمارات اليوم", Arabic, 28_300)),
    theirs(channel("-1001588417290", "تجارة وأعمال", Arabic, 12_600)),
];

/// Groups of an audience that campaigns write into, with weights: small groups get few messages.
pub fn to_write_into(language: Language) -> Vec<(&'static Group, u64)> {
    let fits = |group: &&Group| group.language == language && group.kind == Kind::Supergroup && !group.is_stream();
    GROUPS.iter().filter(fits).map(|group| (group, if group.is_small() { 3 } else { 20 })).collect()
}

/// Channels that sell posts to us.
pub fn hosts(language: Language) -> Vec<&'static Group> {
    let sells = |group: &&Group| group.language == language && group.kind == Kind::Channel && !group.ours;
    GROUPS.iter().filter(sells).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::texts::{CAMPAIGNS, PROMOTIONS};

    #[test]
    fn ids_are_unique_dialog_ids_and_destinations_are_groups_of_ours() {
        let ids: HashSet<_> = GROUPS.iter().map(|group| group.id).collect();
        assert_eq!(ids.len(), GROUPS.len());
        assert!(ids.iter().all(|id| id.is_empty() || id.starts_with("-100") && id.len() == 14));
        let destinations = CAMPAIGNS.iter().map(|campaign| campaign.destination);
        for id in destinations.chain(PROMOTIONS.iter().map(|promotion| promotion.destination)) {
            assert!(GROUPS.iter().any(|group| group.id == id && group.ours && !group.is_small()), "{id}");
        }
        for linked in GROUPS.iter().filter_map(|group| group.linked) {
            assert!(ids.contains(linked));
        }
    }
}
