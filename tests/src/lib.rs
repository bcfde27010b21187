//! What end-to-end tests, fault tests and benchmarks stand on: the running stack, and function binaries driven by a
//! Runtime API of our own.

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod dependencies;
pub mod gateway;
pub mod pipeline;
pub mod proxy;
#[cfg(test)]
mod routes;
pub mod runtime_api;
pub mod samples;
#[cfg(test)]
mod settings;
pub mod socket;
pub mod sqs;
pub mod stack;
