//! `gridwarden probe`: what a Modbus device answers, read in every way, for the person who puts it into service.
//!
//! Reads only. It opens the line itself, so a bus that a running gateway polls over a serial port must be stopped first.

pub mod decodings;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use tokio_modbus::ExceptionCode;

pub use decodings::Expectation;

use crate::clock::instant;
use crate::config::{Parity, Serial, Table};
use crate::decode::modbus::{Read, count_max};
use crate::io::modbus::line::{Answer, Endpoint, Failure, Line};

#[derive(Debug, clap::Args)]
pub struct ProbeArgs {
    /// Modbus TCP device or gateway, as host:port
    #[arg(long, value_name = "HOST:PORT", group = "line")]
    pub tcp: Option<String>,
    /// Serial device server that passes RTU frames on, as host:port
    #[arg(long, value_name = "HOST:PORT", group = "line")]
    pub rtu_over_tcp: Option<String>,
    /// Serial port, such as /dev/ttyUSB0
    #[arg(long, value_name = "PORT", group = "line")]
    pub serial: Option<PathBuf>,
    #[arg(long, default_value_t = 9_600)]
    pub baud: u32,
    /// none, even or odd
    #[arg(long, default_value = "none", value_parser = parse_parity)]
    pub parity: Parity,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub stop_bits: u8,
    /// Unit to read; may be given several times
    #[arg(long = "unit", default_value = "1")]
    pub units: Vec<u8>,
    /// Look which units answer, such as 1-32, instead of reading one
    #[arg(long, value_name = "FIRST-LAST", value_parser = parse_scan)]
    pub scan: Option<RangeInclusive<u8>>,
    /// holding, input, coils or discrete_inputs
    #[arg(long, default_value = "holding", value_parser = parse_table)]
    pub table: Table,
    /// First address as in the protocol, from 0; decimal or 0x…
    #[arg(long, default_value = "0", value_parser = parse_address)]
    pub start: u16,
    #[arg(long, default_value_t = 10)]
    pub count: u16,
    /// The most registers to ask for in one request
    #[arg(long, default_value_t = 125)]
    pub max_registers: u16,
    /// What the gauge shows, such as "kPa 300..400"; marks the readings that fit
    #[arg(long, value_name = "UNIT LOW..HIGH")]
    pub expect: Option<Expectation>,
    /// How long to wait for an answer; 1000, or 300 in a scan
    #[arg(long)]
    pub timeout_ms: Option<u32>,
}

pub async fn run(args: ProbeArgs) -> anyhow::Result<()> {
    let Some(endpoint) = endpoint(&args) else {
        bail!("say where the device is: --tcp HOST:PORT, --rtu-over-tcp HOST:PORT or --serial PORT");
    };
    let patience = args.timeout_ms.unwrap_or(if args.scan.is_some() { 300 } else { 1_000 });
    let patience = Duration::from_millis(u64::from(patience.max(10)));
    let mut line = Line::new(endpoint, patience, Duration::ZERO);
    if let Some(units) = &args.scan {
        return scan(&mut line, units.clone(), &args, patience).await;
    }
    for unit in &args.units {
        println!("Unit {unit} on {}", line.endpoint());
        let words = read_all(&mut line, *unit, &args, patience).await?;
        print!("{}", show(*unit, &args, &words));
    }
    Ok(())
}

fn endpoint(args: &ProbeArgs) -> Option<Endpoint> {
    let tcp = args.tcp.clone().map(Endpoint::Tcp);
    let rtu = args.rtu_over_tcp.clone().map(Endpoint::RtuOverTcp);
    let serial = args.serial.clone().map(|path| {
        let at_no_place = |baud| serde_spanned::Spanned::new(0..0, baud);
        let stop_bits = serde_spanned::Spanned::new(0..0, args.stop_bits);
        Endpoint::Serial(Serial { path, baud: at_no_place(args.baud), parity: args.parity, stop_bits })
    });
    tcp.or(rtu).or(serial)
}

/// The words from `start`; `None` where the unit refuses. Asks one by one when it refuses them together.
async fn read_all(
    line: &mut Line,
    unit: u8,
    args: &ProbeArgs,
    patience: Duration,
) -> anyhow::Result<Vec<Option<u16>>> {
    let end = (u32::from(args.start) + u32::from(args.count)).min(u32::from(u16::MAX) + 1);
    let most = count_max(args.table, args.max_registers);
    let (mut words, mut at) = (Vec::new(), u32::from(args.start));
    while at < end {
        let count = (end - at).min(u32::from(most)) as u16;
        let read = Read { table: args.table, start: at as u16, count };
        match ask(line, unit, read, patience).await? {
            Answer::Words(some) => words.extend(some.into_iter().map(Some)),
            Answer::Refused(why) => {
                println!("It refuses {read}: {why}{}", if 1 < count { "; asking one by one" } else { "" });
                for start in (at..).take(count.into()).filter(|_| 1 < count) {
                    let answer =
                        ask(line, unit, Read { start: start as u16, count: 1, ..read }, patience).await?;
                    words.push(match answer {
                        Answer::Words(one) => one.first().copied(),
                        Answer::Refused(_) => None,
                    });
                }
                words.extend((count == 1).then_some(None));
            }
        }
        at += u32::from(count);
    }
    Ok(words)
}

async fn ask(line: &mut Line, unit: u8, read: Read, patience: Duration) -> anyhow::Result<Answer> {
    match line.read(unit, read, patience).await {
        Ok(answer) => Ok(answer),
        Err(Failure::Silent(_)) => bail!(
            "unit {unit} does not answer within {patience:?}; check its number (--scan 1-32 looks for it), baud rate, parity and wiring, or wait longer with --timeout-ms"
        ),
        Err(failure @ Failure::Down(_)) => {
            Err(anyhow::Error::new(failure).context(format!("{} cannot be opened", line.endpoint())))
        }
        Err(failure) => Err(anyhow::Error::new(failure).context(format!("unit {unit}, {read}"))),
    }
}

fn show(unit: u8, args: &ProbeArgs, words: &[Option<u16>]) -> String {
    if matches!(args.table, Table::Coils | Table::DiscreteInputs) {
        let line = |(place, word): (usize, &Option<u16>)| {
            let state = word.map_or("refused".to_owned(), |word| word.to_string());
            format!(
                "{:>6} 0x{:04X}  {state}\n",
                usize::from(args.start) + place,
                usize::from(args.start) + place
            )
        };
        return words.iter().enumerate().map(line).collect();
    }
    let expected = args.expect.clone().unwrap_or_default();
    let mut text = decodings::table(words, args.start, &expected);
    let candidates = decodings::candidates(words, args.start, &expected);
    let ranges: Vec<_> =
        expected.ranges.iter().map(|(unit, low, high)| format!("{low} to {high} {unit}")).collect();
    text += &format!(
        "\n** a float, * an integer (perhaps with decimals) that can be {}: {}\n\n",
        expected.metric.name(),
        ranges.join(" or ")
    );
    match candidates.first() {
        Some(best) => {
            text + &decodings::station_toml(unit, args.table, words, args.start, best, expected.metric)
        }
        None => {
            text + "No reading is plausible. Try another --start or --table, or say what the gauge shows: --expect \"kPa 300..400\"\n"
        }
    }
}

async fn scan(
    line: &mut Line,
    units: RangeInclusive<u8>,
    args: &ProbeArgs,
    patience: Duration,
) -> anyhow::Result<()> {
    let (mut found, all) = (0, units.clone().count());
    for unit in units {
        let asked = instant();
        let answer = line.read(unit, Read { table: args.table, start: args.start, count: 1 }, patience).await;
        let took = instant().duration_since(asked);
        match answer {
            Ok(answer) => {
                found += 1;
                println!("unit {unit:>3} answers in {:>4} ms{}", took.as_millis(), remark(&answer));
            }
            Err(Failure::Silent(_) | Failure::Unreachable(_)) => (),
            Err(Failure::Down(error)) => {
                return Err(
                    anyhow::Error::new(error).context(format!("{} cannot be opened", line.endpoint()))
                );
            }
            Err(failure @ (Failure::Misfit(_) | Failure::Lost(_))) => println!("unit {unit:>3}: {failure}"),
        }
    }
    println!("{found} of {all} units answer on {}", line.endpoint());
    Ok(())
}

fn remark(answer: &Answer) -> String {
    match answer {
        Answer::Words(_) => String::new(),
        Answer::Refused(ExceptionCode::IllegalDataAddress) => {
            " (it has no such register; try another --start)".into()
        }
        Answer::Refused(why) => format!(" (it refuses: {why})"),
    }
}

fn parse_parity(text: &str) -> Result<Parity, String> {
    match text {
        "none" => Ok(Parity::None),
        "even" => Ok(Parity::Even),
        "odd" => Ok(Parity::Odd),
        other => Err(format!("`{other}` is no parity; write none, even or odd")),
    }
}

fn parse_table(text: &str) -> Result<Table, String> {
    match text {
        "holding" => Ok(Table::Holding),
        "input" => Ok(Table::Input),
        "coils" => Ok(Table::Coils),
        "discrete_inputs" => Ok(Table::DiscreteInputs),
        other => Err(format!("`{other}` is no table; write holding, input, coils or discrete_inputs")),
    }
}

fn parse_address(text: &str) -> Result<u16, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("`{text}` is no address from 0 to 65535 or 0x0000 to 0xFFFF"))
}

fn parse_scan(text: &str) -> Result<RangeInclusive<u8>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(format!("`{text}` is no range of units; write it like 1-32")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        probe: ProbeArgs,
    }

    #[test]
    fn arguments_are_read_as_people_write_them() {
        let line = [
            "probe",
            "--serial",
            "/dev/ttyUSB0",
            "--parity",
            "even",
            "--start",
            "0x040A",
            "--scan",
            "1-32",
            "--expect",
            "bar 0..16",
        ];
        let probe = Command::try_parse_from(line).expect("valid").probe;
        assert_eq!((probe.start, probe.scan, probe.parity), (0x040A, Some(1..=32), Parity::Even));
        assert_eq!(probe.expect.expect("given").ranges[0].0, "bar");
        for wrong in
            [["--start", "70000"], ["--scan", "9-3"], ["--parity", "x"], ["--table", "x"], ["--expect", "x"]]
        {
            assert!(Command::try_parse_from(["probe"].iter().chain(&wrong)).is_err(), "{wrong:?}");
        }
        let two = ["probe", "--tcp", "h:502", "--serial", "/dev/ttyS0"];
        assert!(Command::try_parse_from(two).is_err(), "one line at a time");
    }

    #[tokio::test]
    async fn without_a_line_it_says_what_to_write() {
        let probe = Command::try_parse_from(["probe"]).expect("valid").probe;
        let error = run(probe).await.expect_err("nowhere to go").to_string();
        assert!(error.contains("--tcp"), "{error}");
    }
}
