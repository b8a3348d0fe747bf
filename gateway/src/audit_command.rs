//! `gridwarden audit …`: whether the log is as it was written, and taking away what is old. Works beside a running gateway.

use anyhow::{Context, bail};

use crate::config::Loaded;
use crate::store::chain::{Chain, Verdict};
use crate::store::{Audit, Store};
use crate::units::Timestamp;
use crate::{account_command, clock};

/// Within this time nothing is taken away: 网络安全法 §21 (3) wants logs kept for six months at least.
const KEPT_DAYS_MIN: i64 = 183;

#[derive(clap::Subcommand)]
pub enum AuditCommand {
    /// Check that no row of the audit log or of the alarms' history was changed, put in or taken out
    Verify {
        /// A head noted earlier, such as `audit/812=9f3c…`, that must still be there
        #[arg(long)]
        known: Vec<String>,
    },
    /// Take away the audit rows of before a moment; alarms' history stays
    Prune {
        /// RFC 3339, such as 2025-01-01T00:00:00+08:00
        #[arg(long)]
        before: String,
    },
}

/// What to print, and whether all is well.
pub async fn run(loaded: &Loaded, command: AuditCommand) -> anyhow::Result<(String, bool)> {
    let store = Store::open_beside(&loaded.store_path())?;
    match command {
        AuditCommand::Verify { known } => {
            let mut good = true;
            let mut text = String::new();
            for verdict in store.verify_chains().await? {
                good &= verdict.broken.is_none();
                text.push_str(&said(&verdict));
            }
            for head in &known {
                let (line, same) = compare(&store, head).await?;
                good &= same;
                text.push_str(&line);
            }
            Ok((text, good))
        }
        AuditCommand::Prune { before } => {
            let moment = Timestamp::parse_rfc3339(&before).with_context(|| {
                format!("`{before}` is no moment; write it like 2025-01-01T00:00:00+08:00")
            })?;
            let youngest = Timestamp(clock::wall().0 - KEPT_DAYS_MIN * 24 * 3600 * 1000);
            if youngest < moment {
                bail!("the last {KEPT_DAYS_MIN} days are kept: give a moment before {}", youngest.rfc3339());
            }
            let line = Audit {
                target: "audit".into(),
                detail: format!("before {}", moment.rfc3339()),
                ..account_command::line("audit.prune", "")
            };
            let gone = store.prune_audit(moment, line).await?;
            Ok((format!("{gone} rows of the audit log were taken away.\n"), true))
        }
    }
}

fn said(verdict: &Verdict) -> String {
    let Verdict { chain, rows, head: (number, hash), broken } = verdict;
    let name = chain.name();
    match broken {
        None => {
            format!("{name}: {rows} rows are as they were written. Note elsewhere: {name}/{number}={hash}\n")
        }
        Some((row, why)) => {
            format!("{name}: BROKEN at row {row}: {why}. {rows} rows before it are as they were written.\n")
        }
    }
}

async fn compare(store: &Store, head: &str) -> anyhow::Result<(String, bool)> {
    let parts = || {
        let (row, hash) = head.split_once('=')?;
        let (chain, number) = row.split_once('/')?;
        let chain = Chain::ALL.into_iter().find(|one| one.name() == chain)?;
        Some((chain, number.parse().ok()?, hash))
    };
    let (chain, number, hash): (Chain, u64, &str) =
        parts().with_context(|| format!("`{head}` is no head; write it as `audit/812=9f3c…`"))?;
    let same = store.hash_of(chain, number).await?.is_some_and(|found| found.eq_ignore_ascii_case(hash));
    let verdict = if same { "is the row that was noted" } else { "BROKEN: is not the row that was noted" };
    Ok((format!("{}/{number}: {verdict}\n", chain.name()), same))
}
