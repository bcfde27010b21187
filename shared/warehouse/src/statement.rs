//! SQL put together from a closed set of fragments. What users say never becomes part of the text: it is bound as a
//! parameter, property names included.

use analytics_domain::{event::column_path, number::Number};
use clickhouse::{Client, query::Query};
use serde::Serialize;

use crate::WarehouseError;

/// Bytes of SQL, and of a parameter. ClickHouse takes 128 KB of one form field, which is what each of them is sent as.
const LONGEST: usize = 125_000;
/// Bytes of a number, with what stands between it and the next.
const NUMBER_BYTES: usize = 21;

/// A statement under construction: its text, and its parameters `p0`, `p1`, ….
#[derive(Default)]
pub(crate) struct Statement {
    sql: String,
    parameters: Vec<Parameter>,
    settings: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, PartialEq, Debug)]
enum Parameter {
    Text(String),
    Name(String),
    Texts(Vec<String>),
    Integer(i64),
    Integers(Vec<i64>),
    Id(u64),
    Ids(Vec<u64>),
    Number(f64),
    Keys(Vec<(i64, String, String)>),
    KeyList(Vec<Vec<Option<String>>>),
}

impl Parameter {
    /// Bytes that it takes as it is sent, at least: quotes and backslashes are escaped twice.
    fn bytes(&self) -> usize {
        let text = |text: &str| {
            text.len() + 3 * text.bytes().filter(|byte| matches!(byte, b'\\' | b'\'' | 0..0x20)).count() + 3
        };
        match self {
            Self::Text(value) | Self::Name(value) => text(value),
            Self::Texts(values) => values.iter().map(|value| text(value)).sum(),
            Self::Integer(_) | Self::Id(_) | Self::Number(_) => NUMBER_BYTES,
            Self::Integers(values) => NUMBER_BYTES * values.len(),
            Self::Ids(values) => NUMBER_BYTES * values.len(),
            Self::Keys(keys) => keys.iter().map(|(_, name, id)| NUMBER_BYTES + text(name) + text(id)).sum(),
            Self::KeyList(keys) => keys.iter().flatten().map(|value| value.as_deref().map_or(5, text)).sum(),
        }
    }
}

impl Statement {
    /// Adds text of our own.
    pub(crate) fn push(&mut self, fragment: &'static str) -> &mut Self {
        self.sql.push_str(fragment);
        self
    }

    fn parameter(&mut self, parameter: Parameter, kind: &str) -> &mut Self {
        // The same value in several places is sent once.
        let place = self.parameters.iter().position(|other| *other == parameter).unwrap_or_else(|| {
            self.parameters.push(parameter);
            self.parameters.len() - 1
        });
        self.sql += &format!("{{p{place}:{kind}}}");
        self
    }

    pub(crate) fn text(&mut self, value: impl Into<String>) -> &mut Self {
        self.parameter(Parameter::Text(value.into()), "String")
    }

    pub(crate) fn texts(&mut self, values: impl IntoIterator<Item: Into<String>>) -> &mut Self {
        self.parameter(Parameter::Texts(values.into_iter().map(Into::into).collect()), "Array(String)")
    }

    pub(crate) fn integer(&mut self, value: i64) -> &mut Self {
        self.parameter(Parameter::Integer(value), "Int64")
    }

    pub(crate) fn integers(&mut self, values: &[i64]) -> &mut Self {
        self.parameter(Parameter::Integers(values.to_vec()), "Array(Int64)")
    }

    pub(crate) fn id(&mut self, value: u64) -> &mut Self {
        self.parameter(Parameter::Id(value), "UInt64")
    }

    pub(crate) fn ids(&mut self, values: &[u64]) -> &mut Self {
        self.parameter(Parameter::Ids(values.to_vec()), "Array(UInt64)")
    }

    pub(crate) fn number(&mut self, value: f64) -> &mut Self {
        self.parameter(Parameter::Number(value), "Float64")
    }

    /// A point in time, from epoch milliseconds.
    pub(crate) fn time(&mut self, millis: i64) -> &mut Self {
        self.push("fromUnixTimestamp64Milli(").integer(millis).push(", 'UTC')")
    }

    /// A number, as the type that holds it exactly: ClickHouse compares numbers of different types by value.
    pub(crate) fn exactly(&mut self, number: Number) -> &mut Self {
        match number {
            Number::Double(double) => self.number(double),
            Number::Integer(integer) => match (i64::try_from(integer), u64::try_from(integer)) {
                (Ok(integer), _) => self.integer(integer),
                (Err(_), Ok(integer)) => self.id(integer),
                (Err(_), Err(_)) => self.number(number.as_f64()),
            },
        }
    }

    /// The column of a property in `props`, read as one of the types it may have.
    pub(crate) fn property(&mut self, property: &str, kind: &'static str) -> &mut Self {
        self.dynamic(property).push(".:").push(kind)
    }

    /// The column of a property in `props`, whatever type its value has.
    pub(crate) fn dynamic(&mut self, property: &str) -> &mut Self {
        self.push("props.").parameter(Parameter::Name(column_path(property).into_owned()), "Identifier")
    }

    /// Events by time (epoch milliseconds), name and id.
    pub(crate) fn keys(&mut self, keys: Vec<(i64, String, String)>) -> &mut Self {
        self.parameter(Parameter::Keys(keys), "Array(Tuple(Int64, String, String))")
    }

    /// Values of dimensions.
    pub(crate) fn key_list(&mut self, keys: &[Vec<Option<String>>]) -> &mut Self {
        self.parameter(Parameter::KeyList(keys.to_vec()), "Array(Array(Nullable(String)))")
    }

    /// Has one thread do it: what reads few rows takes a third less of the processors so, and hardly longer.
    pub(crate) fn by_one_thread(&mut self) {
        self.settings.push(("max_threads", "1"));
    }

    /// Leaves the processors to whatever else there is: nobody waits for it.
    pub(crate) fn behind_all(&mut self) {
        self.settings.push(("os_threads_nice_value_query", "15"));
    }

    /// A statement that starts with this text and goes on as this one.
    pub(crate) fn after(&self, start: &'static str) -> Self {
        Self {
            sql: format!("{start}{}", self.sql),
            parameters: self.parameters.clone(),
            settings: self.settings.clone(),
        }
    }

    /// # Errors
    /// If it is longer than ClickHouse takes.
    pub(crate) fn prepare(&self, client: &Client) -> Result<Query, WarehouseError> {
        if self.sql.len() > LONGEST {
            return Err(WarehouseError::OverLimits(format!("{} bytes of SQL", self.sql.len())));
        }
        if let Some(bytes) = self.parameters.iter().map(Parameter::bytes).find(|bytes| *bytes > LONGEST) {
            return Err(WarehouseError::OverLimits(format!("a parameter of {bytes} bytes")));
        }
        let query = client.query_raw(&self.sql);
        let query = self.settings.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        let query = self.parameters.iter().enumerate().fold(query, |query, (at, parameter)| {
            let name = format!("p{at}");
            match parameter {
                Parameter::Text(value) => bind(query, &name, value),
                // ClickHouse takes an identifier as it stands; `param` would escape it as it does text.
                Parameter::Name(value) => query.with_setting(format!("param_{name}"), value),
                Parameter::Texts(values) => bind(query, &name, values),
                Parameter::Integer(value) => bind(query, &name, value),
                Parameter::Integers(values) => bind(query, &name, values),
                Parameter::Id(value) => bind(query, &name, value),
                Parameter::Ids(values) => bind(query, &name, values),
                Parameter::Number(value) => bind(query, &name, value),
                Parameter::Keys(keys) => bind(query, &name, keys),
                Parameter::KeyList(keys) => bind(query, &name, keys),
            }
        });
        Ok(query)
    }

    /// The statement with its values in the places of their parameters, to be read by people.
    #[cfg(test)]
    pub(crate) fn filled_in(&self) -> String {
        let text = |value: &String| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        let list = |values: Vec<String>| format!("[{}]", values.join(", "));
        let mut sql = self.sql.clone();
        for (place, parameter) in self.parameters.iter().enumerate() {
            let start = format!("{{p{place}:");
            let value = match parameter {
                Parameter::Text(value) => text(value),
                Parameter::Name(value) => format!("`{value}`"),
                Parameter::Texts(values) => list(values.iter().map(text).collect()),
                Parameter::Integer(value) => value.to_string(),
                Parameter::Integers(values) => list(values.iter().map(i64::to_string).collect()),
                Parameter::Id(value) => value.to_string(),
                Parameter::Ids(values) => list(values.iter().map(u64::to_string).collect()),
                Parameter::Number(value) => value.to_string(),
                other => format!("{other:?}"),
            };
            while let Some((before, rest)) = sql.split_once(&start) {
                let (_, after) = rest.split_once('}').unwrap_or_default();
                sql = format!("{before}{value}{after}");
            }
        }
        sql
    }

    #[cfg(test)]
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }
}

fn bind(query: Query, name: &str, value: &impl Serialize) -> Query {
    query.param(name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_clickhouse_does_not_take_is_over_limits() {
        let prepared = |keys: usize| {
            let mut statement = Statement::default();
            statement.push("SELECT 1 WHERE k IN ").key_list(&vec![vec![Some("'".repeat(300))]; keys]);
            statement.prepare(&Client::default()).map(drop)
        };
        assert!(prepared(100).is_ok());
        assert!(matches!(prepared(110), Err(WarehouseError::OverLimits(_))));
    }
}
