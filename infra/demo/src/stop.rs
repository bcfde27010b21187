//! Asking a run to end early, with its summary.

use tokio::sync::watch;

/// A switch that is turned once. Clones are the same switch.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the switch is turned.
    pub async fn wait(&self) {
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}
