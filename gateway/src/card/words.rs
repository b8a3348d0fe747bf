//! The card in words, short enough for a message: most important first, cut at the end of a piece.

use std::fmt::Write as _;

use super::{Card, Hydrant, PressureMark, ToDo};

impl Card {
    /// Chinese, at most `characters_max` characters, in pieces separated by `；`. With `personal`, who lives there and who needs help.
    pub fn text(&self, personal: bool, characters_max: usize) -> String {
        let mut text = String::new();
        for piece in self.pieces(personal).into_iter().filter(|piece| !piece.is_empty()) {
            let gap = usize::from(!text.is_empty());
            if text.chars().count() + gap + piece.chars().count() > characters_max {
                break;
            }
            if gap == 1 {
                text.push('；');
            }
            text.push_str(&piece);
        }
        text
    }

    /// The same without the place, for a message that says it already, and without what is personal: it may be read by anybody on a locked screen.
    pub fn around(&self) -> String {
        self.pieces(false).split_off(1).join("；")
    }

    /// The place first.
    fn pieces(&self, personal: bool) -> Vec<String> {
        let cell = self.cells.last().cloned().unwrap_or_default();
        let mut pieces = vec![format!("{cell} {}", self.place).trim().to_owned()];
        if let Some(household) = self.household.as_ref().filter(|_| personal) {
            let help: Vec<_> = household.help.iter().map(|help| help.zh()).collect();
            let mut who = format!("住{}人", household.people);
            if !help.is_empty() {
                let _ = write!(who, "（{}）", help.join("、"));
            }
            pieces.push(who);
            if !household.phone.is_empty() {
                pieces.push(format!("{} {}", household.contact, household.phone).trim().to_owned());
            }
        }
        if let Some(hydrant) = self.hydrants.first() {
            pieces.push(hydrant.zh());
        }
        if !self.nearby.is_empty() {
            pieces.push(format!("附近另有{}个报警", self.nearby.len()));
        }
        if self.record.false_alarms > 0 {
            let record = self.record;
            pieces.push(format!("该探测器报警{}次、误报{}次", record.alarms, record.false_alarms));
        }
        if let Some(building) = &self.building {
            let mut words = format!("{}共{}层", building.name, building.floors);
            if !building.structure.is_empty() {
                let _ = write!(words, "，{}", building.structure);
            }
            pieces.push(words);
        }
        pieces
    }
}

impl Hydrant {
    fn zh(&self) -> String {
        let mut text = format!("消火栓 {}", if self.place.is_empty() { &self.name } else { &self.place });
        if let Some(metres) = self.metres {
            let _ = write!(text, " {metres}米");
        }
        if let Some(pressure) = self.pressure_kpa {
            let _ = write!(text, " {:.2}MPa", pressure / 1_000.0);
            match self.trend_kpa_per_min {
                Some(trend) if trend <= -1.0 => text.push('↓'),
                Some(trend) if 1.0 <= trend => text.push('↑'),
                Some(_) | None => (),
            }
        }
        text.push_str(match self.mark {
            PressureMark::Good => "",
            PressureMark::Low => " 压力低",
            PressureMark::VeryLow => " 几乎无水",
            PressureMark::Stale => " 数据过时",
            PressureMark::Unknown => " 压力未知",
        });
        text
    }
}

impl ToDo {
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Acknowledge => "确认接警",
            Self::CallHousehold => "给住户打电话",
            Self::Call119 => "发现明火立即拨打119",
            Self::HelpThoseWhoCannot => "先帮助不能自行撤离的人",
            Self::GoAndLook => "到现场查看",
            Self::KeepFireLaneOpen => "保持消防车道畅通",
            Self::CheckHydrant => "检查消火栓和阀门",
            Self::ReportBurst => "如管道漏水，报告供水单位",
            Self::CheckPower => "检查电源和网络",
            Self::ReplaceBattery => "更换电池",
            Self::SayWhatItWas => "填写结果",
        }
    }
}
