//! The chained log: nothing is changed, put in or taken out unnoticed, and one search tells who knew what and did what.

use super::*;
use crate::store::audit::Search;
use crate::store::chain::{Chain, Verdict};
use crate::store::outbox::{Outcome, ToRecord};

fn line(n: u64, who: &str, what: &str, target: &str) -> Audit {
    Audit {
        at: moment(n).wall,
        who: who.into(),
        what: what.into(),
        target: target.into(),
        detail: format!("{n}"),
    }
}

async fn write(store: &Store, lines: Vec<Audit>) {
    store.commit(&Commit { audit: lines, ..Commit::default() }).await.unwrap();
}

async fn filled() -> (Place, Store) {
    let (place, store) = fresh();
    for n in 1..=5 {
        let line = line(n, "wang-li", "people.read", "cell c-1");
        let effects = vec![raised(n, SignalClass::Fire)];
        store.commit(&Commit { audit: vec![line], effects, ..Commit::default() }).await.unwrap();
    }
    (place, store)
}

async fn broken(store: &Store) -> Vec<(Chain, u64)> {
    let verdicts = store.verify_chains().await.unwrap();
    let broken = |verdict: Verdict| verdict.broken.map(|(row, _)| (verdict.chain, row));
    verdicts.into_iter().filter_map(broken).collect()
}

#[tokio::test]
async fn whatever_is_done_to_a_row_is_noticed_at_that_row() {
    for (sql, expected) in [
        ("UPDATE audit SET detail = '33' WHERE number = 3", (Chain::Audit, 3)),
        ("UPDATE audit SET at = at + 1 WHERE number = 1", (Chain::Audit, 1)),
        ("UPDATE audit SET who = 'wang', what = 'lipeople.read' WHERE number = 2", (Chain::Audit, 2)),
        ("DELETE FROM audit WHERE number = 2", (Chain::Audit, 3)),
        ("DELETE FROM audit WHERE number = 1", (Chain::Audit, 2)),
        ("DELETE FROM audit WHERE number = 5", (Chain::Audit, 5)),
        ("UPDATE entries SET who = '' WHERE number = 4", (Chain::Entries, 4)),
        ("UPDATE entries SET alarm = 9 WHERE number = 4", (Chain::Entries, 4)),
        ("UPDATE entries SET what = 'closed' WHERE number = 5", (Chain::Entries, 5)),
        ("INSERT INTO entries (alarm, at, what, detail) VALUES (1, 1, 'closed', '')", (Chain::Entries, 6)),
        ("UPDATE anchors SET hash = x'00' WHERE chain = 'audit'", (Chain::Audit, 1)),
    ] {
        let (place, store) = filled().await;
        assert_eq!(broken(&store).await, []);
        drop(store);
        place.sql(sql);
        let store = place.open();
        assert_eq!(broken(&store).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn the_chain_goes_on_over_restarts_and_beside_a_gateway() {
    let (place, store) = filled().await;
    drop(store);
    let store = place.open();
    let beside = Store::open_beside(&place.path()).unwrap();
    for n in 6..20 {
        write(
            if n % 2 == 0 { &store } else { &beside },
            vec![line(n, "a", "b", "c"), line(n, "d", "e", "f")],
        )
        .await;
    }
    assert_eq!(broken(&store).await, []);
    let head = store.verify_chains().await.unwrap().remove(0);
    assert_eq!((head.rows, head.head.0), (33, 33));
    assert_eq!(store.hash_of(Chain::Audit, 33).await.unwrap(), Some(head.head.1));
}

#[tokio::test]
async fn what_a_refused_request_wrote_leaves_no_gap() {
    let (_place, store) = filled().await;
    let damaged = Commit { audit: vec![line(6, "a", "b", "c")], ..commit(77) };
    store.commit(&damaged).await.unwrap_err();
    write(&store, vec![line(7, "a", "b", "c")]).await;
    assert_eq!(broken(&store).await, []);
    assert_eq!(store.verify_chains().await.unwrap()[0].rows, 6);
}

#[tokio::test]
async fn pruning_keeps_an_anchor_and_says_so() {
    let (place, store) = filled().await;
    let gone = store.prune_audit(moment(4).wall, line(9, "root", "audit.prune", "audit")).await.unwrap();
    assert_eq!(gone, 3);
    let left: Vec<_> = store.audit(None, 9).await.unwrap().into_iter().map(|(number, _)| number).collect();
    assert_eq!(left, [6, 5, 4]);
    assert_eq!(broken(&store).await, []);
    // All of them: numbers go on, and so does the chain.
    store.prune_audit(moment(100).wall, line(10, "root", "audit.prune", "audit")).await.unwrap();
    write(&store, vec![line(11, "a", "b", "c")]).await;
    let left = store.audit(None, 9).await.unwrap();
    assert_eq!(left.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [8, 7]);
    assert_eq!(broken(&store).await, []);
    drop(store);
    place.sql("DELETE FROM audit WHERE number = 7");
    assert_eq!(broken(&place.open()).await, [(Chain::Audit, 8)]);
}

#[tokio::test]
async fn one_search_tells_who_knew_what_and_did_what() {
    let (_place, store) = fresh();
    let told = alert(1, SignalClass::Fire, 1);
    let effects = vec![raised(1, SignalClass::Fire), Effect::Tell(told.clone())];
    store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
    let receipt = Outcome::Delivered { receipt: "204".into(), id: None };
    let attempt = ToRecord { key: told.key.clone(), at: moment(2).wall, outcome: receipt };
    store.attempted(vec![attempt]).await.unwrap();
    let acknowledged =
        Entry { who: Some("wang-li".into()), at: moment(3).wall, ..entry(1, What::Acknowledged) };
    let effects = vec![Effect::Alarm(Box::new(alarm(1, SignalClass::Fire)), acknowledged)];
    store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
    write(
        &store,
        vec![line(4, "wang-li", "people.read", "cell c-1"), line(5, "zhao", "people.read", "cell c-11")],
    )
    .await;

    let found = async |search: Search| -> Vec<String> {
        let lines = store.search_audit(Search { limit: 50, ..search }).await.unwrap();
        lines.into_iter().map(|(_, line)| format!("{} {} {}", line.who, line.what, line.target)).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        found(Search { who: text("wang-li"), ..Search::default() }).await,
        [
            "wang-li people.read cell c-1",
            "wang-li alarm.acknowledged alarm A-1",
            "gridwarden alarm.told alarm A-1"
        ]
    );
    assert_eq!(found(Search { who: text("wang"), ..Search::default() }).await, [""; 0], "a whole name");
    assert_eq!(found(Search { who: text("%"), ..Search::default() }).await, [""; 0], "no pattern");
    assert_eq!(
        found(Search { target: text("c-1"), ..Search::default() }).await,
        ["wang-li people.read cell c-1"]
    );
    assert_eq!(found(Search { target: text("A-1"), ..Search::default() }).await.len(), 3);
    assert_eq!(found(Search { what: text("alarm.a"), ..Search::default() }).await.len(), 1);
    let (from, to) = (Some(moment(3).wall), Some(moment(5).wall));
    assert_eq!(found(Search { from, to, ..Search::default() }).await.len(), 2);

    // Page by page it is the same list.
    let whole = store.search_audit(Search { limit: 50, ..Search::default() }).await.unwrap();
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = store.search_audit(Search { limit: 2, before, ..Search::default() }).await.unwrap();
        before = page.last().map(|(place, _)| *place);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(paged.len(), 5);
}
