//! A task that works on the store is begun again when the disk fails under it: a full disk must not stop the station.
//!
//! For tasks that keep their place in the store, so that beginning again loses nothing. A damaged record is no reason to stop either. Any other fault ends the
//! task, and the station.

use std::future::Future;
use std::time::Duration;

use tokio::select;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

const AGAIN_AFTER: Duration = Duration::from_secs(5);

pub async fn outlast<F>(
    name: &'static str,
    stop: CancellationToken,
    mut begin: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut failing = false;
    loop {
        let Err(fault) = begin().await else { return Ok(()) };
        let of_the_store = fault.downcast_ref::<StoreError>();
        if of_the_store.is_none_or(|fault| matches!(fault, StoreError::Stopped)) {
            return Err(fault);
        }
        if !std::mem::replace(&mut failing, true) {
            tracing::error!(task = name, fault = format!("{fault:#}"), "the store failed; trying again");
        }
        select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(AGAIN_AFTER) => (),
        }
    }
}
