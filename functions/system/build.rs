//! Puts the dashboard, as `infra/web` builds it, into the function.

use std::{fmt::Write as _, fs, io, path::Path};

fn main() -> io::Result<()> {
    let variable =
        |name: &str| std::env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo did not set {name}")));
    // Read when the script runs, not with env!: checkouts may share a target folder.
    let dist = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../infra/web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    if !dist.join("index.html").exists() {
        println!("cargo::error=the dashboard is not built yet: run `make web`");
        return Ok(());
    }
    let dist = dist.canonicalize()?;
    let mut code =
        format!("const PAGE: &str = include_str!({:?});\nconst ASSETS: &[Asset] = &[\n", dist.join("index.html"));
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(dist.join("assets"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in names.iter().filter(|name| !name.ends_with(".br") && !name.ends_with(".gz")) {
        let kind = match Path::new(name).extension().and_then(|ending| ending.to_str()) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => return Err(io::Error::other(format!("of what kind is {name}?"))),
        };
        let file = |ending: &str| dist.join("assets").join(format!("{name}{ending}"));
        let _ = writeln!(
            code,
            "Asset {{ name: {name:?}, kind: {kind:?}, plain: include_bytes!({:?}), gzip: include_bytes!({:?}), brotli: include_bytes!({:?}) }},",
            file(""),
            file(".gz"),
            file(".br"),
        );
    }
    code.push_str("];\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("assets.rs"), code)
}
