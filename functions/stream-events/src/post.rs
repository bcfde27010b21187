//! Frames to many sockets at once.

use std::sync::Arc;

use analytics_sockets::{SocketError, Sockets};
use tokio::task::JoinSet;

/// Frames on their way at the same time.
const AT_ONCE: usize = 64;

/// Frames for one socket, to be sent one after another.
#[derive(Clone)]
pub struct Parcel {
    pub connection_id: String,
    pub frames: Vec<Arc<str>>,
}

/// Sends them all; those that did not arrive come back.
pub async fn post(sockets: &Sockets, parcels: Vec<Parcel>) -> Vec<(String, SocketError)> {
    let (mut failed, mut sending) = (Vec::new(), JoinSet::new());
    for parcel in parcels {
        if sending.len() >= AT_ONCE {
            failed.extend(sending.join_next().await.into_iter().flatten().flatten());
        }
        let sockets = sockets.clone();
        sending.spawn(async move {
            for frame in parcel.frames {
                if let Err(error) = sockets.post(&parcel.connection_id, &frame).await {
                    return Some((parcel.connection_id, error));
                }
            }
            None
        });
    }
    while let Some(sent) = sending.join_next().await {
        failed.extend(sent.into_iter().flatten());
    }
    failed
}
