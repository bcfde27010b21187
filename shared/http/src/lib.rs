//! What the HTTP functions share: who is asking, what the request holds, and how answers and errors look.

pub mod auth;
mod error;
mod keys;
pub mod openapi;
mod reply;
mod request;
mod serve;

pub use auth::Verifier;
pub use error::{ApiError, FieldError};
pub use reply::{accepted, created, csv, json, json_bytes, no_content, with_version};
pub use request::{Incoming, MediaType};
pub use serve::{Reply, serve};
