//! The whole system on one machine: ClickHouse, an AWS emulator with IAM enforcement, and the deployed template.
//!
//! `make` has the commands people type; `stack help` lists those of this program.

#![expect(clippy::print_stdout, reason = "a tool talks to people")]

mod artifacts;
mod check;
mod clickhouse;
mod config;
mod demo;
mod deploy;
mod document;
mod emulator;
mod environment;
mod http;
mod install;
mod invoke;
mod keys;
mod lifecycle;
mod package;
mod private;
mod process;
mod redrive;
mod run;
mod steps;
mod suite;
mod trace;
mod watch;
mod web;

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::config::Config;
use crate::keys::{SigningKey, TokenRequest};

const USAGE: &str = "\
stack up         build, start and deploy everything, in the background
stack down       stop it; data stays
stack dev        up, with demo data and tokens to try; stops at Ctrl-C
stack token      --account NAME --role ingest|viewer|analyst|admin [--ttl 30d]
stack start-clickhouse  start the ClickHouse of a running stack again, after it was killed
stack redrive    send what is in the dead-letter queue back to the queue it came from
stack watch      rebuild and serve the functions on every change, against the running stack
stack invoke     NAME: hand a function its sample of events/ while `stack watch` runs
stack web        build the dashboard, which the function get-dashboard holds
stack browser    install what tests of the dashboard take, and print the browser's path
stack package    arm64|x86_64: build the functions as they are deployed, into target/lambda
stack trace      ID: follow a request, by the x-request-id of its answer, through the functions' log
stack env        print the settings of the running stack
stack test       run every test against a fresh stack of their own
stack unit       run the tests that need no stack
stack e2e        [PART…]: run end-to-end tests whose names have a part, against a test stack that stays
stack check      format, lints, docs, licences, dependencies, template";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<ExitCode> {
    let (command, options) = arguments.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    if let "help" | "--help" = command {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::from_env()?;
    match command {
        "token" => println!("{}", SigningKey::load(&config)?.token(&TokenRequest::parse(options)?)?),
        "invoke" => match options {
            [function] => invoke::invoke(&config, function)?,
            _ => bail!("say which function: stack invoke track-event"),
        },
        "trace" => match options {
            [id] => println!("{}", trace::trace(&config.log("functions"), id)?),
            _ => bail!("say which request: stack trace, and the x-request-id of its answer"),
        },
        "package" if matches!(options, [arch] if ["arm64", "x86_64"].contains(&&**arch)) => {
            package::package(&config, &options[0])?;
        }
        "e2e" => return suite::run_end_to_end(&config, options).await,
        _ if !options.is_empty() => bail!("{command} takes no options"),
        "web" => web::build(&config)?,
        "browser" => println!("{}", web::browser(&config)?.display()),
        "up" => {
            lifecycle::up(&config).await?;
            println!("\n{}", environment::describe(&config)?);
        }
        "down" => lifecycle::down(&config)?,
        "dev" => lifecycle::dev(&config).await?,
        "package" => bail!("say for which processor: stack package arm64|x86_64"),
        "start-clickhouse" => lifecycle::start_clickhouse(&config).await?,
        "redrive" => redrive::redrive(&config).await?,
        "watch" => watch::watch(&config)?,
        "env" => {
            let file = config.env_file();
            print!("{}", std::fs::read_to_string(&file).context("the stack was never started: try `make up`")?);
        }
        "test" => return suite::run_all(&config).await,
        "unit" => return suite::run_units(&config),
        "check" => return check::check(&config),
        other => bail!("no command {other}\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}
