//! Follows a request through the functions' log: from its answer to the storing of its events and the frames that show them.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Members of a line that are printed in places of their own, or are of no use to people.
const APART: [&str; 10] = [
    "timestamp",
    "level",
    "message",
    "name",
    "function",
    "request.id",
    "trace.id",
    "trace.from",
    "_aws",
    "cold_starts",
];

/// Prints all lines of the trace of a request (`x-request-id` of its answer) or of a trace id, in their order.
pub fn trace(log: &Path, id: &str) -> Result<String> {
    let file = File::open(log).context("the stack was never started: try `make up`")?;
    let lines = BufReader::new(file).lines();
    // Each line begins with the function's name in AWS.
    let object = |line: &str| serde_json::from_str(line.get(line.find('{')?..)?).ok();
    let lines: Vec<Value> = lines.filter_map(|line| object(&line.ok()?)).collect();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let of_request = lines.iter().filter(|line| line["request.id"] == id).map(|line| text(line, "trace.id"));
    let mut traces: BTreeSet<String> = of_request.chain([id.to_owned()]).collect();
    // An invocation names the traces of the messages that it received, and sends messages under its own trace.
    let is_from =
        |line: &Value, traces: &BTreeSet<String>| text(line, "trace.from").split(' ').any(|from| traces.contains(from));
    loop {
        let taken = lines.iter().filter(|line| is_from(line, &traces)).map(|line| text(line, "trace.id"));
        let more: Vec<String> = taken.filter(|trace| !traces.contains(trace)).collect();
        if more.is_empty() {
            break;
        }
        traces.extend(more);
    }
    let found: Vec<String> =
        lines.iter().filter(|line| traces.contains(&text(line, "trace.id"))).map(readable).collect();
    if found.is_empty() {
        bail!("no request and no trace {id} is in {}", log.display());
    }
    Ok(found.join("\n"))
}

fn readable(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let others = line.as_object().into_iter().flatten().filter(|(key, _)| !APART.contains(&key.as_str()));
    let others: Vec<String> = others
        .map(|(key, value)| format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    format!(
        "{} {:<5} {:<15} {}  {}",
        text("timestamp"),
        text("level"),
        text("function"),
        text("message"),
        others.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LOG: &str = r#"
analytics-TrackEvents-1 {"timestamp":"t1","level":"INFO","message":"request answered","function":"track-events","request.id":"r1","trace.id":"1-a","http.status":202}
analytics-TrackEvents-1 {"timestamp":"t2","level":"INFO","message":"request answered","function":"track-events","request.id":"r2","trace.id":"1-b","http.status":202}
not a line of a function
analytics-StoreEvents-1 {"timestamp":"t3","level":"INFO","message":"batches stored","function":"store-events","request.id":"s","trace.id":"1-c","events":2}
analytics-StoreEvents-1 {"timestamp":"t4","level":"INFO","message":"messages handled","function":"store-events","request.id":"s","trace.id":"1-c","trace.from":"1-a 1-x"}
analytics-StreamEvents-1 {"timestamp":"t5","level":"INFO","message":"messages handled","function":"stream-events","request.id":"f","trace.id":"1-d","trace.from":"1-c"}
"#;

    #[test]
    fn a_request_is_followed_to_its_frames_and_no_other_is() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("trace-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let log = folder.join("functions.log");
        fs::write(&log, LOG)?;
        let (followed, unknown) = (trace(&log, "r1"), trace(&log, "r9"));
        fs::remove_dir_all(&folder)?;
        let followed = followed?;
        let times: Vec<&str> = followed.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(times, ["t1", "t3", "t4", "t5"], "{followed}");
        assert!(followed.contains("store-events    batches stored  events=2"), "{followed}");
        assert!(unknown.is_err_and(|error| error.to_string().contains("r9")));
        Ok(())
    }
}
