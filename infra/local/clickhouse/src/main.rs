//! Runs ClickHouse with its own HTTP interface out of `libchdb.so`, the engine as a shared library.
//!
//! `local-clickhouse LIBRARY DATA_FOLDER HTTP_PORT LOG_FILE`. SIGTERM stops it; data survives SIGKILL.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};

use anyhow::{Context, Result, bail};
use libloading::{Library, Symbol};

/// `chdb_query_cmdline`: takes the arguments of `clickhouse local`, answers when its queries have ended.
type QueryCommandLine = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;

/// `chdb_result_error`: the reason of a failed call, or null.
type ResultError = unsafe extern "C" fn(*mut c_void) -> *const c_char;

/// Opens the port, then waits a second at a time for as long as anybody could want.
const SERVE: &str = "SYSTEM START LISTEN HTTP; \
    SELECT sleepEachRow(1) FROM numbers(1000000000) \
    SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1 FORMAT Null";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [library, data, port, log] = arguments.as_slice() else {
        bail!("usage: local-clickhouse LIBRARY DATA_FOLDER HTTP_PORT LOG_FILE");
    };
    let command_line = [
        "clickhouse".to_owned(),
        format!("--path={data}"),
        "--listen_host=127.0.0.1".to_owned(),
        format!("--http_port={port}"),
        format!("--logger.log={log}"),
        "--log-level=error".to_owned(),
        // Two threads take turns at merges, small ones first: sixteen would all be slow together, and parts pile up where
        // questions keep the processors busy.
        "--background_pool_size=2".to_owned(),
        format!("--query={SERVE}"),
        // Settings of a server. Sixteen merges at once, as a server has: with fewer, large parts are never merged. The threads'
        // priority lets them keep up with inserts, and leave questions alone.
        "--".to_owned(),
        "--background_merges_mutations_concurrency_ratio=8".to_owned(),
        "--background_merges_mutations_scheduling_policy=shortest_task_first".to_owned(),
        "--os_threads_nice_value_merge_mutate=5".to_owned(),
    ];
    serve(library, &command_line).with_context(|| format!("cannot run ClickHouse from {library}"))
}

fn serve(library: &str, command_line: &[String]) -> Result<()> {
    let arguments =
        command_line.iter().map(|argument| CString::new(argument.as_str())).collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    // SAFETY: the library is the pinned package the stack installs; its initialisers expect no particular state.
    let library = unsafe { Library::new(library) }?;
    // SAFETY: the type is the one declared in the library's `chdb.h`.
    let query: Symbol<QueryCommandLine> = unsafe { library.get(b"chdb_query_cmdline") }?;
    // SAFETY: as above.
    let error: Symbol<ResultError> = unsafe { library.get(b"chdb_result_error") }?;
    let count = c_int::try_from(pointers.len())?;
    // SAFETY: `pointers` are `arguments`, which outlive the call; the engine reads and never writes or keeps them.
    let result = unsafe { query(count, pointers.as_mut_ptr()) };
    if !result.is_null() {
        // SAFETY: `result` came from this library and was not freed.
        let reason = unsafe { error(result) };
        if !reason.is_null() {
            // SAFETY: a C string that lives as long as `result`.
            bail!("{}", unsafe { CStr::from_ptr(reason) }.to_string_lossy());
        }
    }
    bail!("it has ended by itself")
}
