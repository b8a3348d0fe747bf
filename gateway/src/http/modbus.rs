//! Registers of a Modbus unit, read now for the person who puts it into service, as `gridwarden probe` does from a shell; but through the running station, in the gaps of its polling.
//!
//! Reads only, one request at a time on a bus, of a bounded length. What a unit answers is shown as every number that it may be, and as what its plan makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::extract::Body;
use super::problem::ApiError;
use crate::config::{NumberType, Table, WordOrder};
use crate::decode::modbus::{Field, Read, UnitPlan, count_max, number};
use crate::io::modbus::line::{Answer, Failure};
use crate::io::modbus::question::{Handle, NotAnswered};
use crate::model::Quality;
use crate::probe::Expectation;
use crate::probe::decodings::{candidates, station_toml};
use crate::store::{Audit, Commit};

/// Of coils as of registers: a page of them.
const COUNT_MAX: u16 = 125;
const CANDIDATES_MAX: usize = 5;

#[derive(Debug, Serialize, ToSchema)]
pub struct BusList {
    pub items: Vec<BusView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BusView {
    pub name: String,
    /// Such as `tcp 10.0.0.7:502`.
    pub line: String,
    pub poll_every_ms: u64,
    pub units: Vec<UnitView>,
}

/// A unit that is polled.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnitView {
    pub unit: u8,
    /// Its address in the registry.
    pub address: String,
    /// Id of the device with that address.
    pub device: Option<String>,
    pub fields: Vec<FieldView>,
    /// What is asked of it in each poll.
    pub reads: Vec<PlannedRead>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedRead {
    pub table: String,
    pub start: u16,
    pub count: u16,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FieldView {
    pub metric: String,
    /// `holding`, `input`, `coils` or `discrete_inputs`.
    pub table: String,
    pub address: u16,
    /// Such as `f32`.
    pub number: String,
    /// Such as `ABCD`.
    pub order: String,
}

impl FieldView {
    fn of(field: &Field) -> Self {
        Self {
            metric: field.metric.name().into(),
            table: field.table.key().into(),
            address: field.address,
            number: field.number_type.name().into(),
            order: field.order.name().into(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    #[schema(minimum = 0, maximum = 247)]
    unit: u8,
    /// `holding`, `input`, `coils` or `discrete_inputs`; `holding` when left out.
    table: Option<String>,
    /// First address as in the protocol, from 0.
    start: u16,
    #[schema(minimum = 1, maximum = 125)]
    count: u16,
    /// What the gauge shows, such as `kPa 300..400`: readings that fit are proposed.
    expect: Option<String>,
}

/// What a unit answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registers {
    pub took_ms: u64,
    pub registers: Vec<RegisterView>,
    /// What the plan of the unit makes of them; empty for one that is not polled, and for fields whose registers were not all read.
    pub values: Vec<MadeView>,
    /// Readings that may be what the gauge shows, the best first.
    pub candidates: Vec<CandidateView>,
    /// Lines for station.toml with the best of them.
    pub proposal: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterView {
    pub address: u16,
    /// A coil or input is 0 or 1.
    pub word: u16,
    /// The numbers that may begin here, by type (`u16`, `i16`, `u32`, `i32`, `f32`, `f64`), in the orders ABCD, CDAB, BADC, DCBA; `null` where there is none.
    #[schema(value_type = Object)]
    pub numbers: BTreeMap<&'static str, [Option<f64>; 4]>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MadeView {
    pub metric: String,
    pub unit: String,
    /// Where the number stands.
    pub address: u16,
    pub count: u16,
    pub value: Option<f64>,
    pub quality: Option<Quality>,
    /// Why it is no value.
    pub fault: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CandidateView {
    pub address: u16,
    pub number: String,
    pub order: String,
    pub value: f64,
    pub unit: String,
}

/// The Modbus buses that this station polls, with their units and what is read of them.
#[utoipa::path(get, path = "/api/v1/modbus", tag = "grid", operation_id = "listBuses",
    responses((status = 200, description = "All of them", body = BusList)))]
pub async fn list(State(api): State<Arc<Api>>) -> Json<BusList> {
    let registry = api.world.load().registry.clone();
    let unit = |unit: &UnitPlan| UnitView {
        unit: unit.unit,
        address: unit.address.clone(),
        device: registry
            .device_by_address(&unit.address)
            .and_then(|ix| registry.device(ix))
            .map(|device| device.id.clone()),
        fields: unit.fields.iter().map(FieldView::of).collect(),
        reads: unit
            .together
            .reads
            .iter()
            .map(|read| PlannedRead { table: read.table.key().into(), start: read.start, count: read.count })
            .collect(),
    };
    let bus = |bus: &Handle| BusView {
        name: bus.plan.bus.clone(),
        line: bus.line.clone(),
        poll_every_ms: bus.plan.poll_every.0,
        units: bus.plan.units.iter().map(unit).collect(),
    };
    Json(BusList { items: api.commands.buses.iter().map(bus).collect() })
}

/// Read registers of a unit now, in a gap of the polling. Recorded in the audit log.
///
/// 409 `unit-refuses`, `unit-silent`, `line-down` or `line-busy` say what stands in the way.
#[utoipa::path(post, path = "/api/v1/modbus/{bus}/read", tag = "grid", operation_id = "readRegisters",
    params(("bus" = String, Path, description = "Name of the bus in station.toml")), request_body = ReadRequest,
    responses((status = 200, description = "What it answered", body = Registers)))]
pub async fn read(
    State(api): State<Arc<Api>>,
    Path(bus): Path<String>,
    Actor(caller): Actor,
    Body(body): Body<ReadRequest>,
) -> Result<Json<Registers>, ApiError> {
    let handle = api.commands.buses.iter().find(|one| one.plan.bus == bus);
    let handle = handle.ok_or_else(|| ApiError::not_found(format!("There is no Modbus bus `{bus}`.")))?;
    let (read, expected) = asked(&body)?;
    let line = Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: "modbus.read".into(),
        target: format!("bus {bus}"),
        detail: format!("unit {}, {read}", body.unit),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    let answered = handle.ask(body.unit, read).await.map_err(|fault| not_answered(body.unit, fault))?;
    let words = match answered.answer {
        Answer::Words(words) => words,
        Answer::Refused(why) => {
            return Err(cannot(
                "unit-refuses",
                "The unit refuses",
                format!(
                    "Unit {} refuses to read {read}: {why}. Try another table or address, or fewer at once.",
                    body.unit
                ),
            ));
        }
    };
    let unit = handle.plan.units.iter().find(|unit| unit.unit == body.unit);
    Ok(Json(Registers {
        took_ms: answered.took.as_millis() as u64,
        ..shown(body.unit, unit, read, &words, expected)
    }))
}

fn asked(body: &ReadRequest) -> Result<(Read, Option<Expectation>), ApiError> {
    let name = body.table.as_deref().unwrap_or("holding");
    let table = Table::ALL.into_iter().find(|table| table.key() == name);
    let table = table.ok_or_else(|| {
        ApiError::body("table", format!("`{name}` is not one of holding, input, coils, discrete_inputs"))
    })?;
    if 247 < body.unit {
        return Err(ApiError::body("unit", "give 0 to 247"));
    }
    let most = count_max(table, COUNT_MAX).min(COUNT_MAX);
    if !(1..=most).contains(&body.count) {
        return Err(ApiError::body("count", format!("give 1 to {most}")));
    }
    if u32::from(u16::MAX) + 1 < u32::from(body.start) + u32::from(body.count) {
        return Err(ApiError::body("count", "addresses end at 65535"));
    }
    let expected = body.expect.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let expected =
        expected.map(str::parse).transpose().map_err(|wrong: String| ApiError::body("expect", wrong))?;
    Ok((Read { table, start: body.start, count: body.count }, expected))
}

fn shown(
    number_of_unit: u8,
    unit: Option<&UnitPlan>,
    read: Read,
    words: &[u16],
    expected: Option<Expectation>,
) -> Registers {
    let bits = matches!(read.table, Table::Coils | Table::DiscreteInputs);
    let registers = words.iter().enumerate().map(|(place, &word)| RegisterView {
        address: read.start.saturating_add(place as u16),
        word,
        numbers: if bits { BTreeMap::new() } else { numbers(&words[place..]) },
    });
    let made = unit.map(|unit| unit.made_of(read, words)).unwrap_or_default();
    let values = made.into_iter().map(|made| MadeView {
        metric: made.metric.name().into(),
        unit: made.metric.spec().unit.into(),
        address: made.at.start,
        count: made.at.count,
        value: made.value.as_ref().ok().map(|value| value.value),
        quality: made.value.as_ref().ok().map(|value| value.quality),
        fault: made.value.err(),
    });
    let some: Vec<Option<u16>> = words.iter().copied().map(Some).collect();
    let found = expected.as_ref().filter(|_| !bits).map(|expected| candidates(&some, read.start, expected));
    let found = found.unwrap_or_default();
    let best = expected.as_ref().and_then(|expected| Some((expected.metric, found.first()?)));
    Registers {
        took_ms: 0,
        registers: registers.collect(),
        values: values.collect(),
        proposal: best
            .map(|(metric, best)| station_toml(number_of_unit, read.table, &some, read.start, best, metric)),
        candidates: found
            .into_iter()
            .take(CANDIDATES_MAX)
            .map(|one| CandidateView {
                address: one.address,
                number: one.number_type.name().into(),
                order: one.order.name().into(),
                value: one.value,
                unit: one.unit,
            })
            .collect(),
    }
}

fn numbers(words: &[u16]) -> BTreeMap<&'static str, [Option<f64>; 4]> {
    let of = |kind: NumberType| {
        // A lone register has no order of registers: the two that swap bytes are all there is.
        let tells = |order| kind.registers() > 1 || matches!(order, WordOrder::ABCD | WordOrder::BADC);
        WordOrder::ALL.map(|order| {
            number(words, kind, order).filter(|number| number.is_finite()).filter(|_| tells(order))
        })
    };
    let fits = NumberType::NUMBERS.into_iter().filter(|kind| usize::from(kind.registers()) <= words.len());
    fits.map(|kind| (kind.name(), of(kind))).collect()
}

fn cannot(kind: &str, title: &str, detail: String) -> ApiError {
    ApiError::named(StatusCode::CONFLICT, kind, title, detail)
}

fn not_answered(unit: u8, fault: NotAnswered) -> ApiError {
    let detail = match &fault {
        NotAnswered::Busy | NotAnswered::NoRoom | NotAnswered::Stopped => format!("{fault}."),
        NotAnswered::Failed(failure) => format!("Unit {unit}: {failure}."),
    };
    match fault {
        NotAnswered::Busy | NotAnswered::NoRoom => cannot("line-busy", "The bus has no room now", detail),
        NotAnswered::Stopped => ApiError::status(StatusCode::SERVICE_UNAVAILABLE, detail),
        NotAnswered::Failed(Failure::Down(_)) => cannot("line-down", "The line cannot be opened", detail),
        NotAnswered::Failed(
            Failure::Silent(_) | Failure::Unreachable(_) | Failure::Misfit(_) | Failure::Lost(_),
        ) => cannot(
            "unit-silent",
            "The unit does not answer",
            format!("{detail} Check its number, baud rate, parity and wiring."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_said_by_field() {
        let ask = |unit, table: &str, start, count, expect: &str| {
            let (table, expect) = (Some(table.to_owned()), Some(expect.to_owned()));
            asked(&ReadRequest { unit, table, start, count, expect })
        };
        for (wrong, field) in [
            (ask(248, "holding", 0, 1, ""), "unit"),
            (ask(1, "coil", 0, 1, ""), "table"),
            (ask(1, "holding", 0, 0, ""), "count"),
            (ask(1, "coils", 0, 126, ""), "count"),
            (ask(1, "input", 65_535, 2, ""), "count"),
            (ask(1, "input", 0, 2, "kPa 5"), "expect"),
        ] {
            let Err(ApiError::Refused(problem)) = wrong else { panic!("{field} is taken") };
            assert_eq!(problem.errors[0].field, field);
        }
        let (read, expected) = ask(247, "input", 65_535, 1, " ").expect("the last register");
        assert_eq!((read.end(), expected), (65_536, None));
    }

    #[test]
    fn every_number_that_registers_may_be() {
        let read = Read { table: Table::Holding, start: 100, count: 2 };
        let shown = shown(1, None, read, &[0x4060, 0x0000], "bar 3..4".parse().ok());
        let first = &shown.registers[0];
        assert_eq!((first.address, first.word), (100, 0x4060));
        assert_eq!(first.numbers["f32"][0], Some(3.5));
        assert_eq!(first.numbers["u32"], [1_080_033_280.0, 16_480.0, 1_614_807_040.0, 24_640.0].map(Some));
        assert_eq!(first.numbers["u16"], [Some(16_480.0), None, Some(24_640.0), None]);
        assert!(!first.numbers.contains_key("f64"), "there are only two registers");
        assert_eq!(shown.registers[1].numbers.len(), 2, "nothing longer begins at the last one");
        assert_eq!((shown.candidates[0].number.as_str(), shown.candidates[0].value), ("f32", 3.5));
        assert!(shown.proposal.is_some_and(|text| text.contains("address = 100")));
    }
}
