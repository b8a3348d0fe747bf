//! The page at `/` in a real browser: logs in, shows cells and alarms live, handles one of them from the link to the
//! verification, and says loudly when it is cut off.
//!
//! With `GRIDWARDEN_PICTURES=<folder>` it leaves screenshots there.

use std::path::PathBuf;

use gateway::accounts::{self, Account};
use gateway::engine::Seen;
use gateway::model::*;
use serde_json::json;
use tests::browser::Browser;
use tests::neighbours::eventually;
use tests::site::{self, Site, program};
use tests::station::{READER, Station, TOKEN};
use tokio::process::Command;

async fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("GRIDWARDEN_PICTURES") {
        browser.picture(&PathBuf::from(folder).join(name)).await.unwrap();
    }
}

/// Whether the map shows a cell so.
fn alarmed(cell: &str) -> String {
    format!("document.getElementById('map').dataset.alarmed.split(' ').includes('{cell}')")
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
    browser
        .until("document.getElementById('map').getAttribute('aria-label').includes(' 4 网格')", 5)
        .await
        .unwrap();
    assert_eq!(
        browser.evaluate("document.querySelector('#alarms b, #alarms img')").await.unwrap(),
        json!(null),
        "text stays text"
    );
    browser.until(&alarmed("XL-02-01:supervisory"), 5).await.unwrap();

    // A fire appears by itself, first in the list, and colours its cell.
    station.raise(SignalClass::Fire, "SD-0001", "烟雾报警 3栋2单元501 厨房").await.unwrap();
    browser.until("document.querySelectorAll('#alarms li')[0]?.classList.contains('fire')", 5).await.unwrap();
    browser.until(&alarmed("XL-01-01:fire"), 5).await.unwrap();
    assert!(browser.evaluate("document.title").await.unwrap().as_str().unwrap().starts_with("火警 1"));
    picture(&mut browser, "fire.png").await;
    browser.evaluate("location.hash = 'page=health'").await.unwrap();
    browser.until("document.getElementById('values') !== null", 5).await.unwrap();
    station.report("HY-0001", &[(Metric::PRESSURE, 39.5)]);
    browser.until("document.getElementById('values').innerText.includes('39.5 kPa')", 5).await.unwrap();
    browser.until("document.getElementById('values').innerText.includes('压力')", 5).await.unwrap();
    station.live.seen(DeviceIx(2), Seen { last: None, online: Some(false) });
    browser.until("document.querySelector('tr.silent') !== null", 5).await.unwrap();
    browser.evaluate("location.hash = ''").await.unwrap();
    browser.until("document.getElementById('map') !== null", 5).await.unwrap();

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
    browser.evaluate("document.querySelector('[data-cell=\"XL-01-01\"]').click()").await.unwrap();
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
    assert_eq!(browser.evaluate("document.getElementById('main')").await.unwrap(), json!(null));
    let log_in = |password: &str| {
        format!(
            "document.getElementById('name').value = 'wang-li'; document.getElementById('password').value = '{password}'; \
             document.getElementById('by-name').requestSubmit()"
        )
    };
    browser.evaluate(&log_in("not the password")).await.unwrap();
    browser.until("document.getElementById('login-error').textContent !== ''", 10).await.unwrap();
    browser.evaluate(&log_in("four words and a half")).await.unwrap();
    browser.until("document.getElementById('who') !== null", 10).await.unwrap();
    station.end().await.unwrap();
}

/// A station whose fires are closed when somebody else has verified them; who lives behind one door is known.
async fn neighbourhood() -> (Site, site::Station) {
    let site = Site::new("");
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let smoke = "state = { flag = \"smoke\" }";
    site.write("rules.toml", &rules.replacen(smoke, &format!("{smoke}\nclose = \"verified\""), 1));
    site.write(
        "households.csv",
        "cell,place,people,help,contact,phone\nS1-C1-G2,2栋1单元101,2,cannot_walk;oxygen,李奶奶,02500000000\n",
    );
    site.write("buildings.csv", "cell,name,floors,structure\nS1-C1-G2,2栋,6,砖混\n");
    let station = site.start().await;
    for what in ["households", "buildings"] {
        let mut import = Command::new(program("gridwarden"));
        import.args(["import", what]).arg(site.file(&format!("{what}.csv")));
        let done = import.arg("-c").arg(site.file("station.toml")).output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    eventually("both imports are taken over", 20, || async {
        (station.get("/api/v1/people/zhang-wei").await["version"] == 3).then_some(())
    })
    .await;
    (site, station)
}

/// Makes an account and returns its one-time password.
async fn account(site: &Site, person: &str, roles: &str) -> String {
    let mut add = Command::new(program("gridwarden"));
    add.args(["account", "add", person, "--person", person, "--role", roles, "-c"]);
    let done = add.arg(site.file("station.toml")).output().await.unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let once = said.split("one-time password ").nth(1).expect(&said);
    once.split_whitespace().next().unwrap().to_owned()
}

/// Opens a link as somebody who is not known yet, and chooses a password on the way.
async fn open(browser: &mut Browser, link: &str, name: &str, once: &str) {
    browser.go(link).await.unwrap();
    browser.until("!document.getElementById('login').hidden", 10).await.unwrap();
    browser.complaints.clear(); // Nobody was known.
    let log_in = format!(
        "document.getElementById('name').value = '{name}'; document.getElementById('password').value = '{once}'; \
         document.getElementById('by-name').requestSubmit()"
    );
    browser.evaluate(&log_in).await.unwrap();
    browser.until("!document.getElementById('choose').hidden", 10).await.unwrap();
    let choose = "document.getElementById('new-password').value = 'four words and a half'; document.getElementById('choose').requestSubmit()";
    browser.evaluate(choose).await.unwrap();
}

fn tap(deed: &str) -> String {
    format!("document.querySelector('[data-deed={deed}]').click()")
}

fn offers(deed: &str) -> String {
    format!("document.querySelector('[data-deed={deed}]:not(:disabled)') !== null")
}

fn fill(field: &str, value: &str) -> String {
    format!(
        "(input => {{ input.value = '{value}'; input.dispatchEvent(new Event('input', {{ bubbles: true }})) }})\
         (document.getElementById('deed-form').elements.{field})"
    )
}

const GIVE: &str = "document.getElementById('deed-form').requestSubmit()";

fn says(part: &str, text: &str) -> String {
    format!("document.getElementById('{part}').innerText.includes('{text}')")
}

#[tokio::test]
async fn what_is_no_fire_can_be_put_off_and_handed_up() {
    let (site, station) = neighbourhood().await;
    let worker = account(&site, "zhang-wei", "worker").await;
    station.publish("HY-1", &json!({"values": {"pressure": 90.0}})).await;
    let alarm = eventually("the alarm", 10, || async {
        let open = station.get("/api/v1/alarms?class=supervisory").await;
        open["items"].as_array().unwrap().first().map(|alarm| alarm["id"].as_str().unwrap().to_owned())
    })
    .await;
    let mut phone = Browser::start(390, 844).await.unwrap();
    open(&mut phone, &format!("{}/#alarm={alarm}", station.http), "zhang-wei", &worker).await;
    let form = |field: &str| format!("document.getElementById('deed-form').elements.{field} !== undefined");
    for (deed, undo, shown) in [("shelve", "unshelve", "已静音"), ("suspend", "resume", "已挂账")] {
        phone.until(&offers("acknowledge"), 10).await.unwrap();
        if deed == "suspend" {
            phone.evaluate(&tap("acknowledge")).await.unwrap();
        }
        phone.until(&offers(deed), 10).await.unwrap();
        phone.evaluate(&tap(deed)).await.unwrap();
        phone.until(&form("until"), 5).await.unwrap();
        phone.evaluate(&fill("reason", "等供水单位")).await.unwrap();
        phone.evaluate(GIVE).await.unwrap();
        phone.until(&says("alarm-head", shown), 10).await.unwrap();
        picture(&mut phone, &format!("alarm-{deed}.png")).await;
        phone.until(&offers(undo), 10).await.unwrap();
        phone.evaluate(&tap(undo)).await.unwrap();
        phone.until(&offers("hand_over"), 10).await.unwrap();
    }
    phone.evaluate(&tap("hand_over")).await.unwrap();
    phone.until(&form("reason"), 5).await.unwrap();
    phone.evaluate(&fill("reason", "要社区协调")).await.unwrap();
    phone.evaluate(GIVE).await.unwrap();
    phone.until(&says("alarm-head", "责任人: 陈洁"), 10).await.unwrap();
    assert_eq!(phone.complaints, Vec::<String>::new(), "no script error, no blocked resource");
    station.stop().await;
}

#[tokio::test]
async fn one_fire_from_the_link_to_the_verification_by_another() {
    let (site, station) = neighbourhood().await;
    let worker = account(&site, "zhang-wei", "worker,supervisor").await;
    let supervisor = account(&site, "chen-jie", "supervisor").await;
    #[expect(clippy::disallowed_methods, reason = "a date for a real station")]
    let before = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(90);
    station.publish("HY-1", &json!({"time": before.to_string(), "values": {"pressure": 180.0}})).await;
    station.publish("HY-1", &json!({"values": {"pressure": 120.0}})).await;
    station.publish("SD-4", &json!({"values": {"smoke": true}})).await;
    let alarm = eventually("the fire", 10, || async {
        let open = station.get("/api/v1/alarms?class=fire").await;
        open["items"].as_array().unwrap().first().map(|alarm| alarm["id"].as_str().unwrap().to_owned())
    })
    .await;
    let link = format!("{}/#alarm={alarm}", station.http);

    let mut phone = Browser::start(390, 844).await.unwrap();
    open(&mut phone, &link, "zhang-wei", &worker).await;
    phone.until(&says("alarm-head", "2栋1单元101"), 10).await.unwrap();
    for text in
        ["李奶奶", "行动不便、吸氧", "▼ 压力低", "↓", "377 米", "消火栓压力低", "报警 1", "给住户打电话"]
    {
        phone.until(&says("card", text), 5).await.unwrap();
    }
    phone.until(&says("told", "张伟"), 5).await.unwrap();
    phone.until(&offers("acknowledge"), 5).await.unwrap();
    let narrow = "document.documentElement.scrollWidth <= 390";
    assert_eq!(phone.evaluate(narrow).await.unwrap(), true, "nothing sticks out");
    picture(&mut phone, "alarm-phone.png").await;

    // Without a network the tap is not lost in silence, and the next one works.
    phone.offline(true).await.unwrap();
    phone.evaluate(&tap("acknowledge")).await.unwrap();
    phone.until(&says("said", "没有连上网关"), 10).await.unwrap();
    picture(&mut phone, "alarm-offline.png").await;
    phone.offline(false).await.unwrap();
    phone.until("document.getElementById('lost').hidden", 30).await.unwrap();
    phone.complaints.clear();
    phone.evaluate(&tap("acknowledge")).await.unwrap();
    phone.until(&says("stages", "✓ 已接警"), 10).await.unwrap();
    // Two taps are one request.
    phone.until(&offers("on_the_way"), 10).await.unwrap();
    phone.evaluate(&format!("{0}; {0}", tap("on_the_way"))).await.unwrap();
    phone.until(&says("stages", "✓ 在路上"), 10).await.unwrap();
    phone.until(&offers("on_site"), 10).await.unwrap();
    let requests =
        "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/on_the_way')).length";
    assert_eq!(phone.evaluate(requests).await.unwrap(), 1);
    phone.evaluate(&tap("on_site")).await.unwrap();
    phone.until(&says("stages", "✓ 已到场"), 10).await.unwrap();
    phone.until(&offers("resolve"), 10).await.unwrap();
    phone.evaluate(&tap("resolve")).await.unwrap();
    phone.until("document.querySelector('[data-field=cause]')?.hidden === true", 5).await.unwrap();
    phone.evaluate(&fill("disposition", "false_alarm")).await.unwrap();
    phone.until("document.querySelector('[data-field=cause]').hidden === false", 5).await.unwrap();
    phone.evaluate(&fill("cause", "cooking")).await.unwrap();
    phone.evaluate(&fill("note", "炒菜油烟")).await.unwrap();
    picture(&mut phone, "alarm-resolve.png").await;
    phone.evaluate(GIVE).await.unwrap();
    phone.until(&says("judged", "误报 · 做饭 · 炒菜油烟"), 10).await.unwrap();

    // Nobody verifies his own work; what was typed stays.
    phone.until(&offers("verify"), 10).await.unwrap();
    phone.evaluate(&tap("verify")).await.unwrap();
    phone.until("document.getElementById('deed-form').elements.note !== undefined", 5).await.unwrap();
    phone.evaluate(&fill("note", "自己看过")).await.unwrap();
    phone.complaints.clear();
    phone.evaluate(GIVE).await.unwrap();
    phone.until(&says("said", "您经手过这条报警"), 10).await.unwrap();
    let kept = "document.getElementById('deed-form').elements.note.value";
    assert_eq!(phone.evaluate(kept).await.unwrap(), "自己看过");
    picture(&mut phone, "alarm-refused.png").await;

    let mut desk = Browser::start(1280, 900).await.unwrap();
    open(&mut desk, &link, "chen-jie", &supervisor).await;
    desk.until(&offers("verify"), 10).await.unwrap();
    assert_eq!(desk.evaluate("document.querySelector('[data-deed=resolve]')").await.unwrap(), json!(null));
    assert_eq!(
        desk.evaluate(&says("card", "李奶奶")).await.unwrap(),
        false,
        "a supervisor does not go there"
    );
    picture(&mut desk, "alarm-desk.png").await;
    // Sent back, answered anew, resolved again.
    desk.evaluate(&tap("return")).await.unwrap();
    desk.until("document.getElementById('deed-form').elements.reason !== undefined", 5).await.unwrap();
    desk.evaluate(GIVE).await.unwrap();
    assert_eq!(desk.evaluate(&says("judged", "打回")).await.unwrap(), false, "not without a reason");
    desk.evaluate(&fill("reason", "缺照片")).await.unwrap();
    desk.evaluate(GIVE).await.unwrap();
    phone.until(&says("judged", "打回: 缺照片"), 10).await.unwrap();
    phone.evaluate("document.querySelector('#deed-form .give button:last-child').click()").await.unwrap();
    phone.until(&offers("acknowledge"), 10).await.unwrap();
    phone.evaluate(&tap("acknowledge")).await.unwrap();
    phone.until(&offers("resolve"), 10).await.unwrap();
    phone.evaluate(&tap("resolve")).await.unwrap();
    phone.until("document.getElementById('deed-form').elements.disposition !== undefined", 5).await.unwrap();
    phone.evaluate(&fill("disposition", "false_alarm")).await.unwrap();
    phone.evaluate(GIVE).await.unwrap();
    desk.until(&offers("verify"), 10).await.unwrap();
    desk.evaluate("document.getElementById('more').open = true").await.unwrap();
    desk.evaluate(&tap("evaluate")).await.unwrap();
    desk.until("document.getElementById('deed-form').elements.verdict !== undefined", 5).await.unwrap();
    desk.evaluate(&fill("verdict", "nuisance")).await.unwrap();
    desk.evaluate(GIVE).await.unwrap();
    desk.until(&says("judged", "有原因但不危险"), 10).await.unwrap();
    station.publish("SD-4", &json!({"values": {"smoke": false}})).await;
    desk.until(&says("alarm-head", "已恢复"), 10).await.unwrap();
    desk.until(&offers("verify"), 10).await.unwrap();
    desk.evaluate(&tap("verify")).await.unwrap();
    desk.until("!document.getElementById('deed-form').hidden", 5).await.unwrap();
    desk.evaluate(GIVE).await.unwrap();
    desk.until(&says("stages", "✓ 已核实"), 10).await.unwrap();
    desk.until(&says("stages", "✓ 已办结"), 10).await.unwrap();
    // The other page hears of it, and the way back is the list.
    phone.until(&says("no-deeds", "已办结"), 10).await.unwrap();
    phone.evaluate("document.getElementById('back').click()").await.unwrap();
    phone.until("!document.getElementById('main').hidden", 5).await.unwrap();
    phone.until("document.querySelector('#alarms li.closed a') !== null", 5).await.unwrap(); // Drawn with the next frame.
    phone.evaluate("document.querySelector('#alarms li.closed a').click()").await.unwrap();
    phone.until(&says("alarm-head", &alarm), 10).await.unwrap();
    desk.evaluate("document.getElementById('language').click()").await.unwrap();
    desk.until(&says("stages", "✓ closed"), 5).await.unwrap();
    picture(&mut desk, "alarm-closed.png").await;
    for browser in [&desk, &phone] {
        let errors = browser.complaints.iter().filter(|text| !text.contains("403")).collect::<Vec<_>>();
        assert_eq!(errors, Vec::<&String>::new(), "no script error, no blocked resource");
    }

    let detail = station.get(&format!("/api/v1/alarms/{alarm}")).await;
    let did = |what: &str| {
        let history = detail["history"].as_array().unwrap();
        history
            .iter()
            .filter(|entry| entry["what"] == what)
            .map(|entry| entry["who"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(did("on_the_way"), ["zhang-wei"], "{detail:#}");
    assert_eq!(did("verified"), ["chen-jie"]);
    station.stop().await;
}
