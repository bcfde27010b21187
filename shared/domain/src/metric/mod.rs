//! Metrics: formulas over events, what they mean, how time is cut for them, and what is kept of events to answer quickly.
//!
//! One rule makes every number: the value of a bucket, a group or a total is the formula over the inputs of exactly that
//! time and those events. Inputs are merged first, the formula comes last.

mod aliases;
mod answer;
pub mod buckets;
pub mod builtin;
mod coverage;
mod definition;
pub mod filter;
mod graph;
mod input;
mod local_clock;
mod meets;
mod parser;
mod path;
mod query;
mod resolve;
pub mod sketch;
mod syntax;
mod token;

pub use aliases::{Aliases, GROUP};
pub use answer::{Answer, Cell, Compiled, Key, Point, SeriesAnswer, assemble, rank, with_others};
pub use coverage::{Freshness, Grain, Kept, Piece, cover};
pub use definition::{
    Aggregation, DESCRIPTION_CHARS, DIMENSIONS, Definition, FILTERS, Kind, METRICS, NAME_CHARS, Problem, unknown_field,
};
pub use filter::Filter;
pub use graph::{Metric, Metrics, compile, dimension_sets};
pub use input::{AGE, CARRIED, CURRENCY, Input, Measure, Of, Parts, Reason, Series, State};
pub use meets::{Filtered, meets};
pub use parser::{DEEPEST, OPERATORS, parse_filter, parse_formula};
pub use path::{FIELDS, LONGEST as PATH_CHARS, check_path, check_property, path_of, property_of};
pub use query::{CURRENCY_CHARS, MOST_GROUPS, Order, QUERIES, Query, QueryDraft, Ranking, Window, read_filter};
pub use resolve::{MOST_TESTS, Meaningless, Resolved, ResolvedKind, Term, Vocabulary, check_kind, resolve};
pub use syntax::{Function, InputNode, Node, Operator, SyntaxError};
pub use token::LONGEST;
