//! The page at `/` in a real browser: logs in, shows cells and alarms live, acknowledges, and says loudly when it is cut off.
//!
//! With `GRIDWARDEN_PICTURES=<folder>` it leaves screenshots there.

use std::path::PathBuf;

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
            "document.getElementById('token').value = '{token}'; document.getElementById('login').requestSubmit()"
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
