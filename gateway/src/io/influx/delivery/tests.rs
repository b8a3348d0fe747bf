//! Deliveries against servers made of a few lines of Rust.

#![expect(clippy::wildcard_enum_match_arm, reason = "a server passes on every other verdict as it is")]

use proptest::prelude::*;

use super::*;

fn lines<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Lines {
    let mut lines = Lines::default();
    for text in texts {
        lines.push(format!("{}\n", text.as_ref()).as_bytes());
    }
    lines
}

fn refusal(reason: &str, certain: bool) -> Refusal {
    Refusal { reason: reason.into(), certain, ..Refusal::default() }
}

/// What became of a delivery.
#[derive(Debug, Default, PartialEq)]
struct Told {
    stored: Vec<String>,
    given_up: Vec<String>,
    requests: usize,
    probes: usize,
    pauses: Vec<Pause>,
}

/// Plays a delivery against `server`, which gets the lines of each request; at most a few pauses.
fn play(texts: &[&str], mut server: impl FnMut(&[String], bool) -> Verdict) -> Told {
    let mut delivery = Delivery::new(lines(texts));
    let mut told = Told::default();
    while told.pauses.len() < 3 && told.requests < 10_000 {
        let (sent, probe) = match delivery.next() {
            Next::Done => break,
            Next::Probe => (vec!["probe".to_owned()], true),
            Next::Send { lines, count } => {
                let text = String::from_utf8(lines.to_vec()).unwrap();
                let sent: Vec<_> = text.lines().map(str::to_owned).collect();
                assert_eq!(sent.len(), count);
                (sent, false)
            }
        };
        told.requests += 1;
        told.probes += usize::from(probe);
        let verdict = server(&sent, probe);
        if !probe && verdict == Verdict::Stored {
            told.stored.extend(sent);
        }
        told.pauses.extend(delivery.answer(verdict));
    }
    let given_up = delivery.given_up();
    for given_up in given_up {
        let text = |line: &Bytes| String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        told.given_up.extend(given_up.lines.iter().map(text));
    }
    told
}

/// InfluxDB 2: a single bad line refuses the whole request.
fn strict(sent: &[String]) -> Verdict {
    match sent.iter().any(|line| line.starts_with("bad")) {
        true => Verdict::Malformed(refusal("unable to parse", true)),
        false => Verdict::Stored,
    }
}

#[test]
fn stored_at_once() {
    let told = play(&["a", "b"], |_, _| Verdict::Stored);
    assert_eq!((told.stored, told.requests), (vec!["a".to_owned(), "b".into()], 1));
    assert_eq!(Delivery::new(Lines::default()).next(), Next::Done);
}

#[test]
fn halves_down_to_the_culprits_and_keeps_the_order() {
    let told = play(&["a", "b", "bad1", "c", "d", "e", "bad2", "f"], |sent, _| strict(sent));
    assert_eq!(told.stored, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(told.given_up, ["bad1", "bad2"]);
    assert!(told.probes == 0 && told.pauses.is_empty());
}

#[test]
fn takes_the_servers_word_for_it_and_needs_two_requests() {
    let texts = ["a", "bad1", "c", "bad2", "e"];
    let told = play(&texts, |sent, _| match strict(sent) {
        Verdict::Malformed(refusal) => {
            let quoted = sent.iter().filter(|line| line.starts_with("bad")).cloned().collect();
            Verdict::Malformed(Refusal { quoted, ..refusal })
        }
        other => other,
    });
    assert_eq!(
        (told.stored.join(" "), told.given_up.join(" "), told.requests),
        ("a c e".into(), "bad1 bad2".into(), 2)
    );

    let told = play(&texts, |sent, _| match strict(sent) {
        Verdict::Malformed(refusal) => Verdict::Malformed(Refusal { numbers: vec![2, 4, 99, 0], ..refusal }),
        other => other,
    });
    assert_eq!(
        (told.stored.join(" "), told.given_up.join(" "), told.requests),
        ("a c e".into(), "bad1 bad2".into(), 2)
    );
}

#[test]
fn a_request_that_is_wrong_as_such_costs_no_line() {
    let told = play(&["a", "b", "c"], |_, _| Verdict::Malformed(refusal("bucket is required", false)));
    assert!(told.given_up.is_empty() && told.stored.is_empty());
    assert_eq!(told.requests, 6, "each try: the lines, then the probe");
    assert!(told.pauses.iter().all(|pause| pause.held && pause.reason.starts_with("bucket is required")));
}

#[test]
fn an_unexplained_refusal_is_the_lines_fault_once_a_probe_is_stored() {
    let told = play(&["a", "bad", "c"], |sent, probe| match strict(sent) {
        Verdict::Malformed(_) if !probe => Verdict::Malformed(refusal("no", false)),
        other => other,
    });
    assert_eq!(
        (told.stored.join(" "), told.given_up.join(" "), told.probes),
        ("a c".into(), "bad".into(), 1)
    );
}

#[test]
fn too_large_is_halved_and_one_line_too_large_is_given_up() {
    let mut largest = 0;
    let told = play(&["aa", "bb", "cccccccccccc", "dd"], |sent, _| {
        let size: usize = sent.iter().map(|line| line.len() + 1).sum();
        if size > 7 {
            return Verdict::TooLarge("413".into());
        }
        largest = largest.max(size);
        Verdict::Stored
    });
    assert_eq!((told.stored.join(" "), told.given_up.join(" ")), ("aa bb dd".into(), "cccccccccccc".into()));

    let mut delivery = Delivery::new(lines(["aa", "bb"]));
    delivery.answer(Verdict::TooLarge("413".into()));
    assert_eq!(delivery.too_large(), Some(6));
}

#[test]
fn an_outage_in_the_middle_changes_nothing() {
    let mut count = 0;
    let told = play(&["a", "bad", "c", "d"], |sent, _| {
        count += 1;
        match count {
            2 => Verdict::Later { reason: "down".into(), after: Some(Duration::from_secs(7)) },
            4 => Verdict::Held("no token".into()),
            _ => strict(sent),
        }
    });
    assert_eq!((told.stored.join(" "), told.given_up.join(" ")), ("a c d".into(), "bad".into()));
    assert_eq!(told.pauses.len(), 2);
    assert_eq!(told.pauses[0].after, Some(Duration::from_secs(7)));
    assert!(!told.pauses[0].held && told.pauses[1].held);
}

/// The single thing given up after a partial write of `texts`.
fn partial(texts: &[&str], refusal: Refusal) -> (String, usize, String) {
    let mut delivery = Delivery::new(lines(texts));
    assert_eq!(delivery.answer(Verdict::Partial(refusal)), None);
    assert_eq!(delivery.next(), Next::Done, "the rest is stored: never send it again");
    let given_up = delivery.given_up().pop().expect("something was dropped");
    let text: Vec<u8> = given_up.lines.iter().flat_map(|line| line.to_vec()).collect();
    (String::from_utf8(text).unwrap(), given_up.count, given_up.reason)
}

#[test]
fn after_a_partial_write_the_dropped_lines_are_found() {
    let texts = [
        "hydrant,device=a pressure=1,level=2 100",
        "hydrant,device=pressure\\=\\ x level=3 90",
        "hydrant_big,device=c pressure=4 80",
        "hydrant,device=d level=1,pressure=5 300",
        "hydrant,device=e pressure_bad=5 400",
    ];
    let dropped = |dropped, cause| Refusal { dropped: Some(dropped), cause, ..refusal("partial", true) };
    let conflict = || Cause::FieldType { measurement: "hydrant".into(), field: "pressure".into() };

    let (found, count, reason) = partial(&texts, dropped(2, conflict()));
    assert_eq!((found, count), (format!("{}\n{}\n", texts[0], texts[3]), 2));
    assert_eq!(reason, "partial");

    let (found, count, reason) = partial(&texts, dropped(1, conflict()));
    assert_eq!((found.lines().count(), count), (2, 1));
    assert!(reason.ends_with("The 1 it left out are among these 2"), "{reason}");

    let (found, ..) = partial(&texts, dropped(2, Cause::Retention));
    assert_eq!(found, format!("{}\n{}\n", texts[1], texts[2]), "the oldest two");

    let (found, count, reason) = partial(&texts, dropped(3, Cause::Other));
    assert_eq!((found.as_str(), count), ("", 3));
    assert!(reason.contains("left out 3 of 5 lines and does not say which"), "{reason}");

    let numbers = Refusal { numbers: vec![5, 1], ..refusal("v3", true) };
    let (found, count, _) = partial(&texts, numbers);
    assert_eq!((found, count), (format!("{}\n{}\n", texts[0], texts[4]), 2));

    let quoted = Refusal { quoted: vec![texts[1].to_owned()], dropped: Some(0), ..refusal("v1", true) };
    let (found, count, _) = partial(&texts, quoted);
    assert_eq!((found, count), (format!("{}\n", texts[1]), 1));
}

proptest! {
    /// Whatever mix of good, bad and fat lines, whatever hints and outages: every good line is stored once and in order, every other given up once.
    #[test]
    fn everything_is_stored_or_given_up(kinds in prop::collection::vec(0u8..6, 1..60), mood in prop::collection::vec(0u8..10, 0..40), certain: bool) {
        let texts: Vec<_> = kinds.iter().enumerate().map(|(n, kind)| match kind {
            0 => format!("bad {n}"),
            1 => format!("fat {n} {}", "x".repeat(100)),
            _ => format!("good {n}"),
        }).collect();
        let mut moods = mood.into_iter();
        let mut delivery = Delivery::new(lines(&texts));
        let mut stored = Vec::new();
        for _ in 0..10_000 {
            let sent = match delivery.next() {
                Next::Done => break,
                Next::Probe => String::new(),
                Next::Send { lines, .. } => String::from_utf8(lines.to_vec()).unwrap(),
            };
            let verdict = match moods.next() {
                Some(0) => Verdict::Later { reason: "down".into(), after: None },
                Some(1) => Verdict::Held("token".into()),
                _ if sent.len() > 90 => Verdict::TooLarge("413".into()),
                _ if sent.contains("bad") => Verdict::Malformed(refusal("no", certain)),
                _ => { stored.extend(sent.lines().map(str::to_owned)); Verdict::Stored }
            };
            delivery.answer(verdict);
        }
        prop_assert_eq!(delivery.next(), Next::Done);
        let good: Vec<_> = texts.iter().filter(|text| text.starts_with("good")).cloned().collect();
        prop_assert_eq!(stored, good);
        let mut lost: Vec<_> = delivery.given_up().iter().flat_map(|g| g.lines.clone()).map(|l| String::from_utf8_lossy(l.trim_ascii_end()).into_owned()).collect();
        lost.sort();
        let mut other: Vec<_> = texts.iter().filter(|text| !text.starts_with("good")).cloned().collect();
        other.sort();
        prop_assert_eq!(lost, other);
    }
}
