//! Which package may use which.

use std::{collections::BTreeMap, fs, path::Path};

/// The other shared packages that each shared package may use. Packages of functions wire them together; of these, only `system`
/// uses others, for the OpenAPI document.
const SHARED: [(&str, &[&str]); 12] = [
    ("answers", &["domain", "dynamo", "platform", "warehouse"]),
    ("domain", &[]),
    ("dynamo", &["domain", "platform"]),
    ("http", &["domain", "platform"]),
    ("messaging", &["domain", "platform"]),
    ("platform", &[]),
    ("questions", &["answers", "domain", "http"]),
    ("runtime", &["domain", "http", "messaging", "platform"]),
    ("secrets", &["platform"]),
    ("sockets", &["platform"]),
    ("testkit", &["domain", "http", "runtime"]),
    ("warehouse", &["domain", "platform", "secrets"]),
];

/// Libraries that only these packages may use: adapters, each for its own thing, and the ways in.
const OUTSIDE: [(&str, &[&str]); 9] = [
    ("aws-sdk-apigatewaymanagement", &["sockets"]),
    ("aws-sdk-dynamodb", &["dynamo"]),
    ("aws-sdk-secretsmanager", &["secrets"]),
    ("aws-sdk-sqs", &["messaging"]),
    ("aws-types", &["dynamo", "messaging", "platform", "sockets"]),
    ("clickhouse", &["warehouse"]),
    ("lambda_runtime", &["runtime"]),
    ("lambda_http", &["http", "ingest", "runtime", "system", "testkit"]),
    (
        "tokio",
        &[
            "answers",
            "dynamo",
            "http",
            "ingest",
            "live",
            "metrics",
            "platform",
            "runtime",
            "search",
            "secrets",
            "system",
            "warehouse",
        ],
    ),
];

/// The dependencies of each package in a folder, without those of tests.
fn packages(folder: &str) -> BTreeMap<String, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let dependencies = |manifest: &str| -> Vec<String> {
        let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap_or_default();
        let lines = rest.lines().take_while(|line| !line.starts_with('['));
        let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
        lines.map(name).filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
    };
    let package = |entry: fs::DirEntry| {
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).expect("a package has a manifest");
        (entry.file_name().to_string_lossy().into_owned(), dependencies(&manifest))
    };
    fs::read_dir(folder).expect("is a folder").map(|entry| package(entry.expect("can be read"))).collect()
}

#[test]
fn shared_packages_know_only_those_below_them() {
    let packages = packages("shared");
    assert_eq!(packages.keys().map(String::as_str).collect::<Vec<_>>(), SHARED.map(|(name, _)| name));
    for (name, allowed) in SHARED {
        let known = packages[name].iter().filter_map(|dependency| dependency.strip_prefix("analytics-"));
        let strange: Vec<&str> = known.filter(|known| !allowed.contains(known)).collect();
        assert!(strange.is_empty(), "shared/{name} must not use {strange:?}");
    }
}

#[test]
fn only_system_uses_other_packages_of_functions() {
    let functions = packages("functions");
    for (name, dependencies) in functions.iter().chain(&packages("shared")) {
        let strange: Vec<&String> = dependencies.iter().filter(|known| functions.contains_key(*known)).collect();
        // get-openapi is in `system`: it puts together what each package says of its functions.
        let described = ["ingest", "metrics", "search"];
        let is_described = name == "system" && strange.iter().all(|known| described.contains(&known.as_str()));
        assert!(strange.is_empty() || is_described, "{name} must not use {strange:?}");
    }
}

#[test]
fn each_thing_outside_has_one_adapter() {
    let all: BTreeMap<String, Vec<String>> = packages("functions").into_iter().chain(packages("shared")).collect();
    for (library, allowed) in OUTSIDE {
        let users = all.iter().filter(|(_, known)| known.iter().any(|known| known == library));
        let strange: Vec<&String> =
            users.map(|(name, _)| name).filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(strange.is_empty(), "{library} is not for {strange:?}");
    }
    let known = |name: &str| all[name].iter().any(|known| known.starts_with("aws-sdk") || known == "clickhouse");
    assert!(["domain", "answers", "http", "runtime", "questions"].iter().all(|name| !known(name)));
}
