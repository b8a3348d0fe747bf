//! What we ask on our own: the state of a device that is silent (GB 50440 wants that at least every two hours), and that it sets its clock.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::routes::Routes;
use super::{NotAnswered, ask};
use crate::clock::ticks;
use crate::config;
use crate::wire::gbt26875::{Address, Content};

/// How often it is looked who is due.
const LOOK: Duration = Duration::from_millis(500);
/// Questions of ours that may be on their way.
const ASKED_MAX: usize = 256;

pub struct Times {
    patrol: Duration,
    /// `None`: never.
    clock_sync: Option<Duration>,
}

impl Times {
    pub fn of(config: &config::gbt26875::Gbt26875) -> Self {
        let hours = u64::from(*config.clock_sync_h.get_ref());
        Self {
            patrol: Duration::from_secs(u64::from(*config.patrol_s.get_ref())),
            clock_sync: (0 < hours).then_some(Duration::from_secs(hours * 3600)),
        }
    }

    pub async fn run(self, desk: &Desk, stop: &CancellationToken) {
        let mut asked = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = asked.next() => (),
                _ = look.tick(), if asked.len() < ASKED_MAX => {
                    for device in desk.routes.silent(self.patrol, ticks()) {
                        asked.push(see(&desk.routes, device, Content::ReadDeviceState));
                    }
                    let Some(every) = self.clock_sync.filter(|_| desk.clock.trusted()) else { continue };
                    for device in desk.routes.clocks_due(every, ticks()) {
                        asked.push(see(&desk.routes, device, Content::SetClock(desk.shown(device))));
                    }
                }
            }
        }
    }
}

async fn see(routes: &Routes, device: Address, content: Content) {
    let (flag, began) = (content.flag(), ticks());
    let Some((to, peer)) = routes.to(device) else { return }; // It has ended since it was looked.
    if let Err(why) = ask(&to, peer, device, content).await {
        if why == NotAnswered::Silent {
            routes.forget(device, &to, began);
        }
        tracing::warn!(%device, flag, %why, "a transmission device was asked in vain");
    }
}
