//! Traces: everything that happens because of one request has one trace id, across queues and functions.
//!
//! The id is the root of the header that AWS X-Ray defines. Lambda gives each invocation such a header, and SQS carries one with a
//! message: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>

use std::{fmt::Write, future::Future};

tokio::task_local! {
    static CURRENT: Trace;
}

/// The trace that an invocation belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    header: String,
    /// Where the id is in the header.
    id: (usize, usize),
}

impl Trace {
    /// The longest header that is passed on. X-Ray's own have about 100 characters.
    const HEADER_BYTES: usize = 256;

    /// Reads a header such as `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        if header.len() > Self::HEADER_BYTES || !header.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut start = 0;
        for part in header.split(';') {
            if let Some(id) = part.strip_prefix("Root=").filter(|id| is_id(id)) {
                let start = start + "Root=".len();
                return Some(Self { header: header.to_owned(), id: (start, start + id.len()) });
            }
            start += part.len() + 1;
        }
        None
    }

    /// A new trace at a time in epoch milliseconds.
    #[must_use]
    pub fn new(now: i64) -> Self {
        let mut header = format!("Root=1-{:08x}-", u32::try_from(now / 1_000).unwrap_or(0));
        let random: [[u8; 6]; 2] = [crate::random(), crate::random()];
        for byte in random.as_flattened() {
            // Writing to memory does not fail.
            let _ = write!(header, "{byte:02x}");
        }
        let id = ("Root=".len(), header.len());
        Self { header, id }
    }

    /// The id: the same in each invocation and message of the trace.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.header[self.id.0..self.id.1]
    }

    /// The trace as a header.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Runs `work` as a part of this trace.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The trace that the caller is a part of, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}

/// Whether a text is an id: `1-`, 8 hexadecimal digits, `-`, 24 hexadecimal digits.
fn is_id(text: &str) -> bool {
    let is_hex = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = text.strip_prefix("1-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(time, random)| is_hex(time, 8) && is_hex(random, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_headers_of_x_ray() {
        let id = "1-5759e988-bd862e3fe1be46a994272793";
        for header in [
            format!("Root={id}"),
            format!("Root={id};Parent=53995c3f42cd8ad8;Sampled=1"),
            format!("Self=1-67891234-12456789abcdef012345678;Root={id};Lineage=a87bd80c:1|68fd508a:5"),
        ] {
            let trace = Trace::parse(&header).expect("is a header");
            assert_eq!((trace.id(), trace.header()), (id, &*header));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = format!("Root=1-5759e988-bd862e3fe1be46a994272793;{}", "x".repeat(256));
        for header in ["", "Root=", "Root=1-5759e988-bd862e3fe1be46a99427279", "Parent=53995c3f42cd8ad8", "限时", &long]
        {
            assert_eq!(Trace::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_new_trace_has_a_header_that_can_be_read() {
        let trace = Trace::new(1_795_512_600_000);
        assert!(trace.id().starts_with("1-6b05"), "{}", trace.id());
        assert_eq!(Trace::parse(trace.header()), Some(trace.clone()));
        assert_ne!(Trace::new(1_795_512_600_000), trace);
    }

    #[tokio::test]
    async fn work_knows_its_trace() {
        let trace = Trace::new(0);
        assert_eq!(trace.clone().of(async { Trace::current() }).await, Some(trace));
        assert_eq!(Trace::current(), None);
    }
}
