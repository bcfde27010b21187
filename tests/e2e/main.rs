//! End-to-end tests against the running stack: `make test` sets it up and runs them.

mod access;
mod bad_input;
mod contract;
mod exactness;
mod faults;
mod filters;
mod idempotency;
mod ingest;
mod limits;
mod live;
mod metrics;
mod migrations;
#[cfg(feature = "slow")]
mod neighbours;
mod permissions;
mod recorded;
mod samples;
mod search;
mod security;
mod traces;
