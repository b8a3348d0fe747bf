//! Accounts and passes on disk. Every change carries the line for the audit log and is written with it, or not at all.
//!
//! Also written by `gridwarden account` beside a running gateway: what must hold is asked inside the writing transaction.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Audit, Problem, Store, StoreError, audit, int, record, unint};
use crate::accounts::{Account, Pass, PassKind};
use crate::units::{Millis, Timestamp};

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    Done(Box<Account>),
    NoSuchAccount,
    /// Nobody would be left who can change accounts.
    LastAdministrator,
    /// The closure did not want to.
    Refused,
}

/// Which passes end with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    None,
    All,
    /// All but this one.
    Others(u64),
}

const PASS: &str = "SELECT number, kind, account, label, address, made, seen, idle, ends FROM passes";

impl Store {
    /// In order of name.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(all).await
    }

    pub async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| load(connection, &name)).await
    }

    /// `false` when the name is taken.
    pub async fn add_account(&self, account: Account, line: Audit) -> Result<bool, StoreError> {
        self.write(move |writing| {
            if load(writing.connection, &account.name)?.is_some() {
                return Ok(false);
            }
            save(writing.connection, &account)?;
            audit::add(writing.connection, &line)?;
            Ok(true)
        })
        .await
    }

    /// The first administrator, when there is no account at all; `false` when there is one.
    pub async fn add_first_account(&self, account: Account, line: Audit) -> Result<bool, StoreError> {
        self.write(move |writing| {
            let any = writing
                .connection
                .query_row("SELECT count(*) FROM accounts", (), |row| row.get::<_, i64>(0))?;
            if any == 0 {
                save(writing.connection, &account)?;
                audit::add(writing.connection, &line)?;
            }
            Ok(any == 0)
        })
        .await
    }

    /// `change` sees the account as it is inside the transaction; when it says `false` nothing is written.
    pub async fn change_account(
        &self,
        name: &str,
        ends: Ends,
        line: Audit,
        change: impl FnOnce(&mut Account) -> bool + Send + 'static,
    ) -> Result<Changed, StoreError> {
        let name = name.to_owned();
        self.write(move |writing| {
            let connection = writing.connection;
            let Some(mut account) = load(connection, &name)? else { return Ok(Changed::NoSuchAccount) };
            let administered = account.administers();
            if !change(&mut account) {
                return Ok(Changed::Refused);
            }
            let others = || -> Result<bool, Problem> {
                Ok(all(connection)?.iter().any(|other| other.name != name && other.administers()))
            };
            if administered && !account.administers() && !others()? {
                return Ok(Changed::LastAdministrator);
            }
            save(connection, &account)?;
            end(connection, &name, ends)?;
            audit::add(connection, &line)?;
            Ok(Changed::Done(Box::new(account)))
        })
        .await
    }

    /// Keeps a new pass under the hash of its secret; its number.
    pub async fn add_pass(&self, pass: Pass, hash: [u8; 32], line: Audit) -> Result<u64, StoreError> {
        self.write(move |writing| {
            let number = add(writing.connection, &pass, hash)?;
            audit::add(writing.connection, &line)?;
            Ok(number)
        })
        .await
    }

    /// The pass with this secret and its account, as long as both hold.
    pub async fn pass(&self, hash: [u8; 32], now: Timestamp) -> Result<Option<(Pass, Account)>, StoreError> {
        self.read(move |connection| {
            let pass = connection
                .prepare_cached(&format!("{PASS} WHERE hash = ?1"))?
                .query_row([&hash[..]], pass)
                .optional()?;
            valid(connection, pass, now)
        })
        .await
    }

    pub async fn pass_by_number(
        &self,
        number: u64,
        now: Timestamp,
    ) -> Result<Option<(Pass, Account)>, StoreError> {
        self.read(move |connection| {
            let pass = connection
                .prepare_cached(&format!("{PASS} WHERE number = ?1"))?
                .query_row([int(number)], pass)
                .optional()?;
            valid(connection, pass, now)
        })
        .await
    }

    pub async fn touch_pass(&self, number: u64, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |writing| {
            writing
                .connection
                .prepare_cached("UPDATE passes SET seen = ?2 WHERE number = ?1")?
                .execute(params![int(number), now.0])?;
            Ok(())
        })
        .await
    }

    /// Takes an invitation, once, and gives a session for it; `change` sets what the invited wants. `None`: there is no such invitation any more.
    pub async fn accept_invitation(
        &self,
        invitation: [u8; 32],
        now: Timestamp,
        change: impl FnOnce(&mut Account) -> (Pass, [u8; 32], Audit) + Send + 'static,
    ) -> Result<Option<Account>, StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let pass = connection
                .prepare_cached(&format!("{PASS} WHERE hash = ?1 AND kind = 'invitation'"))?
                .query_row([&invitation[..]], pass)
                .optional()?;
            let Some((_, mut account)) = valid(connection, pass, now)? else { return Ok(None) };
            let (session, hash, line) = change(&mut account);
            connection
                .execute("DELETE FROM passes WHERE account = ?1 AND kind = 'invitation'", [&account.name])?;
            save(connection, &account)?;
            add(connection, &session, hash)?;
            audit::add(connection, &line)?;
            Ok(Some(account))
        })
        .await
    }

    /// What the account has given out, newest first.
    pub async fn passes(&self, account: &str, now: Timestamp) -> Result<Vec<Pass>, StoreError> {
        let account = account.to_owned();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("{PASS} WHERE account = ?1 ORDER BY number DESC"))?;
            let passes: Vec<Pass> = statement.query_map([account], pass)?.collect::<Result<_, _>>()?;
            Ok(passes.into_iter().filter(|pass| pass.holds(now)).collect())
        })
        .await
    }

    /// `false` when this account has no such pass.
    pub async fn end_pass(&self, account: &str, number: u64, line: Audit) -> Result<bool, StoreError> {
        let account = account.to_owned();
        self.write(move |writing| {
            let gone = writing.connection.execute(
                "DELETE FROM passes WHERE account = ?1 AND number = ?2",
                params![account, int(number)],
            )?;
            if gone == 1 {
                audit::add(writing.connection, &line)?;
            }
            Ok(gone == 1)
        })
        .await
    }
}

fn all(connection: &Connection) -> Result<Vec<Account>, Problem> {
    let mut statement = connection.prepare_cached("SELECT name, record FROM accounts ORDER BY name")?;
    let mut rows = statement.query(())?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        match read(&row.get::<_, String>(0)?, record::text(row.get_ref(1)?)) {
            Ok(account) => accounts.push(account),
            Err(damage) => tracing::error!(%damage, "left out; `gridwarden account reset` makes a new one"),
        }
    }
    Ok(accounts)
}

fn load(connection: &Connection, name: &str) -> Result<Option<Account>, Problem> {
    let text: Option<String> = connection
        .prepare_cached("SELECT record FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| read(name, &text)).transpose()?)
}

fn read(name: &str, text: &str) -> Result<Account, StoreError> {
    record::read(text, format_args!("account `{name}`"))
}

fn save(connection: &Connection, account: &Account) -> Result<(), Problem> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO accounts (name, record) VALUES (?1, ?2)")?
        .execute(params![account.name, record::write(account)])?;
    Ok(())
}

/// Also clears away what has ended, and the oldest of too many.
fn add(connection: &Connection, pass: &Pass, hash: [u8; 32]) -> Result<u64, Problem> {
    connection.prepare_cached("DELETE FROM passes WHERE ends < ?1")?.execute([pass.made.0])?;
    connection
        .prepare_cached(
            "INSERT INTO passes (hash, kind, account, label, address, made, seen, idle, ends)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            &hash[..],
            pass.kind.name(),
            pass.account,
            pass.label,
            pass.address,
            pass.made.0,
            pass.seen.0,
            int(pass.idle.0),
            pass.ends.0
        ])?;
    let number = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "DELETE FROM passes WHERE account = ?1 AND kind = ?2 AND number NOT IN
             (SELECT number FROM passes WHERE account = ?1 AND kind = ?2 ORDER BY number DESC LIMIT ?3)",
        )?
        .execute(params![pass.account, pass.kind.name(), pass.kind.kept()])?;
    Ok(unint(number))
}

fn end(connection: &Connection, account: &str, ends: Ends) -> Result<(), Problem> {
    let kept = match ends {
        Ends::None => return Ok(()),
        Ends::All => 0,
        Ends::Others(number) => number,
    };
    connection
        .execute("DELETE FROM passes WHERE account = ?1 AND number <> ?2", params![account, int(kept)])?;
    Ok(())
}

fn valid(
    connection: &Connection,
    pass: Option<Pass>,
    now: Timestamp,
) -> Result<Option<(Pass, Account)>, Problem> {
    let Some(pass) = pass.filter(|pass| pass.holds(now)) else { return Ok(None) };
    let account = load(connection, &pass.account)?;
    Ok(account.filter(|account| !account.disabled).map(|account| (pass, account)))
}

fn pass(row: &Row<'_>) -> rusqlite::Result<Pass> {
    let kind: String = row.get(1)?;
    let kind = PassKind::ALL.into_iter().find(|one| one.name() == kind);
    Ok(Pass {
        number: unint(row.get(0)?),
        kind: kind.ok_or(rusqlite::Error::InvalidQuery)?,
        account: row.get(2)?,
        label: row.get(3)?,
        address: row.get(4)?,
        made: Timestamp(row.get(5)?),
        seen: Timestamp(row.get(6)?),
        idle: Millis(unint(row.get(7)?)),
        ends: Timestamp(row.get(8)?),
    })
}
