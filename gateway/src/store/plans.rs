//! The bytes of floor plans and pictures of the ground: in the one file, so that a backup has them. What they show stands in the registry ([`crate::grid::plan`]).
//!
//! A picture comes in parts ([`super::parts`]). Whatever no plan names is cleared away before the next one is taken in: what a crash
//! left half done, and what another picture replaced. Whoever takes pictures in does it one at a time.

use rusqlite::OptionalExtension;

use super::parts::{PLANS, joined, remove};
use super::{Store, StoreError, int, unint};

impl Store {
    /// Returns its number when all of it is on disk. Those beside it that are not `named` go.
    pub async fn keep_plan_picture(&self, bytes: Vec<u8>, named: &[u64]) -> Result<u64, StoreError> {
        self.clear_plan_pictures(named).await?;
        let size = bytes.len() as u64;
        let number = self.write(move |writing| {
            writing
                .connection
                .prepare_cached("INSERT INTO plan_pictures (bytes, whole) VALUES (?1, 0)")?
                .execute([int(size)])?;
            Ok(writing.connection.last_insert_rowid())
        });
        let number = unint(number.await?);
        self.put_parts(PLANS, number, bytes).await?;
        Ok(number)
    }

    /// One picture; `None`: there is none of this number, or it is not whole.
    pub async fn plan_picture(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| {
            let size: Option<i64> = connection
                .prepare_cached("SELECT bytes FROM plan_pictures WHERE number = ?1 AND whole = 1")?
                .query_row([int(number)], |row| row.get(0))
                .optional()?;
            let Some(size) = size.map(unint) else { return Ok(None) };
            Ok(Some(joined(connection, PLANS, number, size)?))
        })
        .await
    }

    async fn clear_plan_pictures(&self, named: &[u64]) -> Result<(), StoreError> {
        let found: Vec<u64> = self
            .read(|connection| {
                let mut statement = connection.prepare_cached("SELECT number FROM plan_pictures")?;
                let rows = statement.query_map((), |row| Ok(unint(row.get(0)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await?;
        for number in found.into_iter().filter(|number| !named.contains(number)).map(int) {
            self.write(move |writing| Ok(remove(writing.connection, PLANS, number)?)).await?;
        }
        Ok(())
    }
}
