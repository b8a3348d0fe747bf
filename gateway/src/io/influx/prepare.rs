//! Set-up and check of the server by the influxdb2 crate: health, organisation, bucket with its retention, the token's rights.
//!
//! Servers without these endpoints (VictoriaMetrics, InfluxDB 1.8's /api/v2/write) are fine: what cannot be checked is said, and writing goes
//! on. Used by the task at start and whenever it is held, and by `gridwarden doctor`.

use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::api::organization::ListOrganizationRequest;
use influxdb2::models::health::Status as Health;
use influxdb2::models::{Bucket, PostBucketRequest, RetentionRule, retention_rule};
use influxdb2::{Client, RequestError};

use super::sender::{Sender, Sink, chain};
use super::verdict::Verdict;
use super::{Settings, crate_sender};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Good,
    /// The server does not offer this, or does not let us look.
    Unchecked,
    /// Writing will fail, or not do what the configuration says.
    Problem,
}

/// One thing that was looked at, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub mark: Mark,
    pub text: String,
}

fn finding(mark: Mark, text: impl Into<String>) -> Finding {
    Finding { mark, text: text.into() }
}

/// Looks at everything, and makes the bucket when it is missing and `influx.create_bucket` is set.
pub async fn prepare(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    match crate_sender::client(settings, false) {
        Ok(client) => {
            findings.push(health(&client).await);
            if let Some(unreachable) = findings.iter().find(|finding| finding.mark == Mark::Problem) {
                return vec![unreachable.clone()]; // Everything else would say the same.
            }
            let (found, org) = organisation(&client, settings).await;
            findings.extend(found);
            findings.push(bucket(&client, settings, org.as_deref()).await);
        }
        Err(error) => findings.push(finding(
            Mark::Unchecked,
            format!("health, organisation and bucket are not checked: {error:#}"),
        )),
    }
    findings.push(rights(settings).await);
    findings
}

async fn health(client: &Client) -> Finding {
    match client.health().await {
        Ok(health) => {
            let version = health.version.unwrap_or_else(|| "of unknown version".into());
            match health.status {
                Health::Pass => finding(Mark::Good, format!("{} {version} is healthy", health.name)),
                Health::Fail => {
                    let why = health.message.unwrap_or_else(|| "no reason given".into());
                    finding(
                        Mark::Unchecked,
                        format!("{} {version} says it is not healthy: {why}", health.name),
                    )
                }
            }
        }
        Err(RequestError::ReqwestProcessing { source }) if !source.is_decode() => {
            finding(Mark::Problem, format!("the server does not answer: {}", chain(&source.without_url())))
        }
        Err(error) => finding(
            Mark::Unchecked,
            format!("the server has no /health as InfluxDB 2 has it ({})", short(&error)),
        ),
    }
}

/// The organisation's id, when the server tells.
async fn organisation(client: &Client, settings: &Settings) -> (Option<Finding>, Option<String>) {
    let org = &settings.org;
    let request = ListOrganizationRequest { org: Some(org.clone()), ..ListOrganizationRequest::new() };
    match client.list_organizations(request).await {
        Ok(found) => match found.orgs.into_iter().find(|found| found.name == *org) {
            Some(found) => {
                (Some(finding(Mark::Good, format!("the organisation `{org}` is there"))), found.id)
            }
            None => (Some(hidden("organisation", org, "influx.org")), None),
        },
        Err(RequestError::Http { status, .. }) if status.as_u16() == 401 => {
            (Some(finding(Mark::Problem, TOKEN_REFUSED)), None)
        }
        Err(error) if says_not_found(&error) => (Some(hidden("organisation", org, "influx.org")), None),
        Err(error) => (
            Some(finding(Mark::Unchecked, format!("the server lists no organisations ({})", short(&error)))),
            None,
        ),
    }
}

const TOKEN_REFUSED: &str =
    "the server does not accept the token (401): put a valid one where influx.token points";

/// A token that may only write sees neither organisations nor buckets, so this alone is no problem.
fn hidden(what: &str, name: &str, key: &str) -> Finding {
    finding(
        Mark::Unchecked,
        format!(
            "the {what} `{name}` is not there, or the token may not see it (if writing fails, check {key})"
        ),
    )
}

async fn bucket(client: &Client, settings: &Settings, org: Option<&str>) -> Finding {
    let name = &settings.bucket;
    let request = ListBucketsRequest {
        after: None,
        id: None,
        limit: None,
        name: Some(name.clone()),
        offset: None,
        org: org.is_none().then(|| settings.org.clone()),
        org_id: org.map(str::to_owned),
    };
    match client.list_buckets(Some(request)).await {
        Ok(found) => match found.buckets.iter().find(|bucket| bucket.name == *name) {
            Some(bucket) => retention(bucket, settings),
            None => missing(client, settings, org).await,
        },
        Err(RequestError::Http { status, .. }) if status.as_u16() == 401 => {
            finding(Mark::Problem, TOKEN_REFUSED)
        }
        Err(error) if says_not_found(&error) => missing(client, settings, org).await,
        Err(error) => finding(Mark::Unchecked, format!("the server lists no buckets ({})", short(&error))),
    }
}

async fn missing(client: &Client, settings: &Settings, org: Option<&str>) -> Finding {
    let name = &settings.bucket;
    match (settings.create_bucket, org) {
        (true, Some(org)) => create(client, settings, org).await,
        (true, None) => finding(
            Mark::Problem,
            format!(
                "the bucket `{name}` is not there and cannot be made: the token does not see the organisation `{}`",
                settings.org
            ),
        ),
        (false, _) => hidden("bucket", name, "influx.bucket, or set influx.create_bucket"),
    }
}

async fn create(client: &Client, settings: &Settings, org: &str) -> Finding {
    let mut request = PostBucketRequest::new(org.to_owned(), settings.bucket.clone());
    request.description = Some(format!("Readings of the station {}", settings.station));
    if settings.retention_days > 0 {
        request.retention_rules =
            vec![RetentionRule::new(retention_rule::Type::Expire, seconds(settings.retention_days))];
    }
    let keeps = keeps(i64::from(settings.retention_days) * 86_400);
    match client.create_bucket(Some(request)).await {
        Ok(()) => finding(Mark::Good, format!("made the bucket `{}`, which keeps {keeps}", settings.bucket)),
        Err(RequestError::Http { status, .. }) if matches!(status.as_u16(), 401 | 403) => finding(
            Mark::Problem,
            format!(
                "the bucket `{}` is not there and the token may not make it ({}): make it by hand, or give a token that may",
                settings.bucket,
                status.as_u16()
            ),
        ),
        Err(error) => finding(
            Mark::Problem,
            format!(
                "the bucket `{}` is not there and could not be made ({})",
                settings.bucket,
                short(&error)
            ),
        ),
    }
}

/// The crate counts in i32: 68 years.
fn seconds(days: u32) -> i32 {
    i32::try_from(u64::from(days) * 86_400).unwrap_or(i32::MAX)
}

fn keeps(seconds: i64) -> String {
    match seconds {
        0 => "everything for ever".into(),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn retention(bucket: &Bucket, settings: &Settings) -> Finding {
    let has =
        bucket.retention_rules.iter().map(|rule| i64::from(rule.every_seconds)).find(|&s| s > 0).unwrap_or(0);
    let wanted = i64::from(settings.retention_days) * 86_400;
    let name = &bucket.name;
    if has == wanted || !settings.create_bucket {
        return finding(Mark::Good, format!("the bucket `{name}` is there and keeps {}", keeps(has)));
    }
    finding(
        Mark::Unchecked,
        format!(
            "the bucket `{name}` keeps {}, influx.retention_days says {}: it was there before and is left as it is",
            keeps(has),
            keeps(wanted)
        ),
    )
}

/// A write without lines passes the same checks of token and bucket as any other, and stores nothing.
async fn rights(settings: &Settings) -> Finding {
    let verdict = match Sender::new(&Settings { gzip: false, ..settings.clone() }) {
        Ok(sender) => sender.write(bytes::Bytes::new()).await,
        Err(error) => return finding(Mark::Problem, format!("{error:#}")),
    };
    match verdict {
        Verdict::Stored | Verdict::Partial(_) => good(settings),
        Verdict::Malformed(refusal) if misses_only_lines(&refusal.reason) => good(settings),
        Verdict::Malformed(refusal) => {
            finding(Mark::Unchecked, format!("a write without lines: {}", refusal.reason))
        }
        Verdict::Held(reason) | Verdict::TooLarge(reason) => finding(Mark::Problem, reason),
        Verdict::Later { reason, .. } => {
            finding(Mark::Unchecked, format!("whether the token may write is not known: {reason}"))
        }
    }
}

fn good(settings: &Settings) -> Finding {
    finding(Mark::Good, format!("the server takes writes to the bucket `{}`", settings.bucket))
}

/// InfluxDB 2 checks token and bucket first and then complains that there is nothing to write.
fn misses_only_lines(reason: &str) -> bool {
    ["requires points", "no points", "no data", "no lines", "empty"]
        .iter()
        .any(|words| reason.contains(words))
}

/// InfluxDB's own answer, not that of a server that has no such page.
fn says_not_found(error: &RequestError) -> bool {
    matches!(error, RequestError::Http { status, text }
        if status.as_u16() == 404 && text.trim_start().starts_with('{') && text.contains("not found"))
}

fn short(error: &RequestError) -> String {
    match error {
        RequestError::Http { status, text } => {
            let text: String =
                text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
            format!("{}: {text}", status.as_u16())
        }
        RequestError::ReqwestProcessing { source } if source.is_decode() => {
            "the answer is no JSON of its kind".into()
        }
        RequestError::ReqwestProcessing { .. }
        | RequestError::Serializing { .. }
        | RequestError::Deserializing { .. } => chain(error),
    }
}
