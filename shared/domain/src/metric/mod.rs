//! Metrics: formulas over events, what they mean, how time is cut for them, and what is kept of events to answer quickly.
//!
//! One rule makes every number: the value of a bucket, a group or a total is the formula over the inputs of exactly that
//! time and those events. Inputs are merged first, the formula comes last.

mod answer;
pub mod buckets;
pub mod builtin;
mod coverage;
mod definition;
pub mod filter;
mod graph;
mod input;
mod parser;
mod query;
mod resolve;
pub mod sketch;
mod syntax;
mod token;

pub use answer::{Answer, Cell, Compiled, Key, Point, SeriesAnswer, assemble, rank, with_others};
pub use coverage::{Freshness, Grain, Kept, Piece, cover};
pub use definition::{Aggregation, DIMENSIONS, Definition, Kind, METRICS, Problem, check_path};
pub use filter::Filter;
pub use graph::{Metric, Metrics, compile, dimension_sets};
pub use input::{Input, Measure, Of, Reason, Series, State};
pub use parser::{DEEPEST, OPERATORS, parse_filter, parse_formula};
pub use query::{Order, QUERIES, Query, QueryDraft, Ranking, read_filter};
pub use resolve::{Meaningless, Resolved, ResolvedKind, Term, Vocabulary, check_kind, resolve};
pub use syntax::{Function, InputNode, Node, Operator, SyntaxError};
pub use token::LONGEST;

/// The event's own fields that formulas, filters and dimensions can read like properties.
pub const FIELDS: [&str; 4] = ["$userId", "$sessionId", "$locale", "$eventType"];
