//! Accounts and passes: what must hold holds inside the transaction, and every change is in the audit log.

use super::*;
use crate::accounts::{self, Account, Pass, PassKind, Role};
use crate::store::accounts::{Changed, Ends};

fn line(what: &str) -> Audit {
    Audit {
        at: moment(1).wall,
        who: "root".into(),
        what: what.into(),
        target: "account".into(),
        detail: "".into(),
    }
}

fn pass(kind: PassKind, account: &str, made: u64) -> Pass {
    Pass {
        number: 0,
        kind,
        account: account.into(),
        label: "".into(),
        address: "".into(),
        made: moment(made).wall,
        seen: moment(made).wall,
        idle: Millis::from_secs(100),
        ends: moment(made + 1_000).wall,
    }
}

async fn with_accounts() -> (Place, Store) {
    let (place, store) = fresh();
    let first = Account::new("admin", Role::Administrator, moment(1).wall);
    assert!(store.add_first_account(first.clone(), line("first")).await.unwrap());
    assert!(
        !store.add_first_account(Account { name: "other".into(), ..first }, line("first")).await.unwrap()
    );
    let wang = Account::new("wang", Role::Worker, moment(1).wall);
    assert!(store.add_account(wang.clone(), line("add")).await.unwrap());
    assert!(!store.add_account(wang, line("add")).await.unwrap(), "the name is taken");
    (place, store)
}

#[tokio::test]
async fn somebody_can_always_change_accounts() {
    let (place, store) = with_accounts().await;
    let disable = |account: &mut Account| {
        account.disabled = true;
        true
    };
    let changed = store.change_account("admin", Ends::All, line("disable"), disable).await.unwrap();
    assert_eq!(changed, Changed::LastAdministrator);
    assert!(!store.account("admin").await.unwrap().unwrap().disabled);
    let promote = |account: &mut Account| {
        account.roles.push(Role::Administrator);
        true
    };
    store.change_account("wang", Ends::None, line("promote"), promote).await.unwrap();
    let changed = store.change_account("admin", Ends::All, line("disable"), disable).await.unwrap();
    assert!(matches!(changed, Changed::Done(_)));
    let whats: Vec<_> = store.audit(None, 9).await.unwrap().into_iter().map(|(_, line)| line.what).collect();
    assert_eq!(whats, ["disable", "promote", "add", "first"], "what was refused changed nothing");
    drop(store);
    let store = place.open();
    assert_eq!(store.accounts().await.unwrap().len(), 2);
    assert!(store.account("admin").await.unwrap().unwrap().disabled);
}

#[tokio::test]
async fn a_pass_holds_until_it_ends_rests_or_its_account_is_disabled() {
    let (_place, store) = with_accounts().await;
    let (secret, hash) = accounts::secret();
    let number = store.add_pass(pass(PassKind::Session, "wang", 10), hash, line("log in")).await.unwrap();
    let at = async |second: u64| store.pass(accounts::hash(&secret), moment(second).wall).await.unwrap();
    assert_eq!(at(50).await.unwrap().1.name, "wang");
    assert_eq!(at(110).await, None, "not used for too long");
    store.touch_pass(number, moment(60).wall).await.unwrap();
    assert!(at(110).await.is_some());
    assert!(store.pass(accounts::hash("another"), moment(50).wall).await.unwrap().is_none());
    store.touch_pass(number, moment(1_005).wall).await.unwrap();
    assert!(at(1_009).await.is_some());
    assert_eq!(at(1_010).await, None, "too old");
    store
        .change_account("wang", Ends::None, line("disable"), |account| {
            account.disabled = true;
            true
        })
        .await
        .unwrap();
    assert_eq!(at(1_006).await, None);
}

#[tokio::test]
async fn passes_end_by_themselves_by_order_and_when_there_are_too_many() {
    let (_place, store) = with_accounts().await;
    let mut numbers = Vec::new();
    for n in 0..25 {
        let new = pass(PassKind::Session, "wang", 10 + n);
        numbers.push(store.add_pass(new, [n as u8; 32], line("log in")).await.unwrap());
    }
    let held = async || {
        let passes = store.passes("wang", moment(40).wall).await.unwrap();
        passes.iter().map(|pass| pass.number).collect::<Vec<_>>()
    };
    let newest: Vec<_> = numbers.iter().rev().take(20).copied().collect();
    assert_eq!(held().await, newest);
    assert!(!store.end_pass("admin", newest[3], line("end")).await.unwrap(), "another's");
    assert!(store.end_pass("wang", newest[3], line("end")).await.unwrap());
    assert_eq!(held().await.len(), 19);
    let kept = newest[0];
    store.change_account("wang", Ends::Others(kept), line("password"), |_| true).await.unwrap();
    assert_eq!(held().await, [kept]);
}

#[tokio::test]
async fn an_invitation_lets_in_once_and_a_newer_one_replaces_it() {
    let (_place, store) = with_accounts().await;
    let (old, new) = ([1; 32], [2; 32]);
    store.add_pass(pass(PassKind::Invitation, "wang", 10), old, line("invite")).await.unwrap();
    store.add_pass(pass(PassKind::Invitation, "wang", 11), new, line("invite")).await.unwrap();
    let accept = async |hash: [u8; 32], second: u64, session: u8| {
        let change = move |account: &mut Account| {
            account.must_change = false;
            (pass(PassKind::Session, "wang", 12), [session; 32], line("accept"))
        };
        store.accept_invitation(hash, moment(second).wall, change).await.unwrap()
    };
    assert_eq!(accept(old, 12, 7).await, None, "replaced");
    assert_eq!(accept(new, 111, 7).await, None, "too old");
    assert!(accept(new, 12, 7).await.is_some());
    assert_eq!(accept(new, 12, 8).await, None, "used");
    assert!(store.pass([7; 32], moment(12).wall).await.unwrap().is_some());
    let session = store.accept_invitation([7; 32], moment(12).wall, |_| unreachable!()).await.unwrap();
    assert_eq!(session, None, "a session is no invitation");
}
