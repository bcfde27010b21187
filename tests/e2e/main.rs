//! End-to-end tests against the running stack: `make test` sets it up and runs them.

mod ingest;
