//! By which connection a transmission device is reached: the one on which it spoke last.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::exchange::Asked;
use crate::wire::gbt26875::Address;

/// Only registered devices get here, so the registry bounds it.
#[derive(Default)]
pub struct Routes(Mutex<BTreeMap<Address, Route>>);

struct Route {
    to: mpsc::Sender<Asked>,
    peer: SocketAddr,
    heard: Instant,
    /// When it was asked for its state because it was silent.
    patrolled: Option<Instant>,
    /// When its clock is set next.
    clock_at: Instant,
}

impl Routes {
    /// The device spoke, there.
    pub fn heard(&self, device: Address, to: &mpsc::Sender<Asked>, peer: SocketAddr, now: Instant) {
        let mut routes = self.lock();
        match routes.get_mut(&device) {
            Some(route) if route.to.same_channel(to) => {
                route.heard = now;
                route.peer = peer;
            }
            Some(_) | None => {
                let route = Route { to: to.clone(), peer, heard: now, patrolled: None, clock_at: now };
                routes.insert(device, route);
            }
        }
    }

    pub fn to(&self, device: Address) -> Option<(mpsc::Sender<Asked>, SocketAddr)> {
        self.lock().get(&device).map(|route| (route.to.clone(), route.peer))
    }

    /// The device does not answer what it was asked there, from `began` on; it is reached again when it speaks again. One that spoke meanwhile, there or
    /// on another connection, is still reached.
    pub fn forget(&self, device: Address, asked: &mpsc::Sender<Asked>, began: Instant) {
        let mut routes = self.lock();
        let silent = |route: &Route| route.to.same_channel(asked) && route.heard <= began;
        if routes.get(&device).is_some_and(silent) {
            routes.remove(&device);
        }
    }

    /// A connection has ended; the devices that spoke on it last.
    pub fn ended(&self, connection: &mpsc::Sender<Asked>) -> Vec<Address> {
        let mut gone = Vec::new();
        self.lock().retain(|device, route| {
            let ended = route.to.same_channel(connection);
            gone.extend(ended.then_some(*device));
            !ended
        });
        gone
    }

    /// Devices that were silent for so long and were not asked since.
    pub fn silent(&self, patrol: Duration, now: Instant) -> Vec<Address> {
        let mut silent = Vec::new();
        for (device, route) in self.lock().iter_mut() {
            let last = route.heard.max(route.patrolled.unwrap_or(route.heard));
            if patrol <= now.saturating_duration_since(last) {
                route.patrolled = Some(now);
                silent.push(*device);
            }
        }
        silent
    }

    /// Devices whose clock is due to be set; the next time is `every` from now.
    pub fn clocks_due(&self, every: Duration, now: Instant) -> Vec<Address> {
        let mut due = Vec::new();
        for (device, route) in self.lock().iter_mut() {
            if route.clock_at <= now {
                route.clock_at = now + every;
                due.push(*device);
            }
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn only_the_connection_that_was_silent_all_the_while_is_forgotten() {
        let device = Address::new(889).expect("48 bits");
        let peer = SocketAddr::from(([10, 0, 0, 1], 26_875));
        let (first, _asked) = mpsc::channel(1);
        let (second, _asked_too) = mpsc::channel(1);
        let at = |s| clock::ticks() + Duration::from_secs(s);
        let began = at(10);
        for (what, spoke_again, reached) in [
            ("it said nothing", None, false),
            ("it spoke meanwhile, only not of that", Some((&first, at(20))), true),
            ("it has connected anew", Some((&second, at(20))), true),
        ] {
            let routes = Routes::default();
            routes.heard(device, &first, peer, at(0));
            if let Some((to, at)) = spoke_again {
                routes.heard(device, to, peer, at);
            }
            routes.forget(device, &first, began);
            assert_eq!(routes.to(device).is_some(), reached, "{what}");
        }
    }
}
