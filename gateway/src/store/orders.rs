//! Orders to devices ([`crate::orders`]), and how far they came. The columns beside `record` are copies for searching.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Audit, Problem, Store, StoreError, audit, int, record, unint};
use crate::decode::downlink::{Answer, Said};
use crate::model::DeviceIx;
use crate::orders::{OPEN_EACH_MAX, OPEN_MAX, Order};
use crate::units::Timestamp;

/// Older ones are forgotten; the audit log keeps who gave them.
const KEPT_MAX: i64 = 10_000;

/// Why an order is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    OfTheDevice,
    OfAll,
}

impl Store {
    /// Takes the order with its line in the audit log; its number.
    pub async fn give_order(&self, order: Order, line: Audit) -> Result<Result<u64, TooMany>, StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let open = |device: Option<DeviceIx>| -> rusqlite::Result<i64> {
                let mut count = connection.prepare_cached(
                    "SELECT count(*) FROM orders WHERE stage IN ('waiting', 'handed', 'sent') AND until > ?1 AND (?2 IS NULL OR device = ?2)",
                )?;
                count.query_row(params![order.at.0, device.map(|device| device.0)], |row| row.get(0))
            };
            if OPEN_EACH_MAX as i64 <= open(Some(order.device))? {
                return Ok(Err(TooMany::OfTheDevice));
            }
            if OPEN_MAX as i64 <= open(None)? {
                return Ok(Err(TooMany::OfAll));
            }
            connection
                .prepare_cached("INSERT INTO orders (id, device, stage, until, record) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![order.id, order.device.0, order.stage.name(), order.until.0, record::write(&order)])?;
            let number = connection.last_insert_rowid();
            connection.prepare_cached("DELETE FROM orders WHERE number <= ?1")?.execute([number - KEPT_MAX])?;
            audit::add(connection, &line)?;
            Ok(Ok(unint(number)))
        })
        .await
    }

    /// Newest first, of one device or of all, before this number.
    pub async fn orders(
        &self,
        device: Option<DeviceIx>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Order)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, record FROM orders WHERE (?1 IS NULL OR device = ?1) AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
            )?;
            read(statement.query(params![device.map(|device| device.0), before.map(int), limit])?)
        })
        .await
    }

    /// Those that the network server has not got, oldest first.
    pub async fn orders_waiting(&self, now: Timestamp) -> Result<Vec<(u64, Order)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, record FROM orders WHERE stage = 'waiting' AND until > ?1 ORDER BY number",
            )?;
            read(statement.query([now.0])?)
        })
        .await
    }

    /// What became of handing it over: the network server has it, or why not.
    pub async fn order_handed(
        &self,
        id: String,
        handed: Result<(), String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |writing| {
            change(writing.connection, &id, |order| match handed {
                Ok(()) => order.hear(&Said::Queued, at),
                Err(why) => order.stays(why),
            })
        })
        .await
    }
}

fn read(mut rows: rusqlite::Rows<'_>) -> Result<Vec<(u64, Order)>, Problem> {
    let mut orders = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        orders.push((
            unint(number),
            record::read(record::text(row.get_ref(1)?), format_args!("order {number}"))?,
        ));
    }
    Ok(orders)
}

/// What network servers said; of orders that nobody gave here, or that are forgotten, nothing is kept.
pub(super) fn write(connection: &Connection, answers: &[(Answer, Timestamp)]) -> Result<(), Problem> {
    for (Answer { order, said }, at) in answers {
        change(connection, order, |order| order.hear(said, *at))?;
    }
    Ok(())
}

fn change(connection: &Connection, id: &str, change: impl FnOnce(&mut Order) -> bool) -> Result<(), Problem> {
    let text: Option<String> = connection
        .prepare_cached("SELECT record FROM orders WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(text) = text else { return Ok(()) };
    let mut order: Order = record::read(&text, format_args!("order {id}"))?;
    if change(&mut order) {
        connection
            .prepare_cached("UPDATE orders SET stage = ?2, record = ?3 WHERE id = ?1")?
            .execute(params![id, order.stage.name(), record::write(&order)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Stage;
    use crate::store::Commit;
    use crate::store::tests::Place;

    fn order(id: &str, device: u32) -> Order {
        Order {
            id: id.into(),
            device: DeviceIx(device),
            what: "reboot".into(),
            port: 85,
            bytes: vec![0xff, 0x10, 0xff],
            by: "wang-li".into(),
            at: Timestamp(1),
            until: Timestamp(1_000),
            stage: Stage::Waiting,
            since: Timestamp(1),
            note: String::new(),
        }
    }

    fn line() -> Audit {
        Audit {
            at: Timestamp(1),
            who: "wang-li".into(),
            what: "device.order".into(),
            target: "device X".into(),
            detail: String::new(),
        }
    }

    #[tokio::test]
    async fn an_order_comes_as_far_as_the_server_says_over_a_restart() {
        let place = Place::new();
        let store = place.open();
        assert_eq!(store.give_order(order("a", 1), line()).await.unwrap(), Ok(1));
        assert_eq!(store.give_order(order("b", 2), line()).await.unwrap(), Ok(2));
        store.order_handed("a".into(), Ok(()), Timestamp(2)).await.unwrap();
        store.order_handed("b".into(), Err("the broker is away".into()), Timestamp(2)).await.unwrap();
        drop(store);
        let store = place.open();
        let waiting = store.orders_waiting(Timestamp(3)).await.unwrap();
        assert_eq!(
            waiting.iter().map(|(number, order)| (*number, order.note.as_str())).collect::<Vec<_>>(),
            [(2, "the broker is away")]
        );
        assert_eq!(store.orders_waiting(Timestamp(1_000)).await.unwrap(), [], "its time is over");
        let said = |order: &str, said| (Answer { order: order.into(), said }, Timestamp(9));
        let orders =
            vec![said("a", Said::Sent), said("a", Said::Confirmed), said("nobody's", Said::Confirmed)];
        store.commit(&Commit { orders, ..Commit::default() }).await.unwrap();
        let all = store.orders(None, None, 9).await.unwrap();
        assert_eq!(
            all.iter().map(|(number, order)| (*number, order.stage)).collect::<Vec<_>>(),
            [(2, Stage::Waiting), (1, Stage::Confirmed)]
        );
        assert_eq!(store.orders(Some(DeviceIx(1)), None, 9).await.unwrap().len(), 1);
        assert_eq!(store.orders(None, Some(2), 9).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_device_that_nobody_hears_gathers_no_more_than_so_many() {
        let place = Place::new();
        let store = place.open();
        for number in 0..OPEN_EACH_MAX {
            assert!(store.give_order(order(&format!("{number}"), 1), line()).await.unwrap().is_ok());
        }
        assert_eq!(store.give_order(order("more", 1), line()).await.unwrap(), Err(TooMany::OfTheDevice));
        assert!(store.give_order(order("other", 2), line()).await.unwrap().is_ok());
        let later = Order { at: Timestamp(1_000), until: Timestamp(2_000), ..order("later", 1) };
        assert!(store.give_order(later, line()).await.unwrap().is_ok(), "the others' time is over");
    }
}
