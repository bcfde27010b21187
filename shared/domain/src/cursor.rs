//! Where a page of a list ends and the next begins, as the opaque text that clients get and send back.

use serde::{Serialize, de::DeserializeOwned};

#[must_use]
pub fn encode(position: &impl Serialize) -> String {
    // Structs of strings and integers always serialise.
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(serde_json::to_vec(position).unwrap_or_default())
}

/// None if no list has given this.
#[must_use]
pub fn decode<T: DeserializeOwned>(cursor: &str) -> Option<T> {
    let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(cursor).ok()?;
    serde_json::from_slice(&json).ok()
}
