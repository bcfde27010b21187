//! The conditions of a search as SQL.

use analytics_domain::search::Search;

use crate::{
    metric::{ReadSource as Source, condition},
    search_index::text_holds,
    statement::Statement,
};

/// Adds the conditions of a search, but for account and time.
pub(crate) fn matching(statement: &mut Statement, search: &Search) {
    if !search.event_names.is_empty() {
        statement.push(" AND event_name IN ").texts(&search.event_names);
    }
    if !search.event_types.is_empty() {
        statement.push(" AND event_type IN ").texts(&search.event_types);
    }
    if let Some(event_id) = &search.event_id {
        statement.push(" AND event_id = ").text(event_id);
    }
    if let Some(session_id) = &search.session_id {
        statement.push(" AND session_id = ").text(session_id);
    }
    if let Some(user_id) = &search.user_id {
        statement.push(" AND user_id = ").text(user_id);
    }
    for phrase in &search.phrases {
        statement.push(" AND ");
        text_holds(statement, phrase);
    }
    if search.filter != analytics_domain::metric::Filter::EVERYTHING {
        statement.push(" AND ");
        condition(statement, Source::Indexed, &search.filter);
    }
}
