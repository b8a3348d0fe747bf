//! Takes the pages that `make web` built into the program: every file of dashboards/web/dist with its address, its kind and a tag that changes with it.
//!
//! Fails when they are not there: a station without its pages would only be noticed in the night that needs them.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let dist =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../dashboards/web/dist");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", dist.display());
    if !dist.join("index.html").is_file() {
        println!("cargo:error=the pages are not built: run `make web` first (it needs Node and npm)");
        std::process::exit(1);
    }
    let mut files = Vec::new();
    gather(&dist, &mut files);
    files.sort();
    let mut table = String::from("[\n");
    for file in files {
        let inside =
            file.strip_prefix(&dist).expect("it was found there").to_str().expect("vite's names are ASCII");
        let Some(kind) = kind(inside) else { continue };
        let bytes = fs::read(&file).expect("it was there a moment ago");
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        let small = file.with_file_name(format!(
            "{}.gz",
            file.file_name().and_then(|name| name.to_str()).expect("it has one")
        ));
        let gzip = if small.is_file() { format!("Some(include_bytes!({small:?}))") } else { "None".into() };
        let (address, tag) = (address(inside), format!("\"{:016x}\"", hasher.finish()));
        writeln!(table, "    File {{ address: {address:?}, kind: {kind:?}, tag: {tag:?}, bytes: include_bytes!({file:?}), gzip: {gzip} }},").expect("into memory");
    }
    table.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("pages.rs");
    fs::write(&out, table).unwrap_or_else(|error| panic!("cannot write {}: {error}", out.display()));
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            gather(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// `worker/index.html` is served at `/worker/`.
fn address(inside: &str) -> String {
    match inside.strip_suffix("index.html") {
        Some(folder) => format!("/{folder}"),
        None => format!("/{inside}"),
    }
}

/// `None`: not served by itself.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        "json" => "application/json",
        "woff2" => "font/woff2",
        "gz" => return None,
        other => {
            panic!("dashboards/web/dist has a `.{other}` file; say in gateway/build.rs how it is served")
        }
    })
}
