//! The chains of hashes through `audit` and `entries`: a row that was changed, put in or taken out no longer fits the one after it.
//!
//! A row's hash is SHA-256 over the hash before it, its number and its fields, each field with its length in front so that no two rows give the same bytes. The row before is asked
//! for in the writing transaction, because another process may write beside the gateway. A chain begins at its anchor. There is no key: what this proves and what not
//! stands in docs/decisions/0011-accounts-and-rights.md. What is hashed must never change: hashes are out there.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Problem, Store, StoreError, unint};
use crate::decode::bytes::hex;

pub(super) type Hash = [u8; 32];

/// Rows of one step of the migration.
const STEP_ROWS: i64 = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    Audit,
    Entries,
}

/// Where the next row hangs.
pub struct Link {
    pub number: i64,
    before: Vec<u8>,
}

impl Link {
    /// Where the row behind it hangs, when this one got `hash`.
    pub(super) fn next(&self, hash: &Hash) -> Self {
        Self { number: self.number + 1, before: hash.to_vec() }
    }
}

/// What was found in one chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub chain: Chain,
    pub rows: u64,
    /// Number and hash of the last row that fits, to be noted elsewhere.
    pub head: (u64, String),
    /// The first row that does not fit, and why.
    pub broken: Option<(u64, &'static str)>,
}

impl Chain {
    pub const ALL: [Self; 2] = [Self::Audit, Self::Entries];

    /// The table's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Entries => "entries",
        }
    }

    pub(super) fn next(self, connection: &Connection) -> rusqlite::Result<Link> {
        let last = match self {
            Self::Audit => "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1",
            Self::Entries => "SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1",
        };
        let last = connection
            .prepare_cached(last)?
            .query_row((), |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
            .optional()?;
        let (number, before) = match last {
            Some(last) => last,
            None => self.anchor(connection)?,
        };
        // Numbers that were given away are never given again.
        let given = connection
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = ?1")?
            .query_row([self.name()], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(Link { number: number.max(given.unwrap_or(0)) + 1, before })
    }

    fn anchor(self, connection: &Connection) -> rusqlite::Result<(i64, Vec<u8>)> {
        connection
            .prepare_cached("SELECT number, hash FROM anchors WHERE chain = ?1")?
            .query_row([self.name()], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Rows after `number` in order, each with the hash it has and the one it should have after `before`.
    fn walk(
        self,
        connection: &Connection,
        after: (i64, Vec<u8>),
        limit: i64,
        mut each: impl FnMut(i64, Vec<u8>, &Hash) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        let select = match self {
            Self::Audit => {
                "SELECT number, hash, at, who, what, target, detail FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2"
            }
            Self::Entries => {
                "SELECT number, hash, alarm, at, what, who, detail FROM entries WHERE number > ?1 ORDER BY number LIMIT ?2"
            }
        };
        let mut statement = connection.prepare_cached(select)?;
        let (number, mut before) = after;
        let mut rows = statement.query(params![number, limit])?;
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let link = Link { number, before };
            let text =
                |at: usize| -> rusqlite::Result<&str> { Ok(row.get_ref(at)?.as_str().unwrap_or_default()) };
            let due = match self {
                Self::Audit => audit(&link, row.get(2)?, [text(3)?, text(4)?, text(5)?, text(6)?]),
                Self::Entries => {
                    let who = row.get_ref(5)?.as_str_or_null().unwrap_or_default();
                    entry(&link, row.get(2)?, row.get(3)?, text(4)?, who, text(6)?)
                }
            };
            if !each(number, row.get(1)?, &due)? {
                return Ok(());
            }
            before = due.to_vec();
        }
        Ok(())
    }

    fn verify(self, connection: &Connection) -> rusqlite::Result<Verdict> {
        let anchor = self.anchor(connection)?;
        let (mut rows, mut head, mut broken) = (0, anchor.clone(), None);
        self.walk(connection, anchor, -1, |number, has, due| {
            if has != due {
                broken = Some((unint(number), "it, or the row before it, was changed, put in or taken out"));
                return Ok(false);
            }
            (rows, head) = (rows + 1, (number, has));
            Ok(true)
        })?;
        let given: Option<i64> = connection
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [self.name()], |row| row.get(0))
            .optional()?;
        if broken.is_none() && given.is_some_and(|given| head.0 < given) {
            broken = Some((unint(head.0 + 1), "it is missing at the end"));
        }
        Ok(Verdict { chain: self, rows, head: (unint(head.0), hex(&head.1)), broken })
    }
}

pub(super) fn audit(link: &Link, at: i64, texts: [&str; 4]) -> Hash {
    let mut hash = begin(link);
    hash.update(at.to_le_bytes());
    for text in texts {
        add(&mut hash, Some(text));
    }
    hash.finalize().into()
}

pub(super) fn entry(link: &Link, alarm: i64, at: i64, what: &str, who: Option<&str>, detail: &str) -> Hash {
    let mut hash = begin(link);
    hash.update(alarm.to_le_bytes());
    hash.update(at.to_le_bytes());
    for text in [Some(what), who, Some(detail)] {
        add(&mut hash, text);
    }
    hash.finalize().into()
}

fn begin(link: &Link) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(&link.before);
    hash.update(link.number.to_le_bytes());
    hash
}

fn add(hash: &mut Sha256, text: Option<&str>) {
    match text {
        None => hash.update(u64::MAX.to_le_bytes()),
        Some(text) => {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
}

/// Chains the rows of a file from before there were chains; does nothing once a chain has its anchor. In the migration's transaction.
pub(super) fn begin_all(connection: &Connection) -> rusqlite::Result<()> {
    for chain in Chain::ALL {
        let anchored = connection
            .query_row("SELECT 1 FROM anchors WHERE chain = ?1", [chain.name()], |_| Ok(()))
            .optional()?;
        if anchored.is_none() {
            fill(connection, chain)?;
        }
    }
    Ok(())
}

fn fill(connection: &Connection, chain: Chain) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO anchors (chain, number, hash) VALUES (?1, 0, x'')",
        [chain.name()],
    )?;
    let update = format!("UPDATE {} SET hash = ?2 WHERE number = ?1", chain.name());
    let mut after = chain.anchor(connection)?;
    loop {
        let mut due = Vec::new();
        chain.walk(connection, after.clone(), STEP_ROWS, |number, _, hash| {
            due.push((number, hash.to_vec()));
            Ok(true)
        })?;
        let Some(last) = due.last() else { return Ok(()) };
        after = last.clone();
        for (number, hash) in due {
            connection.prepare_cached(&update)?.execute(params![number, hash])?;
        }
    }
}

impl Store {
    /// Reads both chains from their anchors to their ends.
    pub async fn verify_chains(&self) -> Result<Vec<Verdict>, StoreError> {
        self.read(|connection| {
            Ok(Chain::ALL.iter().map(|chain| chain.verify(connection)).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The hash of one row in hexadecimal, to compare with a note kept elsewhere.
    pub async fn hash_of(&self, chain: Chain, number: u64) -> Result<Option<String>, StoreError> {
        self.read(move |connection| {
            let select = format!("SELECT hash FROM {} WHERE number = ?1", chain.name());
            let hash: Option<Vec<u8>> =
                connection.query_row(&select, [super::int(number)], |row| row.get(0)).optional()?;
            Ok::<_, Problem>(hash.map(|hash| hex(&hash)))
        })
        .await
    }
}
