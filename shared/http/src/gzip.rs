//! Bodies that come as gzip (RFC 1952), unpacked within bounds.

use std::io::Read;

use analytics_domain::event::limits;
use flate2::bufread::GzDecoder;

use crate::ApiError;

/// What every gzip stream starts with.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Members of a stream at most. Each costs its set-up, however little it holds; a body of the largest size that a tool
/// writes in blocks of 64 KB has 65.
const MEMBERS: usize = 256;

/// Decompresses up to the limit of a body and not a byte further, whatever it claims.
///
/// # Errors
/// 413 if it is over the limit; 400 if it does not decompress, or has more members than anybody has a reason for.
pub(crate) fn unpack(raw: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::with_capacity(raw.len().saturating_mul(4).min(limits::BODY_BYTES));
    let mut rest = raw;
    for _ in 0..MEMBERS {
        let left = (limits::BODY_BYTES - body.len()) as u64;
        let mut member = GzDecoder::new(rest);
        let read = member.by_ref().take(left + 1).read_to_end(&mut body);
        read.map_err(|_| invalid("the body says it is gzip, but does not decompress"))?;
        if body.len() > limits::BODY_BYTES {
            return Err(too_large());
        }
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(body);
        }
    }
    Err(invalid(format!("the body is gzip of more than {MEMBERS} members: compress it in one go")))
}

pub(crate) fn too_large() -> ApiError {
    let detail = format!("the body has more than {} bytes after decompression: split it", limits::BODY_BYTES);
    ApiError::too_large("body_too_large", detail)
}

fn invalid(detail: impl Into<String>) -> ApiError {
    ApiError::unreadable("invalid_gzip", detail)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Instant};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    #[test]
    fn members_follow_each_other_and_empty_ones_add_nothing() {
        let body = [gzip(b"[1,"), gzip(b""), gzip(b"2]")].concat();
        assert_eq!(unpack(&body).expect("unpacks"), b"[1,2]");
        let most = gzip(b" ").repeat(MEMBERS);
        assert_eq!(unpack(&most).expect("unpacks").len(), MEMBERS);
    }

    #[test]
    fn very_many_members_are_refused_at_once() {
        let started = Instant::now();
        for member in [gzip(b""), gzip(b"x")] {
            let refused = unpack(&member.repeat(200_000)).expect_err("refused");
            assert_eq!(refused.code, "invalid_gzip");
        }
        assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
    }

    #[test]
    fn several_members_are_held_to_the_limit_together() {
        let half = gzip(&vec![b' '; limits::BODY_BYTES / 2]);
        assert_eq!(unpack(&half.repeat(2)).expect("unpacks").len(), limits::BODY_BYTES);
        let over = [half.repeat(2), gzip(b" ")].concat();
        assert_eq!(unpack(&over).expect_err("refused").code, "body_too_large");
    }

    #[test]
    fn what_is_cut_or_followed_by_something_else_is_refused() {
        let whole = gzip(b"[]");
        for length in 0..whole.len() {
            assert_eq!(unpack(&whole[..length]).expect_err("refused").code, "invalid_gzip", "{length}");
        }
        assert_eq!(unpack(&[&whole[..], b"[]"].concat()).expect_err("refused").code, "invalid_gzip");
    }
}
