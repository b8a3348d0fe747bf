//! What became of an alert after the provider took it: shown on a screen, opened by a person.
//!
//! Receipts only rise and the first moment of each counts, so they may come twice and in any order. They stop no ladder: only an acknowledgement does.

use rusqlite::{OptionalExtension, params};

use crate::store::writer::Writing;
use crate::store::{Problem, Store, StoreError};
use crate::units::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It stood on the person's screen, or was read aloud to them.
    Shown,
    /// The person opened it.
    Opened,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipts {
    pub shown: Option<Timestamp>,
    pub opened: Option<Timestamp>,
}

impl Store {
    /// Returns what is known of the alert then; `None`: there is no such alert.
    pub async fn receipt(
        &self,
        key: &str,
        receipt: Receipt,
        at: Timestamp,
    ) -> Result<Option<Receipts>, StoreError> {
        let key = key.to_owned();
        self.write(move |writing| {
            let find = "SELECT id FROM outbox WHERE key = ?1";
            let row =
                writing.connection.prepare_cached(find)?.query_row([&key], |row| row.get(0)).optional()?;
            row.map(|row| note(writing, row, receipt, at)).transpose()
        })
        .await
    }

    /// The same, from a provider that knows the message by its own id. A folded message is several alerts; says how many.
    pub async fn receipt_by_provider(
        &self,
        channel: &str,
        id: &str,
        receipt: Receipt,
        at: Timestamp,
    ) -> Result<usize, StoreError> {
        let (channel, id) = (channel.to_owned(), id.to_owned());
        self.write(move |writing| {
            let find = "SELECT DISTINCT outbox.id FROM attempts JOIN outbox ON outbox.id = attempts.row
                        WHERE attempts.provider_id = ?1 AND outbox.channel = ?2";
            let rows: Vec<i64> = writing
                .connection
                .prepare_cached(find)?
                .query_map([&id, &channel], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for row in &rows {
                note(writing, *row, receipt, at)?;
            }
            Ok(rows.len())
        })
        .await
    }
}

/// What was opened was shown.
fn note(writing: &Writing<'_>, row: i64, receipt: Receipt, at: Timestamp) -> Result<Receipts, Problem> {
    let opened = match receipt {
        Receipt::Shown => None,
        Receipt::Opened => Some(at.0),
    };
    let receipts = writing
        .connection
        .prepare_cached(
            "UPDATE outbox SET shown_at = coalesce(shown_at, ?2), opened_at = coalesce(opened_at, ?3) WHERE id = ?1
             RETURNING shown_at, opened_at",
        )?
        .query_row(params![row, at.0, opened], |row| {
            Ok(Receipts { shown: row.get::<_, Option<i64>>(0)?.map(Timestamp), opened: row.get::<_, Option<i64>>(1)?.map(Timestamp) })
        })?;
    Ok(receipts)
}
