//! The page at `/` in a real browser: logs in, shows cells and alarms live, acknowledges, and says loudly when it is cut off.
//!
//! With `GRIDWARDEN_PICTURES=<folder>` it leaves screenshots there.

use std::path::PathBuf;

use gateway::accounts::{self, Account};
use gateway::engine::Seen;
use gateway::model::*;
use serde_json::json;
use tests::browser::Browser;
use tests::neighbours::eventually;
use tests::station::{READER, Station, TOKEN};

async fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("GRIDWARDEN_PICTURES") {
        browser.picture(&PathBuf::from(folder).join(name)).await.unwrap();
    }
}

async fn seed(station: &Station) {
    station.raise(SignalClass::Trouble, "CAM-001", "门禁摄像机离线 offline").await.unwrap();
    station
        .raise(
            SignalClass::Supervisory,
            "HY-0001",
            "消火栓压力低 42 kPa <b>bold</b><img src=x onerror=alert(1)>",
        )
        .await
        .unwrap();
    station.report("HY-0001", &[(Metric::PRESSURE, 42.125), (Metric::BATTERY, 87.0)]);
    station.report("SD-0002", &[(Metric::SMOKE, 0.0), (Metric::TEMPERATURE, 21.5)]);
}

#[tokio::test]
async fn the_page_shows_what_happens_and_when_it_no_longer_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let station = Station::start_on(&file, 0, None).await.unwrap();
    let (url, port) = (station.url.clone(), station.url.rsplit(':').next().unwrap().parse().unwrap());
    seed(&station).await;
    let mut browser = Browser::start(1280, 860).await.unwrap();

    browser.go(&url).await.unwrap();
    browser.until("!document.getElementById('login').hidden", 10).await.unwrap();
    picture(&mut browser, "login.png").await;
    let login = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}'; document.getElementById('by-token').requestSubmit()"
        )
    };
    browser.evaluate(&login("wrong")).await.unwrap();
    browser.until("document.getElementById('login-error').textContent === '令牌无效。'", 10).await.unwrap();
    browser.complaints.clear(); // The 401 was wanted.
    browser.evaluate(&login(TOKEN)).await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 2", 10).await.unwrap();
    assert_eq!(browser.evaluate("document.querySelectorAll('#map path.leaf').length").await.unwrap(), 4);
    assert_eq!(
        browser.evaluate("document.querySelector('#alarms b, #alarms img')").await.unwrap(),
        json!(null),
        "text stays text"
    );
    browser.until("document.querySelector('#map path.leaf.supervisory') !== null", 5).await.unwrap();

    // A fire appears by itself, first in the list, and colours its cell.
    station.raise(SignalClass::Fire, "SD-0001", "烟雾报警 3栋2单元501 厨房").await.unwrap();
    browser.until("document.querySelectorAll('#alarms li')[0]?.className === 'fire'", 5).await.unwrap();
    browser.until("document.querySelector('#map path.fire.unanswered') !== null", 5).await.unwrap();
    assert!(browser.evaluate("document.title").await.unwrap().as_str().unwrap().starts_with("火警 1"));
    station.report("HY-0001", &[(Metric::PRESSURE, 39.5)]);
    browser.until("document.getElementById('values').innerText.includes('39.5 kPa')", 5).await.unwrap();
    browser.until("document.getElementById('values').innerText.includes('压力')", 5).await.unwrap();
    station.live.seen(DeviceIx(2), Seen { last: None, online: Some(false) });
    browser.until("document.querySelector('tr.silent') !== null", 5).await.unwrap();
    picture(&mut browser, "fire.png").await;

    browser.evaluate("document.querySelector('#alarms li.fire button').click()").await.unwrap();
    browser.until("document.querySelector('#alarms li.fire button') === null", 5).await.unwrap();
    browser
        .until("document.querySelector('#alarms li.fire').innerText.includes('确认人: desk')", 5)
        .await
        .unwrap();
    browser.evaluate("document.getElementById('language').click()").await.unwrap();
    browser
        .until("document.querySelector('#alarms li.fire').innerText.includes('acknowledged by: desk')", 5)
        .await
        .unwrap();
    assert_eq!(browser.complaints, Vec::<String>::new(), "no script error, no blocked resource");

    // The gateway goes away and comes back: a banner, then everything that happened meanwhile.
    station.end().await.unwrap();
    browser.until("!document.getElementById('lost').hidden", 10).await.unwrap();
    picture(&mut browser, "lost.png").await;
    let place = "(({top, height}) => top === 0 && height > 40)(document.getElementById('lost').getBoundingClientRect())";
    assert_eq!(browser.evaluate(place).await.unwrap(), true);
    let station = eventually("the port is free again", 10, || async {
        Station::start_on(&file, port, None).await.ok()
    })
    .await;
    browser.until("document.getElementById('lost').hidden", 30).await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 3", 5).await.unwrap();
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_link_with_the_token_logs_in_on_a_phone_and_a_reader_is_told_why_it_may_not_act() {
    let station = Station::start().await.unwrap();
    seed(&station).await;
    station.raise(SignalClass::Fire, "SD-0001", "烟雾报警 3栋2单元501 厨房").await.unwrap();
    let mut browser = Browser::start(390, 844).await.unwrap();
    browser.go(&format!("{}/#token={READER}", station.url)).await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 3", 10).await.unwrap();
    assert_eq!(browser.evaluate("location.href").await.unwrap(), json!(format!("{}/", station.url)));
    assert_eq!(
        browser.evaluate("document.documentElement.scrollWidth <= 390").await.unwrap(),
        true,
        "nothing sticks out"
    );
    picture(&mut browser, "phone.png").await;
    browser.evaluate("document.querySelector('#alarms li.fire button').click()").await.unwrap();
    browser.until("document.getElementById('act-error').innerText.includes('read_only')", 5).await.unwrap();
    assert_eq!(
        browser.evaluate("document.querySelector('#alarms li.fire button').disabled").await.unwrap(),
        false
    );
    // A cell chosen on the map narrows the list.
    browser.evaluate("document.querySelector('#map path.leaf.fire').dispatchEvent(new MouseEvent('click', { bubbles: true }))").await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 1", 5).await.unwrap();
    browser.evaluate("document.getElementById('all-cells').click()").await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 3", 5).await.unwrap();
    station.end().await.unwrap();
}

#[tokio::test]
async fn somebody_invited_chooses_a_password_and_logs_in_and_out_by_name() {
    let station = Station::start().await.unwrap();
    seed(&station).await;
    let line = |what: &str| gateway::store::Audit {
        at: station.clock.now().wall,
        who: "test".into(),
        what: what.into(),
        target: "account wang-li".into(),
        detail: String::new(),
    };
    let mut account = Account::new("wang-li", accounts::Role::DutyOfficer, station.clock.now().wall);
    account.person = Some("wang-li".into());
    station.store.add_account(account, line("account.add")).await.unwrap();
    let (secret, hash) = accounts::secret();
    let (now, lasts) = (station.clock.now().wall, gateway::units::Millis::from_secs(600));
    let invitation = accounts::Pass {
        number: 0,
        kind: accounts::PassKind::Invitation,
        account: "wang-li".into(),
        label: String::new(),
        address: String::new(),
        made: now,
        seen: now,
        idle: lasts,
        ends: now + lasts,
    };
    station.store.add_pass(invitation, hash, line("invitation.make")).await.unwrap();

    let mut browser = Browser::start(390, 844).await.unwrap();
    browser.go(&format!("{}/#invite={secret}", station.url)).await.unwrap();
    browser.until("!document.getElementById('choose').hidden", 10).await.unwrap();
    assert_eq!(browser.evaluate("location.href").await.unwrap(), json!(format!("{}/", station.url)));
    picture(&mut browser, "invited.png").await;
    let choose = "document.getElementById('new-password').value = 'four words and a half'; document.getElementById('choose').requestSubmit()";
    browser.evaluate(choose).await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 2", 10).await.unwrap();
    browser.until("document.getElementById('who').textContent === '王丽'", 5).await.unwrap();
    assert_eq!(browser.evaluate("document.cookie").await.unwrap(), json!(""), "no script reads the session");
    assert_eq!(browser.complaints, Vec::<String>::new());

    // Still in after the page is loaded again; what she does counts, for it comes from the own page.
    browser.go(&station.url).await.unwrap();
    browser.until("document.querySelectorAll('#alarms li').length === 2", 10).await.unwrap();
    browser.evaluate("document.querySelector('#alarms li button').click()").await.unwrap();
    browser
        .until("document.getElementById('alarms').innerText.includes('确认人: wang-li')", 5)
        .await
        .unwrap();

    browser.evaluate("document.getElementById('log-out').click()").await.unwrap();
    browser.until("!document.getElementById('login').hidden", 10).await.unwrap();
    assert_eq!(browser.evaluate("document.getElementById('main').hidden").await.unwrap(), true);
    let log_in = |password: &str| {
        format!(
            "document.getElementById('name').value = 'wang-li'; document.getElementById('password').value = '{password}'; \
             document.getElementById('by-name').requestSubmit()"
        )
    };
    browser.evaluate(&log_in("not the password")).await.unwrap();
    browser.until("document.getElementById('login-error').textContent !== ''", 10).await.unwrap();
    browser.evaluate(&log_in("four words and a half")).await.unwrap();
    browser.until("!document.getElementById('who').hidden", 10).await.unwrap();
    station.end().await.unwrap();
}
