//! Orders to devices ([`crate::orders`]), and how far they came. The columns beside `record` are copies for searching.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Audit, Problem, Store, StoreError, audit, int, record, unint};
use crate::decode::downlink::{Answer, Said};
use crate::model::DeviceIx;
use crate::orders::{OPEN_EACH_MAX, OPEN_MAX, Order};
use crate::units::Timestamp;

/// Older ones are forgotten; the audit log keeps who gave them.
const KEPT_MAX: i64 = 10_000;
/// By an index that holds no more than [`OPEN_MAX`] from this moment on.
const COUNT_OPEN: &str =
    "SELECT count(*) FROM orders WHERE open = 1 AND until > ?1 AND (?2 IS NULL OR device = ?2)";

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
                let mut count = connection.prepare_cached(COUNT_OPEN)?;
                count.query_row(params![order.at.0, device.map(|device| device.0)], |row| row.get(0))
            };
            if OPEN_EACH_MAX as i64 <= open(Some(order.device))? {
                return Ok(Err(TooMany::OfTheDevice));
            }
            if OPEN_MAX as i64 <= open(None)? {
                return Ok(Err(TooMany::OfAll));
            }
            connection
                .prepare_cached("INSERT INTO orders (id, device, stage, open, until, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![
                    order.id,
                    order.device.0,
                    order.stage.name(),
                    order.stage.is_open(),
                    order.until.0,
                    record::write(&order)
                ])?;
            let number = connection.last_insert_rowid();
            connection.prepare_cached("DELETE FROM orders WHERE number <= ?1")?.execute([number - KEPT_MAX])?;
            audit::add(connection, &line)?;
            Ok(Ok(unint(number)))
        })
        .await
    }

    /// Newest first, before this number, of one device or of those that are wanted. No more of the others is looked at than whose they are.
    pub async fn orders(
        &self,
        device: Option<DeviceIx>,
        before: Option<u64>,
        limit: u32,
        wanted: impl Fn(DeviceIx) -> bool + Send + 'static,
    ) -> Result<Vec<(u64, Order)>, StoreError> {
        self.read(move |connection| {
            let of = if device.is_some() { "device = ?1" } else { "?1 IS NULL" };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT number, device, record FROM orders WHERE {of} AND number < ?2 ORDER BY number DESC"
            ))?;
            let before = before.map_or(i64::MAX, int);
            let mut rows = statement.query(params![device.map(|device| device.0), before])?;
            let mut orders = Vec::new();
            while orders.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                if wanted(DeviceIx(row.get(1)?)) {
                    orders.push(read(row.get(0)?, row.get_ref(2)?)?);
                }
            }
            Ok(orders)
        })
        .await
    }

    pub async fn order(&self, number: u64) -> Result<Option<Order>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT record FROM orders WHERE number = ?1")?;
            let mut rows = statement.query([int(number)])?;
            let row = rows.next()?;
            row.map(|row| Ok(read(int(number), row.get_ref(0)?)?.1)).transpose()
        })
        .await
    }

    /// Takes it back with its line in the audit log, when it is still here; how it stands then. `None`: nobody knows it.
    pub async fn withdraw_order(
        &self,
        id: String,
        who: String,
        at: Timestamp,
        line: Audit,
    ) -> Result<Option<Order>, StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let changed = change(connection, &id, |order| order.withdraw(&who, at))?;
            if let Some((_, true)) = changed {
                audit::add(connection, &line)?;
            }
            Ok(changed.map(|(order, _)| order))
        })
        .await
    }

    /// Those that the network server has not got, oldest first.
    pub async fn orders_waiting(&self, now: Timestamp) -> Result<Vec<(u64, Order)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, record FROM orders WHERE stage = 'waiting' AND until > ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([now.0])?;
            let mut orders = Vec::new();
            while let Some(row) = rows.next()? {
                orders.push(read(row.get(0)?, row.get_ref(1)?)?);
            }
            Ok(orders)
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
            .map(drop)
        })
        .await
    }
}

fn read(number: i64, record: ValueRef<'_>) -> Result<(u64, Order), Problem> {
    Ok((unint(number), record::read(record::text(record), format_args!("order {number}"))?))
}

/// What network servers said; of orders that nobody gave here, or that are forgotten, nothing is kept.
pub(super) fn write(connection: &Connection, answers: &[(Answer, Timestamp)]) -> Result<(), Problem> {
    for (Answer { order, said }, at) in answers {
        change(connection, order, |order| order.hear(said, *at)).map(drop)?;
    }
    Ok(())
}

/// How it stands then, and whether that is new.
fn change(
    connection: &Connection,
    id: &str,
    change: impl FnOnce(&mut Order) -> bool,
) -> Result<Option<(Order, bool)>, Problem> {
    let text: Option<String> = connection
        .prepare_cached("SELECT record FROM orders WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(text) = text else { return Ok(None) };
    let mut order: Order = record::read(&text, format_args!("order {id}"))?;
    let changed = change(&mut order);
    if changed {
        connection
            .prepare_cached("UPDATE orders SET stage = ?2, open = ?3, record = ?4 WHERE id = ?1")?
            .execute(params![id, order.stage.name(), order.stage.is_open(), record::write(&order)])?;
    }
    Ok(Some((order, changed)))
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
        let all = store.orders(None, None, 9, |_| true).await.unwrap();
        assert_eq!(
            all.iter().map(|(number, order)| (*number, order.stage)).collect::<Vec<_>>(),
            [(2, Stage::Waiting), (1, Stage::Confirmed)]
        );
        let numbers = |device, before, limit, wanted: fn(DeviceIx) -> bool| {
            let found = store.orders(device, before, limit, wanted);
            async { found.await.unwrap().into_iter().map(|(number, _)| number).collect::<Vec<_>>() }
        };
        assert_eq!(numbers(Some(DeviceIx(1)), None, 9, |_| true).await, [1]);
        assert_eq!(numbers(None, Some(2), 9, |_| true).await, [1]);
        assert_eq!(
            numbers(None, None, 1, |device| device == DeviceIx(1)).await,
            [1],
            "a page of those that are wanted"
        );
    }

    #[tokio::test]
    async fn an_order_is_taken_back_once_and_only_while_it_is_here() {
        let place = Place::new();
        let store = place.open();
        for (id, device) in [("a", 1), ("b", 2)] {
            store.give_order(order(id, device), line()).await.unwrap().unwrap();
        }
        store.order_handed("b".into(), Ok(()), Timestamp(2)).await.unwrap();
        let before = store.audit(None, 9).await.unwrap().len();
        let stage = |id: &str| {
            let taken = store.withdraw_order(id.into(), "li".into(), Timestamp(3), line());
            async { taken.await.unwrap().map(|order| order.stage) }
        };
        assert_eq!(stage("a").await, Some(Stage::Withdrawn));
        assert_eq!(stage("a").await, Some(Stage::Withdrawn));
        assert_eq!(stage("b").await, Some(Stage::Handed));
        assert_eq!(stage("nobody's").await, None);
        assert_eq!(store.audit(None, 9).await.unwrap().len(), before + 1, "one line for one deed");
        assert_eq!(store.orders_waiting(Timestamp(4)).await.unwrap(), []);
        assert_eq!(store.order(1).await.unwrap().unwrap().note, "taken back by li");
        assert_eq!(store.order(3).await.unwrap(), None);
        for _ in 0..OPEN_EACH_MAX {
            store.give_order(order(&format!("{}", fastrand::u64(..)), 1), line()).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn open_orders_are_counted_by_their_index() {
        let place = Place::new();
        let store = place.open();
        let plan = store.read(|connection| {
            let plan =
                connection
                    .query_row(&format!("EXPLAIN QUERY PLAN {COUNT_OPEN}"), params![1, 1], |row| row.get(3));
            Ok::<String, Problem>(plan?)
        });
        assert_eq!(plan.await.unwrap(), "SEARCH orders USING COVERING INDEX orders_open (until>?)");
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
