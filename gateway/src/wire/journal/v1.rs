//! Actions as they were written before alarms had steps of handling. Read, never written.

use serde::Deserialize;

use crate::model::{self, AlarmId, CellIx, DeviceIx, Disposition, SignalClass};

#[derive(Deserialize)]
pub struct Action {
    who: String,
    what: Deed,
}

#[derive(Deserialize)]
enum Deed {
    Acknowledge { alarm: AlarmId, note: Option<String> },
    Resolve { alarm: AlarmId, disposition: Disposition, note: Option<String> },
    Raise { cell: CellIx, device: Option<DeviceIx>, class: SignalClass, text: String },
    End { cell: CellIx, device: Option<DeviceIx>, class: SignalClass, text: String },
}

impl From<Action> for model::Action {
    fn from(action: Action) -> Self {
        let what = match action.what {
            Deed::Acknowledge { alarm, note } => model::Deed::Acknowledge { alarm, note },
            Deed::Resolve { alarm, disposition, note } => {
                model::Deed::Resolve { alarm, disposition, cause: None, note }
            }
            Deed::Raise { cell, device, class, text } => model::Deed::Raise { cell, device, class, text },
            Deed::End { cell, device, class, text } => model::Deed::End { cell, device, class, text },
        };
        Self { who: action.who, what }
    }
}
