//! The `demo` command: see `demo --help`.

#![expect(clippy::print_stdout, reason = "a tool talks to people")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use demo::campaign_sender::{self, send_all, send_live};
use demo::cli::{self, Arguments, Command, Request};
use demo::client::{Layout, Patience};
use demo::clock;
use demo::load;
use demo::progress::Progress;
use demo::{Campaigns, Client, Stop, Window};

/// One thread: the tool must leave the machine to what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Request::Run(arguments)) => run(arguments).await,
        Ok(Request::Help) => {
            print!("{}", cli::HELP);
            Ok(())
        }
        Ok(Request::Version) => {
            println!("demo {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Err(error) => Err(error.context("see demo --help")),
    };
    if let Err(error) = done {
        eprintln!("demo: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let retries = arguments.retries.unwrap_or(match arguments.command {
        Command::History { .. } => 12,
        Command::Live { .. } => u32::MAX,
        Command::Load { .. } => 5,
    });
    let client = Client::new(&arguments.url, &arguments.token, Patience::with_retries(retries))?;
    let client = client.gzipped(arguments.gzip);
    let stop = Stop::default();
    tokio::spawn(stop_on_signal(stop.clone()));
    let progress = Progress::new();
    let now_ms = clock::now_ms();
    let options = campaign_sender::Options {
        batch: arguments.batch,
        connections: arguments.connections,
        keep_identities: arguments.ledger.is_some(),
    };
    let summary = match arguments.command {
        Command::Load { .. } => return run_load(&client, arguments, &stop, &progress).await,
        Command::History { days, until_ms, scale } => {
            let window = Window::days_until(days, until_ms.unwrap_or(now_ms));
            let events = Campaigns::new(arguments.seed).scaled(scale).events(window);
            send_all(&client, events, options, &stop, &progress).await
        }
        Command::Live { scale, speed } => {
            let window = Window { from_ms: now_ms, until_ms: i64::MAX };
            let events = Campaigns::new(arguments.seed).scaled(scale).events(window);
            send_live(&client, events, now_ms, speed, options, &stop, &progress).await
        }
    };
    print!("{summary}");
    if let Some(path) = &arguments.ledger {
        summary.write_ledger(path)?;
    }
    summary.check()
}

async fn run_load(client: &Client, arguments: Arguments, stop: &Stop, progress: &Progress) -> anyhow::Result<()> {
    let Command::Load { rate, duration, events, resend, ndjson, json } = arguments.command else {
        return Ok(());
    };
    let until_events = duration.is_none() && events.is_some();
    let options = load::Options {
        rate,
        duration: if until_events { None } else { Some(duration.unwrap_or(load::DEFAULT_DURATION)) },
        events,
        batch: arguments.batch,
        connections: arguments.connections,
        resend,
        layout: if ndjson { Layout::Ndjson } else { Layout::Json },
        seed: arguments.seed,
        ledger: arguments.ledger,
    };
    let report = load::run(client, &options, stop, progress).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    ensure!(report.failed_requests == 0, "{} requests failed for good", report.failed_requests);
    Ok(())
}

/// The first Ctrl-C or SIGTERM ends the run with its summary, the next one at once.
async fn stop_on_signal(stop: Stop) {
    // A terminal and a parent process may both pass on the same Ctrl-C.
    const SAME_SIGNAL: Duration = Duration::from_secs(1);
    let mut first = None;
    while next_signal().await.is_ok() {
        if first.get_or_insert_with(Instant::now).elapsed() > SAME_SIGNAL {
            std::process::exit(130);
        }
        stop.set();
    }
}

#[cfg(unix)]
async fn next_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn next_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
