//! Numbers as JSON holds them: integers of 64 bits exactly, all others as doubles. Compared by value, without rounding.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Integers from here on (2^64) are no 64-bit integers.
const ABOVE_INTEGERS: f64 = 18_446_744_073_709_551_616.0;

/// A number. A value has one form: what is an integer of 64 bits is [`Number::Integer`], however it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// From `i64::MIN` to `u64::MAX`.
    Integer(i128),
    /// Finite, and no integer of 64 bits.
    Double(f64),
}

impl Number {
    /// None if it is not finite.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        let is_integer = value.fract() == 0.0 && value >= i64::MIN as f64 && value < ABOVE_INTEGERS;
        if is_integer {
            // Exact: the value is an integer within 65 bits.
            return Some(Self::Integer(value as i128));
        }
        value.is_finite().then_some(Self::Double(value))
    }

    #[must_use]
    pub fn from_json(number: &serde_json::Number) -> Option<Self> {
        let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        integer.map(Self::Integer).or_else(|| Self::from_f64(number.as_f64()?))
    }

    /// Reads a text that is a number as JSON writes one: `7`, `-0.5`, `1e3`; not `007`, `+7`, `.5`, `0x7` or `inf`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number: serde_json::Number = serde_json::from_str(text).ok()?;
        // The parser of JSON takes white space around it.
        let is_bare = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        is_bare.then(|| Self::from_json(&number)).flatten()
    }

    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Double(double) => double,
        }
    }

    /// By value: an integer and a double are compared without rounding either.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(&right),
            (Self::Double(left), Self::Double(right)) => left.total_cmp(&right),
            (Self::Integer(left), Self::Double(right)) => integer_to_double(left, right),
            (Self::Double(left), Self::Integer(right)) => integer_to_double(right, left).reverse(),
        }
    }
}

/// A double that is no integer of 64 bits never equals one. It lies between two of them, or beyond all.
fn integer_to_double(integer: i128, double: f64) -> Ordering {
    if double >= ABOVE_INTEGERS {
        Ordering::Less
    } else if double < i64::MIN as f64 {
        Ordering::Greater
    } else {
        // Between two integers: the double has a fraction, so it is smaller than 2^53 and its floor is exact.
        if integer <= double.floor() as i128 { Ordering::Less } else { Ordering::Greater }
    }
}

/// The number's text, the same as ClickHouse gives it: digits for an integer, else the shortest decimal that reads back the
/// same, with an exponent from 1e21 on and below 1e-6.
impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Integer(integer) => write!(out, "{integer}"),
            Self::Double(double) if (1e-6..1e21).contains(&double.abs()) => write!(out, "{double}"),
            Self::Double(double) => write!(out, "{double:e}"),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Double(double) => serializer.serialize_f64(double),
            Self::Integer(integer) => match (i64::try_from(integer), u64::try_from(integer)) {
                (Ok(integer), _) => serializer.serialize_i64(integer),
                (Err(_), Ok(integer)) => serializer.serialize_u64(integer),
                (Err(_), Err(_)) => serializer.serialize_f64(integer as f64),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::from_json(&number).ok_or_else(|| serde::de::Error::custom("a number that is not finite"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect("is a number")
    }

    #[test]
    fn compares_without_rounding() {
        for (left, order, right) in [
            ("9007199254740993", Ordering::Greater, "9007199254740992"),
            ("18446744073709551615", Ordering::Greater, "18446744073709551614"),
            ("18446744073709551615", Ordering::Less, "18446744073709551616"),
            ("-9223372036854775808", Ordering::Greater, "-9223372036854775809e1"),
            ("7", Ordering::Equal, "7.0"),
            ("1000", Ordering::Equal, "1e3"),
            ("3", Ordering::Greater, "2.5"),
            ("-3", Ordering::Less, "-2.5"),
            ("0", Ordering::Equal, "-0.0"),
        ] {
            assert_eq!(number(left).compare(number(right)), order, "{left} {right}");
            assert_eq!(number(right).compare(number(left)), order.reverse(), "{right} {left}");
        }
    }

    #[test]
    fn reads_what_json_calls_a_number_only() {
        for text in ["007", "+7", ".5", "5.", "0x7", "inf", "NaN", " 7", "7 ", "", "1_000", "１"] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn writes_numbers_as_the_event_store_does() {
        for (written, text) in [
            ("1e20", "100000000000000000000"),
            ("1e21", "1e21"),
            ("0.00001", "0.00001"),
            ("0.0000001", "1e-7"),
            ("1.50", "1.5"),
            ("-0.0", "0"),
            ("9007199254740994.0", "9007199254740994"),
        ] {
            assert_eq!(number(written).to_string(), text, "{written}");
        }
    }

    proptest! {
        #[test]
        fn is_the_same_after_being_written(integer in any::<i64>(), large in any::<u64>(), double in any::<f64>()) {
            let numbers = [Some(Number::Integer(integer.into())), Some(Number::Integer(large.into())), Number::from_f64(double)];
            for number in numbers.into_iter().flatten() {
                let json = serde_json::to_string(&number).expect("serialises");
                prop_assert_eq!(serde_json::from_str::<Number>(&json).expect("is a number"), number);
                prop_assert_eq!(Number::parse(&number.to_string()), Some(number));
            }
        }

        #[test]
        fn doubles_and_integers_are_ordered_by_value(integer in any::<i64>(), near in -4_i64..4, part in 0_u8..4) {
            // Exact arithmetic in quarters.
            let small = integer >> 12;
            let double = (small + near) as f64 + f64::from(part) / 4.0;
            let exact = (i128::from(small) * 4).cmp(&(i128::from(small + near) * 4 + i128::from(part)));
            let double = Number::from_f64(double).expect("is finite");
            prop_assert_eq!(Number::Integer(small.into()).compare(double), exact);
        }
    }
}
