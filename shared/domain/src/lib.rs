//! Types and rules of event analytics: what an event is, what is refused and why, what a sealed batch holds, who may do
//! what. Nothing here knows of HTTP, AWS, ClickHouse or tokio; time and randomness come in as arguments.

pub mod access;
pub mod account;
pub mod catalogue;
pub mod cursor;
pub mod event;
pub mod idempotency;
pub mod live;
pub mod metric;
pub mod number;
pub mod search;
pub mod text;
pub mod time;
