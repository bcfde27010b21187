//! The one owner of questions about numbers: an account's metrics, its rollups and its events in, typed answers out. Used by the
//! API and by live streams; knows neither HTTP nor JSON.

mod answer;
mod ask;
mod changes;
mod compute;
mod error;
mod formulas;
mod people;
mod warnings;

pub use analytics_domain::metric::{Key, Reason, Window};
pub use analytics_warehouse::metric::Source;
pub use answer::{Answer, Point, Previous, Series};
pub use ask::{Answers, Ask, Query, Scope};
pub use changes::{Change, changes};
pub use error::{AskError, Refusal};
pub use formulas::about_names;
pub use people::{Kept, People, PeopleAnswer, PeopleSeries, Question, Reach, Told};
pub use warnings::Warning;
