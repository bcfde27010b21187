//! What the HTTP functions share: who is asking, what the request holds, and how answers and errors look.

pub mod auth;
mod claims;
mod error;
mod gzip;
mod keys;
pub mod openapi;
mod reply;
mod request;
mod size;

pub use auth::{Identity, Verifier};
pub use error::{ApiError, FieldError, LISTED_ERRORS};
pub use reply::{accepted, created, csv, json, json_bytes, no_content, with_version};
pub use request::{Incoming, MediaType};
pub use size::{BODY_LIMIT, escaped, fitting};

/// An HTTP answer.
pub type Reply = http::Response<lambda_http::Body>;
