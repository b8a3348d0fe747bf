//! What systemd hears of us: ready, alive, stopping. Without systemd nothing is said.
//!
//! The watchdog is fed by proof and not by a timer: the driver has answered a question since the last feeding. A store that refuses to write is no reason to be
//! restarted, so an error it reports in time counts as life; a driver or a disk that says nothing at all does not. docs/install.md has the unit.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::select;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::io::acks::AckLine;
use crate::io::inlet::{Inbound, Inlet, Safe};
use crate::store::Store;

/// When systemd sets no watchdog.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Says that the station is ready, feeds the watchdog until `stop`, and says that it stops.
pub async fn tell_systemd(inlet: Inlet, store: Store, stop: CancellationToken) -> anyhow::Result<()> {
    say(NotifyState::Ready);
    let limit = sd_notify::watchdog_enabled().unwrap_or(NEVER);
    loop {
        // A pause, the driver's time and the store's are 7/8 of the limit together.
        select! {
            () = stop.cancelled() => break,
            () = sleep(limit / 4) => (),
        }
        select! {
            () = stop.cancelled() => break,
            alive = alive(&inlet, &store, limit / 2, limit / 8) => if alive {
                say(NotifyState::Watchdog);
            } else {
                tracing::error!("the driver has not answered for {:?}: systemd will start the station again", limit / 2);
            },
        }
    }
    say(NotifyState::Stopping);
    Ok(())
}

/// Whether the driver answers in time, or at least the store says why not.
async fn alive(inlet: &Inlet, store: &Store, driver: Duration, writing: Duration) -> bool {
    let mut line = AckLine::default();
    let question = Inbound { safe: Safe::Ticket(line.issue(())), ..Inbound::default() };
    let answer = async {
        if inlet.send(question).await.is_ok() {
            line.ready().await;
        }
    };
    if timeout(driver, answer).await.is_ok() {
        return true; // Or the driver is gone, which the supervisor has seen before us.
    }
    matches!(timeout(writing, store.remember("watchdog", "asked")).await, Ok(Err(_)))
}

fn say(state: NotifyState<'_>) {
    if let Err(fault) = sd_notify::notify(&[state]) {
        tracing::warn!(%fault, "systemd cannot be told");
    }
}
