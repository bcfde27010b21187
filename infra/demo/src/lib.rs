//! Simulated Telegram marketing campaigns, sent through the public HTTP API: the demo data and the load tool.
//!
//! Tests use the library: [`Campaigns`] for what happens in the demo's world, [`load::run`] for paced load with
//! re-sent events, and the books of what the API has accepted in [`load::Report`].

pub mod answer;
pub mod batch;
pub mod campaign_sender;
pub mod campaigns;
pub mod cast;
pub mod catalogue;
mod channels;
mod chats;
mod chatter;
pub mod cli;
pub mod client;
pub mod clock;
mod crowd;
pub mod event;
mod failures;
mod groups;
pub mod ledger;
pub mod load;
mod messages;
mod money;
mod placements;
mod pool;
mod posts;
pub mod progress;
mod responses;
pub mod rng;
mod senders;
pub mod stop;
mod stream;
mod texts;
mod topic;

pub use campaigns::{Campaigns, Window};
pub use client::Client;
pub use event::Event;
pub use stop::Stop;
