//! Answers as comma-separated values (RFC 4180): a row for each point, or for each series where only totals were asked for.

use crate::encode::{AnswerOut, PointOut, SeriesOut};

/// The answer as a table that spreadsheets open.
#[must_use]
pub fn csv(answer: &AnswerOut) -> String {
    let compared = answer.series.iter().any(|series| series.previous.is_some());
    // Spreadsheets take UTF-8 for what it is only behind this mark.
    let mut text = "\u{feff}time".to_owned();
    for name in &answer.group_by {
        field(&mut text, name);
    }
    text += if compared { ",value,reason,previous\r\n" } else { ",value,reason\r\n" };
    for series in &answer.series {
        let previous = |place: usize| {
            let points = series.previous.as_ref().map(|previous| previous.points.as_slice()).unwrap_or_default();
            points.get(place).and_then(|point| point.value)
        };
        for (place, point) in series.points.iter().enumerate() {
            row(&mut text, answer, series, point, compared.then(|| previous(place)));
        }
        if series.points.is_empty() {
            let total = PointOut { time: "total".to_owned(), value: series.total.total, reason: series.total.reason };
            let before = series.previous.as_ref().and_then(|previous| previous.total.total);
            row(&mut text, answer, series, &total, compared.then_some(before));
        }
    }
    text
}

fn row(text: &mut String, answer: &AnswerOut, series: &SeriesOut, point: &PointOut, previous: Option<Option<f64>>) {
    text.push_str(&point.time);
    for name in &answer.group_by {
        match (series.other, series.key.get(name)) {
            (true, _) => field(text, "(other)"),
            (false, value) => field(text, value.and_then(Option::as_deref).unwrap_or_default()),
        }
    }
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    text.push(',');
    text.push_str(&number(point.value));
    text.push(',');
    if let Some(reason) = point.reason {
        text.push_str(reason.name());
    }
    if let Some(previous) = previous {
        text.push(',');
        text.push_str(&number(previous));
    }
    text.push_str("\r\n");
}

/// A comma and a text behind it. What a spreadsheet would take for a formula is kept from being one.
fn field(text: &mut String, value: &str) {
    text.push(',');
    let value = match value.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{value}"),
        false => value.to_owned(),
    };
    if value.contains([',', '"', '\n', '\r']) {
        text.push('"');
        text.push_str(&value.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(&value);
    }
}
