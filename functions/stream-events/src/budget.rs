//! The time of a call, and what it is spent on. Several accounts share a call: none of them may take longer than it lasts, so
//! that what the others were told is acknowledged.

use std::time::Duration;

use tokio::time::Instant;

/// Of the ten seconds that the function has (`template.yaml`), for questions.
const ASKING: Duration = Duration::from_millis(6_500);
/// Until then frames are sent.
const POSTING: Duration = Duration::from_millis(7_500);
/// By then the call answers. An account that is not done by then has its messages again.
const ANSWERING: Duration = Duration::from_millis(8_500);

/// When a call began.
#[derive(Clone, Copy, Debug)]
pub struct Budget(Instant);

impl Budget {
    /// For a question that is followed. Who asks the API waits longer; here others wait behind it, and it is asked again and
    /// again.
    pub const SHARE: Duration = Duration::from_secs(3);
    /// The same, for ClickHouse.
    pub const SHARE_SECONDS: &str = "3";

    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Whether there is time for another question.
    pub fn has_share(self) -> bool {
        Instant::now() + Self::SHARE <= self.0 + ASKING
    }

    /// Whether no frame should be made any more.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0 + ASKING
    }

    pub fn posting(self) -> Instant {
        self.0 + POSTING
    }

    pub fn answering(self) -> Instant {
        self.0 + ANSWERING
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_asks_as_long_as_the_answer_can_be_told() {
        let budget = Budget::new();
        assert!(budget.has_share() && !budget.is_over());
        advance(Budget::SHARE).await;
        assert!(budget.has_share(), "for a second one that takes all of its share");
        advance(Budget::SHARE).await;
        assert!(!budget.has_share() && !budget.is_over());
        advance(Duration::from_millis(500)).await;
        assert!(budget.is_over() && Instant::now() < budget.posting() && budget.posting() < budget.answering());
    }

    /// A number that a part of the template has.
    fn setting(part: &str, key: &str) -> u64 {
        let template = include_str!("../../../template.yaml");
        let (_, rest) = template.split_once(&format!("\n  {part}:\n")).expect("the part is there");
        let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        let value = lines.filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": ")).next();
        value.and_then(|value| value.parse().ok()).expect("the part has the number")
    }

    #[test]
    fn messages_stay_hidden_for_a_whole_call_and_come_back_before_they_are_too_old() {
        // All functions but those that say otherwise.
        let time = setting("Function", "Timeout");
        let (hidden, kept) =
            (setting("LiveQueue", "VisibilityTimeout"), setting("LiveQueue", "MessageRetentionPeriod"));
        assert!(ANSWERING < Duration::from_secs(time) && time < hidden, "{time} s of {hidden} s");
        assert!(hidden <= 30 && hidden < kept, "{hidden} s of {kept} s");
    }
}
