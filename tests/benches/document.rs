//! docs/benchmarks.md from the sections: each is kept beside the build, so that one part can be measured again alone.

use std::fmt::Write as _;
use std::path::PathBuf;

use tests::neighbours::root;

use super::figures::Section;

fn folder() -> PathBuf {
    let folder = root().join(".run/bench");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What this machine was doing: other programs' work shows in the load.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory: f64 =
        field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processor}, {cores} cores, {:.0} GB of memory, Linux {}", memory / 1e6, kernel.trim())
}

/// Keeps a section for [`join`].
pub fn put(name: &str, section: &Section) {
    let now = gateway::clock::wall().rfc3339();
    let text = format!(
        "## {}\n\n{}\n\n{}\nMeasured {}, load average {}.\n",
        section.title,
        section.method,
        section.table(),
        &now[..16],
        load()
    );
    std::fs::write(folder().join(format!("{name}.md")), text).unwrap();
}

/// Writes the document from the sections that there are.
pub fn join(names: &[&str]) {
    let mut text = format!(
        "# Benchmarks\n\n\
         Written by `make bench`; do not edit. Absolute figures belong to one machine and one moment: look at the ratios, whose two sides were measured in turn in the\n\
         same run. Each figure is the median of at least five runs, with the lowest and the highest, unless its method says that there is one. Everything runs on one machine over loopback, the load generator\n\
         and the receivers beside the gateway, so \"per second\" is for gateway and generator together; CPU time per message is the gateway's alone. What the figures\n\
         say and what was changed because of them: [decision 8](decisions/0008-where-time-goes.md).\n\n\
         Machine: {}.\n",
        machine()
    );
    for name in names {
        if let Ok(section) = std::fs::read_to_string(folder().join(format!("{name}.md"))) {
            write!(text, "\n{section}").unwrap();
        }
    }
    std::fs::write(root().join("docs/benchmarks.md"), text).unwrap();
}
