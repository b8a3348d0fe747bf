//! Proposals and what became of them. Nothing is deleted; a decision and its line in the audit log are one transaction.

use rusqlite::{Connection, params};

use super::{Audit, Problem, Store, StoreError, audit, int, record, unint};
use crate::proposal::{Proposal, State};

impl Store {
    /// Newest first, before number `before` when given; no states mean all.
    pub async fn proposals(
        &self,
        states: Vec<State>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, State, Proposal)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, state, record FROM proposals WHERE number < ?1 ORDER BY number DESC",
            )?;
            let mut rows = statement.query([before.map_or(i64::MAX, int)])?;
            let mut found = Vec::new();
            while found.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                let one = proposal(row)?;
                if states.is_empty() || states.contains(&one.1) {
                    found.push(one);
                }
            }
            Ok(found)
        })
        .await
    }

    pub async fn proposal(&self, number: u64) -> Result<Option<(State, Proposal)>, StoreError> {
        self.read(move |connection| load(connection, number)).await
    }

    /// What a new look at the journal proposes. An open one about the same thing is brought up to date when it is the same change, else withdrawn; open ones
    /// that are proposed no more are withdrawn, too.
    pub async fn propose(&self, fresh: Vec<Proposal>) -> Result<(), StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let mut fresh: Vec<Option<Proposal>> = fresh.into_iter().map(Some).collect();
            let open = {
                let mut statement = connection
                    .prepare_cached("SELECT number, state, record FROM proposals WHERE state = 'open'")?;
                let mut rows = statement.query(())?;
                let mut open = Vec::new();
                while let Some(row) = rows.next()? {
                    open.push(proposal(row)?);
                }
                open
            };
            for (number, _, old) in open {
                let same =
                    fresh.iter_mut().find(|new| new.as_ref().is_some_and(|new| new.change == old.change));
                match same.and_then(Option::take) {
                    Some(new) => save(connection, number, State::Open, &Proposal { made: old.made, ..new })?,
                    None => save(connection, number, State::Withdrawn, &old)?,
                }
            }
            for new in fresh.into_iter().flatten() {
                connection
                    .prepare_cached("INSERT INTO proposals (state, record) VALUES ('open', ?1)")?
                    .execute([record::write(&new)])?;
            }
            Ok(())
        })
        .await
    }

    /// `false`: it is in another state than `from`, and nothing is written.
    pub async fn decide(
        &self,
        number: u64,
        from: State,
        to: State,
        decided: Proposal,
        line: Audit,
    ) -> Result<bool, StoreError> {
        self.write(move |writing| {
            let known = load(writing.connection, number)?;
            if known.is_none_or(|(state, _)| state != from) {
                return Ok(false);
            }
            save(writing.connection, number, to, &decided)?;
            audit::add(writing.connection, &line)?;
            Ok(true)
        })
        .await
    }
}

fn load(connection: &Connection, number: u64) -> Result<Option<(State, Proposal)>, Problem> {
    let mut statement =
        connection.prepare_cached("SELECT number, state, record FROM proposals WHERE number = ?1")?;
    let mut rows = statement.query([int(number)])?;
    match rows.next()? {
        None => Ok(None),
        Some(row) => proposal(row).map(|(_, state, proposal)| Some((state, proposal))),
    }
}

fn save(connection: &Connection, number: u64, state: State, proposal: &Proposal) -> Result<(), Problem> {
    connection
        .prepare_cached("UPDATE proposals SET state = ?2, record = ?3 WHERE number = ?1")?
        .execute(params![int(number), state.name(), record::write(proposal)])?;
    Ok(())
}

fn proposal(row: &rusqlite::Row<'_>) -> Result<(u64, State, Proposal), Problem> {
    let (number, state): (i64, String) = (row.get(0)?, row.get(1)?);
    let state = State::from_name(&state)
        .ok_or_else(|| StoreError::Damaged(format!("proposal {number}: there is no state `{state}`")))?;
    let proposal = record::read(record::text(row.get_ref(2)?), format_args!("proposal {number}"))?;
    Ok((unint(number), state, proposal))
}
