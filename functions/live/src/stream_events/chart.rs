//! Numbers for everybody who follows them over the same time: the last answers, and what has changed since.

use analytics_answers::{Answer, Change, Series, changes};
use analytics_domain::{
    live::{Changed, Differences, FRAME_BYTES, Frame, Head, Stream},
    time::{self, EpochMillis},
};
use analytics_questions::{AnswerOut, SeriesOut};
use serde_json::{Value, json};

/// A question that is answered again whenever something has come.
#[derive(Debug, Default)]
pub struct Chart {
    seq: i64,
    /// One for each query.
    answers: Option<Vec<Answer>>,
    /// Whether subscribers have received the error that no frame can hold the answer. They get no deltas then: some of them have
    /// nothing that a delta could change.
    is_too_large: bool,
}

impl Chart {
    /// Takes note of where the stream stands. If another process has sent something since, the next frame is a snapshot.
    pub fn resume(&mut self, head: &Head) {
        if self.seq != head.seq || self.is_too_large != head.is_too_large {
            *self = Self { seq: head.seq, answers: None, is_too_large: head.is_too_large };
        }
    }

    /// Where the stream stands now.
    #[must_use]
    pub fn head(&self, before: &Head, now: EpochMillis) -> Head {
        let mut head = before.clone();
        if self.seq != before.seq {
            head.at = now;
        }
        (head.seq, head.is_too_large) = (self.seq, self.is_too_large);
        head
    }

    /// Takes the answers of now; the frame with what is new in them, if anything is. Answers that no frame can hold are announced
    /// once, as an error.
    pub fn update(&mut self, stream: &Stream, answers: Vec<Answer>, now: EpochMillis) -> Option<String> {
        let change = self.answers.as_ref().map_or(Change::Everything, |before| changes(before, &answers));
        self.answers = Some(answers);
        if change == Change::Nothing {
            return None;
        }
        let (was_too_large, seq) = (self.is_too_large, self.seq);
        self.seq = (self.seq + 1).max(now * 1_000);
        let whole = self.whole(stream);
        self.is_too_large = whole.is_none();
        if whole.is_none() {
            // No frame of this number is sent, so nobody can miss it.
            self.seq = seq;
            return (!was_too_large).then(|| too_large(stream));
        }
        let delta = match &change {
            Change::Series(series) if !was_too_large => Some(self.delta(stream, series)),
            _ => None,
        };
        delta.filter(|text| text.len() <= FRAME_BYTES).or(whole)
    }

    /// The last answers, if there are any.
    #[must_use]
    pub fn snapshot(&self, stream: &Stream) -> Option<String> {
        self.answers.as_ref()?;
        Some(self.whole(stream).unwrap_or_else(|| too_large(stream)))
    }

    /// The answers in a frame, if one can hold them.
    fn whole(&self, stream: &Stream) -> Option<String> {
        let answers = self.answers.as_deref()?;
        let mut all = answers.iter().map(|answer| value(&AnswerOut::from(answer)));
        let data = match stream {
            Stream::Query(_) => json!({"results": all.collect::<Vec<_>>()}),
            _ => all.next()?,
        };
        let text =
            Frame::Chart { stream: &stream.to_string(), seq: self.seq, as_of: self.as_of(), data: &data }.to_json();
        (text.len() <= FRAME_BYTES).then_some(text)
    }

    fn delta(&self, stream: &Stream, changed: &[Vec<Series>]) -> String {
        let answers = self.answers.as_deref().unwrap_or_default();
        let differences = |(answer, series): (&Answer, &Vec<Series>)| {
            let changed = series.iter().map(|series| value(&SeriesOut::changed(series, &answer.group_by)));
            Differences { series: changed.collect() }
        };
        let mut results: Vec<Differences> = answers.iter().zip(changed).map(differences).collect();
        let changed = match stream {
            Stream::Query(_) => Changed::Several { results },
            _ => Changed::One(results.pop().unwrap_or_default()),
        };
        Frame::Delta { stream: &stream.to_string(), seq: self.seq, as_of: self.as_of(), changed }.to_json()
    }

    fn as_of(&self) -> String {
        self.answers.iter().flatten().next().map_or_else(String::new, |answer| time::format(answer.as_of))
    }
}

/// Strings, numbers and lists of them are always JSON.
fn value(part: &impl serde::Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

fn too_large(stream: &Stream) -> String {
    let detail =
        "the answer has too many points for a frame: ask for a longer interval, a shorter period or fewer groups";
    Frame::StreamError { stream: &stream.to_string(), code: "too_large", detail }.to_json()
}

#[cfg(test)]
mod tests {
    use analytics_answers::{Key, Point, Source, Warning};
    use analytics_domain::metric::{Kind, buckets::Range};
    use serde_json::json;

    use super::*;

    fn head(seq: i64) -> Head {
        let mut head = Head::new(0);
        head.seq = seq;
        head
    }

    /// An answer of one series whose total is the sum of its points.
    fn answer(values: &[(i64, f64)], campaign: &str) -> Answer {
        let series = Series {
            key: Key::Group(vec![Some(campaign.to_owned())]),
            total: Ok(values.iter().map(|(_, value)| value).sum()),
            points: values.iter().map(|(time, value)| Point { time: *time, value: Ok(*value) }).collect(),
            previous: None,
        };
        Answer {
            metric_id: Some("m".to_owned()),
            name: "m".to_owned(),
            kind: Kind::Counter,
            unit: String::new(),
            range: Range { from: 0, to: 60_000 },
            interval: None,
            zone: "UTC".to_owned(),
            group_by: vec!["campaignId".to_owned()],
            compare: None,
            as_of: 1_795_512_600_000,
            source: Source::Events,
            currency: None,
            aliases: std::collections::BTreeMap::new(),
            series: vec![series],
            warnings: Vec::new(),
        }
    }

    fn metric() -> Stream {
        Stream::Metric("m".to_owned())
    }

    fn one(values: &[(i64, f64)], campaign: &str) -> Vec<Answer> {
        vec![answer(values, campaign)]
    }

    fn parsed(frame: Option<String>) -> Value {
        frame.map_or(Value::Null, |frame| serde_json::from_str(&frame).expect("is JSON"))
    }

    #[test]
    fn what_differs_is_told_as_it_is_now() {
        let mut chart = Chart::default();
        let first = parsed(chart.update(&metric(), one(&[(1, 1.0), (2, 2.0)], "c"), 1_000));
        assert_eq!((&first["type"], &first["data"]["series"][0]["total"]), (&json!("snapshot"), &json!(3.0)));
        let delta = parsed(chart.update(&metric(), one(&[(1, 1.0), (2, 5.0)], "c"), 1_000));
        assert_eq!(delta["type"], "delta");
        assert_eq!(
            delta["series"],
            json!([{"key": {"campaignId": "c"}, "total": 6.0, "points": [{"time": "1970-01-01T00:00:00.002Z", "value": 5.0}]}])
        );
        assert!(delta["seq"].as_i64() > first["seq"].as_i64());
        assert_eq!(chart.update(&metric(), one(&[(1, 1.0), (2, 5.0)], "c"), 1_001), None);
        // Another process has told something meanwhile.
        chart.resume(&head(5_000_000));
        let whole = parsed(chart.update(&metric(), one(&[(1, 1.0), (2, 5.0)], "c"), 1_002));
        assert_eq!((&whole["type"], &whole["seq"]), (&json!("snapshot"), &json!(5_000_001)));
    }

    #[test]
    fn other_times_and_other_groups_are_told_as_a_whole() {
        let mut chart = Chart::default();
        chart.update(&metric(), one(&[(1, 1.0)], "c"), 1_000);
        assert_eq!(parsed(chart.update(&metric(), one(&[(2, 1.0)], "c"), 1_001))["type"], "snapshot");
        assert_eq!(parsed(chart.update(&metric(), one(&[(2, 1.0)], "d"), 1_002))["type"], "snapshot");
        let mut warned = one(&[(2, 2.0)], "d");
        warned[0].warnings = vec![Warning { code: "over_100_percent", detail: String::new() }];
        assert_eq!(parsed(chart.update(&metric(), warned, 1_003))["type"], "snapshot", "a delta has no warnings");
    }

    #[test]
    fn of_several_answers_those_that_differ_are_told() {
        let both = |first: f64, second: f64| [one(&[(1, first)], "c"), one(&[(1, second)], "c")].concat();
        let mut chart = Chart::default();
        let first = parsed(chart.update(&Stream::Query("q".to_owned()), both(1.0, 2.0), 1_000));
        assert_eq!((&first["type"], &first["asOf"]), (&json!("snapshot"), &json!("2026-11-24T09:30:00.000Z")));
        assert_eq!(chart.update(&Stream::Query("q".to_owned()), both(1.0, 2.0), 1_001), None);
        let delta = parsed(chart.update(&Stream::Query("q".to_owned()), both(1.0, 5.0), 1_002));
        assert_eq!(
            (&delta["results"][0]["series"], &delta["results"][1]["series"][0]["total"]),
            (&json!([]), &json!(5.0))
        );
    }

    /// An answer of one series with a key of so many bytes.
    fn wide(value: f64, bytes: usize) -> Vec<Answer> {
        one(&[(1, value)], &"x".repeat(bytes))
    }

    #[test]
    fn after_an_answer_that_no_frame_can_hold_there_are_no_deltas_until_a_snapshot() {
        let mut chart = Chart::default();
        assert_eq!(parsed(chart.update(&metric(), wide(1.0, 40), 1_000))["type"], "snapshot");
        let (told, before) = (chart.seq, head(chart.seq));
        let error = parsed(chart.update(&metric(), wide(1.0, 40_000), 1_001));
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("too_large")));
        assert_eq!(chart.update(&metric(), wide(2.0, 40_000), 1_002), None, "it was said once");
        assert_eq!(parsed(chart.snapshot(&metric()))["code"], "too_large", "who comes now is told too");
        let mut after = before.clone();
        after.is_too_large = true;
        assert_eq!(chart.head(&before, 1_002), after, "no frame was missed");
        // Another process goes on.
        let mut other = Chart { seq: told, answers: Some(wide(1.0, 40)), is_too_large: false };
        other.resume(&chart.head(&before, 1_002));
        assert_eq!(other.update(&metric(), wide(2.0, 40_001), 1_003), None, "it was said once");
        for chart in [&mut chart, &mut other] {
            let whole = parsed(chart.update(&metric(), wide(3.0, 40), 1_004));
            assert_eq!((&whole["type"], &whole["seq"]), (&json!("snapshot"), &json!(1_004_000)));
            assert_eq!(parsed(chart.update(&metric(), wide(4.0, 40), 1_005))["type"], "delta");
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
                let Some(frame) = chart.update(&metric(), answer, i64::try_from(at).expect("is small")) else { continue };
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
