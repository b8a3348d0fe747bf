//! A network as people write it: `10.0.8.0/24`, or one address.

use std::net::IpAddr;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(base) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(base) & mask == u128::from(address) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether somebody may come from there: from one of these networks, or, where there are none, from this machine.
pub fn lets_in(from: &[Network], peer: IpAddr) -> bool {
    match from {
        [] => peer.to_canonical().is_loopback(),
        _ => from.iter().any(|network| network.contains(peer)),
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no network; write one such as 10.0.8.0/24, or one address such as 10.0.8.7")
        };
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Ok(Self { base, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_inside() {
        for (network, address, inside) in [
            ("10.0.8.0/24", "10.0.8.255", true),
            ("10.0.8.0/24", "10.0.9.0", false),
            ("10.0.8.0/24", "::ffff:10.0.8.1", true),
            ("10.0.8.7", "10.0.8.7", true),
            ("10.0.8.7", "10.0.8.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "::1", true),
        ] {
            let network: Network = network.parse().expect("a network");
            assert_eq!(
                network.contains(address.parse().expect("an address")),
                inside,
                "{network:?} {address}"
            );
        }
        for text in ["10.0.8", "10.0.8.0/33", "10.0.8.0/x", "gate", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
