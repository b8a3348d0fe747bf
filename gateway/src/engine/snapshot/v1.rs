//! Open alarms as snapshots had them before alarms had steps of handling. Read, never written.

use serde::Deserialize;

use super::super::ladder::Run;
use super::At;
use crate::model::{
    self, AlarmId, AlarmState, CellIx, DeviceIx, Disposition, Handling, Late, SignalClass, Signed, Trigger,
};
use crate::units::{Steady, Timestamp};

#[derive(Deserialize)]
pub struct OpenRow {
    alarm: Alarm,
    key: Option<(At, bool)>,
    run: Run,
}

#[derive(Deserialize)]
struct Alarm {
    id: AlarmId,
    rule: String,
    class: SignalClass,
    text: String,
    cell: CellIx,
    cell_code: String,
    device: Option<DeviceIx>,
    device_id: Option<String>,
    state: AlarmState,
    raised: Timestamp,
    raised_steady: Steady,
    late: Option<Late>,
    trigger: Option<Trigger>,
    repeats: u32,
    owner: Option<String>,
    acknowledged: Option<Signed>,
    returned: Option<Timestamp>,
    resolved: Option<Resolution>,
    closed: Option<Timestamp>,
    ladder: Option<LadderPosition>,
}

#[derive(Deserialize)]
struct Resolution {
    signed: Signed,
    disposition: Disposition,
}

#[derive(Deserialize)]
struct LadderPosition {
    ladder: String,
    steps_taken: u32,
    next_at: Option<Steady>,
}

impl From<OpenRow> for super::OpenRow {
    fn from(OpenRow { alarm, key, run }: OpenRow) -> Self {
        let resolved = alarm.resolved.map(|former| model::Resolution {
            signed: former.signed,
            disposition: former.disposition,
            cause: None,
        });
        let ladder = alarm.ladder.map(|former| model::LadderPosition {
            ladder: former.ladder,
            steps_taken: former.steps_taken,
            next_at: former.next_at,
            variant: 0,
        });
        let alarm = model::Alarm {
            id: alarm.id,
            rule: alarm.rule,
            class: alarm.class,
            text: alarm.text,
            cell: alarm.cell,
            cell_code: alarm.cell_code,
            device: alarm.device,
            device_id: alarm.device_id,
            state: alarm.state,
            raised: alarm.raised,
            raised_steady: alarm.raised_steady,
            late: alarm.late,
            trigger: alarm.trigger,
            repeats: alarm.repeats,
            owner: alarm.owner,
            acknowledged: alarm.acknowledged,
            returned: alarm.returned,
            resolved,
            closed: alarm.closed,
            ladder,
            handling: Handling::default(),
        };
        Self { alarm, key, run }
    }
}
