//! End-to-end tests against the running stack: `make test` sets it up and runs them.

mod access;
mod bad_input;
mod contract;
mod exactness;
mod faults;
mod idempotency;
mod ingest;
mod live;
mod metrics;
mod migrations;
mod permissions;
mod search;
