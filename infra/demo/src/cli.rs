//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use lexopt::prelude::*;

use crate::batch::MAX_EVENTS;

pub const HELP: &str = "\
Simulated Telegram marketing campaigns, sent through the public HTTP API.

USAGE
  demo history --url URL --token TOKEN [options]   send the past days, as fast as they are taken
  demo live    --url URL --token TOKEN [options]   send events at their time, until Ctrl-C
  demo load    --url URL --token TOKEN [options]   send load by the clock and measure

ALL COMMANDS
  --url URL           base of the API, http or https
  --token TOKEN       bearer token of a role that may send; @FILE reads it from a file
  --seed N            which world is simulated; same seed, same events       [1]
  --batch N           events a request, at most 2000                         [500]
  --connections N     requests in flight (live: 1)                           [4]
  --retries N         more tries after 429, 5xx and lost connections
                                              [history 12, live without end, load 5]
  --gzip              compress bodies
  --ledger FILE       write every accepted event once, as a line of JSON
  -h, --help          this text
  -V, --version       the version

history
  --days N            how many days                                          [7]
  --until TIME        where they end: RFC 3339, or now                       [now]
  --scale X           size of campaigns; 1 is about 40,000 events in 7 days  [1]

live
  --scale X           size of campaigns; 40 is a few events a second         [40]
  --speed X           how much faster than the clock the days go by          [1]

load
  --rate N            new events a second; 0: as fast as answers come        [1000]
  --duration TIME     how long: 500ms, 60s, 5m, 1h            [60s, or until --events]
  --events N          how many new events                          [no such limit]
  --resend X          share of batches sent again, on top: at once, cut
                      differently, and later                                 [0]
  --ndjson            one event a line instead of one JSON document
  --json              the report as JSON

Every event carries its id and time, so whatever is sent again changes no count. Progress goes to standard
error, the summary to standard output. The exit code is 0 when everything was answered.

EXAMPLES
  demo history --url http://127.0.0.1:4566/api-base --token @token.txt --days 30
  demo load --url \"$API_URL\" --token \"$TOKEN\" --rate 10000 --duration 60s --resend 0.2 --ledger ledger.ndjson
";

/// What to do, and to whom.
#[derive(Debug)]
pub struct Arguments {
    pub command: Command,
    pub url: String,
    pub token: String,
    pub seed: u64,
    pub batch: usize,
    pub connections: usize,
    pub retries: Option<u32>,
    pub gzip: bool,
    pub ledger: Option<PathBuf>,
}

#[derive(Debug, PartialEq)]
pub enum Command {
    History { days: i64, until_ms: Option<i64>, scale: f64 },
    Live { scale: f64, speed: f64 },
    Load { rate: u64, duration: Option<Duration>, events: Option<u64>, resend: f64, ndjson: bool, json: bool },
}

#[derive(Debug)]
pub enum Request {
    Run(Arguments),
    Help,
    Version,
}

/// Understands a command line, without the program's name.
pub fn parse(arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString>>) -> anyhow::Result<Request> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut command = match parser.next()? {
        Some(Long("help") | Short('h')) | None => return Ok(Request::Help),
        Some(Long("version") | Short('V')) => return Ok(Request::Version),
        Some(Value(word)) => match word.to_string_lossy().as_ref() {
            "history" => Command::History { days: 7, until_ms: None, scale: 1.0 },
            "live" => Command::Live { scale: 40.0, speed: 1.0 },
            "load" => {
                Command::Load { rate: 1_000, duration: None, events: None, resend: 0.0, ndjson: false, json: false }
            }
            "help" => return Ok(Request::Help),
            other => bail!("unknown command {other}: expected history, live or load"),
        },
        Some(other) => return Err(other.unexpected().into()),
    };
    let (mut url, mut token, mut seed, mut batch, mut connections) = (None, None, 1, 500, 4);
    let (mut retries, mut gzip, mut ledger) = (None, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Request::Help),
            Long("version") | Short('V') => return Ok(Request::Version),
            Long("url") => url = Some(parser.value()?.string()?),
            Long("token") => token = Some(parser.value()?.string()?),
            Long("seed") => seed = parser.value()?.parse()?,
            Long("batch") => batch = parser.value()?.parse()?,
            Long("connections") => connections = parser.value()?.parse()?,
            Long("retries") => retries = Some(parser.value()?.parse()?),
            Long("gzip") => gzip = true,
            Long("ledger") => ledger = Some(parser.value()?.into()),
            Long(option) => {
                let option = option.to_owned();
                if !own_option(&mut command, &option, &mut parser)? {
                    return Err(Long(&option).unexpected().into());
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!((1..=MAX_EVENTS).contains(&batch), "--batch {batch}: expected 1 to {MAX_EVENTS}");
    ensure!((1..=1_000).contains(&connections), "--connections {connections}: expected 1 to 1000");
    let token = token.context("--token is missing")?;
    let token = match token.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("--token @{file}"))?.trim().to_owned(),
        None => token,
    };
    let url = url.context("--url is missing")?;
    Ok(Request::Run(Arguments { command, url, token, seed, batch, connections, retries, gzip, ledger }))
}

/// Takes an option that only this command has.
fn own_option(command: &mut Command, option: &str, parser: &mut lexopt::Parser) -> anyhow::Result<bool> {
    match (command, option) {
        (Command::History { days, .. }, "days") => {
            *days = parser.value()?.parse()?;
            ensure!((1..=3_650).contains(days), "--days {days}: expected 1 to 3650");
        }
        (Command::History { until_ms, .. }, "until") => {
            let text = parser.value()?.string()?;
            *until_ms = match text.as_str() {
                "now" => None,
                time => {
                    let time: jiff::Timestamp =
                        time.parse().with_context(|| format!("--until {time}: expected RFC 3339 or now"))?;
                    Some(time.as_millisecond())
                }
            };
        }
        (Command::History { scale, .. } | Command::Live { scale, .. }, "scale") => {
            *scale = number(parser, option, 0.0..=10_000.0)?;
        }
        (Command::Live { speed, .. }, "speed") => *speed = number(parser, option, 0.01..=10_000.0)?,
        (Command::Load { rate, .. }, "rate") => *rate = parser.value()?.parse()?,
        (Command::Load { duration, .. }, "duration") => *duration = Some(time_span(&parser.value()?.string()?)?),
        (Command::Load { events, .. }, "events") => *events = Some(parser.value()?.parse()?),
        (Command::Load { resend, .. }, "resend") => *resend = number(parser, option, 0.0..=10.0)?,
        (Command::Load { ndjson, .. }, "ndjson") => *ndjson = true,
        (Command::Load { json, .. }, "json") => *json = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn number(parser: &mut lexopt::Parser, option: &str, range: std::ops::RangeInclusive<f64>) -> anyhow::Result<f64> {
    let number: f64 = parser.value()?.parse()?;
    ensure!(range.contains(&number), "--{option} {number}: expected {} to {}", range.start(), range.end());
    Ok(number)
}

/// `500ms`, `60s`, `5m`, `1h`; a bare number is seconds.
fn time_span(text: &str) -> anyhow::Result<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().with_context(|| format!("{text} is not a time span such as 60s"))?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => bail!("{text}: unknown unit {unit}, expected ms, s, m or h"),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> anyhow::Result<Arguments> {
        match parse(line.split_whitespace())? {
            Request::Run(arguments) => Ok(arguments),
            other => bail!("{other:?}"),
        }
    }

    #[test]
    fn commands_are_read_with_their_defaults() {
        let given = run("history --url http://h --token t --until 2026-07-01T00:00:00Z").expect("understood");
        let until_ms = Some(1_782_864_000_000);
        assert_eq!(given.command, Command::History { days: 7, until_ms, scale: 1.0 });
        assert_eq!((given.seed, given.batch, given.connections), (1, 500, 4));
        let given = run("load --url http://h --token=t --rate 0 --duration 5m --resend .2 --json").expect("understood");
        let Command::Load { rate, duration, resend, json, .. } = given.command else { panic!("not load") };
        assert_eq!((rate, duration, resend, json), (0, Some(Duration::from_secs(300)), 0.2, true));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("history --token t", "--url"),
            ("live --url http://h", "--token"),
            ("live --url http://h --token t --days 3", "--days"),
            ("load --url http://h --token t --batch 2001", "2000"),
            ("load --url http://h --token t --duration 5w", "unit w"),
            ("load --url http://h --token t --duration soon", "time span"),
            ("history --url http://h --token t --until yesterday", "RFC 3339"),
            ("history --url http://h --token t --scale -1", "--scale"),
            ("histroy", "histroy"),
        ] {
            let error = run(line).expect_err(line);
            assert!(format!("{error:#}").contains(word), "{line}: {error:#}");
        }
    }

    #[test]
    fn help_names_every_option() {
        for option in [
            "url",
            "token",
            "seed",
            "batch",
            "connections",
            "retries",
            "gzip",
            "ledger",
            "days",
            "until",
            "scale",
            "speed",
            "rate",
            "duration",
            "events",
            "resend",
            "ndjson",
            "json",
        ] {
            assert!(HELP.contains(&format!("--{option}")), "{option}");
        }
        assert!(matches!(parse(["load", "--help"]), Ok(Request::Help)));
    }
}
