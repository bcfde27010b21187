//! Runs every test of the workspace against a fresh stack of their own, and counts them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::config::Config;
use crate::keys::SigningKey;
use crate::steps::step;
use crate::{deploy, environment, lifecycle, web};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// The last line is `N passed, N failed`. What cannot be built or started is a failure, and so is a run without tests.
pub async fn run_tests(config: &Config) -> Result<ExitCode> {
    let config = config.for_tests();
    let result = run_on_fresh_stack(&config).await;
    let stopped = lifecycle::down(&config);
    let count = result.and_then(|count| stopped.map(|()| count)).unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        Count { passed: 0, failed: 1 }
    });
    println!("\n{} passed, {} failed", count.passed, count.failed);
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_on_fresh_stack(config: &Config) -> Result<Count> {
    lifecycle::down(config)?;
    step("empty the test stack", || forget(config))?;
    lifecycle::up(config).await?;
    let variables = environment::variables(config, &deploy::current(config)?, &SigningKey::load(config)?)?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(config.slow_tests.then_some(["--features", "tests/slow"]).into_iter().flatten())
        .current_dir(&config.root)
        .envs(variables.iter().cloned())
        .env("STACK_ENV", config.env_file());
    let mut count = run_and_count(&mut cargo)?;
    for mut tests in web::tests(config, &variables)? {
        let more = run_and_count(&mut tests)?;
        count = Count { passed: count.passed + more.passed, failed: count.failed + more.failed };
    }
    Ok(count)
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

fn run_and_count(tests: &mut Command) -> Result<Count> {
    let mut child = tests.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut count = Count::default();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        if let Some(result) = read_result(&line) {
            count.passed += result.passed;
            count.failed += result.failed;
        }
    }
    let succeeded = child.wait()?.success();
    if count.failed == 0 && (!succeeded || count.passed == 0) {
        count.failed = 1;
    }
    Ok(count)
}

/// Of cargo's `test result: ok. 3 passed; 0 failed; 0 ignored; …`, node's `# pass 3` and `ℹ pass 3`, and Playwright's `  3 passed (1.2s)`.
fn read_result(line: &str) -> Option<Count> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["#" | "ℹ", what, number] => return counted(what, number),
        [number, what, ..] if line.starts_with("  ") => return counted(what, number),
        _ => {}
    }
    let numbers = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |name: &str| numbers.split("; ").find_map(|part| part.strip_suffix(name)?.trim().parse().ok());
    Some(Count { passed: number(" passed")?, failed: number(" failed")? })
}

fn counted(what: &str, number: &str) -> Option<Count> {
    let number = number.parse().ok()?;
    match what {
        "pass" | "passed" => Some(Count { passed: number, failed: 0 }),
        "fail" | "failed" => Some(Count { passed: 0, failed: number }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_results_of_test_binaries() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        assert_eq!(read_result(line), Some(Count { passed: 12, failed: 3 }));
        assert_eq!(read_result("test passed_result ... ok"), None);
        assert_eq!(read_result("  4 passed (12.3s)"), Some(Count { passed: 4, failed: 0 }));
        assert_eq!(read_result("  1 failed"), Some(Count { passed: 0, failed: 1 }));
        assert_eq!(read_result("# fail 2"), Some(Count { passed: 0, failed: 2 }));
        assert_eq!(read_result("  4 of them passed"), None);
    }

    #[test]
    fn a_build_that_fails_and_a_run_without_tests_are_failures() -> Result<()> {
        let failed = |script: &str| run_and_count(Command::new("sh").args(["-c", script]));
        let result = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        assert_eq!(failed(result)?, Count { passed: 2, failed: 0 });
        assert_eq!(failed("true")?, Count { passed: 0, failed: 1 });
        assert_eq!(failed(&format!("{result}; exit 1"))?, Count { passed: 2, failed: 1 });
        Ok(())
    }
}
