//! Frames to many sockets at once.

use std::{sync::Arc, time::Duration};

use analytics_sockets::{SocketError, Sockets};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// Frames on their way at the same time.
const AT_ONCE: usize = 64;

/// Frames for one socket, to be sent one after another.
pub struct Parcel {
    pub connection_id: String,
    pub frames: Vec<Arc<str>>,
}

/// How long all of it may take: others wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time that the gateway gets for other things at most: a call has ten seconds.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// Sends them all, as far as the call's time allows; those that did not arrive come back.
pub async fn post(sockets: &Sockets, parcels: Vec<Parcel>, until: Instant) -> Vec<(String, SocketError)> {
    let end = until.min(Instant::now() + PATIENCE);
    let (at_once, mut sending) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for Parcel { connection_id, frames } in parcels {
        let (sockets, at_once) = (sockets.clone(), Arc::clone(&at_once));
        sending.spawn(async move {
            let all = async {
                // It is never closed.
                let _permit = at_once.acquire().await;
                for frame in frames {
                    sockets.post(&connection_id, &frame).await?;
                }
                Ok(())
            };
            let late = |_| Err(SocketError::Busy("too many frames for the time there is".to_owned()));
            let sent = timeout_at(end, all).await.unwrap_or_else(late);
            sent.err().map(|error| (connection_id, error))
        });
    }
    sending.join_all().await.into_iter().flatten().collect()
}

/// For how long the interval has yet to begin, after frames that took so long to send: a gateway that is busy with them gets as
/// much time for everything else.
pub fn rest(took: Duration, interval: Duration) -> Duration {
    (took + took.min(LONGEST_REST)).saturating_sub(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_gateway_gets_as_much_time_as_the_frames_took() {
        let rests = [0, 100, 125, 1_000, 2_000, 5_000].map(|took| {
            let (took, interval) = (Duration::from_millis(took), Duration::from_millis(250));
            (rest(took, interval) + interval).as_millis()
        });
        // From when the frames began; a call may take ten seconds.
        assert_eq!(rests, [250, 250, 250, 2_000, 4_000, 7_000]);
    }
}
