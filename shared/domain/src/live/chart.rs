//! Numbers for everybody who follows them over the same time: what was told last, and what has changed since.

use serde_json::{Map, Value};

use super::{Changed, Differences, Frame, Head, frame};
use crate::time::EpochMillis;

/// A question that is answered again whenever something has come.
#[derive(Debug, Default)]
pub struct Chart {
    seq: i64,
    answer: Option<Value>,
    /// Whether those who follow were told that no frame can hold the answer. They get no deltas then: some of them have nothing
    /// that a delta could change.
    is_too_large: bool,
}

impl Chart {
    /// Takes note of where the stream stands. If another process has told something since, all is to be told anew.
    pub fn resume(&mut self, head: &Head) {
        if self.seq != head.seq || self.is_too_large != head.is_too_large {
            *self = Self { seq: head.seq, answer: None, is_too_large: head.is_too_large };
        }
    }

    /// Where the stream stands now.
    #[must_use]
    pub fn head(&self, before: &Head, now: EpochMillis) -> Head {
        let at = if self.seq == before.seq { before.at } else { now };
        Head { seq: self.seq, at, is_too_large: self.is_too_large, ..before.clone() }
    }

    /// Takes an answer, as `GET /api/metrics/{id}/data` or `POST /api/query` gives it; the frame that tells what is new in it, if
    /// anything is. An answer that no frame can hold is announced once, as an error.
    pub fn update(&mut self, stream: &str, answer: Value, now: EpochMillis) -> Option<String> {
        let changed = match &self.answer {
            None => Some(None),
            Some(before) => changed(before, &answer),
        };
        self.answer = Some(answer);
        let changed = changed?;
        let (was_too_large, seq) = (self.is_too_large, self.seq);
        self.seq = (self.seq + 1).max(now * 1_000);
        let whole = self.whole(stream);
        self.is_too_large = whole.is_none();
        if whole.is_none() {
            // No frame of this number is sent, so nobody can miss it.
            self.seq = seq;
            return (!was_too_large).then(|| too_large(stream));
        }
        let delta = changed
            .filter(|_| !was_too_large)
            .map(|changed| Frame::Delta { stream, seq: self.seq, as_of: self.as_of(), changed }.to_json());
        delta.filter(|text| text.len() <= frame::BYTES).or(whole)
    }

    /// Everything as it was told last, if it was.
    #[must_use]
    pub fn snapshot(&self, stream: &str) -> Option<String> {
        self.answer.as_ref()?;
        Some(self.whole(stream).unwrap_or_else(|| too_large(stream)))
    }

    /// The answer in a frame, if one can hold it.
    fn whole(&self, stream: &str) -> Option<String> {
        let data = self.answer.as_ref()?;
        let text = Frame::Chart { stream, seq: self.seq, as_of: self.as_of(), data }.to_json();
        (text.len() <= frame::BYTES).then_some(text)
    }

    fn as_of(&self) -> String {
        let as_of = |answer: &Value| {
            answer["asOf"].as_str().or_else(|| answer["results"][0]["asOf"].as_str()).map(str::to_owned)
        };
        self.answer.as_ref().and_then(as_of).unwrap_or_default()
    }
}

fn too_large(stream: &str) -> String {
    let detail =
        "the answer has too many points for a frame: ask for a longer interval, a shorter period or fewer groups";
    Frame::StreamError { stream, code: "too_large", detail }.to_json()
}

/// What differs, as it is now; `Some(None)` if that is no way to tell it, and none if nothing does.
fn changed(before: &Value, now: &Value) -> Option<Option<Changed>> {
    let (Some(old), Some(new)) = (before["results"].as_array(), now["results"].as_array()) else {
        let series = differences(before, now)?;
        return Some(series.map(|series| Changed::One(Differences { series })));
    };
    let mut results = Vec::new();
    for (old, new) in old.iter().zip(new) {
        match differences(old, new) {
            None => results.push(Differences::default()),
            Some(None) => return Some(None),
            Some(Some(series)) => results.push(Differences { series }),
        }
    }
    let is_same = results.iter().all(|one| one.series.is_empty());
    if is_same { None } else { Some(Some(Changed::Several { results })) }
}

/// The series of one answer with the points that differ; as [`changed`].
fn differences(before: &Value, now: &Value) -> Option<Option<Vec<Value>>> {
    let empty = Vec::new();
    let series = |answer: &'_ Value| answer["series"].as_array().cloned().unwrap_or_default();
    let (old, new) = (series(before), series(now));
    let points = |series: &Value| series["points"].as_array().cloned().unwrap_or_default();
    let is_alike = before["warnings"] == now["warnings"]
        && old.len() == new.len()
        && old.iter().zip(&new).all(|(old, new)| {
            let times =
                |series: &Value| points(series).into_iter().map(|point| point["time"].clone()).collect::<Vec<_>>();
            old["key"] == new["key"]
                && old["other"] == new["other"]
                && times(old) == times(new)
                && old["previous"]["points"] == new["previous"]["points"]
        });
    if !is_alike {
        return Some(None);
    }
    let mut all = Vec::new();
    for (old, new) in old.iter().zip(&new) {
        if old == new {
            continue;
        }
        let mut one: Map<String, Value> = new.as_object().cloned().unwrap_or_default();
        let before = old["points"].as_array().unwrap_or(&empty);
        let differ = points(new).into_iter().zip(before).filter(|(new, old)| new != *old).map(|(new, _)| new);
        one.insert("points".to_owned(), differ.collect());
        if let Some(Value::Object(previous)) = one.get_mut("previous") {
            // What was before has not changed; how it compares may have.
            previous.remove("points");
        }
        all.push(Value::Object(one));
    }
    if all.is_empty() { None } else { Some(Some(all)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(values: &[(&str, f64)], key: &str) -> Value {
        let points: Vec<Value> = values.iter().map(|(time, value)| json!({"time": time, "value": value})).collect();
        let total: f64 = values.iter().map(|(_, value)| value).sum();
        json!({"asOf": "2026-11-24T09:30:00.000Z", "series": [{"key": {"campaignId": key}, "total": total, "points": points}]})
    }

    fn parsed(frame: Option<String>) -> Value {
        frame.map_or(Value::Null, |frame| serde_json::from_str(&frame).expect("is JSON"))
    }

    #[test]
    fn what_differs_is_told_as_it_is_now() {
        let mut chart = Chart::default();
        let first = parsed(chart.update("metrics/m", answer(&[("a", 1.0), ("b", 2.0)], "c"), 1_000));
        assert_eq!((&first["type"], &first["data"]["series"][0]["total"]), (&json!("snapshot"), &json!(3.0)));
        let delta = parsed(chart.update("metrics/m", answer(&[("a", 1.0), ("b", 5.0)], "c"), 1_000));
        assert_eq!(delta["type"], "delta");
        assert_eq!(
            delta["series"],
            json!([{"key": {"campaignId": "c"}, "total": 6.0, "points": [{"time": "b", "value": 5.0}]}])
        );
        assert!(delta["seq"].as_i64() > first["seq"].as_i64());
        assert_eq!(chart.update("metrics/m", answer(&[("a", 1.0), ("b", 5.0)], "c"), 1_001), None);
        // Another process has told something meanwhile.
        chart.resume(&Head { seq: 5_000_000, ..Head::new(0) });
        let whole = parsed(chart.update("metrics/m", answer(&[("a", 1.0), ("b", 5.0)], "c"), 1_002));
        assert_eq!((&whole["type"], &whole["seq"]), (&json!("snapshot"), &json!(5_000_001)));
    }

    #[test]
    fn other_times_and_other_groups_are_told_as_a_whole() {
        let mut chart = Chart::default();
        chart.update("metrics/m", answer(&[("a", 1.0)], "c"), 1_000);
        assert_eq!(parsed(chart.update("metrics/m", answer(&[("b", 1.0)], "c"), 1_001))["type"], "snapshot");
        assert_eq!(parsed(chart.update("metrics/m", answer(&[("b", 1.0)], "d"), 1_002))["type"], "snapshot");
        let mut warned = answer(&[("b", 2.0)], "d");
        warned["warnings"] = json!([{"code": "over_100_percent", "detail": ""}]);
        assert_eq!(parsed(chart.update("metrics/m", warned, 1_003))["type"], "snapshot", "a delta has no warnings");
    }

    #[test]
    fn of_several_answers_those_that_differ_are_told() {
        let both =
            |one: f64, other: f64| json!({"results": [answer(&[("a", one)], "c"), answer(&[("a", other)], "c")]});
        let mut chart = Chart::default();
        let first = parsed(chart.update("query/q", both(1.0, 2.0), 1_000));
        assert_eq!((&first["type"], &first["asOf"]), (&json!("snapshot"), &json!("2026-11-24T09:30:00.000Z")));
        assert_eq!(chart.update("query/q", both(1.0, 2.0), 1_001), None);
        let delta = parsed(chart.update("query/q", both(1.0, 5.0), 1_002));
        assert_eq!(
            (&delta["results"][0]["series"], &delta["results"][1]["series"][0]["total"]),
            (&json!([]), &json!(5.0))
        );
    }

    /// An answer of one series with a key of so many bytes.
    fn wide(value: f64, bytes: usize) -> Value {
        answer(&[("a", value)], &"x".repeat(bytes))
    }

    #[test]
    fn after_an_answer_that_no_frame_can_hold_there_are_no_deltas_until_a_snapshot() {
        let mut chart = Chart::default();
        assert_eq!(parsed(chart.update("metrics/m", wide(1.0, 40), 1_000))["type"], "snapshot");
        let (told, before) = (chart.seq, Head { seq: chart.seq, ..Head::new(0) });
        let error = parsed(chart.update("metrics/m", wide(1.0, 40_000), 1_001));
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("too_large")));
        assert_eq!(chart.update("metrics/m", wide(2.0, 40_000), 1_002), None, "it was said once");
        assert_eq!(parsed(chart.snapshot("metrics/m"))["code"], "too_large", "who comes now is told too");
        assert_eq!(chart.head(&before, 1_002), Head { is_too_large: true, ..before.clone() }, "no frame was missed");
        // Another process goes on.
        let mut other = Chart { seq: told, answer: Some(wide(1.0, 40)), is_too_large: false };
        other.resume(&chart.head(&before, 1_002));
        assert_eq!(other.update("metrics/m", wide(2.0, 40_001), 1_003), None, "it was said once");
        for chart in [&mut chart, &mut other] {
            let whole = parsed(chart.update("metrics/m", wide(3.0, 40), 1_004));
            assert_eq!((&whole["type"], &whole["seq"]), (&json!("snapshot"), &json!(1_004_000)));
            assert_eq!(parsed(chart.update("metrics/m", wide(4.0, 40), 1_005))["type"], "delta");
        }
    }

    #[test]
    fn every_frame_of_numbers_fits_or_is_an_error() {
        use proptest::prelude::*;
        let answers = prop::collection::vec((0_usize..60_000, 0_u8..3, any::<bool>()), 1..12);
        proptest!(|(answers in answers)| {
            let (mut chart, mut is_known) = (Chart::default(), false);
            for (at, (bytes, value, is_short)) in answers.into_iter().enumerate() {
                let answer = wide(value.into(), if is_short { bytes % 100 } else { bytes });
                let Some(frame) = chart.update("metrics/m", answer, i64::try_from(at).expect("is small")) else { continue };
                prop_assert!(frame.len() <= 32 * 1024);
                let frame: Value = serde_json::from_str(&frame).expect("is JSON");
                match frame["type"].as_str() {
                    Some("snapshot") => is_known = true,
                    Some("error") => is_known = false,
                    _ => prop_assert!(is_known, "a delta of nothing"),
                }
            }
        });
    }
}
