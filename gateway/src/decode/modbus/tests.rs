//! Tables for the three maps, the range checks and every mistake `compile` finds.

use proptest::prelude::*;

use super::*;
use crate::config::Bus;

fn bus(units: &str) -> Result<Plan, Vec<Problem>> {
    let text = format!("name = \"east\"\ntcp = \"10.0.0.5:502\"\n{units}");
    compile(&toml::from_str::<Bus>(&text).expect("the shape is right"), &crate::profiles::shipped())
}

fn unit(lines: &str) -> UnitPlan {
    bus(&format!("[[unit]]\nunit = 3\n{lines}")).expect("no mistakes").units.remove(0)
}

fn register(lines: &str) -> UnitPlan {
    unit(&format!("[[unit.register]]\ntable = \"holding\"\naddress = 10\n{lines}"))
}

/// Answers of a device whose holding registers are `registers`, from address `first`.
fn answers(layout: &Layout, first: u16, registers: &[u16]) -> Vec<Option<Vec<u16>>> {
    let word = |at: u16| registers.get(usize::from(at.wrapping_sub(first))).copied().unwrap_or(0);
    layout.reads.iter().map(|read| Some((read.start..).take(read.count.into()).map(word).collect())).collect()
}

fn poll(unit: &UnitPlan, first: u16, registers: &[u16]) -> Poll {
    let together = unit.values(&unit.together, &answers(&unit.together, first, registers));
    let apart = unit.values(&unit.apart, &answers(&unit.apart, first, registers));
    assert_eq!(together, apart, "both layouts read the same");
    together
}

fn only(poll: &Poll) -> (f64, Quality) {
    let [value] = &poll.values[..] else { panic!("one value in {poll:?}") };
    assert!(poll.faults.is_empty(), "{:?}", poll.faults);
    (value.value, value.quality)
}

#[test]
fn mpd_380_reads_unit_and_decimals_with_the_value() {
    let plan = unit("map = \"mpd-380\"");
    assert_eq!(plan.address, "modbus:east/3");
    assert_eq!(plan.together.reads, [Read { table: Table::Holding, start: 2, count: 11 }]);
    assert_eq!(plan.apart.reads.len(), 2);
    for (code, decimals, raw, offset, kpa) in [
        (3, 2, 350, 0, 350.0),
        (0, 3, 140, 0, 140.0),
        (0, 3, 145, -5i16 as u16, 140.0),
        (1, 0, 140, 0, 140.0),
        (6, 1, 1_000, 0, 689.4757),
        (7, 2, 1_000, 0, 98.0665),
        (3, 2, -10i16 as u16, 0, -10.0),
    ] {
        let registers = [code, decimals, raw, 0, 400, 0, 0, 0, 0, 0, offset];
        let (value, quality) = only(&poll(&plan, 2, &registers));
        assert!((value - kpa).abs() < 1e-3, "code {code}, {decimals} decimals, raw {raw}: {value}");
        assert_eq!(quality, Quality::Good);
    }
}

#[test]
fn mpd_380_out_of_range_and_nonsense() {
    let plan = unit("map = \"mpd-380\"");
    for mark in [0x7FFF, 0x8000] {
        assert_eq!(only(&poll(&plan, 2, &[1, 0, mark])).1, Quality::Bad, "{mark:x}");
    }
    for (registers, word) in [([9, 0, 14], "code 9"), ([3, 11, 14], "holds 11")] {
        let poll = poll(&plan, 2, &registers);
        assert!(poll.values.is_empty() && poll.faults[0].contains(word), "{poll:?}");
    }
}

#[test]
fn keller_never_asks_for_more_than_four_registers() {
    let plan = unit("map = \"keller-x\"");
    assert_eq!(
        plan.together.reads.iter().map(|read| (read.start, read.count)).collect::<Vec<_>>(),
        [(2, 2), (8, 2)]
    );
    // 3.5 bar, 21.25 °C
    let poll = poll(&plan, 2, &[0x4060, 0, 0, 0, 0, 0, 0x41AA, 0]);
    let values: Vec<_> = poll.values.iter().map(|value| (value.metric.name(), value.value)).collect();
    assert_eq!(values, [("pressure", 350.0), ("temperature", 21.25)]);
}

#[test]
fn sw_p300_must_be_told_its_unit_and_gets_its_pause() {
    let plan = unit("map = \"sw-p300\"\npressure_unit = \"MPa\"");
    assert_eq!(plan.pause, Millis::from_secs(2));
    assert_eq!(plan.together.reads, [Read { table: Table::Holding, start: 0x40A, count: 4 }]);
    let poll = poll(&plan, 0x40A, &[0x3E0F, 0x5C29, 0x41AA, 0]);
    assert!((poll.values[0].value - 140.0).abs() < 1e-4);
}

#[test]
fn scale_offset_unit_bits_and_range() {
    for (lines, registers, expected, quality) in [
        ("metric = \"pressure\"\ntype = \"u16\"\nscale = 0.1\noffset = -2", &[50u16][..], 3.0, Quality::Good),
        (
            "metric = \"pressure\"\ntype = \"i32\"\norder = \"CDAB\"\nunit = \"Pa\"",
            &[0x22E0, 0x0002],
            140.0,
            Quality::Good,
        ),
        ("metric = \"pressure\"\ntype = \"u16\"\nmin = 0\nmax = 2500", &[2_501], 2_501.0, Quality::Bad),
        ("metric = \"pressure\"\ntype = \"u16\"\nmin = 0\nmax = 2500", &[2_500], 2_500.0, Quality::Good),
        ("metric = \"pressure\"\ntype = \"u16\"", &[20_000], 20_000.0, Quality::Bad),
        ("metric = \"pressure\"\ntype = \"u16\"", &[0x7FFF], 32_767.0, Quality::Bad),
        ("metric = \"persons\"\ntype = \"i16\"", &[0x7FFF], 32_767.0, Quality::Good),
        ("metric = \"cover_open\"\ntype = \"bit\"\nbit = 3", &[0b1000], 1.0, Quality::Good),
        ("metric = \"cover_open\"\ntype = \"bit\"\nbit = 3", &[0b0111], 0.0, Quality::Good),
        (
            "metric = \"cover_open\"\ntype = \"bit\"\nbit = 3\nscale = -1\noffset = 1",
            &[0b0111],
            1.0,
            Quality::Good,
        ),
        (
            "metric = \"temperature\"\ntype = \"f64\"\norder = \"DCBA\"",
            &[0, 0, 0, 0x4540],
            42.0,
            Quality::Good,
        ),
        (
            "metric = \"pressure\"\ntype = \"f32\"\nunit = \"MPa\"",
            &[0x0000, 0x0001],
            1.401298464324817e-42,
            Quality::Bad,
        ),
        (
            "metric = \"pressure\"\ntype = \"i16\"\ndecimals_register = 12\nunit_register = 11\noffset_register = 13",
            &[35, 3, 1, 5],
            400.0,
            Quality::Good,
        ),
    ] {
        let (value, found) = only(&poll(&register(lines), 10, registers));
        assert!((value - expected).abs() <= 1e-9, "{lines}: {value}");
        assert_eq!(found, quality, "{lines}");
    }
}

#[test]
fn coils_and_inputs_are_words_of_one_bit() {
    let plan =
        unit("[[unit.register]]\nmetric = \"running\"\ntable = \"coils\"\naddress = 7\ntype = \"bit\"");
    assert_eq!(only(&plan.values(&plan.together, &[Some(vec![1])])), (1.0, Quality::Good));
}

#[test]
fn no_number_is_a_fault_and_a_refused_read_is_silence() {
    let plan = register("metric = \"pressure\"\ntype = \"f32\"");
    let nan = poll(&plan, 10, &[0x7FC0, 0]);
    assert!(nan.values.is_empty() && nan.faults[0].contains("holding registers 10–11"), "{nan:?}");
    assert_eq!(plan.values(&plan.together, &[None]), Poll::default());
}

#[test]
fn every_mistake_has_a_place_and_a_way_out() {
    let reg = "[[unit]]\nunit = 1\n[[unit.register]]\n";
    for (units, words) in [
        ("unit = []\n".to_owned(), "has no `[[modbus.unit]]`"),
        ("[[unit]]\nunit = 1\n".into(), "neither a `map`"),
        ("[[unit]]\nunit = 1\nmap = \"mpd380\"\n".into(), "there is no map `mpd380`"),
        ("[[unit]]\nunit = 1\nmap = \"sw-p300\"\n".into(), "pressure_unit"),
        ("[[unit]]\nunit = 1\nmap = \"keller-x\"\npressure_unit = \"bar\"\n".into(), "remove `pressure_unit`"),
        ("[[unit]]\nunit = 1\nmap = \"keller-x\"\n[[unit]]\nunit = 1\nmap = \"keller-x\"\n".into(), "stands twice"),
        ("timeout_ms = 1\n[[unit]]\nunit = 1\nmap = \"keller-x\"\n".into(), "`timeout_ms` must be from 10"),
        (format!("{reg}metric = \"presure\"\ntable = \"input\"\naddress = 0\ntype = \"u16\""), "there is no metric `presure`"),
        (format!("{reg}metric = \"pressure\"\ntable = \"input\"\naddress = 0\ntype = \"u16\"\nunit = \"barg\""), "write one of kPa"),
        (format!("{reg}metric = \"smoke\"\ntable = \"input\"\naddress = 0\ntype = \"u16\""), "is a flag"),
        (format!("{reg}metric = \"smoke\"\ntable = \"input\"\naddress = 0\ntype = \"bit\""), "say which bit"),
        (format!("{reg}metric = \"smoke\"\ntable = \"coils\"\naddress = 0\ntype = \"bit\"\nbit = 0"), "remove `bit`"),
        (format!("{reg}metric = \"pressure\"\ntable = \"coils\"\naddress = 0\ntype = \"u16\""), "is one bit"),
        (format!("{reg}metric = \"pressure\"\ntable = \"input\"\naddress = 65535\ntype = \"f32\""), "past the last address"),
        (format!("{reg}metric = \"pressure\"\ntable = \"input\"\naddress = 0\ntype = \"u16\"\nmin = 5\nmax = 5"), "must be lower"),
        (format!("{reg}metric = \"pressure\"\ntable = \"input\"\naddress = 0\ntype = \"u16\"\nscale = 0"), "`scale`"),
        (
            format!("{reg}metric = \"pressure\"\ntable = \"input\"\naddress = 0\ntype = \"f32\"\n[[unit.register]]\nmetric = \"temperature\"\ntable = \"input\"\naddress = 1\ntype = \"u16\""),
            "overlaps pressure at 0",
        ),
        (
            format!("max_registers = 2\n{reg}metric = \"pressure\"\ntable = \"input\"\naddress = 0\ntype = \"f64\"").replace("max_registers = 2\n[[unit]]\n", "[[unit]]\nmax_registers = 2\n"),
            "fills 4 registers",
        ),
    ] {
        let problems = bus(&units).expect_err(&units);
        assert!(problems.iter().any(|problem| problem.text.contains(words)), "{units}\n{problems:#?}");
        assert!(problems.iter().all(|problem| !problem.span.is_empty() || words == "pressure_unit"), "{problems:#?}");
    }
    let all =
        bus("[[unit]]\nunit = 1\nmap = \"a\"\n[[unit]]\nunit = 2\nmap = \"b\"\n").expect_err("two mistakes");
    assert_eq!(all.len(), 2, "all at once");
    let serial = compile(
        &toml::from_str::<Bus>(
            "name = \"e/f\"\nrtu_over_tcp = \"host\"\n[[unit]]\nunit = 0\nmap = \"keller-x\"\n",
        )
        .expect("shape"),
        &crate::profiles::shipped(),
    );
    assert_eq!(serial.expect_err("name, address, unit").len(), 3);
}

proptest! {
    /// Whatever a device answers, and however much of it: values are finite and nothing panics.
    #[test]
    fn any_answer_is_survived(words in proptest::collection::vec(any::<u16>(), 0..20), reads in 0usize..4) {
        for lines in ["map = \"mpd-380\"", "map = \"keller-x\"", "map = \"sw-p300\"\npressure_unit = \"psi\""] {
            let plan = unit(lines);
            for layout in [&plan.together, &plan.apart] {
                let poll = plan.values(layout, &vec![Some(words.clone()); reads]);
                prop_assert!(poll.values.iter().all(|value| value.value.is_finite()));
            }
        }
    }
}
