//! What can be registered: a transmission device, a system behind it, a component of that; and how it is written as a device's address.

use std::fmt;
use std::str::FromStr;

use crate::wire::gbt26875::{Address, Place, System};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    Device(Address),
    System(Address, System),
    Component(Address, Place),
}

impl Station {
    /// The transmission device by which it is reached.
    pub fn device(self) -> Address {
        match self {
            Self::Device(device) | Self::System(device, _) | Self::Component(device, _) => device,
        }
    }

    pub fn system(self) -> Option<System> {
        match self {
            Self::Device(_) => None,
            Self::System(_, system) => Some(system),
            Self::Component(_, place) => Some(place.system),
        }
    }

    pub fn place(self) -> Option<Place> {
        match self {
            Self::Device(_) | Self::System(..) => None,
            Self::Component(_, place) => Some(place),
        }
    }
}

/// `gbt26875:889`, `gbt26875:889/1.1`, `gbt26875:889/1.1/10.2`.
impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gbt26875:{}", self.device())?;
        if let Some(System { kind, address }) = self.system() {
            write!(f, "/{kind}.{address}")?;
        }
        if let Some(Place { zone, point, .. }) = self.place() {
            write!(f, "/{zone}.{point}")?;
        }
        Ok(())
    }
}

impl FromStr for Station {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix("gbt26875:").ok_or(())?.split('/');
        let device = parts.next().and_then(|part| Address::new(part.parse().ok()?)).ok_or(())?;
        let Some(system) = parts.next() else { return Ok(Self::Device(device)) };
        let (kind, address) = pair(system).ok_or(())?;
        let system = System { kind, address };
        let Some(place) = parts.next() else { return Ok(Self::System(device, system)) };
        let (zone, point) = pair(place).ok_or(())?;
        match parts.next() {
            None => Ok(Self::Component(device, Place { system, zone, point })),
            Some(_) => Err(()),
        }
    }
}

fn pair<T: FromStr>(text: &str) -> Option<(T, T)> {
    let (first, second) = text.split_once('.')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["gbt26875:889", "gbt26875:889/1.1", "gbt26875:281474976710655/11.0/65535.2"] {
            assert_eq!(text.parse::<Station>().map(|station| station.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "889",
            "gbt26875:",
            "gbt26875:281474976710656",
            "gbt26875:1/1",
            "gbt26875:1/1.256",
            "gbt26875:1/1.1/2.3/4",
        ] {
            assert_eq!(text.parse::<Station>(), Err(()), "{text}");
        }
    }
}
