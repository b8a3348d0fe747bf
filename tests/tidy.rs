//! Rules about the code and its documents that no compiler checks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed test")]

use std::path::{Path, PathBuf};

use tests::neighbours::root;

/// What decides must not act: these may not even mention the world.
const PURE: &[&str] = &["engine", "decode", "wire"];
const WORLD: &[(&str, &str)] = &[
    ("tokio", "the engine does not wait; the driver does"),
    ("std::fs", "files belong to store, config and main"),
    ("std::net", "sockets belong to io and http"),
    ("Instant::now", "time comes in as `now`"),
    ("SystemTime", "time comes in as `now`"),
    ("tracing", "say it with an effect or a return value; the caller logs"),
    ("fastrand", "random numbers come in as arguments"),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["gateway", "firmware-sim", "tests"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the search for source files is broken: {} found", found.len());
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().next().is_none_or(|line| !line.starts_with("//! ")))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "these files do not begin with `//!` and what they are for: {silent:#?}");
}

#[test]
fn what_decides_does_not_act() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        let pure = PURE.iter().any(|module| {
            name == format!("gateway/src/{module}.rs") || name.starts_with(&format!("gateway/src/{module}/"))
        });
        if !pure {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (word, reason) in WORLD {
                if line.contains(word) {
                    faults.push(format!("{name}:{}: `{word}`: {reason}", number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Spelt in two parts, so that this file does not find itself.
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
    ];
    let left: Vec<_> = sources()
        .into_iter()
        .flat_map(|(name, text)| {
            let lines: Vec<_> = text.lines().enumerate().map(|(n, line)| (n + 1, line.to_owned())).collect();
            lines.into_iter().map(move |(n, line)| (format!("{name}:{n}"), line))
        })
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(place, line)| format!("{place}: {}", line.trim()))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// Targets of the links of a Markdown text that lead to files beside it.
fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        // What stands between back-ticks is no link.
        let prose: String = line.split('`').step_by(2).collect();
        for rest in prose.split("](").skip(1).filter(|_| !code) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push(target.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_document_is_reached_from_both_readmes_and_no_link_leads_nowhere() {
    let documents: Vec<PathBuf> = ["", "docs", "docs/decisions", "docs/reliability"]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    let mut faults = Vec::new();
    for document in &documents {
        for target in links(&std::fs::read_to_string(document).unwrap()) {
            if !document.with_file_name(&target).exists() {
                faults.push(format!("{} leads to {target}, which is not there", document.display()));
            }
        }
    }
    for readme in ["README.md", "README.zh-CN.md"] {
        let reached = links(&std::fs::read_to_string(root().join(readme)).unwrap());
        for document in documents.iter().filter(|path| path.parent().unwrap().ends_with("docs")) {
            let name = format!("docs/{}", document.file_name().unwrap().to_string_lossy());
            if !reached.contains(&name) {
                faults.push(format!("{readme} does not lead to {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
