//! Files in the one file: photos, stills, plans. A large one comes in parts, each a transaction of its own, so that an alarm waits behind [`PART_BYTES`] at the most; nobody sees it before the
//! last. What a crash left half done is not `whole`, and is cleared away by whoever keeps files of that kind.

use rusqlite::{Connection, params};

use super::{Problem, Store, StoreError, int};

/// One transaction's share.
pub const PART_BYTES: usize = 64 << 10;

/// The tables of one kind of file. The first has `number`, `bytes` (the size) and `whole`; the second `place`, `bytes`, and the number of the file under the name of `file`.
#[derive(Clone, Copy)]
pub(super) struct Files {
    pub files: &'static str,
    pub parts: &'static str,
    pub file: &'static str,
}

pub(super) const ATTACHMENTS: Files =
    Files { files: "attachments", parts: "attachment_parts", file: "attachment" };
pub(super) const STILLS: Files = Files { files: "stills", parts: "still_parts", file: "still" };
pub(super) const PLANS: Files = Files { files: "plan_pictures", parts: "plan_parts", file: "picture" };

impl Store {
    /// The bytes of a file that was begun under this number. Returns when all of it is on disk, and whole.
    pub(super) async fn put_parts(&self, of: Files, number: u64, bytes: Vec<u8>) -> Result<(), StoreError> {
        let Files { files, parts, file } = of;
        for (place, part) in bytes.chunks(PART_BYTES).enumerate() {
            let part = part.to_vec();
            self.write(move |writing| {
                let sql = format!("INSERT INTO {parts} ({file}, place, bytes) VALUES (?1, ?2, ?3)");
                let mut statement = writing.connection.prepare_cached(&sql)?;
                statement.execute(params![int(number), place as i64, part])?;
                Ok(())
            })
            .await?;
        }
        self.write(move |writing| {
            let sql = format!("UPDATE {files} SET whole = 1 WHERE number = ?1");
            writing.connection.prepare_cached(&sql)?.execute([int(number)])?;
            Ok(())
        })
        .await
    }
}

/// The bytes of a whole file, of which there must be so many.
pub(super) fn joined(connection: &Connection, of: Files, number: u64, size: u64) -> Result<Vec<u8>, Problem> {
    let Files { files, parts, file } = of;
    let sql = format!("SELECT bytes FROM {parts} WHERE {file} = ?1 ORDER BY place");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([int(number)])?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    while let Some(row) = rows.next()? {
        bytes.extend_from_slice(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
    }
    if bytes.len() as u64 != size {
        let what = format!("{files} {number} has {} of {size} bytes", bytes.len());
        return Err(StoreError::Damaged(what).into());
    }
    Ok(bytes)
}

/// Takes a file away, in the transaction of the caller.
pub(super) fn remove(connection: &Connection, of: Files, number: i64) -> rusqlite::Result<()> {
    let Files { files, parts, file } = of;
    connection.prepare_cached(&format!("DELETE FROM {parts} WHERE {file} = ?1"))?.execute([number])?;
    connection.prepare_cached(&format!("DELETE FROM {files} WHERE number = ?1"))?.execute([number])?;
    Ok(())
}
