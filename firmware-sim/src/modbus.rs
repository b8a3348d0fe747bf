//! Hydrants as Modbus units over TCP and RTU.
//!
//! Each unit in [`Pressures`] answers with the register map of a real transmitter; a unit that is not there stays silent, as on a real line. Faults
//! are set per unit while it runs. Damage below the frame (a wrong CRC, a cut connection) is absent: it is a matter of the line, not of a unit.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_modbus::prelude::{ExceptionCode, Request, Response, SlaveRequest};
use tokio_modbus::server::{Service, rtu, tcp};
use tokio_serial::SerialPortBuilderExt;
use tokio_util::sync::CancellationToken;

use crate::hydrants::Pressures;

/// Whose register map a unit has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    /// i16 with unit code (bar) and decimals (2), holding registers 0 to 12.
    #[default]
    Mpd380,
    /// float32 in bar at 2, temperature at 8; refuses to read more than 4 registers.
    KellerX,
    /// float32 in bar at 0x040A, temperature at 0x040C.
    SwP300,
}

/// What is wrong with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers this much later.
    Delay(Duration),
    /// Does not answer.
    Drop,
    /// Refuses everything, with this Modbus exception code.
    Exception(u8),
    /// Answers in a proper frame with too many registers of noise.
    Garbage,
}

#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    map: Map,
    fault: Option<Fault>,
    requests: u64,
}

/// The hydrants on one line. Clones share the same state.
#[derive(Clone, Debug, Default)]
pub struct Hydrants {
    pressures: Pressures,
    units: Arc<Mutex<BTreeMap<u8, Unit>>>,
}

impl Hydrants {
    /// Every unit of `pressures` with the default map.
    pub fn new(pressures: Pressures) -> Self {
        Self { pressures, units: Arc::default() }
    }

    pub fn set_map(&self, unit: u8, map: Map) {
        self.lock().entry(unit).or_default().map = map;
    }

    pub fn set_fault(&self, unit: u8, fault: Option<Fault>) {
        self.lock().entry(unit).or_default().fault = fault;
    }

    /// How many requests reached this unit, answered or not.
    pub fn requests(&self, unit: u8) -> u64 {
        self.lock().get(&unit).map_or(0, |unit| unit.requests)
    }

    /// As a Modbus TCP server, until `stop`.
    pub async fn serve_tcp(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let server = tcp::Server::new(listener);
        let connected = |stream, address| {
            let hydrants = self.clone();
            async move { tcp::accept_tcp_connection(stream, address, |_| Ok(Some(hydrants.clone()))) }
        };
        let log = |error| tracing::debug!(%error, "a Modbus connection ended");
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = server.serve(&connected, log) => ended.context("the Modbus TCP server failed"),
        }
    }

    /// As RTU units on a serial port or a pseudo-terminal, until `stop`.
    pub async fn serve_rtu(self, port: &Path, baud: u32, stop: CancellationToken) -> anyhow::Result<()> {
        let path = port.to_string_lossy();
        let serial = tokio_serial::new(path.clone(), baud)
            .open_native_async()
            .with_context(|| format!("cannot open the serial port `{path}`"))?;
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = rtu::Server::new(serial).serve_forever(self) => ended.with_context(|| format!("the RTU line `{path}` failed")),
        }
    }

    /// What a unit says to a request; `None` is silence.
    async fn answer(self, unit: u8, request: Request<'static>) -> Result<Option<Response>, ExceptionCode> {
        let Unit { map, fault, .. } = {
            let mut units = self.lock();
            let state = units.entry(unit).or_default();
            state.requests += 1;
            *state
        };
        match fault {
            Some(Fault::Drop) => return Ok(None),
            Some(Fault::Exception(code)) => return Err(ExceptionCode::new(code)),
            Some(Fault::Garbage) => {
                let noise = (0..fastrand::usize(20..60)).map(|_| fastrand::u16(..)).collect();
                return Ok(Some(Response::ReadHoldingRegisters(noise)));
            }
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            None => (),
        }
        let Some(kpa) = self.pressures.get(unit) else { return Ok(None) };
        let Request::ReadHoldingRegisters(start, count) = request else {
            return Err(ExceptionCode::IllegalFunction);
        };
        map.read(unit, kpa, start, count).map(|words| Some(Response::ReadHoldingRegisters(words)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Hydrants {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Pin<Box<dyn Future<Output = Result<Option<Response>, ExceptionCode>> + Send>>;

    fn call(&self, request: SlaveRequest<'static>) -> Self::Future {
        Box::pin(self.clone().answer(request.slave, request.request))
    }
}

impl Map {
    /// Holding registers from `start`, as the device answers them.
    fn read(self, unit: u8, kpa: f64, start: u16, count: u16) -> Result<Vec<u16>, ExceptionCode> {
        let count_max = match self {
            Self::KellerX => 4,
            Self::Mpd380 | Self::SwP300 => 125,
        };
        if count == 0 || count_max < count {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let word = |at: u32| u16::try_from(at).ok().and_then(|at| self.register(unit, kpa, at));
        (u32::from(start)..)
            .take(usize::from(count))
            .map(word)
            .collect::<Option<Vec<u16>>>()
            .ok_or(ExceptionCode::IllegalDataAddress)
    }

    fn register(self, unit: u8, kpa: f64, at: u16) -> Option<u16> {
        const WATER_CELSIUS: f32 = 14.5;
        let bar = (kpa / 100.0) as f32;
        match (self, at) {
            (Self::Mpd380, 0x0000) => Some(u16::from(unit)),
            (Self::Mpd380, 0x0001 | 0x0002) => Some(3), // 9600 baud; bar
            (Self::Mpd380, 0x0003) => Some(2),
            // Two decimals of a bar are kilopascals; a value out of range saturates as the device does.
            (Self::Mpd380, 0x0004) => Some(kpa.round() as i16 as u16),
            (Self::Mpd380, 0x0006) => Some(2_500),
            (Self::Mpd380, 0x0005 | 0x0007..=0x000C) => Some(0),
            (Self::KellerX, 0x0002 | 0x0003) => Some(half(bar, at - 0x0002)),
            (Self::KellerX, 0x0004..=0x0007) => Some(half(0.0, at & 1)),
            (Self::KellerX, 0x0008 | 0x0009) => Some(half(WATER_CELSIUS, at - 0x0008)),
            (Self::SwP300, 0x040A | 0x040B) => Some(half(bar, at - 0x040A)),
            (Self::SwP300, 0x040C | 0x040D) => Some(half(WATER_CELSIUS, at - 0x040C)),
            (Self::Mpd380 | Self::KellerX | Self::SwP300, _) => None,
        }
    }
}

/// One of the two registers of a float32 in the order ABCD.
fn half(value: f32, which: u16) -> u16 {
    let bits = value.to_bits();
    if which == 0 { (bits >> 16) as u16 } else { bits as u16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_map_answers_as_its_device_does() {
        let bar = |words: &[u16]| f32::from_bits(u32::from(words[0]) << 16 | u32::from(words[1]));
        assert_eq!(Map::Mpd380.read(7, 350.4, 2, 3), Ok(vec![3, 2, 350]));
        assert_eq!(Map::Mpd380.read(7, 99_999.0, 4, 1), Ok(vec![0x7FFF]));
        assert_eq!(Map::Mpd380.read(7, 350.0, 0x0C, 2), Err(ExceptionCode::IllegalDataAddress));
        assert_eq!(bar(&Map::KellerX.read(1, 350.0, 2, 2).unwrap()), 3.5);
        assert_eq!(Map::KellerX.read(1, 350.0, 2, 5), Err(ExceptionCode::IllegalDataValue));
        assert_eq!(bar(&Map::SwP300.read(1, 140.0, 0x40A, 4).unwrap()), 1.4);
        assert_eq!(Map::SwP300.read(1, 140.0, u16::MAX, 2), Err(ExceptionCode::IllegalDataAddress));
    }

    #[tokio::test(start_paused = true)]
    async fn an_absent_unit_and_a_dropping_one_are_silent() {
        let pressures = Pressures::default();
        pressures.set(1, 200.0);
        let hydrants = Hydrants::new(pressures);
        let ask = |unit| hydrants.clone().answer(unit, Request::ReadHoldingRegisters(4, 1));
        assert_eq!(ask(1).await, Ok(Some(Response::ReadHoldingRegisters(vec![200]))));
        assert_eq!(ask(2).await, Ok(None));
        for (fault, expected) in
            [(Fault::Drop, Ok(None)), (Fault::Exception(6), Err(ExceptionCode::ServerDeviceBusy))]
        {
            hydrants.set_fault(1, Some(fault));
            assert_eq!(ask(1).await, expected);
        }
        assert_eq!((hydrants.requests(1), hydrants.requests(2)), (3, 1));
    }
}
