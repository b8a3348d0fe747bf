//! The gateway's Modbus source against pymodbus, mbpoll (libmodbus) against the simulated hydrants, and a scripted peer for what real ones do
//! only on a bad day: late answers, damaged ones, other units' ones, cut connections.

pub mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bench::{Asked, Framing, Reply, Running, Scripted, mbpoll, pty_pair, pty_to, pymodbus_rtu, start};
use firmware_sim::hydrants::Pressures;
use firmware_sim::modbus::{Fault, Hydrants, Map};
use gateway::clock::instant;
use gateway::config::{Parity, Table};
use gateway::decode::modbus::Read;
use gateway::io::modbus::line::{Answer, Failure};
use gateway::io::modbus::question::NotAnswered;
use gateway::model::Quality::{Bad, Good};
use gateway::probe;
use tests::neighbours::{Neighbour, eventually, free_port, python, root};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_modbus::client::{Reader, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_util::sync::CancellationToken;

/// The three maps, and every type in every order, as `neighbours/modbus_units.py` serves them.
const UNITS: &str = r#"
[[unit]]
unit = 1
map = "mpd-380"
[[unit]]
unit = 2
map = "keller-x"
[[unit]]
unit = 3
map = "sw-p300"
pressure_unit = "MPa"
"#;

fn every_type() -> String {
    let mut text = "[[unit]]\nunit = 4\n".to_owned();
    let mut add = |metric: &str, table: &str, address: usize, number: &str, more: &str| {
        text += &format!(
            "[[unit.register]]\nmetric = \"{metric}\"\ntable = \"{table}\"\naddress = {address}\ntype = \"{number}\"\n{more}\n"
        );
    };
    // As many metrics without a plausible range as there are numbers.
    let metrics = [
        ["persons", "vehicles", "objects", "link_quality"],
        ["rssi", "snr", "current", "voltage"],
        ["score", "entry", "frame_counter", "gas_lel"],
        ["co", "smoke_density", "smoke_concentration", "level"],
    ];
    for (place, order) in ["ABCD", "CDAB", "BADC", "DCBA"].into_iter().enumerate() {
        let order = format!("order = \"{order}\"");
        add(metrics[0][place], "holding", 100 + 2 * place, "u32", &order);
        add(metrics[1][place], "holding", 120 + 2 * place, "i32", &order);
        add(metrics[2][place], "holding", 140 + 2 * place, "f32", &order);
        add(metrics[3][place], "holding", 160 + 4 * place, "f64", &order);
    }
    add("flow", "holding", 200, "u16", "scale = 0.01");
    add("temperature", "holding", 201, "i16", "scale = 0.1");
    add("cover_open", "holding", 202, "bit", "bit = 3");
    add("tilt", "holding", 202, "bit", "bit = 2");
    add("pressure", "input", 30, "f32", "max = 200");
    add("running", "coils", 5, "bit", "");
    add("shock", "discrete_inputs", 9, "bit", "");
    add("fault", "discrete_inputs", 10, "bit", "");
    text
}

async fn expect_all(bus: &mut Running) {
    assert_eq!(bus.values(1).await, [("pressure", 350.0, Good)], "3.56 bar with an offset of -0.06");
    assert_eq!(bus.values(2).await, [("pressure", 350.0, Good), ("temperature", 21.25, Good)]);
    let everything: BTreeMap<_, _> =
        bus.values(4).await.into_iter().map(|(metric, value, quality)| (metric, (value, quality))).collect();
    for (metrics, expected) in [
        (["persons", "vehicles", "objects", "link_quality"], 1_234_567.0),
        (["rssi", "snr", "current", "voltage"], -1_234_567.0),
        (["score", "entry", "frame_counter", "gas_lel"], 1234.5),
        (["co", "smoke_density", "smoke_concentration", "level"], -98_765.432),
    ] {
        for metric in metrics {
            assert_eq!(everything[metric].0, expected, "{metric}");
        }
    }
    for (metric, value, quality) in [
        ("level", -98_765.432, Bad), // No tank is that deep.
        ("flow", 500.0, Good),
        ("temperature", -20.0, Good),
        ("cover_open", 1.0, Good),
        ("tilt", 0.0, Good),
        ("pressure", 250.0, Bad), // Outside its `max`.
        ("running", 1.0, Good),
        ("shock", 0.0, Good),
        ("fault", 1.0, Good),
    ] {
        assert_eq!(everything[metric], (value, quality), "{metric}");
    }
    assert_eq!(bus.values(3).await, [("pressure", 140.0, Good), ("temperature", 14.5, Good)]);
    assert!(bus.dead.is_empty(), "{:?}", bus.dead);
}

async fn pymodbus_tcp(port: u16, dead: &str) -> Neighbour {
    let script = root().join("tests/neighbours/modbus_units.py").to_string_lossy().into_owned();
    let port_text = port.to_string();
    let mut arguments = vec![script.as_str(), "tcp", &port_text];
    arguments.extend(Some(dead).filter(|dead| !dead.is_empty()));
    Neighbour::start(python(), port, tempfile::tempdir().unwrap(), &arguments).await.unwrap()
}

#[tokio::test]
async fn reads_pymodbus_over_tcp() {
    let units = pymodbus_tcp(free_port(), "").await;
    let line = format!("tcp = \"127.0.0.1:{}\"\npoll_every_ms = 200", units.port);
    let mut bus = start(&line, &(UNITS.to_owned() + &every_type()));
    expect_all(&mut bus).await;
    bus.end().await;
}

#[tokio::test]
async fn reads_pymodbus_over_a_serial_line() {
    let (_socat, ours, theirs) = pty_pair().await;
    let _units = pymodbus_rtu(&theirs, "").await;
    let line = format!("poll_every_ms = 200\n[serial]\npath = \"{}\"\nbaud = 19200", ours.display());
    let mut bus = start(&line, &(UNITS.to_owned() + &every_type()));
    expect_all(&mut bus).await;
    bus.end().await;
}

/// The quarter of the registers that libmodbus reads from our simulator, as it prints them.
async fn mbpoll_reads_the_simulator(line: &[&str]) {
    let ask = |unit: &'static str, what: &'static [&'static str]| {
        let mut arguments = vec!["-1", "-0", "-B", "-a", unit];
        arguments.extend(what);
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let (options, target) = line.split_at(line.len() - 1);
        arguments.splice(0..0, options.iter().map(|text| text.to_string()));
        arguments.push(target[0].to_owned());
        async move { mbpoll(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let mpd_380 = ask("1", &["-t", "4", "-r", "2", "-c", "3"]).await;
    assert!(
        mpd_380.contains("[2]: \t3") && mpd_380.contains("[3]: \t2") && mpd_380.contains("[4]: \t350"),
        "{mpd_380}"
    );
    let keller = ask("2", &["-t", "4:float", "-r", "2"]).await;
    assert!(keller.contains("[2]: \t2.5"), "{keller}");
    let sw_p300 = ask("3", &["-t", "4:float", "-r", "1034", "-c", "2"]).await;
    assert!(sw_p300.contains("[1034]: \t1.4") && sw_p300.contains("[1036]: \t14.5"), "{sw_p300}");
    let too_long = ask("2", &["-t", "4", "-r", "2", "-c", "5"]).await;
    assert!(!too_long.contains("[2]:"), "{too_long}");
}

fn hydrants() -> Hydrants {
    let pressures = Pressures::default();
    for (unit, kpa) in [(1, 350.0), (2, 250.0), (3, 140.0)] {
        pressures.set(unit, kpa);
    }
    let hydrants = Hydrants::new(pressures);
    hydrants.set_map(2, Map::KellerX);
    hydrants.set_map(3, Map::SwP300);
    hydrants
}

#[tokio::test]
async fn libmodbus_reads_the_simulated_hydrants() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (_socat, ours, theirs) = pty_pair().await;
    let (stop, mut servers) = (CancellationToken::new(), JoinSet::new());
    servers.spawn(hydrants().serve_tcp(listener, stop.clone()));
    let serial = stop.clone();
    servers.spawn(async move { hydrants().serve_rtu(&theirs, 9_600, serial).await });
    mbpoll_reads_the_simulator(&["-m", "tcp", "-p", &port, "127.0.0.1"]).await;
    mbpoll_reads_the_simulator(&["-m", "rtu", "-b", "9600", "-P", "none", &ours.to_string_lossy()]).await;
    stop.cancel();
    while let Some(ended) = servers.join_next().await {
        ended.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_simulators_faults_reach_the_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = format!("tcp = \"{}\"\npoll_every_ms = 50\ntimeout_ms = 200", listener.local_addr().unwrap());
    let (hydrants, stop, mut servers) = (hydrants(), CancellationToken::new(), JoinSet::new());
    servers.spawn(hydrants.clone().serve_tcp(listener, stop.clone()));
    let mut bus =
        start(&line, "[[unit]]\nunit = 1\nmap = \"mpd-380\"\n[[unit]]\nunit = 2\nmap = \"keller-x\"");
    assert_eq!(bus.values(1).await, [("pressure", 350.0, Good)]);
    for fault in [Fault::Drop, Fault::Garbage, Fault::Delay(Duration::from_millis(500))] {
        hydrants.set_fault(1, Some(fault));
        while bus.report().await.device.0 == 1 {} // Reports that were under way.
        let others = bus.count(Duration::from_millis(1_500)).await;
        assert!(others.get(&1).is_none_or(|few| *few <= 2), "{fault:?}: {others:?}");
        assert!(10 <= others[&2], "{fault:?}: {others:?}");
        hydrants.set_fault(1, None);
        assert_eq!(bus.values(1).await, [("pressure", 350.0, Good)], "it comes back after {fault:?}");
    }
    hydrants.set_fault(1, Some(Fault::Exception(2)));
    let letter = bus.letter().await;
    assert!(letter.reason.contains("unit 1 refuses to read holding register"), "{letter:?}");
    stop.cancel();
    bus.end().await;
}

/// Ten units behind one address, some dead from the start: reports of each live unit in the same time.
async fn polls_with_dead(dead: usize, serial: bool) -> (BTreeMap<u32, u32>, Duration) {
    let silent: Vec<String> = (11..11 + dead).map(|unit| unit.to_string()).collect();
    let units: String =
        (11..=20).map(|unit| format!("[[unit]]\nunit = {unit}\nmap = \"mpd-380\"\n")).collect();
    let timing = "poll_every_ms = 250\ntimeout_ms = 500";
    let (_tcp, _rtu, line);
    if serial {
        let (socat, ours, theirs) = pty_pair().await;
        _rtu = (socat, pymodbus_rtu(&theirs, &silent.join(",")).await);
        line = format!("{timing}\n[serial]\npath = \"{}\"\nbaud = 19200", ours.display());
    } else {
        _tcp = pymodbus_tcp(free_port(), &silent.join(",")).await;
        line = format!("{timing}\ntcp = \"127.0.0.1:{}\"", _tcp.port);
    }
    let mut bus = start(&line, &units);
    let began = instant();
    let mut heard = BTreeSet::new();
    while heard.len() < 10 - dead {
        heard.insert(bus.report().await.device);
    }
    let first = began.elapsed();
    let counts = bus.count(Duration::from_secs(6)).await;
    bus.end().await;
    (counts, first)
}

#[tokio::test]
async fn dead_units_do_not_slow_the_live_ones() {
    for serial in [false, true] {
        let runs = futures::future::join_all([0, 5, 9].map(|dead| polls_with_dead(dead, serial))).await;
        let healthy = *runs[0].0.values().min().unwrap();
        assert!(20 <= healthy && runs[0].0.len() == 10, "{runs:?}");
        for (dead, (counts, first)) in [5, 9].into_iter().zip(&runs[1..]) {
            assert_eq!(counts.len(), 10 - dead);
            let slowest = *counts.values().min().unwrap();
            println!(
                "serial {serial}, {dead} of 10 dead: {slowest} polls where the healthy bus has {healthy}; all heard after {first:?}"
            );
            assert!(healthy * 95 / 100 <= slowest + 1, "{dead} dead: {counts:?}, healthy {healthy}");
            // A busy machine may miss a unit's first answers, and then it is asked again after half a minute.
            assert!(*first < Duration::from_secs(60), "the live units were found after {first:?}");
        }
    }
}

/// Units 1 to 8 each have two registers that are read apart, every one with a value of its own, and every seventh answer is late by more than
/// the time-out, up to almost four times as much; answers to later requests overtake it.
async fn late_answers(framing: Framing, line: impl AsyncFn(u16) -> (Option<bench::Program>, String)) {
    let value = |unit: u8, start: u16| u16::from(unit) * 100 + start / 50;
    let peer = Scripted::start(framing, move |asked: Asked| {
        let words = (asked.start..).take(asked.count.into()).map(|at| value(asked.unit, at)).collect();
        match asked.nth % 7 {
            6 => Reply::Late(Duration::from_millis(120 + (asked.nth as u64 * 37) % 250), words),
            _ => Reply::Words(words),
        }
    })
    .await;
    let (_socat, line) = line(peer.port).await;
    let units: String = [1, 2, 3, 4, 5, 6, 7, 8]
        .map(|unit| {
            format!(
                "[[unit]]\nunit = {unit}\n[[unit.register]]\nmetric = \"pressure\"\ntable = \"holding\"\naddress = 50\ntype = \"u16\"\n[[unit.register]]\nmetric = \"persons\"\ntable = \"holding\"\naddress = 150\ntype = \"u16\"\n"
            )
        })
        .concat();
    let mut bus = start(&format!("poll_every_ms = 20\ntimeout_ms = 100\n{line}"), &units);
    let (until, mut seen) = (instant() + Duration::from_secs(10), BTreeMap::new());
    while instant() < until {
        let Ok(report) = tokio::time::timeout(Duration::from_secs(3), bus.report()).await else { continue };
        for value_seen in report.values {
            let start = if value_seen.metric.name() == "pressure" { 50 } else { 150 };
            let expected = f64::from(value(report.device.0 as u8, start));
            assert_eq!(
                value_seen.value,
                expected,
                "{} of unit {}",
                value_seen.metric.name(),
                report.device.0
            );
            *seen.entry((report.device.0, start)).or_insert(0) += 1;
        }
    }
    let late = peer.asked().len() / 7;
    println!("{framing:?}: {late} late answers, {} connections, values {seen:?}", peer.connections());
    assert!(15 <= late, "only {late} answers were late");
    assert!(seen.len() >= 8 && seen.values().sum::<i32>() >= 50, "some values come through: {seen:?}");
    bus.end().await;
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_the_next_one_over_tcp() {
    late_answers(Framing::Tcp, async |port| (None, format!("tcp = \"127.0.0.1:{port}\""))).await;
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_the_next_one_over_rtu_over_tcp() {
    late_answers(Framing::Rtu, async |port| (None, format!("rtu_over_tcp = \"127.0.0.1:{port}\""))).await;
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_the_next_one_over_a_serial_line() {
    late_answers(Framing::Rtu, async |port| {
        let (socat, path) = pty_to(port).await;
        (Some(socat), format!("[serial]\npath = \"{}\"\nbaud = 115200", path.display()))
    })
    .await;
}

const ONE_REGISTER: &str = "[[unit]]\nunit = 7\n[[unit.register]]\nmetric = \"pressure\"\ntable = \"input\"\naddress = 10\ntype = \"u16\"\nmax = 900";

/// Runs unit 7 against a script; the first two requests (the question that only a fresh answer fits, and the first poll) are answered well.
async fn after_a_good_start(
    framing: Framing,
    bad: impl Fn(Asked) -> Reply + Send + Sync + 'static,
) -> (Scripted, Running) {
    let peer = Scripted::start(framing, move |asked| match asked.nth {
        0 | 1 => Reply::Words(vec![300; asked.count.into()]),
        _ => bad(asked),
    })
    .await;
    let key = if framing == Framing::Tcp { "tcp" } else { "rtu_over_tcp" };
    let line = format!("{key} = \"127.0.0.1:{}\"\npoll_every_ms = 50\ntimeout_ms = 150", peer.port);
    let mut bus = start(&line, ONE_REGISTER);
    assert_eq!(bus.values(7).await, [("pressure", 300.0, Good)]);
    (peer, bus)
}

#[tokio::test]
async fn a_damaged_or_foreign_answer_gives_no_value_and_the_next_good_one_does() {
    for framing in [Framing::Rtu, Framing::Tcp] {
        let (peer, mut bus) = after_a_good_start(framing, move |asked| match asked.nth {
            2 if framing == Framing::Rtu => Reply::WrongCrc(vec![666; asked.count.into()]),
            2 => Reply::Words(vec![666; 3]),
            4 => Reply::Foreign(8, vec![667; asked.count.into()]),
            _ => Reply::Words(vec![301; asked.count.into()]),
        })
        .await;
        for _ in 0..4 {
            assert_eq!(bus.values(7).await, [("pressure", 301.0, Good)], "{framing:?}");
        }
        assert!(5 < peer.asked().len());
        bus.end().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_now_and_then_costs_no_value() {
    let (peer, mut bus) = after_a_good_start(Framing::Tcp, |asked| match asked.nth % 4 {
        3 => Reply::HangUp,
        _ => Reply::Words(vec![302; asked.count.into()]),
    })
    .await;
    for _ in 0..12 {
        assert_eq!(bus.values(7).await, [("pressure", 302.0, Good)]);
    }
    let (asked, connections) = (peer.asked().len(), peer.connections());
    assert!(
        3 <= connections && connections <= asked / 4 + 2,
        "{connections} connections for {asked} requests"
    );
    bus.end().await;
}

#[tokio::test]
async fn a_refusal_is_told_once_and_the_unit_lives() {
    let (_peer, mut bus) = after_a_good_start(Framing::Tcp, |asked| match asked.nth {
        2..20 => Reply::Exception(2),
        _ => Reply::Words(vec![1_000; asked.count.into()]),
    })
    .await;
    for _ in 2..20 {
        assert!(bus.report().await.values.is_empty(), "it lives, and says nothing");
    }
    assert_eq!(bus.values(7).await, [("pressure", 1_000.0, Bad)], "outside its range");
    assert_eq!(bus.dead.len(), 1, "{:?}", bus.dead);
    let reason = &bus.dead[0].reason;
    assert!(reason.contains("unit 7 refuses to read input register 10 (0x000A)"), "{reason}");
    assert_eq!((&*bus.dead[0].source, &*bus.dead[0].address), ("modbus:east", "modbus:east/7"));
    bus.end().await;
}

#[tokio::test]
async fn a_unit_that_refuses_merged_reads_is_read_field_by_field() {
    let units = pymodbus_tcp(free_port(), "").await;
    let line = format!("tcp = \"127.0.0.1:{}\"\npoll_every_ms = 100", units.port);
    let float = |metric: &str, address: u16, unit: &str| {
        format!(
            "[[unit.register]]\nmetric = \"{metric}\"\ntable = \"holding\"\naddress = {address}\ntype = \"f32\"\n{unit}\n"
        )
    };
    // Nothing lies between the two, so one read over both is an illegal data address.
    let fields = float("pressure", 2, "unit = \"bar\"") + &float("temperature", 8, "");
    let mut bus = start(&line, &format!("[[unit]]\nunit = 2\n{fields}"));
    assert_eq!(bus.values(2).await, [("pressure", 350.0, Good), ("temperature", 21.25, Good)]);
    assert!(bus.dead.is_empty(), "{:?}", bus.dead);
    bus.end().await;
}

#[tokio::test]
async fn an_unregistered_unit_is_told_once() {
    let peer = Scripted::start(Framing::Tcp, |asked| Reply::Words(vec![5; asked.count.into()])).await;
    let line = format!("tcp = \"127.0.0.1:{}\"\npoll_every_ms = 20", peer.port);
    let units = ONE_REGISTER.replace("unit = 7", "unit = 201") + "\n" + ONE_REGISTER;
    let mut bus = start(&line, &units);
    let letter = bus.letter().await;
    assert!(letter.reason.contains("`modbus:east/201`"), "{letter:?}");
    for _ in 0..10 {
        bus.values(7).await;
    }
    assert!(bus.dead.is_empty(), "only once: {:?}", bus.dead);
    bus.end().await;
}

#[tokio::test]
async fn polling_goes_on_when_a_line_comes_back() {
    let port = free_port();
    let line = format!("tcp = \"127.0.0.1:{port}\"\npoll_every_ms = 100");
    let mut bus = start(&line, "[[unit]]\nunit = 11\nmap = \"mpd-380\"");
    let mut units = pymodbus_tcp(port, "").await; // It was not there when the bus began.
    assert_eq!(bus.values(11).await, [("pressure", 111.0, Good)]);
    units.kill().await.unwrap();
    bus.count(Duration::from_secs(2)).await;
    assert!(bus.count(Duration::from_millis(500)).await.is_empty(), "nobody is there");
    let _units = pymodbus_tcp(port, "").await;
    assert_eq!(bus.values(11).await, [("pressure", 111.0, Good)]);
    bus.end().await;
}

#[tokio::test]
async fn a_unit_that_comes_back_is_polled_again_within_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = format!("tcp = \"{}\"\npoll_every_ms = 200\ntimeout_ms = 500", listener.local_addr().unwrap());
    let (hydrants, stop, mut servers) = (hydrants(), CancellationToken::new(), JoinSet::new());
    servers.spawn(hydrants.clone().serve_tcp(listener, stop.clone()));
    let mut bus = start(&line, "[[unit]]\nunit = 1\nmap = \"mpd-380\"");
    bus.values(1).await;
    hydrants.set_fault(1, Some(Fault::Drop));
    // Long enough dead that the probes lie as far apart as they ever do.
    let before = hydrants.requests(1);
    eventually("six probes", 40, || async { (before + 8 <= hydrants.requests(1)).then_some(()) }).await;
    hydrants.set_fault(1, None);
    let back = instant();
    bus.values(1).await;
    assert!(back.elapsed() < Duration::from_secs(6), "polled again after {:?}", back.elapsed());
    stop.cancel();
    bus.end().await;
}

/// How much the schedule, the circuit, decoding and the inlet cost beside bare requests. The units are more than one cycle can hold.
#[tokio::test(flavor = "multi_thread")]
async fn polls_nearly_as_fast_as_bare_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pressures = Pressures::default();
    (1..=50).for_each(|unit| pressures.set(unit, f64::from(unit)));
    let (stop, mut servers) = (CancellationToken::new(), JoinSet::new());
    servers.spawn(Hydrants::new(pressures).serve_tcp(listener, stop.clone()));
    let time = Duration::from_secs(2);

    let mut bare = tcp::connect(address).await.unwrap();
    let (until, mut requests) = (instant() + time, 0u32);
    while instant() < until {
        bare.set_slave(Slave((requests % 50) as u8 + 1));
        assert_eq!(bare.read_holding_registers(2, 11).await.unwrap().unwrap().len(), 11);
        requests += 1;
    }
    let units: String =
        (1..=50).map(|unit| format!("[[unit]]\nunit = {unit}\nmap = \"mpd-380\"\n")).collect();
    let mut bus = start(&format!("tcp = \"{address}\"\npoll_every_ms = 1"), &units);
    while bus.report().await.device.0 != 50 {}
    let polls: u32 = bus.count(time).await.values().sum();
    let ratio = f64::from(polls) / f64::from(requests);
    println!("{requests} bare requests and {polls} polls in {time:?}: ratio {ratio:.2}");
    assert!(0.3 <= ratio, "{polls} polls, {requests} bare requests");
    stop.cancel();
    bus.end().await;
}

/// A bus whose cycle leaves no gap: the questions get their share, are told apart, and every unit is polled on.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_asks_between_the_polls_of_a_busy_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, mut servers) = (CancellationToken::new(), JoinSet::new());
    let hydrants = hydrants();
    servers.spawn(hydrants.clone().serve_tcp(listener, stop.clone()));
    let mut bus = start(&format!("tcp = \"{address}\"\npoll_every_ms = 1\ntimeout_ms = 200"), UNITS);
    for unit in [1, 2, 3] {
        bus.values(unit).await;
    }
    let read = |start, count| Read { table: Table::Holding, start, count };
    for _ in 0..20 {
        let answered = bus.handle.ask(1, read(2, 5)).await.unwrap();
        let Answer::Words(words) = answered.answer else { panic!("{:?}", answered.answer) };
        assert_eq!(words.len(), 5);
        let made = bus.handle.plan.units[0].made_of(read(2, 11), &[words, vec![0; 6]].concat());
        assert_eq!(made[0].value.as_ref().unwrap().value, 350.0, "{made:?}");
    }
    let refused = bus.handle.ask(1, read(40_000, 1)).await.unwrap();
    assert!(matches!(refused.answer, Answer::Refused(_)), "{refused:?}");
    // Nobody has this number: the asker is told, and the others are polled on.
    let silent = bus.handle.ask(77, read(0, 1)).await;
    assert!(
        matches!(silent, Err(NotAnswered::Failed(Failure::Silent(_) | Failure::Unreachable(_)))),
        "{silent:?}"
    );
    let (one, other) = tokio::join!(bus.handle.ask(2, read(0, 2)), bus.handle.ask(3, read(0, 2)));
    assert!(one.is_ok() && matches!(other, Err(NotAnswered::Busy)), "{other:?}");
    let before = [1, 2, 3].map(|unit| hydrants.requests(unit));
    while ![1, 2, 3].into_iter().zip(before).all(|(unit, before)| before + 20 < hydrants.requests(unit)) {
        bus.report().await; // It fails when there is none for ten seconds.
    }
    stop.cancel();
    bus.end().await;
}

#[tokio::test]
async fn probe_reads_a_device_and_says_why_when_it_cannot() {
    let units = pymodbus_tcp(free_port(), "").await;
    let port = units.port;
    let ask = |unit: u8, scan, table, start, count| probe::ProbeArgs {
        tcp: Some(format!("127.0.0.1:{port}")),
        rtu_over_tcp: None,
        serial: None,
        baud: 9_600,
        parity: Parity::None,
        stop_bits: 1,
        units: vec![unit],
        scan,
        table,
        start,
        count,
        max_registers: 125,
        expect: None,
        timeout_ms: Some(300),
    };
    probe::run(ask(1, None, Table::Holding, 0, 13)).await.unwrap();
    probe::run(ask(2, None, Table::Holding, 0, 10)).await.unwrap(); // Refused together, partly there one by one.
    probe::run(ask(4, None, Table::DiscreteInputs, 9, 2)).await.unwrap();
    probe::run(ask(1, Some(1..=5), Table::Holding, 0, 1)).await.unwrap();
    let silent = probe::run(ask(99, None, Table::Holding, 0, 1)).await.unwrap_err();
    assert!(silent.to_string().contains("unit 99 does not answer"), "{silent}");
    drop(units);
    let mut nowhere = ask(1, None, Table::Holding, 0, 1);
    nowhere.tcp = Some(format!("127.0.0.1:{}", free_port()));
    let nowhere = format!("{:#}", probe::run(nowhere).await.unwrap_err());
    assert!(nowhere.contains("cannot be opened"), "{nowhere}");
}
