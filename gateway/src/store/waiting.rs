//! Devices that wait to be placed; the room itself is [`crate::waiting`]. A row that can no longer be read is left out: its device will be heard again.

use rusqlite::{Connection, params};

use super::{Problem, Store, StoreError, record};
use crate::waiting::{Change, Waiting};

impl Store {
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT record FROM waiting")?;
            let mut rows = statement.query(())?;
            let mut waiting = Vec::new();
            while let Some(row) = rows.next()? {
                waiting.extend(record::read(record::text(row.get_ref(0)?), "a device that waits").ok());
            }
            Ok(waiting)
        })
        .await
    }
}

pub(super) fn write(connection: &Connection, changes: &[Change]) -> Result<(), Problem> {
    for change in changes {
        match change {
            Change::Keep(one) => connection
                .prepare_cached("INSERT OR REPLACE INTO waiting (address, record) VALUES (?1, ?2)")?
                .execute(params![one.address, record::write(one)])?,
            Change::Forget(address) => {
                connection.prepare_cached("DELETE FROM waiting WHERE address = ?1")?.execute([address])?
            }
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Commit;
    use crate::store::tests::Place;

    #[tokio::test]
    async fn what_waits_is_there_again_after_a_restart() {
        let place = Place::new();
        let store = place.open();
        let one = |address: &str| Waiting { address: address.into(), count: 3, ..Waiting::default() };
        let keep = |one| Change::Keep(Box::new(one));
        let waiting = vec![keep(one("z2m:a")), keep(one("z2m:b"))];
        store.commit(&Commit { waiting, ..Commit::default() }).await.unwrap();
        let waiting = vec![Change::Forget("z2m:a".into()), keep(Waiting { burns: true, ..one("z2m:b") })];
        store.commit(&Commit { waiting, ..Commit::default() }).await.unwrap();
        drop(store);
        let store = place.open();
        assert_eq!(store.waiting().await.unwrap(), [Waiting { burns: true, ..one("z2m:b") }]);
    }
}
