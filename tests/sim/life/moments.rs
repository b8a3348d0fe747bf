//! Single moments of a life, chosen and not left to a seed.

use super::*;

const DETECTOR: usize = 0;

/// A life without faults that has just begun.
fn begun() -> Life {
    let mut life = Life::new(1, None);
    life.start();
    life
}

fn moment(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

impl Life {
    /// As a device would, now; nothing is sent before the driver's turn.
    fn said(&mut self, ix: usize, values: &str) {
        let device = &mut self.devices[ix];
        device.said += 1;
        let carrier = 20.0 + device.said as f64 / 1000.0;
        let payload = format!("{{\"values\":{{{values},\"temperature\":{carrier:.3}}}}}");
        device.unacknowledged.push_back((device.said, payload));
        self.send(ix);
    }

    fn alarm_of(&self, ix: usize) -> Option<AlarmState> {
        let platter = self.disk.platter();
        let of = |alarm: &&gateway::model::Alarm| alarm.device.is_some_and(|device| device.0 == ix as u32);
        platter.alarms.values().rfind(of).map(|alarm| alarm.state)
    }
}

/// The clear waits in the queue for routine telemetry, behind more than goes along with an alarm; the fire overtakes all of that, but not the clear.
fn an_older_clear_waits_and_a_newer_fire_overtakes(failing: u32) {
    moment(async {
        let mut life = begun();
        sleep(Duration::from_secs(1)).await;
        life.disk.faults().failing = failing;
        if failing != 0 {
            // The driver goes on from memory from here on.
            life.said(1, "\"smoke\":true");
            sleep(Duration::from_secs(1)).await;
        }
        let before = life.disk.platter().newest();
        let inlet = life.process.as_ref().unwrap().inlet.clone();
        for _ in 0..150 {
            let letter = Inbound::default();
            assert!(inlet.try_send(letter).is_ok(), "there is room");
        }
        life.said(DETECTOR, "\"smoke\":false");
        life.said(DETECTOR, "\"smoke\":true");
        sleep(Duration::from_millis(100)).await; // Less than the commit interval.
        life.disk.faults().failing = 0;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(life.alarm_of(DETECTOR), Some(AlarmState::Unacknowledged), "the fire stands");
        let platter = life.disk.platter();
        let said: Vec<_> = platter.batches[before as usize..]
            .iter()
            .flat_map(|batch| {
                batch.events.iter().map(move |event| (batch.seq, crate::disk::number_of(event)))
            })
            .filter_map(|(seq, number)| {
                number.filter(|(device, _)| *device == DETECTOR as u32).map(|of| (seq, of.1))
            })
            .collect();
        assert!(
            matches!(said[..], [(clear, 1), (fire, 2)] if clear == fire),
            "in its device's order, in one batch: {said:?}"
        );
    });
}

#[test]
fn an_older_queued_clear_does_not_end_a_newer_fire_that_overtakes_it() {
    an_older_clear_waits_and_a_newer_fire_overtakes(0);
}

#[test]
fn nor_does_it_while_the_disk_fails() {
    an_older_clear_waits_and_a_newer_fire_overtakes(100);
}

/// Fire and all clear are both there before the driver's turn: the fire is raised, and then it returns.
fn a_clear_after_its_fire_is_not_used_up(failing: u32) {
    moment(async {
        let mut life = begun();
        sleep(Duration::from_secs(1)).await;
        life.disk.faults().failing = failing;
        if failing != 0 {
            life.said(1, "\"smoke\":true");
            sleep(Duration::from_secs(1)).await;
        }
        life.said(DETECTOR, "\"smoke\":true");
        life.said(DETECTOR, "\"smoke\":false");
        life.disk.faults().failing = 0;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(life.alarm_of(DETECTOR), Some(AlarmState::ReturnedUnacknowledged));
    });
}

#[test]
fn a_clear_that_is_queued_with_its_fire_ends_it() {
    a_clear_after_its_fire_is_not_used_up(0);
}

#[test]
fn also_while_the_disk_fails() {
    a_clear_after_its_fire_is_not_used_up(100);
}

/// A commit is kept and its answer is lost: the driver must end, for the batch would be refused for ever; the next start has it.
#[test]
fn when_the_answer_of_a_kept_commit_is_lost_the_driver_ends_and_the_next_start_has_it() {
    moment(async {
        let mut life = begun();
        sleep(Duration::from_secs(1)).await;
        life.disk.faults().losing = 100;
        life.said(DETECTOR, "\"smoke\":true");
        let mut process = life.process.take().unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), process.driver.join_next()).await;
        let fault = ended.expect("it ends").unwrap().expect("no panic").expect_err("not as if all were well");
        assert!(
            matches!(fault.downcast_ref(), Some(StoreError::OutOfOrder { newest, offered }) if newest == offered),
            "{fault:#}"
        );
        assert!(
            life.devices[DETECTOR].line.as_mut().unwrap().take_ready().is_empty(),
            "nobody knew that it was kept"
        );
        life.process = Some(process);
        life.disk.faults().losing = 0;
        life.cut(Duration::from_secs(1)).await;
        life.send(DETECTOR);
        sleep(Duration::from_secs(1)).await;
        life.settle().await;
        assert!(life.devices[DETECTOR].unacknowledged.is_empty(), "sent again, and acknowledged");
        assert_eq!(life.disk.platter().alarms.len(), 1, "one fire, one alarm");
    });
}

/// The box sleeps for longer than a hydrant may be silent, wakes before that would be due, and nobody is blamed for what it could not say.
#[test]
fn a_sleep_of_the_box_is_nobodys_silence() {
    moment(async {
        let mut life = begun();
        let hydrant = DETECTORS as usize;
        sleep(Duration::from_secs(1)).await;
        life.said(hydrant, "\"pressure\":300");
        sleep(Duration::from_secs(10)).await;
        life.asleep.fetch_add(580_000, Ordering::Relaxed); // Silent after 600 s: due 10 s after waking.
        sleep(Duration::from_secs(580)).await;
        assert_eq!(
            life.alarm_of(hydrant),
            None,
            "heard of 590 s ago on a clock that does not count the sleep"
        );
        sleep(Duration::from_secs(30)).await;
        assert!(life.alarm_of(hydrant).is_some(), "but real silence is noticed");
    });
}

/// The same for a restart.
#[test]
fn a_restart_is_nobodys_silence() {
    moment(async {
        let mut life = begun();
        let hydrant = DETECTORS as usize;
        sleep(Duration::from_secs(1)).await;
        life.said(hydrant, "\"pressure\":300");
        sleep(Duration::from_secs(10)).await;
        life.cut(Duration::from_secs(580)).await;
        sleep(Duration::from_secs(580)).await;
        assert_eq!(life.alarm_of(hydrant), None);
        sleep(Duration::from_secs(30)).await;
        assert!(life.alarm_of(hydrant).is_some(), "but real silence is noticed");
    });
}
