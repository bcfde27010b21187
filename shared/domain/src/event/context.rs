//! What an event says of its sender: `context`, by which a server sends for its users.

use std::{borrow::Cow, fmt, net::IpAddr};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    accept::Problems,
    fields::{optional, text},
    limits,
    names::{Unknown, field_name},
    normal::nfc_cow,
    rejection::{Code, Rejection},
    sealed::OwnContext,
};

pub(super) const FIELDS: [&str; 3] = ["ip", "userAgent", "locale"];

/// Reads `context`. What it lacks, or has as null or an empty string, is empty.
pub(super) fn read<'a>(raw: Option<&'a RawValue>, problems: &mut Problems) -> OwnContext<'a> {
    let mut own = OwnContext::default();
    let Some(raw) = optional(raw) else { return own };
    let fields = match Members.deserialize(&mut serde_json::Deserializer::from_str(raw.get())) {
        Ok(fields) => fields,
        Err(_) => {
            let detail = "must be an object of ip, userAgent and locale";
            problems.add(Rejection::new(Code::InvalidType, "/context", detail));
            return own;
        }
    };
    if let Some(unknown) = fields.unknown {
        let otherwise = "; anything else belongs in properties";
        problems.add(unknown.refuse("/context", "context has", &FIELDS, otherwise));
    }
    let [address, user_agent, locale] = fields.values;
    own.ip = problems.take(field(address, "/context/ip", ip)).unwrap_or_default();
    own.user_agent = problems.take(field(user_agent, "/context/userAgent", checked_user_agent)).unwrap_or_default();
    own.locale = problems.take(field(locale, "/context/locale", checked_locale)).unwrap_or_default();
    own
}

type Check = for<'a> fn(Cow<'a, str>) -> Result<Cow<'a, str>, (Code, String)>;

fn field<'a>(raw: Option<&'a RawValue>, pointer: &str, check: Check) -> Result<Cow<'a, str>, Rejection> {
    let Some(raw) = optional(raw) else { return Ok(Cow::Borrowed("")) };
    let text = text(raw).map_err(|problem| Rejection { pointer: pointer.to_owned(), ..problem })?;
    if text.is_empty() {
        return Ok(text);
    }
    check(text).map_err(|(code, detail)| Rejection::new(code, pointer, detail))
}

/// An address in its one form; an IPv4 address that a program wrote as IPv6 (`::ffff:203.0.113.9`) is one of IPv4.
fn ip(text: Cow<'_, str>) -> Result<Cow<'_, str>, (Code, String)> {
    let address: IpAddr = text.parse().map_err(|_| {
        (
            Code::InvalidIp,
            "must be an IPv4 or IPv6 address, such as 203.0.113.9 or 2001:db8::1, without a port".to_owned(),
        )
    })?;
    let address = address.to_canonical().to_string();
    Ok(if address == text { text } else { Cow::Owned(address) })
}

fn checked_user_agent(text: Cow<'_, str>) -> Result<Cow<'_, str>, (Code, String)> {
    let text = nfc_cow(text);
    if text.chars().count() > limits::USER_AGENT_CHARS {
        return Err((Code::TooLong, format!("has at most {} characters", limits::USER_AGENT_CHARS)));
    }
    if text.chars().any(char::is_control) {
        return Err((Code::InvalidCharacter, "must not hold control characters".to_owned()));
    }
    Ok(text)
}

/// A language tag by its outline (BCP 47): subtags of one to eight letters and digits, the first of letters only. Programs
/// that write `zh_CN` mean `zh-CN`.
fn checked_locale(text: Cow<'_, str>) -> Result<Cow<'_, str>, (Code, String)> {
    let text = if text.contains('_') { Cow::Owned(text.replace('_', "-")) } else { text };
    let mut subtags = text.split('-');
    let is_language = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_subtag = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if text.len() <= limits::LOCALE_CHARS && subtags.next().is_some_and(is_language) && subtags.all(is_subtag) {
        return Ok(text);
    }
    let detail =
        format!("must be a language tag (BCP 47) of at most {} characters, such as zh-CN", limits::LOCALE_CHARS);
    Err((Code::InvalidLocale, detail))
}

/// The members of `context`, each still JSON text.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<&'a RawValue>; FIELDS.len()],
    /// The first that does not belong there.
    unknown: Option<Unknown>,
}

struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key_seed(Key)? {
            match key {
                Ok(index) => fields.values[index] = Some(map.next_value()?),
                Err(unknown) => {
                    map.next_value::<IgnoredAny>()?;
                    fields.unknown.get_or_insert(unknown);
                }
            }
        }
        Ok(fields)
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Result<usize, Unknown>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let index = |name: &[u8]| FIELDS.iter().position(|field| field.as_bytes() == name);
        field_name(deserializer, |name| index(name).ok_or_else(|| Unknown::new(name)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        account::AccountId,
        event::{Arrival, Context, Outcome, SealedBatch, accept, open, parse_batch, parse_lines, seal},
    };

    const NOW: i64 = 1_795_512_600_000;

    fn arrival() -> Arrival {
        Arrival {
            ip: "198.51.100.1".to_owned(),
            user_agent: "server/1.0".to_owned(),
            locale: "en".to_owned(),
            ..Arrival::new(AccountId::stored("shop"), NOW, 400)
        }
    }

    /// What the store and watchers are told of the sender of each event, after sealing and opening.
    fn contexts(events: &str, check: impl FnOnce(&[Context<'_>])) {
        let (drafts, arrival) = (parse_batch(events.as_bytes()).expect("is a batch"), arrival());
        let Outcome { batch, rejections } = accept(&drafts, &arrival);
        assert!(rejections.is_empty(), "{rejections:?}");
        let bytes = open(&seal(batch).expect("seals")[0]).expect("opens");
        let batch = SealedBatch::from_bytes(&bytes).expect("reads");
        let contexts: Vec<Context> = batch.events.iter().map(|event| batch.context_of(event)).collect();
        check(&contexts);
    }

    const REQUEST: Context<'static> =
        Context { ip: "198.51.100.1", user_agent: "server/1.0", locale: "en", clock_skew_ms: None };

    #[test]
    fn what_an_event_lacks_is_taken_from_the_request() {
        let events = r#"[{"eventName":"a"}, {"eventName":"a","context":null}, {"eventName":"a","context":{}},
            {"eventName":"a","context":{"ip":null,"userAgent":"","locale":null}},
            {"eventName":"a","context":{"ip":"198.51.100.1","userAgent":"server/1.0","locale":"en"}},
            {"eventName":"a","context":{"locale":"zh-CN"}},
            {"eventName":"a","context":{"ip":"203.0.113.9","userAgent":"x","locale":"zh_Hant_TW"}}]"#;
        contexts(events, |contexts| {
            assert_eq!(contexts[..5], [REQUEST; 5]);
            assert_eq!(contexts[5], Context { locale: "zh-CN", ..REQUEST });
            let own = Context { ip: "203.0.113.9", user_agent: "x", locale: "zh-Hant-TW", ..REQUEST };
            assert_eq!(contexts[6], own);
        });
    }

    #[test]
    fn an_address_has_one_form() {
        for (text, one) in [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("::FFFF:203.0.113.9", "203.0.113.9"),
            ("::1", "::1"),
        ] {
            contexts(&format!(r#"[{{"eventName":"a","context":{{"ip":"{text}"}}}}]"#), |contexts| {
                assert_eq!(contexts[0], Context { ip: one, ..REQUEST });
            });
        }
    }

    #[test]
    fn the_clock_of_an_event_counts_before_that_of_its_request() {
        let events = format!(
            r#"{{"sentAt":{},"events":[{{"eventName":"a"}},{{"eventName":"a","sentAt":{}}},{{"eventName":"a","sentAt":null}}]}}"#,
            NOW - 2_000,
            NOW - 7
        );
        contexts(&events, |contexts| {
            let skews: Vec<Option<i64>> = contexts.iter().map(|context| context.clock_skew_ms).collect();
            assert_eq!(skews, [Some(2_000), Some(7), Some(2_000)]);
        });
        let lines = format!("{{\"eventName\":\"a\",\"sentAt\":{}}}\n{{\"eventName\":\"a\"}}", NOW - 7);
        let (drafts, arrival) = (parse_lines(lines.as_bytes()).expect("are lines"), arrival());
        let batch = accept(&drafts, &arrival).batch;
        let skews: Vec<_> = batch.events.iter().map(|event| batch.context_of(event).clock_skew_ms).collect();
        assert_eq!(skews, [Some(7), None]);
    }

    proptest! {
        /// Every address and every ordinary language tag is taken, and comes out as it is written when it is sent again.
        #[test]
        fn takes_every_address_and_language(address: IpAddr, locale in "[a-zA-Z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2}|-[0-9]{3})?") {
            let event = |ip: &str| format!(r#"[{{"eventName":"a","context":{{"ip":"{ip}","locale":"{locale}"}}}}]"#);
            contexts(&event(&address.to_string()), |once| {
                assert_eq!(once[0].ip.parse(), Ok(address.to_canonical()));
                assert_eq!(once[0].locale, locale);
                contexts(&event(once[0].ip), |again| assert_eq!(again, once));
            });
        }
    }
}
