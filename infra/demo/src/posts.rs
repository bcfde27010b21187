//! Posts of channels, with their samples and clicks.

use std::ops::Range;

use crate::cast::{FIRST_DAY, Group, HOUR, MINUTE};
use crate::chatter;
use crate::event::Event;
use crate::rng::Rng;

/// The ages at which a post is sampled, in minutes, and the share of its final views at each age, in thousandths. A post
/// has half of its views after a day, and 92 % after a week (TGScope, 45,691 channels). The second sample is taken just
/// before the end of the day, since metrics read the last sample of the first 24 hours.
const SAMPLES: [(i64, i64); 3] = [(60, 90), (1_435, 500), (4_320, 740)];

/// Milliseconds after a post; equally likely steps between the quantiles.
const CLICK_DELAY: [i64; 7] = [20_000, 600_000, 1_800_000, 5_400_000, 14_400_000, 36_000_000, 86_000_000];

/// Message ids of a channel leave room for albums, whose pictures are messages of their own.
pub fn message_id(day: i64, slot: i64) -> i64 {
    200 + (day - FIRST_DAY) * 40 + slot * 10
}

/// The numbers of a post. All but the views are in thousandths of the views.
#[derive(Clone, Copy)]
pub struct Numbers {
    final_views: i64,
    forwards: i64,
    reactions: i64,
    positive: i64,
    replies: i64,
}

impl Numbers {
    /// `reach` is the range of final views, in thousandths of the members. The other ranges are invented, for an
    /// engagement of a few percent of the views.
    pub fn drawn(members: i64, reach: Range<i64>, rng: &mut Rng) -> Self {
        Self {
            final_views: members * rng.between(reach.start, reach.end) / 1_000,
            forwards: rng.between(4, 16),
            reactions: rng.between(15, 60),
            positive: rng.between(780, 980),
            replies: rng.between(1, 9),
        }
    }

    pub fn views_after_a_day(&self) -> i64 {
        self.final_views * SAMPLES[1].1 / 1_000
    }
}

pub struct Post {
    pub chat: &'static str,
    pub id: String,
    pub at_ms: i64,
    pub text: &'static str,
    /// How many pictures an album has. An album is one post.
    pub album: Option<i64>,
    pub numbers: Numbers,
    /// A post of another channel, forwarded: it shows the views of the original.
    pub is_copy: bool,
}

impl Post {
    /// Records the publication and the samples.
    pub fn record(&self, mut record: impl FnMut(Event), rng: &mut Rng) {
        let mut published =
            self.of_post(Event::new("post_published", self.at_ms, rng)).with("isPaidPost", rng.permille(10));
        if let Some(pictures) = self.album {
            let album = format!("{}-{}", &self.chat[4..], self.id);
            published = published.with("mediaGroupId", album).with("mediaCount", pictures);
        }
        record(published.with("text", self.text));
        let Numbers { final_views, forwards, reactions, positive, replies } = self.numbers;
        let paid = rng.permille(60);
        for (age, share) in SAMPLES {
            let age = age + rng.between(0, 5);
            let views = final_views * share / 1_000;
            let reactions = views * reactions / 1_000;
            let at_ms = self.at_ms + age * MINUTE + rng.between(0, 20_000);
            let mut sample = self
                .of_post(Event::new("post_stats_sampled", at_ms, rng))
                .with("views", views)
                .with("forwards", views * forwards / 1_000)
                .with("reactions", reactions)
                .with("reactionsPositive", reactions * positive / 1_000)
                .with("replies", views * replies / 1_000)
                .with("ageMinutes", age)
                .with("isForwardedCopy", self.is_copy);
            if paid {
                sample = sample.with("paidReactions", reactions / 40);
            }
            record(sample);
        }
    }

    /// A click in the post, now and then by a link scanner.
    pub fn click(&self, link: &'static str, rng: &mut Rng) -> Event {
        let scanner = rng.permille(60);
        let delay = if scanner { rng.between(500, 6_000) } else { rng.quantile(&CLICK_DELAY) };
        self.of_post(Event::new("link_clicked", self.at_ms + delay, rng))
            .with("messageKey", self.message_key())
            .with("audience", "channel")
            .with("linkId", link)
            .with("clickerHash", rng.hash())
            .with("botSuspected", scanner)
    }

    fn message_key(&self) -> String {
        format!("{}/{}", self.chat, self.id)
    }

    fn of_post(&self, event: Event) -> Event {
        event.with("groupId", self.chat).with("postId", self.id.as_str())
    }
}

/// The posts of a channel of ours on a day.
pub fn channel_posts(channel: &'static Group, day: i64, start: i64, members: i64, out: &mut Vec<Event>, rng: &mut Rng) {
    for slot in 0..rng.between(2, 4) {
        let is_copy = rng.permille(60);
        // The original is in a larger channel.
        let audience = if is_copy { members * 4 } else { members };
        let post = Post {
            chat: channel.id,
            id: message_id(day, slot).to_string(),
            at_ms: start + (9 + slot * 4) * HOUR + rng.between(0, 3 * HOUR),
            text: rng.pick::<&str>(chatter::posts(channel.language)),
            album: rng.permille(160).then(|| rng.between(2, 7)),
            numbers: Numbers::drawn(audience, 450..750, rng),
            is_copy,
        };
        post.record(|event| out.push(event), rng);
        if !is_copy && rng.permille(350) {
            let clicks = rng.share(post.numbers.views_after_a_day().unsigned_abs(), 1..5);
            out.extend((0..clicks).map(|_| post.click("lnk-channel-post", rng)));
        }
        if channel.linked.is_some() {
            comments(&post, channel, out, rng);
        }
    }
}

/// Comments are written in the linked group, and recorded with the channel's post.
fn comments(post: &Post, channel: &'static Group, out: &mut Vec<Event>, rng: &mut Rng) {
    for _ in 0..rng.between(0, 4) {
        let reply = rng.pick(chatter::replies(channel.language));
        let at_ms = post.at_ms + rng.quantile(&CLICK_DELAY);
        let event = post.of_post(Event::new("reply_received", at_ms, rng)).with("audience", "channel");
        let event = event.with("messageKey", post.message_key()).with("isComment", true);
        out.push(event.with("sentiment", reply.sentiment).with("text", reply.text));
    }
}
