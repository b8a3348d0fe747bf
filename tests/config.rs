//! `gridwarden check` against files with a mistake in them, and against the files we ship.
//!
//! `tests/config/base` is right. Every other folder there holds the files that differ from it and `expected.txt`, the lines that must come out, no
//! more and no fewer. After a wanted change of words: `UPDATE_EXPECTED=1 cargo test -p tests --test config`, and read the difference.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway::config;
use gateway::problem::Severity;
use tests::neighbours::root;

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let file = to.join(entry.file_name());
        std::fs::copy(entry.path(), &file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// What `check` says of the base with the files of `mistake` laid over it; the folder's name is taken out.
fn check(mistake: &Path) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("tests/config/base"), folder.path());
    copy(mistake, folder.path());
    let (output, good) = config::check_command(&folder.path().join("station.toml"));
    (output.replace(&format!("{}/", folder.path().display()), ""), good)
}

fn mistakes() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("tests/config")).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir() && !folder.ends_with("base"));
    folders.sort();
    folders
}

#[test]
fn the_base_is_right() {
    let (output, good) = check(&root().join("tests/config/base"));
    assert!(good, "{output}");
    assert_eq!(
        output,
        "station.toml: good. Station `test`: 3 cells, 3 devices, 1 person, the listener, 1 Modbus unit, 2 rules, 1 ladder, 1 webhook.\n"
    );
}

#[test]
fn every_mistake_is_named_at_its_place() {
    let (mut wrong, mut kinds) = (Vec::new(), BTreeSet::new());
    for folder in mistakes() {
        let (output, good) = check(&folder);
        let lines: Vec<&str> = output.lines().collect();
        let (summary, problems) = lines.split_last().expect("a last line");
        let expected_file = folder.join("expected.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected_file, problems.join("\n") + "\n").unwrap();
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if good || problems != expected.lines().collect::<Vec<_>>() || !summary.ends_with("to correct") {
            wrong.push(format!("{name} (good: {good}) said\n{output}instead of\n{expected}"));
        }
        if problems.iter().any(|line| !line.contains("; ") && !line.contains(": "))
            || output.contains("hunter2")
        {
            wrong.push(format!("{name} does not say what to write instead, or shows a secret\n{output}"));
        }
        kinds.insert(expected);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(kinds.len() >= 90, "only {} different mistakes are tried", kinds.len());
}

#[test]
fn a_secret_everybody_can_read_is_a_hint_and_no_failure() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("tests/config/base"), folder.path());
    let token = folder.path().join("token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (output, good) = config::check_command(&folder.path().join("station.toml"));
    assert!(
        good && output.contains("station.toml:29:40: hint: every user of this machine can read"),
        "{output}"
    );
}

#[test]
fn a_lapsed_duty_or_a_bad_table_fails_the_check_but_not_the_start() {
    for (mistake, imports) in [("cell-nobody-responsible", true), ("device-bad-rows", false)] {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("tests/config/base"), folder.path());
        copy(&root().join("tests/config").join(mistake), folder.path());
        let whole = config::load_whole(&folder.path().join("station.toml")).expect("the gateway starts");
        assert!(whole.loaded.remarks.any(Severity::Warning), "{mistake}");
        assert_eq!(whole.registry.is_some(), imports, "{mistake}");
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("tests/config/base"), folder.path());
    copy(&root().join("tests/config/fire-waits"), folder.path());
    assert!(config::load(&folder.path().join("station.toml")).is_err());
}

#[test]
fn no_file_at_all_is_said_plainly() {
    let (output, good) = config::check_command(Path::new("nowhere/station.toml"));
    assert!(
        !good && output.starts_with("nowhere/station.toml:1:1: cannot read `nowhere/station.toml`"),
        "{output}"
    );
}

/// Set by `the_shipped_files_are_right` for its child.
const SECRETS_SET: &str = "GRIDWARDEN_TEST_SECRETS_SET";

#[test]
fn the_shipped_files_are_right() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shipped_files_with_secrets_set", "--nocapture"])
        .env(SECRETS_SET, "yes")
        .env("GRIDWARDEN_DEMO_TOKEN", "0123456789abcdef0123456789abcdef")
        .env("GRIDWARDEN_DEMO_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef")
        .env("GRIDWARDEN_OPERATOR_TOKEN", "0123456789abcdef0123456789abcdef")
        .env("GRIDWARDEN_DUTY_SECRET", "0123456789abcdef0123456789abcdef")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Not a test of its own: the process of the test above, because secrets come from the environment. Without them it does nothing.
#[test]
fn shipped_files_with_secrets_set() {
    if std::env::var_os(SECRETS_SET).is_none() {
        return;
    }
    for (file, wanted) in [
        (
            "config/station.toml",
            "the registry as it is in the store, the listener, 35 rules, 6 ladders, 1 webhook.",
        ),
        (
            "config/demo/station.toml",
            "16 cells, 70 devices, 12 people, the listener, 4 Modbus units, 35 rules, 6 ladders, 1 webhook.",
        ),
    ] {
        let (output, good) = config::check_command(&root().join(file));
        assert!(good && output.contains(wanted) && output.lines().count() == 1, "{output}");
    }
}

/// The examples that are switched off are right too, and no key is left out.
#[test]
fn station_toml_shows_every_key() {
    let text = std::fs::read_to_string(root().join("config/station.toml")).unwrap();
    let all: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if example.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => example,
            Some(_) | None => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let config: config::Config = toml::from_str(&all).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.influx.is_some() && config.brokers.len() == 1 && config.buses.len() == 3);

    let file = |name: &str| std::fs::read_to_string(root().join("gateway/src").join(name)).unwrap();
    let tables = ["cameras", "gbt26875", "influx", "meokon", "modbus", "mqtt", "push_in"];
    let tables = tables.map(|table| file(&format!("config/{table}.rs")));
    let source = file("config.rs") + &tables.concat();
    let mut renamed = None;
    for line in source.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once("rename = \"").filter(|_| line.starts_with("#[serde")) {
            renamed = rest.split('"').next();
        }
        if line.ends_with(',') && !line.starts_with("pub ") {
            renamed = None; // It was a value's name, not a key's.
        }
        let Some((field, _)) = line.strip_prefix("pub ").and_then(|line| line.split_once(": ")) else {
            continue;
        };
        let key = renamed.take().unwrap_or(field);
        let shown = all.lines().any(|line| {
            line.starts_with(&format!("{key} ="))
                || (line.starts_with('[')
                    && (line.contains(&format!("{key}]")) || line.contains(&format!("[{key}."))))
        });
        assert!(shown, "config/station.toml does not show the key `{key}`");
    }
}

#[test]
fn the_docs_name_every_metric_kind_and_column() {
    let read = |name: &str| std::fs::read_to_string(root().join("docs").join(name)).unwrap();
    let (configuration, import) = (read("configuration.md"), read("import.md"));
    for metric in gateway::model::Metric::all() {
        assert!(configuration.contains(&format!("`{}`", metric.name())), "{}", metric.name());
    }
    for kind in gateway::model::DeviceKind::ALL {
        assert!(import.contains(&format!("`{}`", kind.name())), "{}", kind.name());
    }
    for table in ["devices.csv", "people.csv"] {
        let text = std::fs::read_to_string(root().join("config/demo").join(table)).unwrap();
        for column in text.lines().next().unwrap_or_default().split(',') {
            assert!(import.contains(&format!("`{column}`")), "{table}: {column}");
        }
    }
}

/// The blocks of this kind in our documents, each with its file.
fn blocks(fence: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend([root().join("README.md"), root().join("README.zh-CN.md")]);
    files.retain(|file| file.extension().is_some_and(|ending| ending == "md"));
    files.sort();
    let mut blocks = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for part in text.split(&format!("```{fence}\n")).skip(1) {
            blocks.push((name.clone(), part.split("```").next().unwrap().to_owned()));
        }
    }
    blocks
}

/// Every example of station.toml and rules.toml in our documents has keys that exist and values that they take; a device profile reads its samples.
#[test]
fn the_examples_of_the_documents_are_right() {
    let base: toml::Table = toml::from_str(
        "rules = 'r'\n[station]\nid = 's'\nname = 's'\n[store]\npath = 'p'\n[http]\nbind = '127.0.0.1:0'\ntoken = []\n",
    )
    .unwrap();
    let found = blocks("toml");
    assert!(found.len() >= 8, "only {} examples", found.len());
    for (file, text) in found {
        let example: toml::Table =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}\n{text}"));
        if example.contains_key("over") {
            let profile = gateway::decode::profile::compile("example", &file, &text);
            let profile = profile.unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(profile.failures(), Vec::<String>::new());
            continue;
        }
        let fault = if example.contains_key("rule") || example.contains_key("ladder") {
            toml::from_str::<config::rules::Rules>(&text).err()
        } else {
            let mut whole = base.clone();
            for (key, value) in example {
                match (whole.get_mut(&key), value) {
                    (Some(toml::Value::Table(old)), toml::Value::Table(new)) => old.extend(new),
                    (_, value) => drop(whole.insert(key, value)),
                }
            }
            toml::from_str::<config::Config>(&toml::to_string(&whole).unwrap()).err()
        };
        assert!(fault.is_none(), "{file}: {}\n{text}", fault.unwrap());
    }
    for (file, text) in blocks("json") {
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
            panic!("{file}: {error}\n{text}");
        }
    }
}
