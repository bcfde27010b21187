//! The time of a call, and what it is spent on. Several groups of messages share a call: none of them may take longer than it
//! lasts, so that what the others were told is acknowledged.

use std::time::Duration;

use tokio::time::Instant;

/// Of the ten seconds that the function has (`template.yaml`), for questions.
const ASKING: Duration = Duration::from_millis(6_500);
/// For questions of a call that several groups share. The messages of all of them are acknowledged when the last one is done, and
/// none of them gets a further frame before.
const ASKING_BESIDE_OTHERS: Duration = Duration::from_millis(2_500);
/// For the first try of a question then. A further try has the whole share: a question that others always share a call with is
/// answered too.
const FIRST_TRY_BESIDE_OTHERS: Duration = Duration::from_millis(1_500);
/// For testing events against filters, of all groups together.
const JUDGING: Duration = Duration::from_secs(2);
/// Until then frames are sent.
const POSTING: Duration = Duration::from_millis(7_500);
/// By then the call answers. An account that is not done by then has its messages again.
const ANSWERING: Duration = Duration::from_millis(8_500);

/// When a call began, and how many groups of messages share it.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    began: Instant,
    groups: u32,
}

impl Budget {
    /// For a question that is followed. Who asks the API waits longer; here others wait behind it, and it is asked again and
    /// again.
    pub const SHARE: Duration = Duration::from_secs(3);
    /// The same, for ClickHouse.
    pub const SHARE_SECONDS: &str = "3";

    pub fn new(groups: usize) -> Self {
        Self { began: Instant::now(), groups: u32::try_from(groups).unwrap_or(u32::MAX).max(1) }
    }

    const fn asking(self) -> Duration {
        if self.groups > 1 { ASKING_BESIDE_OTHERS } else { ASKING }
    }

    /// How long a question may take that has taken too long so often in a row.
    pub const fn share(self, late: u32) -> Duration {
        if self.groups > 1 && late == 0 { FIRST_TRY_BESIDE_OTHERS } else { Self::SHARE }
    }

    /// Whether there is time for another question.
    pub fn has_share(self) -> bool {
        Instant::now() + self.share(0) <= self.began + self.asking()
    }

    /// Whether no frame should be made any more.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.began + self.asking()
    }

    /// What one group may take to test its events.
    pub fn judging(self) -> Share {
        Share::of(JUDGING / self.groups)
    }

    pub fn posting(self) -> Instant {
        self.began + POSTING
    }

    pub fn answering(self) -> Instant {
        self.began + ANSWERING
    }
}

/// Time that work without a pause may take. What others do meanwhile does not count.
#[derive(Debug)]
pub struct Share(Duration);

impl Share {
    pub const fn of(time: Duration) -> Self {
        Self(time)
    }

    pub const fn is_over(&self) -> bool {
        self.0.is_zero()
    }

    /// Does some of the work.
    pub fn spend(&mut self, work: impl FnOnce()) {
        let began = std::time::Instant::now();
        work();
        self.0 = self.0.saturating_sub(began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_asks_as_long_as_the_answer_can_be_told() {
        let budget = Budget::new(1);
        assert_eq!((budget.share(0), budget.share(1)), (Budget::SHARE, Budget::SHARE));
        assert!(budget.has_share() && !budget.is_over());
        advance(Budget::SHARE).await;
        assert!(budget.has_share(), "for a second one that takes all of its share");
        advance(Budget::SHARE).await;
        assert!(!budget.has_share() && !budget.is_over());
        advance(Duration::from_millis(500)).await;
        assert!(budget.is_over() && Instant::now() < budget.posting() && budget.posting() < budget.answering());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_several_groups_share_asks_much_shorter() {
        let budget = Budget::new(2);
        assert!(budget.has_share() && budget.share(0) < Budget::SHARE);
        assert_eq!(budget.share(1), Budget::SHARE, "a question that takes long is answered too");
        advance(Duration::from_millis(1_100)).await;
        assert!(!budget.has_share() && !budget.is_over());
        advance(ASKING_BESIDE_OTHERS).await;
        assert!(budget.is_over());
        // The last question begins while there is a share, and has had a try before.
        assert!(ASKING_BESIDE_OTHERS - FIRST_TRY_BESIDE_OTHERS + Budget::SHARE <= Duration::from_secs(4));
    }

    #[test]
    fn those_who_share_a_call_share_the_time_for_events() {
        assert_eq!(Budget::new(10).judging().0, JUDGING / 10);
        let (mut small, mut large) = (Share::of(Duration::from_millis(1)), Share::of(Duration::from_secs(600)));
        for share in [&mut small, &mut large] {
            share.spend(|| std::thread::sleep(Duration::from_millis(2)));
        }
        assert!(small.is_over() && !large.is_over());
    }

    /// A number that a part of the template has.
    fn setting(part: &str, key: &str) -> u64 {
        let template = include_str!("../../../../template.yaml");
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
