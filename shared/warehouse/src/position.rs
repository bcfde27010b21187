//! Where a page ends and the next begins. A position is the identity of the last event given, so pages neither repeat
//! nor skip anything while events keep arriving.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::WarehouseError;

/// The last accepted event of a page.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct EventPosition {
    pub timestamp: i64,
    pub event_name: String,
    pub event_id: String,
}

/// The last rejected event of a page.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct RejectedPosition {
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
}
