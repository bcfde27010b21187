//! The table of routes, and what is made of it.

use std::{collections::BTreeMap, env, fs, path::Path};

use analytics_domain::access::named_routes;

const BEGIN: &str = "[workspace.metadata.lambda.watch.router]\n";

/// The routes of `cargo lambda watch`, which needs them in `Cargo.toml`.
fn watched() -> String {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for route in named_routes() {
        let served = format!("{{ function = \"{}\", method = \"{}\" }}", route.function, route.method);
        paths.entry(route.path).or_default().push(served);
    }
    paths.into_iter().map(|(path, served)| format!("\"{path}\" = [{}]\n", served.join(", "))).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "as snapshots do")]
fn watch_has_the_routes_of_the_table() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("there is a manifest");
    let (before, rest) = text.split_once(BEGIN).expect("the manifest has routes");
    let (routes, after) = rest.split_once("\n[").expect("something follows");
    let wanted = watched();
    if routes != wanted && env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&manifest, format!("{before}{BEGIN}{wanted}\n[{after}")).expect("can be written");
    } else {
        assert_eq!(routes, wanted, "run this test with INSTA_UPDATE=always to write them");
    }
}
