//! `gridwarden drill`: begin a drill and see how it goes, and how people did over time.
//!
//! It asks the running station through its API, as a page does, so that a drill goes the whole way: this file decides nothing. It acts with a token of station.toml, or with a personal one from a
//! file, so that the drill is in a person's name.

use std::collections::HashSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::config::Loaded;
use crate::http::drills::TakenPart;
use crate::http::practice::{MonthPractice, PracticeView};
use crate::http::problem::Problem;
use crate::indicators::Times;
use crate::notify::post::Post;
use crate::practice::Practice;
use crate::view::PersonRef;

/// How often a drill that goes on is asked for.
const ASK_EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct DrillArgs {
    #[command(subcommand)]
    pub command: DrillCommand,
    #[arg(short, long, default_value = "config/station.toml", global = true)]
    pub config: PathBuf,
    /// Where the station answers, such as https://grid.example; `http.bind` of station.toml when left out
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// Name of a token of station.toml; the first that may act when left out
    #[arg(long, global = true, conflicts_with = "token_file")]
    pub token: Option<String>,
    /// A file with a personal token: the drill is in its owner's name
    #[arg(long, global = true)]
    pub token_file: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
pub enum DrillCommand {
    /// Begin a drill in a cell, on the real channels, and follow it to its end; exit code 1 when nobody acknowledged
    Begin {
        /// Code of the cell
        cell: String,
        /// The class whose ladder is climbed: fire, supervisory or trouble
        #[arg(long, default_value = "fire")]
        kind: String,
        /// Shown to everybody who is called
        #[arg(long)]
        note: Option<String>,
        /// Only begin it
        #[arg(long)]
        no_follow: bool,
    },
    /// How each person did in drills and roll-calls, over a year and month by month
    Results {
        /// Those in this cell and below
        #[arg(long)]
        cell: Option<String>,
        /// Id of one person
        #[arg(long)]
        person: Option<String>,
    },
}

/// Says what happens as it happens; `false`: nobody acknowledged.
pub async fn run(loaded: &Loaded, asked: &DrillArgs, out: &mut (impl Write + Send)) -> anyhow::Result<bool> {
    let station = Station::of(loaded, asked)?;
    match &asked.command {
        DrillCommand::Begin { cell, kind, note, no_follow } => {
            let body = json!({ "cell": cell, "kind": kind, "note": note });
            let begun: Begun = station.answer(station.to("drills", &[])?, Some(body)).await?;
            writeln!(out, "{} {}", begun.id, begun.text)?;
            if *no_follow {
                return Ok(true);
            }
            writeln!(out, "following it; Ctrl-C ends that, not the drill")?;
            station.follow(cell, &begun.id, out).await
        }
        DrillCommand::Results { cell, person } => {
            let asked = [("cell", cell.as_deref()), ("person", person.as_deref())];
            let results: PracticeView = station.answer(station.to("practice", &asked)?, None).await?;
            write!(out, "{}", text(&results))?;
            Ok(true)
        }
    }
}

struct Station {
    client: Client,
    url: Url,
    token: String,
}

impl Station {
    fn of(loaded: &Loaded, asked: &DrillArgs) -> anyhow::Result<Self> {
        let url = match &asked.url {
            Some(url) => url.clone(),
            None => format!("http://{}", reachable(loaded.config.http.bind.get_ref().parse()?)),
        };
        let url = Url::parse(&url).with_context(|| format!("--url: `{url}` is no address"))?;
        Ok(Self { client: Post::new(TIMEOUT)?.client, url, token: token(loaded, asked)? })
    }

    /// A resource of the API.
    fn to(&self, resource: &str, asked: &[(&str, Option<&str>)]) -> anyhow::Result<Url> {
        let mut url = self.url.join(&format!("/api/v1/{resource}"))?;
        for (key, value) in asked.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
            url.query_pairs_mut().append_pair(key, value);
        }
        Ok(url)
    }

    /// With a body it is posted.
    async fn answer<T: DeserializeOwned>(
        &self,
        url: Url,
        body: Option<serde_json::Value>,
    ) -> anyhow::Result<T> {
        let place = url.origin().ascii_serialization();
        let request: RequestBuilder = match body {
            Some(body) => self.client.post(url).json(&body),
            None => self.client.get(url),
        };
        let answer = request.bearer_auth(&self.token).send().await;
        let answer = answer.with_context(|| format!("no station answers at {place}; is it running?"))?;
        if answer.status().is_success() {
            return answer.json().await.context("the station's answer is not understood");
        }
        let status = answer.status();
        let Ok(problem) = answer.json::<Problem>().await else { bail!("the station answers {status}") };
        let fields = problem.errors.iter().map(|one| format!("; {}: {}", one.field, one.detail));
        bail!("{}{}", problem.detail, fields.collect::<String>())
    }

    async fn follow(&self, cell: &str, id: &str, out: &mut (impl Write + Send)) -> anyhow::Result<bool> {
        let mut said = HashSet::new();
        loop {
            let drill = self.drill(cell, id).await?;
            for line in drill.lines().filter(|line| said.insert(line.clone())) {
                writeln!(out, "{line}")?;
            }
            if !drill.alarm.open {
                writeln!(out, "{}", drill.end())?;
                return Ok(drill.to_acknowledge_s.is_some());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn drill(&self, cell: &str, id: &str) -> anyhow::Result<Drill> {
        let mut before = None;
        loop {
            // The newest but for those that were begun since it ended.
            let asked = [("cell", Some(cell)), ("limit", Some("5")), ("before", before.as_deref())];
            let page: Drills = self.answer(self.to("drills", &asked)?, None).await?;
            if let Some(drill) = page.items.into_iter().find(|drill| drill.alarm.id == id) {
                return Ok(drill);
            }
            before = Some(page.next.with_context(|| format!("the station has no drill {id} any more"))?);
        }
    }
}

/// Where something that listens there is reached from the same machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let own: IpAddr = if bind.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(if bind.ip().is_unspecified() { own } else { bind.ip() }, bind.port())
}

fn token(loaded: &Loaded, asked: &DrillArgs) -> anyhow::Result<String> {
    if let Some(path) = &asked.token_file {
        return from_file(path);
    }
    let mut tokens = loaded.config.http.tokens.iter();
    let found = match &asked.token {
        Some(name) => tokens.find(|token| token.name.get_ref() == name),
        None => tokens.find(|token| !token.read_only),
    };
    let missing = || {
        match &asked.token {
        Some(name) => format!("station.toml has no `[[http.token]]` with the name `{name}`"),
        None => "station.toml has no `[[http.token]]` that may act; add one, or give `--token-file` with a personal token".into(),
    }
    };
    Ok(found.with_context(missing)?.secret.read(&loaded.folder)?)
}

fn from_file(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

#[derive(Deserialize)]
struct Begun {
    id: String,
    text: String,
}

#[derive(Deserialize)]
struct Drills {
    items: Vec<Drill>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Drill {
    alarm: DrillAlarm,
    to_acknowledge_s: Option<f64>,
    to_arrive_s: Option<f64>,
    people: Vec<TakenPart>,
}

#[derive(Deserialize)]
struct DrillAlarm {
    id: String,
    open: bool,
    exercise: Option<Exercise>,
}

#[derive(Deserialize)]
struct Exercise {
    ended_by: Option<String>,
}

impl Drill {
    /// What is known of each person so far.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.people.iter().flat_map(|one| {
            let who = one.person.as_ref().map_or_else(|| "nobody by name".to_owned(), name);
            let called = format!("{}  {who} was called by {}", one.called, one.channels.join(", "));
            let after = |what: &str, after: f64| format!("  {who} {what} {after:.1} s after the call");
            let acknowledged = one.to_acknowledge_s.map(|s| after("acknowledged", s));
            let arrived = one.to_arrive_s.map(|s| after("was on site", s));
            [Some(called), acknowledged, arrived].into_iter().flatten()
        })
    }

    fn end(&self) -> String {
        let real = self.alarm.exercise.as_ref().and_then(|exercise| exercise.ended_by.as_deref());
        let after = |what: &str, after: Option<f64>| match after {
            Some(s) => format!("{what} after {s:.1} s"),
            None => format!("{what} by nobody"),
        };
        let real = real.map(|id| format!(" because {id} is real")).unwrap_or_default();
        let acknowledged = after("acknowledged", self.to_acknowledge_s);
        format!("the drill is over{real}: {acknowledged}, reached {}", after("", self.to_arrive_s).trim())
    }
}

fn name(person: &PersonRef) -> String {
    format!("{} {}", person.id, person.name)
}

fn text(results: &PracticeView) -> String {
    let mut lines = vec![format!("from {} to {}", results.from, results.to)];
    if results.people.is_empty() {
        lines.push("nobody was called by a drill or asked by a roll-call".to_owned());
    }
    for one in &results.people {
        lines.push(format!("{}: {}", name(&one.person), figures(&one.all)));
        let month = |month: &MonthPractice| format!("  {}: {}", month.month, figures(&month.practice));
        lines.extend(one.months.iter().map(month));
    }
    if results.cut {
        lines.push("there was more than is looked at; ask for one cell".to_owned());
    }
    lines.join("\n") + "\n"
}

fn figures(practice: &Practice) -> String {
    let Practice { drills, roll_calls } = practice;
    let times = |what: &str, times: Times| match times.median_ms {
        Some(ms) => format!("{what} {} (half within {:.1} s)", times.count, ms as f64 / 1_000.0),
        None => format!("{what} 0"),
    };
    let drilled = format!(
        "called by {} drills, {}, {}",
        drills.called,
        times("acknowledged", drills.to_acknowledge),
        times("on site", drills.to_arrive)
    );
    let asked = format!(
        "asked by {} roll-calls, {}, unanswered {}",
        roll_calls.asked,
        times("answered", roll_calls.to_answer),
        roll_calls.unanswered
    );
    let parts = [(drills.called, drilled), (roll_calls.asked, asked)];
    parts.into_iter().filter(|(count, _)| 0 < *count).map(|(_, text)| text).collect::<Vec<_>>().join("; ")
}
