//! Where a page ends and the next begins. A position is the identity of the last event given, so pages neither repeat
//! nor skip anything while events keep arriving.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error};

use crate::WarehouseError;

/// The last millisecond that ClickHouse's times can say: 2299-12-31T23:59:59.999Z.
const LAST: i64 = 10_413_791_999_999;

/// Epoch milliseconds of an event that can be stored. Arithmetic with them never overflows.
fn time<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    let millis = i64::deserialize(input)?;
    if (0..=LAST).contains(&millis) { Ok(millis) } else { Err(D::Error::custom("no event has such a time")) }
}

/// The last accepted event of a page.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct EventPosition {
    #[serde(deserialize_with = "time")]
    pub timestamp: i64,
    pub event_name: String,
    pub event_id: String,
}

/// The last rejected event of a page.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct RejectedPosition {
    #[serde(deserialize_with = "time")]
    pub received_at: i64,
    pub batch_id: String,
    pub position: u32,
}

/// A position as the opaque cursor that clients get.
pub(crate) fn to_cursor(position: &impl Serialize) -> String {
    // Structs of strings and integers always serialise.
    let json = serde_json::to_vec(position).unwrap_or_default();
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(json)
}

pub(crate) fn from_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T, WarehouseError> {
    let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(cursor).map_err(|_| WarehouseError::InvalidCursor)?;
    serde_json::from_slice(&json).map_err(|_| WarehouseError::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_another_text_does_not() {
        let position = EventPosition { timestamp: 1, event_name: "限时".into(), event_id: "a".into() };
        assert_eq!(from_cursor::<EventPosition>(&to_cursor(&position)).expect("reads back"), position);
        assert!(matches!(from_cursor::<EventPosition>("bm9wZQ"), Err(WarehouseError::InvalidCursor)));
        assert!(matches!(from_cursor::<EventPosition>("%%%"), Err(WarehouseError::InvalidCursor)));
    }

    #[test]
    fn a_cursor_whose_time_no_event_can_have_is_refused() {
        let event = |timestamp| EventPosition { timestamp, event_name: String::new(), event_id: String::new() };
        let rejected = |received_at| RejectedPosition { received_at, batch_id: String::new(), position: u32::MAX };
        for time in [0, 1, LAST] {
            assert_eq!(from_cursor::<EventPosition>(&to_cursor(&event(time))).expect("reads back").timestamp, time);
            assert!(from_cursor::<RejectedPosition>(&to_cursor(&rejected(time))).is_ok());
        }
        for time in [i64::MIN, i64::MIN + 1, -1, LAST + 1, i64::MAX - 1, i64::MAX] {
            let cursor = to_cursor(&event(time));
            assert!(matches!(from_cursor::<EventPosition>(&cursor), Err(WarehouseError::InvalidCursor)), "{time}");
            let cursor = to_cursor(&rejected(time));
            assert!(matches!(from_cursor::<RejectedPosition>(&cursor), Err(WarehouseError::InvalidCursor)), "{time}");
        }
        for json in [
            r#"{"timestamp":1e30,"event_name":"","event_id":""}"#,
            r#"{"timestamp":"1","event_name":"","event_id":""}"#,
        ] {
            let cursor = base64_simd::URL_SAFE_NO_PAD.encode_to_string(json);
            assert!(matches!(from_cursor::<EventPosition>(&cursor), Err(WarehouseError::InvalidCursor)), "{json}");
        }
    }
}
