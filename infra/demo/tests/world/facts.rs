//! The demo's events agree with the facts of Telegram.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use demo::Event;

use crate::view::{DAY, HOUR, MINUTE, has, integer, is, month, named, number, says, text, word};

/// The events of names by the text of a property.
fn grouped(names: &[&str], key: &str) -> BTreeMap<&'static str, Vec<&'static Event>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in month().iter().filter(|event| names.contains(&event.name)) {
        if let Some(value) = text(event, key) {
            groups.entry(value).or_default().push(event);
        }
    }
    groups
}

#[test]
fn bots_are_bots_and_accounts_are_accounts() {
    let bots = ["bot_blocked", "bot_unblocked", "bot_started", "button_pressed", "poll_voted"];
    for event in month().iter().filter(|event| has(event, "senderId")) {
        let is_bot = word(event, "senderId").starts_with("bot:");
        if has(event, "senderKind") {
            assert_eq!(says(event, "senderKind", "bot"), is_bot, "{event:?}");
        }
        assert!(!(is_bot && matches!(event.name, "message_read" | "message_deleted" | "sender_banned")), "{event:?}");
        assert!(!(is_bot && is(event, "readTrackable")), "{event:?}");
        assert!(is_bot || !bots.contains(&event.name), "{event:?}");
        assert!(!bots.contains(&event.name) || event.user_id.is_some(), "{event:?}");
    }
    let sent_by = |kind| named("message_sent").filter(|event| says(event, "senderKind", kind)).count();
    assert!(sent_by("bot") > 5_000 && sent_by("user") > 10_000);
}

#[test]
fn a_person_blocks_a_bot_once_until_the_block_is_lifted() {
    let mut blocked = HashSet::new();
    let mut detected = BTreeSet::new();
    for event in month() {
        match event.name {
            "bot_blocked" => {
                detected.insert(word(event, "detectedBy"));
                assert!(blocked.insert((&event.user_id, word(event, "senderId"))), "{event:?}");
            }
            "bot_unblocked" => {
                blocked.remove(&(&event.user_id, word(event, "senderId")));
            }
            _ => {}
        }
    }
    assert_eq!(detected, BTreeSet::from(["send_error", "update"]));
}

#[test]
fn messages_are_told_apart_by_their_keys() {
    let mut sent = HashMap::new();
    for event in named("message_sent") {
        let key = word(event, "messageKey");
        assert!(sent.insert(key, event).is_none(), "{key} twice");
        let parts: Vec<_> = key.split('/').collect();
        let id = integer(event, "messageId").to_string();
        match (&event.user_id, text(event, "groupId")) {
            (Some(person), None) => assert_eq!(parts, [word(event, "senderId"), person, &id]),
            (None, Some(group)) if group.starts_with("-100") => assert_eq!(parts, [group, &id]),
            (None, Some(group)) => assert_eq!(parts, [word(event, "senderId"), group, &id]),
            other => panic!("{other:?}"),
        }
    }
    for event in month().iter().filter(|event| has(event, "messageKey") && !says(event, "audience", "channel")) {
        let Some(message) = sent.get(word(event, "messageKey")) else { continue };
        for key in ["campaignId", "senderId", "senderKind", "variantId", "audience", "groupId", "$userId"] {
            assert_eq!(text(event, key), text(message, key), "{key}: {event:?}");
        }
        assert!(event.at_ms >= message.at_ms);
    }
    for name in ["message_delivered", "message_read", "message_deleted", "reply_received", "link_clicked"] {
        assert!(named(name).all(|event| has(event, "messageKey") && has(event, "audience")), "{name}");
    }
    for name in ["message_queued", "message_failed"] {
        assert!(named(name).all(|event| has(event, "senderKind") && has(event, "audience")), "{name}");
    }
    let audiences: BTreeSet<_> = month().iter().filter_map(|event| text(event, "audience")).collect();
    assert_eq!(audiences, BTreeSet::from(["channel", "group", "person"]));
}

#[test]
fn readers_are_seen_in_private_chats_and_small_groups_once_a_message() {
    let mut largest: HashMap<&str, i64> = HashMap::new();
    for event in named("group_stats_sampled") {
        let members = largest.entry(word(event, "groupId")).or_default();
        *members = integer(event, "members").max(*members);
    }
    let mut trackable = HashSet::new();
    let mut in_groups = 0;
    for event in named("message_delivered") {
        let expected = match text(event, "groupId") {
            Some(group) => largest[group] <= 100,
            None => says(event, "senderKind", "user"),
        };
        assert_eq!(is(event, "readTrackable"), expected, "{event:?}");
        if expected {
            in_groups += usize::from(has(event, "groupId"));
            trackable.insert(word(event, "messageKey"));
        }
    }
    assert!(in_groups > 100, "{in_groups} messages in small groups");
    let mut read = HashSet::new();
    for event in named("message_read") {
        assert!(read.insert(word(event, "messageKey")), "read twice: {event:?}");
    }
    // Messages of the day before the month are read in it.
    assert!(read.difference(&trackable).count() < read.len() / 50);
}

/// The table of error codes in `docs/api/events.md`.
fn class_and_fault(code: &str) -> (&'static str, &'static str) {
    let numberless = code.trim_end_matches(|character: char| character.is_ascii_digit());
    match if numberless.is_empty() { code } else { numberless } {
        "FLOOD_WAIT_" | "429" | "PEER_FLOOD" => ("flood", "sender"),
        "SLOWMODE_WAIT_" => ("slow_mode", "chat"),
        "FROZEN_METHOD_INVALID" => ("frozen", "sender"),
        "AUTH_KEY_UNREGISTERED" => ("session", "sender"),
        "USER_DEACTIVATED_BAN" => ("banned", "sender"),
        "INPUT_USER_DEACTIVATED" | "user is deactivated" => ("deactivated", "recipient"),
        "USER_IS_BLOCKED" | "bot was blocked by the user" => ("blocked", "recipient"),
        "bot can't initiate conversation with a user" => ("never_started", "us"),
        "CHANNEL_PRIVATE" | "CHAT_WRITE_FORBIDDEN" | "CHAT_SEND_MEDIA_FORBIDDEN" | "CHAT_RESTRICTED" => {
            ("permission", "chat")
        }
        "USER_PRIVACY_RESTRICTED" | "PRIVACY_PREMIUM_REQUIRED" => ("privacy", "recipient"),
        "ALLOW_PAYMENT_REQUIRED_" => ("payment", "recipient"),
        "USER_BANNED_IN_CHANNEL" => ("permission", "sender"),
        "PEER_ID_INVALID" | "USERNAME_NOT_OCCUPIED" => ("invalid_peer", "us"),
        "group chat was upgraded to a supergroup chat" => ("migrated", "us"),
        "MEDIA_INVALID" | "MESSAGE_TOO_LONG" => ("content", "us"),
        "RPC_CALL_FAIL" | "502" => ("server", "server"),
        "TIMEOUT" => ("network", "us"),
        other => panic!("{other} is not in the table"),
    }
}

#[test]
fn failures_have_the_class_and_fault_of_the_table_and_bring_what_belongs_to_them() {
    let senders_own = ["sender_session_lost", "sender_banned", "sender_peer_flood", "sender_restricted"];
    let troubles = grouped(&senders_own, "senderId");
    let mut classes = BTreeSet::new();
    for event in named("message_failed") {
        let code = word(event, "errorCode");
        let (class, fault) = class_and_fault(code);
        assert_eq!((word(event, "errorClass"), word(event, "fault")), (class, fault), "{code}");
        classes.insert(class);
        let brings = match code {
            "AUTH_KEY_UNREGISTERED" => "sender_session_lost",
            "USER_DEACTIVATED_BAN" => "sender_banned",
            "PEER_FLOOD" => "sender_peer_flood",
            "FROZEN_METHOD_INVALID" => "sender_restricted",
            _ => continue,
        };
        let just_before = event.at_ms - 15 * MINUTE..=event.at_ms;
        let told = |trouble: &&&Event| trouble.name == brings && just_before.contains(&trouble.at_ms);
        assert!(troubles[word(event, "senderId")].iter().any(|trouble| told(&trouble)), "{event:?}");
        assert!(!is(event, "final"), "another account tries again: {event:?}");
    }
    assert!(classes.len() >= 13, "{classes:?}");
    let given_up = named("message_failed").filter(|event| is(event, "final")).count();
    assert!(given_up > 0 && given_up < named("message_failed").count());
}

#[test]
fn a_pause_is_told_once_a_sender() {
    let mut last: HashMap<(&str, bool), i64> = HashMap::new();
    let mut absorbed = 0;
    for event in named("sender_flood_wait") {
        let holds_up_messages = word(event, "method").contains("end");
        let end = last.entry((word(event, "senderId"), holds_up_messages)).or_default();
        assert!(event.at_ms >= *end || !holds_up_messages, "{event:?}");
        *end = event.at_ms + integer(event, "waitS") * 1_000;
        absorbed += usize::from(is(event, "absorbed"));
    }
    assert!(absorbed > 10);
    let kinds: BTreeSet<_> = named("sender_flood_wait").map(|event| word(event, "kind")).collect();
    assert!(kinds.is_superset(&BTreeSet::from(["bot_429", "flood", "premium"])), "{kinds:?}");
}

#[test]
fn posts_gain_views_as_real_ones_do() {
    for (post, samples) in grouped(&["post_stats_sampled"], "postId") {
        let mut chats: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for sample in samples {
            chats.entry(word(sample, "groupId")).or_default().push(sample);
        }
        for samples in chats.values() {
            assert!(samples.is_sorted_by_key(|sample| integer(sample, "views")), "{post}");
        }
    }
    let views_at = |from: i64, until: i64| {
        let samples = named("post_stats_sampled").filter(|event| (from..until).contains(&integer(event, "ageMinutes")));
        samples.filter_map(|event| number(event, "views")).sum::<f64>()
    };
    let (hour, day, three_days) = (views_at(60, 70), views_at(1_430, 1_441), views_at(4_320, 4_330));
    assert!((0.4..0.6).contains(&(day / (three_days / 0.74))), "half after a day");
    assert!(hour < day / 3.0 && day < three_days);
    assert_eq!(views_at(70, 1_430) + views_at(1_441, 4_320), 0.0);
    assert!(named("post_published").any(|event| integer_or_none(event, "mediaCount").is_some_and(|count| count > 1)));
    assert!(named("post_published").all(|event| has(event, "mediaCount") == has(event, "mediaGroupId")));
    assert!(named("post_stats_sampled").any(|event| is(event, "isForwardedCopy")));
}

fn integer_or_none(event: &Event, key: &str) -> Option<i64> {
    has(event, key).then(|| integer(event, key))
}

#[test]
fn members_move_by_joins_and_leaves_and_a_small_gap() {
    let mut gaps = 0;
    for (group, events) in grouped(&["group_stats_sampled", "member_joined", "member_left"], "groupId") {
        let mut known: Option<i64> = None;
        let mut gap = 0;
        for event in &events {
            match event.name {
                "member_joined" => known = known.map(|members| members + 1),
                "member_left" => known = known.map(|members| members - 1),
                _ => {
                    let members = integer(event, "members");
                    gap += known.map_or(0, |known| (known - members).abs());
                    known = Some(members);
                }
            }
        }
        let members = known.unwrap_or(0);
        assert!(gap <= 5 + members / 50, "{group}: {gap} of {members}");
        gaps += gap;
    }
    assert!(gaps > 0);
    let kinds: BTreeSet<_> = named("group_stats_sampled").map(|event| word(event, "kind")).collect();
    assert_eq!(kinds, BTreeSet::from(["channel", "group", "supergroup"]));
}

#[test]
fn who_leaves_has_the_link_and_campaign_of_the_join() {
    let joins: HashMap<_, _> = named("member_joined").map(|event| (word(event, "memberHash"), event)).collect();
    let clickers: HashSet<_> = named("link_clicked").map(|event| word(event, "clickerHash")).collect();
    assert!(joins.keys().all(|member| !clickers.contains(member)));
    let mut left_in_a_day = 0;
    let mut followed = 0;
    for event in named("member_left") {
        assert!(["left", "kicked", "subscription_ended", "unknown"].contains(&word(event, "reason")));
        let Some(join) = joins.get(word(event, "memberHash")) else { continue };
        followed += 1;
        for key in ["inviteLinkId", "placementId", "campaignId", "variantId"] {
            assert_eq!(text(event, key), text(join, key), "{key}: {event:?}");
        }
        assert_eq!(integer(event, "daysSinceJoin"), (event.at_ms - join.at_ms) / DAY);
        left_in_a_day += usize::from(has(event, "campaignId") && integer(event, "daysSinceJoin") == 0);
    }
    assert!(followed > 100 && left_in_a_day > 20);
    for event in named("member_joined") {
        assert_eq!(has(event, "campaignId"), has(event, "inviteLinkId"), "{event:?}");
        assert!(!has(event, "inviteLinkId") || says(event, "source", "invite_link"));
    }
    assert!(named("member_joined").any(|event| is(event, "viaJoinRequest")));
}

#[test]
fn a_placement_has_a_price_a_post_clicks_joins_and_leaves() {
    let names =
        ["cost_recorded", "post_published", "post_stats_sampled", "link_clicked", "member_joined", "member_left"];
    let mut whole = 0;
    for (placement, events) in grouped(&names, "placementId") {
        let Some(post) = events.iter().find(|event| event.name == "post_published") else { continue };
        if post.at_ms > month()[month().len() - 1].at_ms - 8 * DAY {
            continue;
        }
        let of = |name: &str| events.iter().filter(|event| event.name == name).count();
        assert_eq!((of("post_published"), of("post_stats_sampled")), (1, 3), "{placement}");
        assert!(of("cost_recorded") <= 1 && of("link_clicked") > of("member_joined"), "{placement}");
        assert!(of("member_joined") > 0, "{placement}");
        for event in &events {
            assert_eq!(text(event, "campaignId"), text(post, "campaignId"));
            assert!(event.name != "cost_recorded" || says(event, "kind", "placement"));
            assert!(event.name != "link_clicked" || text(event, "postId") == text(post, "postId"));
        }
        whole += usize::from(of("member_left") > 0);
    }
    assert!(whole > 20, "{whole} placements");
    assert!(named("link_clicked").any(|event| has(event, "placementId") && is(event, "botSuspected")));
    let kinds: BTreeSet<_> = named("cost_recorded").map(|event| word(event, "kind")).collect();
    assert_eq!(kinds, BTreeSet::from(["accounts", "ads", "other", "placement", "proxy"]));
}

#[test]
fn the_pools_samples_agree_with_what_befalls_the_senders() {
    let names = [
        "sender_stats_sampled",
        "sender_restricted",
        "sender_session_lost",
        "sender_banned",
        "sender_recovered",
        "message_sent",
    ];
    let mut states = BTreeSet::new();
    for (sender, events) in grouped(&names, "senderId") {
        let mut expected = None;
        for event in &events {
            match event.name {
                "sender_restricted" if says(event, "kind", "frozen") => expected = Some("frozen"),
                "sender_restricted" => expected = Some("limited"),
                "sender_session_lost" => expected = Some("logged_out"),
                "sender_banned" => expected = Some("banned"),
                "sender_recovered" => expected = Some("active"),
                "sender_stats_sampled" => {
                    let state = word(event, "state");
                    assert_eq!(state, expected.unwrap_or(state), "{event:?}");
                    states.insert(state);
                    let limit = integer_or_none(event, "dailyLimit").unwrap_or(i64::MAX);
                    assert!(integer(event, "sentToday") <= limit, "{event:?}");
                }
                // An account that is limited can still write back.
                _ if event.session_id.is_none() && expected == Some("limited") => {}
                _ => assert!(expected.is_none_or(|state| state == "active"), "{sender} sends while {expected:?}"),
            }
        }
    }
    assert_eq!(states, BTreeSet::from(["active", "banned", "frozen", "limited", "logged_out"]));
}

#[test]
fn replies_have_a_meaning_and_some_wait_for_an_answer() {
    let mut answered = 0;
    let mut waiting = 0;
    let sent = grouped(&["message_sent"], "$userId");
    for reply in named("reply_received").filter(|event| says(event, "audience", "person")) {
        let intent = word(reply, "intent");
        assert_eq!(intent == "stop", says(reply, "sentiment", "negative") && intent != "complaint");
        let messages = sent.get(word(reply, "$userId")).map_or(&[][..], Vec::as_slice);
        let is_answered = messages.iter().any(|message| message.at_ms > reply.at_ms && message.session_id.is_none());
        assert!(!(intent == "stop" && is_answered && says(reply, "senderKind", "user")), "{reply:?}");
        if is_answered { answered += 1 } else { waiting += 1 }
    }
    assert!(answered > waiting / 2 && waiting > 50, "{answered} answered, {waiting} waiting");
}

#[test]
fn money_comes_in_two_currencies_and_stars() {
    let currencies: BTreeSet<_> = named("conversion_recorded").map(|event| word(event, "currency")).collect();
    assert_eq!(currencies, BTreeSet::from(["RUB", "USD", "XTR"]));
    for event in named("conversion_recorded") {
        let (value, margin) = (number(event, "value").expect("a value"), number(event, "margin").expect("a margin"));
        assert_eq!(says(event, "goal", "refund"), value < 0.0, "{event:?}");
        assert!(margin.abs() <= value.abs() && margin * value >= 0.0, "{event:?}");
    }
    assert!(named("conversion_recorded").any(|event| says(event, "goal", "refund")));
    let starts = named("campaign_started").filter(|event| has(event, "budget"));
    assert!(starts.filter(|event| has(event, "currency")).count() > 200);
}

#[test]
fn a_group_that_migrates_goes_on_under_its_new_id() {
    let mut whole = 0;
    for change in named("group_changed").filter(|event| says(event, "change", "migrated")) {
        let (old, new) = (word(change, "groupId"), word(change, "newGroupId"));
        assert!(!old.starts_with("-100") && new.starts_with("-100"));
        let of = |name: &str, group: &str| {
            named(name).filter(|event| says(event, "groupId", group)).map(|event| event.at_ms).collect::<Vec<_>>()
        };
        for name in ["group_stats_sampled", "message_sent"] {
            assert!(of(name, old).iter().all(|at_ms| *at_ms < change.at_ms), "{name}");
            assert!(of(name, new).iter().all(|at_ms| *at_ms >= change.at_ms), "{name}");
        }
        let seen = |name| of(name, old).len().min(of(name, new).len());
        whole += usize::from(seen("message_sent") > 2 && seen("group_stats_sampled") > 24);
    }
    assert!(whole >= 3, "{whole} migrations");
}

#[test]
fn every_group_is_a_dialog_of_the_bot_api() {
    for event in month() {
        let Some(group) = text(event, "groupId") else { continue };
        assert!(group.starts_with('-') && group.parse::<i64>().is_ok_and(|id| id < 0), "{event:?}");
    }
    // Groups are sampled every hour.
    assert!(
        named("group_stats_sampled").zip(named("group_stats_sampled").skip(1)).all(|(a, b)| b.at_ms - a.at_ms < HOUR)
    );
}
