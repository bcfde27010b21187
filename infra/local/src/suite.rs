//! The lanes of tests: run against a fresh stack, timed and counted.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{config::Config, deploy, document, environment, keys::SigningKey, lifecycle, steps::step, web};

/// How many of the slowest tests are named.
const SLOWEST: usize = 10;
/// End-to-end tests at the same time: most of the time of each is waiting.
const AT_ONCE: &str = "6";

/// The result of a lane.
#[derive(Debug, Default, Clone, PartialEq)]
struct Outcome {
    passed: usize,
    failed: usize,
    /// Names of tests with their seconds.
    tests: Vec<(String, f32)>,
}

impl Outcome {
    fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.tests.extend(more.tests);
    }
}

/// Every lane. The last line is `N passed, N failed`. What cannot be built or started is a failure, and so is a lane without
/// tests.
pub async fn run_all(config: &Config) -> Result<ExitCode> {
    let config = config.for_tests();
    let result = run_on_fresh_stack(&config).await;
    let stopped = lifecycle::down(&config);
    Ok(report(result.and_then(|outcome| stopped.map(|()| outcome))))
}

/// Tests that need no stack.
pub fn run_units(config: &Config) -> Result<ExitCode> {
    web::build(config)?;
    Ok(report(units(config)))
}

/// End-to-end tests whose names have one of these parts, against a stack that stays.
pub async fn run_end_to_end(config: &Config, parts: &[String]) -> Result<ExitCode> {
    let config = config.for_tests();
    lifecycle::up(&config).await?;
    Ok(report(end_to_end(&config, parts)))
}

fn report(result: Result<Outcome>) -> ExitCode {
    let mut outcome = result.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        Outcome { failed: 1, ..Outcome::default() }
    });
    outcome.tests.sort_by(|one, other| other.1.total_cmp(&one.1));
    outcome.tests.truncate(SLOWEST);
    if !outcome.tests.is_empty() {
        println!("\nThe slowest tests:");
    }
    for (name, seconds) in outcome.tests {
        println!("{seconds:7.1} s  {name}");
    }
    println!("\n{} passed, {} failed", outcome.passed, outcome.failed);
    if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_on_fresh_stack(config: &Config) -> Result<Outcome> {
    lifecycle::down(config)?;
    step("empty the test stack", || forget(config))?;
    lifecycle::up(config).await?;
    let mut outcome = Outcome::default();
    let mut times = Vec::new();
    let mut lane = |name: &str, run: &dyn Fn() -> Result<Outcome>| {
        println!("\n=== {name} ===");
        let started = Instant::now();
        outcome.add(run().unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Outcome { failed: 1, ..Outcome::default() }
        }));
        times.push(format!("{name} {:.0} s", started.elapsed().as_secs_f32()));
    };
    let variables = environment::variables(config, &deploy::current(config)?, &SigningKey::load(config)?)?;
    lane("unit tests", &|| units(config));
    lane("end-to-end tests", &|| end_to_end(config, &[]));
    lane("document", &|| counted(document::tests(config, &variables)?));
    lane("dashboard", &|| counted(web::tests(config, &variables)?));
    println!("\nLanes: {}", times.join(", "));
    Ok(outcome)
}

fn units(config: &Config) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for test in test_binaries(config, &["--lib", "--bins"])? {
        outcome.add(run(&mut timed(config, &test, &[])?, 0)?);
    }
    require(outcome)
}

fn end_to_end(config: &Config, parts: &[String]) -> Result<Outcome> {
    let variables = environment::variables(config, &deploy::current(config)?, &SigningKey::load(config)?)?;
    let mut outcome = Outcome::default();
    for test in test_binaries(config, &["--test", "*"])? {
        let mut command = timed(config, &test, parts)?;
        command.arg(format!("--test-threads={AT_ONCE}"));
        command.envs(variables.iter().cloned()).env("STACK_ENV", config.env_file());
        outcome.add(run(&mut command, 0)?);
    }
    require(outcome)
}

/// Lanes of other tools, each of which says how many tests have passed and failed.
fn counted(commands: Vec<Command>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for mut command in commands {
        outcome.add(run(&mut command, 1)?);
    }
    Ok(outcome)
}

fn require(outcome: Outcome) -> Result<Outcome> {
    if outcome.passed + outcome.failed == 0 {
        bail!("no test was run");
    }
    Ok(outcome)
}

/// A test program, and the folder of its package.
struct TestBinary {
    program: String,
    folder: String,
}

/// Builds tests of the whole workspace, which share their artefacts with the stack's.
fn test_binaries(config: &Config, which: &[&str]) -> Result<Vec<TestBinary>> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"])
        .args(which)
        .args(config.slow_tests.then_some(["--features", "tests/slow"]).into_iter().flatten())
        .current_dir(&config.root)
        .stderr(Stdio::inherit())
        .stdin(Stdio::null());
    let output = step("build tests", || Ok(cargo.output()?))?;
    if !output.status.success() {
        bail!("the tests cannot be built");
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let binary = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let manifest = text(&message["manifest_path"])?;
        let folder = manifest.strip_suffix("/Cargo.toml")?.to_owned();
        let is_test = message["profile"]["test"] == true;
        Some(TestBinary { program: text(&message["executable"]).filter(|_| is_test)?, folder })
    };
    Ok(String::from_utf8(output.stdout)?.lines().filter_map(binary).collect())
}

/// Runs a test program with the time of each test. `--report-time` is unstable, so a stable compiler needs RUSTC_BOOTSTRAP. The
/// variable is not set for builds, since build scripts read it.
fn timed(config: &Config, test: &TestBinary, parts: &[String]) -> Result<Command> {
    let mut command = Command::new(&test.program);
    command.args(parts).args(["-Zunstable-options", "--report-time"]).env("RUSTC_BOOTSTRAP", "1");
    command.current_dir(&test.folder).env("CARGO_MANIFEST_DIR", &test.folder);
    command.env("CARGO_TARGET_DIR", &config.target);
    Ok(command)
}

/// What a former run left. Only what a stack makes: the folder is a setting, and may hold other things.
fn forget(config: &Config) -> Result<()> {
    for folder in ["aws", "clickhouse", "keys", "log"] {
        let folder = config.state.join(folder);
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    for file in ["deployed.json", "demo-data-sent", "env"] {
        let file = config.state.join(file);
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Runs tests, shows what they say, and counts. A run that fails or has fewer tests than it must is a failure.
fn run(tests: &mut Command, least: usize) -> Result<Outcome> {
    let mut child = tests.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut outcome = Outcome::default();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        outcome.tests.extend(read_test(&line));
        if let Some((passed, failed)) = read_result(&line) {
            outcome.passed += passed;
            outcome.failed += failed;
        }
    }
    let succeeded = child.wait()?.success();
    if outcome.failed == 0 && (!succeeded || outcome.passed < least) {
        outcome.failed = 1;
    }
    Ok(outcome)
}

/// Of `test limits::a_page_is_cut ... ok <12.345s>`.
fn read_test(line: &str) -> Option<(String, f32)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let seconds = result.split_once('<')?.1.strip_suffix("s>")?;
    Some((name.to_owned(), seconds.parse().ok()?))
}

/// How many have passed and failed. Of cargo's `test result: ok. 3 passed; 0 failed; 0 ignored; …`, node's `# pass 3` and
/// `ℹ pass 3`, and Playwright's `  3 passed (1.2s)`.
fn read_result(line: &str) -> Option<(usize, usize)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["#" | "ℹ", what, number] => return one_count(what, number),
        [number, what, ..] if line.starts_with("  ") => return one_count(what, number),
        _ => {}
    }
    let numbers = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |name: &str| numbers.split("; ").find_map(|part| part.strip_suffix(name)?.trim().parse().ok());
    Some((number(" passed")?, number(" failed")?))
}

fn one_count(what: &str, number: &str) -> Option<(usize, usize)> {
    let number = number.parse().ok()?;
    match what {
        "pass" | "passed" => Some((number, 0)),
        "fail" | "failed" => Some((0, number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_results_and_times() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        assert_eq!(read_result(line), Some((12, 3)));
        assert_eq!(read_result("test passed_result ... ok"), None);
        assert_eq!(read_result("  4 passed (12.3s)"), Some((4, 0)));
        assert_eq!(read_result("  1 failed"), Some((0, 1)));
        assert_eq!(read_result("# fail 2"), Some((0, 2)));
        assert_eq!(read_result("  4 of them passed"), None);
        assert_eq!(read_test("test limits::pages ... ok <12.345s>"), Some(("limits::pages".to_owned(), 12.345)));
        assert_eq!(read_test("test limits::pages ... ok"), None);
    }

    #[test]
    fn a_run_that_fails_and_a_lane_without_tests_are_failures() -> Result<()> {
        let counts = |script: &str| -> Result<(usize, usize)> {
            let outcome = run(Command::new("sh").args(["-c", script]), 1)?;
            Ok((outcome.passed, outcome.failed))
        };
        let result = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        assert_eq!(counts(result)?, (2, 0));
        assert_eq!(counts("true")?, (0, 1));
        assert_eq!(counts(&format!("{result}; exit 1"))?, (2, 1));
        assert!(require(Outcome::default()).is_err());
        Ok(())
    }
}
