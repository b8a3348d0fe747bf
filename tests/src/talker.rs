//! A neighbour as a program of its own that is told by lines what to do, and says by lines what came of it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub struct Talker {
    child: Child,
    /// None once it is to die.
    commands: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    pub fn start(program: &mut Command) -> Self {
        let program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = program.spawn().expect("`make setup-test` installs it");
        let commands = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, commands, lines }
    }

    pub async fn tell(&mut self, line: &str) {
        let commands = self.commands.as_mut().expect("it lives");
        commands.write_all(format!("{line}\n").as_bytes()).await.expect("it listens");
        commands.flush().await.expect("it listens");
    }

    /// What it says next.
    pub async fn line(&mut self, seconds: u64) -> String {
        let line = tokio::time::timeout(Duration::from_secs(seconds), self.lines.next_line()).await;
        line.expect("it speaks").expect("text").expect("`make setup-test` installs its packages")
    }

    /// Without a word.
    pub async fn dies(&mut self) {
        self.commands = None;
        self.child.wait().await.expect("it ends");
    }
}
