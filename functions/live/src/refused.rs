//! Refusals of the functions behind the WebSocket.

use analytics_domain::{access::Caller, live::Stream};
use analytics_http::ApiError;
use analytics_messaging::QueueError;

/// A refusal, before it is sent as a status or as a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As HTTP has it.
    pub status: u16,
    pub code: &'static str,
    pub detail: String,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self { status: error.status.as_u16(), code: error.code, detail: error.detail }
    }
}

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        ApiError::unavailable("the live queue", error).into()
    }
}

/// Whether this role may follow a stream.
///
/// # Errors
/// If not, 403.
pub fn may_follow(caller: &Caller, stream: &Stream) -> Result<(), Refused> {
    if caller.role.may(stream.operation()) {
        return Ok(());
    }
    let detail = format!("the role {} may not follow {stream}", caller.role.name());
    Err(Refused { status: 403, code: "role_forbidden", detail })
}
