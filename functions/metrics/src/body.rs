//! The body of a request that defines a metric: the definition, and what the service itself says of a metric, so that what
//! `GET` gave can be sent back.

use analytics_domain::{
    account::AccountId,
    metric::{Definition, Metric, Problem},
    time,
};
use analytics_questions::other_account;
use serde_json::{Map, Value};

/// Characters of an id that an account chooses.
const ID_CHARS: usize = 120;

/// What may stand beside a definition. Three are held to what is stored; the service computes the others anew.
pub(crate) const BESIDE: [&str; 8] =
    ["metricId", "accountId", "createdAt", "updatedAt", "version", "builtIn", "resolved", "warnings"];

/// A body, read.
#[derive(Debug)]
pub(crate) struct Body {
    pub definition: Definition,
    /// The id that it says.
    pub metric_id: Option<String>,
}

impl Body {
    /// Reads the body of a request of this account about a metric, or about a new one.
    ///
    /// # Errors
    /// Names every field that makes no sense or differs from what cannot be changed.
    pub fn read(
        body: &Map<String, Value>,
        account_id: &AccountId,
        stored: Option<&Metric>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems: Vec<Problem> = other_account(body, account_id).into_iter().collect();
        let metric_id = match (text(body, "metricId"), stored) {
            (Ok(None), _) => None,
            (Ok(Some(id)), Some(stored)) if id == stored.id => Some(id.to_owned()),
            (_, Some(stored)) => {
                let detail = format!("is {} and stays so: leave it out, or send it as it is", stored.id);
                problems.push(Problem::new("/metricId", "read_only", detail));
                None
            }
            (Ok(Some(id)), None) => {
                problems.extend(check_id(id).err().map(|detail| Problem::new("/metricId", "invalid_value", detail)));
                Some(id.to_owned())
            }
            (Err(problem), None) => {
                problems.push(problem);
                None
            }
        };
        if let (Some(value), Some(stored)) = (body.get("createdAt").filter(|value| !value.is_null()), stored) {
            let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if time::parse(&said) != Some(stored.created_at) {
                let created_at = time::format(stored.created_at);
                let detail = format!("is {created_at} and stays so: leave it out, or send it as it is");
                problems.push(Problem::new("/createdAt", "read_only", detail));
            }
        }
        match Definition::from_json(body, &BESIDE) {
            Ok(definition) if problems.is_empty() => Ok(Self { definition, metric_id }),
            Ok(_) => Err(problems),
            Err(others) => {
                problems.extend(others);
                Err(problems)
            }
        }
    }
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, Problem> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::new(format!("/{name}"), "wrong_type", "must be a string")),
    }
}

/// Whether addresses, formulas and streams can hold this id.
fn check_id(id: &str) -> Result<(), String> {
    let is_long = id.chars().count() > ID_CHARS;
    let is_odd = |character: char| !(character.is_alphanumeric() || matches!(character, '_' | '-' | '.'));
    if is_long
        || id.contains(is_odd)
        || !id.starts_with(|character: char| character.is_alphanumeric() || character == '_')
    {
        return Err(format!(
            "an id has 1 to {ID_CHARS} letters and digits of any script, with `_`, `-` and `.` between: leave it out to have \
             one made of the name"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use analytics_domain::metric::Metrics;
    use serde_json::json;

    use super::*;

    fn read(change: &Value, stored: Option<&Metric>) -> Result<Body, Vec<(String, &'static str)>> {
        let mut body = json!({"name": "CTR", "type": "gauge", "formula": "clicked / sent", "dimensions": ["a"]});
        for (name, value) in change.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let body = Body::read(body.as_object().expect("is an object"), &AccountId::stored("shop"), stored);
        body.map_err(|problems| problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect())
    }

    fn stored() -> Metric {
        let roi = Metrics::new(Vec::new()).get("roi").expect("is built in").clone();
        Metric { id: "ctr".to_owned(), created_at: 1_795_512_600_000, ..roi }
    }

    #[test]
    fn the_schema_of_users_is_taken_with_its_id_and_account() {
        let body = read(&json!({"metricId": "m-1.a", "accountId": "shop", "unit": null, "filters": []}), None);
        assert_eq!(body.expect("makes sense").metric_id.as_deref(), Some("m-1.a"));
        assert_eq!(read(&json!({}), None).expect("makes sense").metric_id, None);
        for id in ["550e8400-e29b-41d4-a716-446655440000", "点击率", "_x", "7"] {
            assert!(read(&json!({"metricId": id}), None).is_ok(), "{id}");
        }
        for id in ["", "#revision", "a/b", "a b", "..", "-a", "a\u{0}", &"x".repeat(121)] {
            let refused = read(&json!({"metricId": id}), None).expect_err(id);
            assert_eq!(refused, [("/metricId".to_owned(), "invalid_value")], "{id}");
        }
        assert_eq!(read(&json!({"metricId": 7}), None).expect_err("7"), [("/metricId".to_owned(), "wrong_type")]);
    }

    #[test]
    fn an_account_other_than_the_tokens_is_refused() {
        let refused = read(&json!({"accountId": "Shop"}), None).expect_err("refused");
        assert_eq!(refused, [("/accountId".to_owned(), "account_mismatch")]);
        let refused = read(&json!({"accountId": ["shop"]}), None).expect_err("refused");
        assert_eq!(refused, [("/accountId".to_owned(), "wrong_type")]);
    }

    #[test]
    fn what_an_answer_shows_can_be_sent_back_and_its_identity_not_changed() {
        let stored = stored();
        let shown = json!({"metricId": "ctr", "accountId": "shop", "createdAt": "2026-11-24T09:30:00.000Z",
            "updatedAt": "2026-11-25T09:30:00.000Z", "version": 7, "builtIn": false, "resolved": [{}], "warnings": []});
        read(&shown, Some(&stored)).expect("makes sense");
        read(&json!({"createdAt": "2026-11-24T10:30:00+01:00"}), Some(&stored)).expect("is the same time");
        let refused = |change: Value| read(&change, Some(&stored)).expect_err("refused");
        assert_eq!(refused(json!({"metricId": "CTR"})), [("/metricId".to_owned(), "read_only")]);
        assert_eq!(refused(json!({"createdAt": "2026-11-24T09:30:01Z"})), [("/createdAt".to_owned(), "read_only")]);
        assert_eq!(refused(json!({"createdAt": "yesterday"})), [("/createdAt".to_owned(), "read_only")]);
        let several = refused(json!({"metricId": 7, "accountId": "other", "type": "odometer"}));
        let wanted = [("/accountId", "account_mismatch"), ("/metricId", "read_only"), ("/type", "invalid_value")];
        assert_eq!(several, wanted.map(|(pointer, code)| (pointer.to_owned(), code)));
    }
}
