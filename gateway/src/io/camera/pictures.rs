//! A picture asked for after an event of safety that came without one: beside the events, which go on meanwhile. One at a time, and of one event not again too soon.

use std::collections::BTreeMap;

use reqwest::{Client, Method, Url};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::asking::{ANSWER_WITHIN, ask, body};
use super::digest::Session;
use crate::decode::camera::{PICTURE_BYTES_MAX, Still};
use crate::io::stills::{AGAIN_AFTER, Stills};
use crate::model::{DeviceIx, Metric};
use crate::units::{Steady, Timestamp};

#[derive(Default)]
pub struct Pictures {
    asked: BTreeMap<(DeviceIx, Metric), Steady>,
    running: JoinSet<()>,
}

impl Pictures {
    /// `session` is a copy: what comes of a picture is nothing to the events.
    pub fn ask(
        &mut self,
        (device, event, at): (DeviceIx, Metric, Timestamp),
        now: Steady,
        url: Url,
        (client, mut session): (Client, Session),
        stills: Stills,
    ) {
        let before = self.asked.get(&(device, event));
        if before.is_some_and(|&last| now.since(last) < AGAIN_AFTER) {
            return;
        }
        while self.running.try_join_next().is_some() {}
        if !self.running.is_empty() {
            return;
        }
        self.asked.insert((device, event), now);
        self.running.spawn(async move {
            let picture = timeout(ANSWER_WITHIN, async {
                let response = ask(&client, &mut session, (Method::GET, &url)).await.ok()?;
                body(response, PICTURE_BYTES_MAX).await.ok()
            });
            if let Ok(Some(bytes)) = picture.await {
                stills.keep_all(vec![Still { device, event, at, bytes }]).await;
            }
        });
    }
}
