//! The words that a person reads: one template for every channel that carries text.
//!
//! Pure. The class comes first, so that a fire is known from a locked screen; then the place to the door; the link to take it in hand last, and
//! it survives every cut. Chinese, short. Nothing here may be mistaken: a test says so before anything else, and so do a drill and a roll-call, whose words begin with
//! their mark already.

use std::collections::BTreeMap;

use super::Notice;
use crate::card::Card;
use crate::model::SignalClass;
use crate::view::AlarmView;

#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// `火警`, `监管` …
    pub class: &'static str,
    pub title: String,
    /// To the door.
    pub place: String,
    pub lines: Vec<String>,
    /// Where to take it in hand.
    pub link: Option<String>,
}

impl Text {
    pub fn of(notice: &Notice) -> Self {
        if notice.also.is_empty() { Self::one(notice) } else { Self::summary(notice) }
    }

    fn one(notice: &Notice) -> Self {
        let alarm = &notice.alarm;
        let class = if notice.test { "测试" } else { class(alarm) };
        let late = if alarm.late.is_some() { "（迟报）" } else { "" };
        let place = place(notice);
        let mut lines = vec![format!("地点：{place}")];
        if 2 <= notice.minutes {
            lines.push(format!("{} 分钟前发生，无人接警", notice.minutes));
        }
        if let Some(owner) = &alarm.owner {
            lines.push(format!("负责：{}", if owner.name.is_empty() { &owner.id } else { &owner.name }));
        }
        lines.extend(in_practice(alarm).map(str::to_owned));
        let around = notice.card.as_ref().map(Card::around).unwrap_or_default();
        if !around.is_empty() {
            lines.push(around);
        }
        lines.push(format!("编号：{}", alarm.id));
        if notice.test {
            lines = vec!["这是网格哨的测试消息，不是警情，请勿出动。This is a test.".into()];
        }
        Self {
            class,
            title: match alarm.exercise {
                Some(_) => alarm.text.clone(),
                None => format!("【{class}】{}{late}", alarm.text),
            },
            place,
            lines,
            link: notice.link.clone(),
        }
    }

    fn summary(notice: &Notice) -> Self {
        let mut counts = BTreeMap::from([(notice.alarm.class, 1)]);
        for other in &notice.also {
            *counts.entry(other.class).or_default() += 1;
        }
        let counts: Vec<_> =
            counts.iter().map(|(class, count)| format!("{} {count}", word(*class))).collect();
        let first = format!("【{}】{}（{}）", word(notice.alarm.class), notice.alarm.text, notice.alarm.id);
        let others = notice
            .also
            .iter()
            .map(|other| format!("【{}】{}（{}）", word(other.class), other.text, other.alarm));
        Self {
            class: "汇总",
            title: format!("【汇总】{} 条：{}", 1 + notice.also.len(), counts.join("、")),
            place: place(notice),
            lines: std::iter::once(first).chain(others).collect(),
            link: notice.link.clone(),
        }
    }

    /// Everything, in so many bytes.
    pub fn within(&self, bytes_max: usize) -> String {
        let title = bytes(&self.title, bytes_max);
        let left = bytes_max.saturating_sub(title.len() + 1);
        let body = self.body(left);
        if body.is_empty() { title } else { format!("{title}\n{body}") }
    }

    /// Everything below the title, in so many bytes: lines as far as they go, how many are missing, and the link.
    pub fn body(&self, bytes_max: usize) -> String {
        let link = self.link.as_ref().map(|link| format!("接警：{link}"));
        let link = link.filter(|link| link.len() <= bytes_max).unwrap_or_default();
        // Room for the line break before the link, and for the line that says what is missing.
        let missing_max = format!("…另有 {} 条\n", self.lines.len()).len();
        let left = bytes_max.saturating_sub(link.len() + 1);
        let whole = self.lines.iter().map(|line| line.len() + 1).sum::<usize>() <= left;
        let room = if whole { left } else { left.saturating_sub(missing_max) };
        let (mut body, mut taken) = (String::new(), 0);
        for line in &self.lines {
            if room < body.len() + line.len() + 1 {
                break;
            }
            body.push_str(line);
            body.push('\n');
            taken += 1;
        }
        if taken < self.lines.len() && missing_max <= left.saturating_sub(body.len()) {
            body.push_str(&format!("…另有 {} 条\n", self.lines.len() - taken));
        }
        body.push_str(&link);
        body.trim_end().to_owned()
    }

    /// On one line, for an SMS or to be read aloud: no link, which providers refuse.
    pub fn line(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        format!("{} {}", self.title, lines.join("；"))
    }
}

fn place(notice: &Notice) -> String {
    let alarm = &notice.alarm;
    let door = alarm.device.as_ref().map(|device| device.place.as_str()).unwrap_or_default();
    let cell = if alarm.cell.path.is_empty() { alarm.cell.code.clone() } else { alarm.cell.path.concat() };
    format!("{cell} {door}").trim().to_owned()
}

fn class(alarm: &AlarmView) -> &'static str {
    match alarm.exercise {
        Some(_) if alarm.drill => "演练",
        Some(_) => "查岗",
        None => word(alarm.class),
    }
}

/// What whoever reads it must know before he does anything.
fn in_practice(alarm: &AlarmView) -> Option<&'static str> {
    let exercise = alarm.exercise.as_ref()?;
    Some(match exercise.ended_by {
        Some(_) => "演练已结束，请处置真实警情。The drill is over.",
        None if alarm.drill => "这是演练，不是真实警情，请勿拨打 119。This is a drill.",
        None => "这是查岗，收到请接警应答。This is a roll-call.",
    })
}

pub const fn word(class: SignalClass) -> &'static str {
    match class {
        SignalClass::Fire => "火警",
        SignalClass::Supervisory => "监管",
        SignalClass::Trouble => "故障",
        SignalClass::Disabled => "屏蔽",
        SignalClass::Test => "测试",
    }
}

/// Cut between characters, with `…` at the end.
fn bytes(text: &str, bytes_max: usize) -> String {
    const MORE: char = '…';
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max.saturating_sub(MORE.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if bytes_max < MORE.len_utf8() { String::new() } else { format!("{}{MORE}", &text[..end]) }
}

/// At most so many characters, the last of them `…` when it was cut.
pub fn characters(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    text.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::notice;
    use super::*;
    use crate::notify::Other;
    use crate::view::ExerciseView;

    #[test]
    fn the_class_comes_first_and_the_link_last() {
        let text = Text::of(&notice(SignalClass::Fire));
        assert_eq!(
            text.within(2_048),
            "【火警】烟雾报警\n地点：仙林街道杉湖一格 3栋2单元501 厨房\n负责：王丽\n编号：A-17\n接警：https://grid.example/#alarm=A-17"
        );
        assert_eq!(
            text.line(),
            "【火警】烟雾报警 地点：仙林街道杉湖一格 3栋2单元501 厨房；负责：王丽；编号：A-17"
        );
    }

    #[test]
    fn a_test_cannot_be_mistaken() {
        let test = Notice { test: true, ..notice(SignalClass::Test) };
        let text = Text::of(&test).within(2_048);
        assert!(text.starts_with("【测试】") && text.contains("请勿出动"), "{text}");
    }

    /// On every channel: in a short message, read aloud, cut to a few characters, in a summary.
    #[test]
    fn an_exercise_cannot_be_mistaken() {
        let exercise = |plays, ended_by| ExerciseView { plays, asked: None, by: "chen".into(), ended_by };
        for (text, drill, of, says) in [
            (
                "【演练】[DRILL] 火警演练 fire drill, 杉湖一格",
                true,
                exercise(Some(SignalClass::Fire), None),
                "请勿拨打 119",
            ),
            (
                "【演练】[DRILL] 演练中止，真实警情 A-18",
                true,
                exercise(Some(SignalClass::Fire), Some("A-18".into())),
                "演练已结束",
            ),
            (
                "【查岗】[ROLL CALL] 王丽，请应答 are you there?",
                false,
                exercise(None, None),
                "This is a roll-call",
            ),
        ] {
            let mut notice = notice(SignalClass::Test);
            (notice.alarm.text, notice.alarm.drill) = (text.into(), drill);
            notice.alarm.exercise = Some(of);
            let mark: String = text.chars().take(4).collect();
            let words = Text::of(&notice);
            for shown in [words.within(2_048), words.within(60), words.line(), characters(&words.line(), 20)]
            {
                assert!(shown.starts_with(&mark) && !shown.contains("【火警】"), "{shown}");
            }
            assert!(words.within(2_048).contains(says), "{}", words.within(2_048));
            assert_eq!(format!("【{}】", words.class), mark, "for providers whose template takes the class");
        }
    }

    #[test]
    fn a_summary_counts_what_it_cannot_show() {
        let other = |n: u64| Other {
            alert: format!("k{n}"),
            alarm: format!("A-{n}"),
            class: SignalClass::Trouble,
            text: "离线 offline".into(),
            phone: None,
        };
        let many = Notice { also: (1..=40).map(other).collect(), ..notice(SignalClass::Supervisory) };
        let text = Text::of(&many).within(400);
        assert!(text.starts_with("【汇总】41 条：监管 1、故障 40\n【监管】烟雾报警（A-17）\n"), "{text}");
        assert!(text.contains("…另有 ") && text.ends_with("#alarm=A-17") && text.len() <= 400, "{text}");
        let shown = text.matches("（A-").count();
        assert!(text.contains(&format!("…另有 {} 条", 41 - shown)), "{text}");
    }

    proptest! {
        #[test]
        fn never_longer_than_the_channel_takes(said in "[火警 a-z]{0,300}", bytes_max in 0usize..600, n in 0u64..30) {
            let other = |n: u64| Other { alert: String::new(), alarm: format!("A-{n}"), class: SignalClass::Trouble, text: said.clone(), phone: None };
            let mut notice = notice(SignalClass::Fire);
            notice.alarm.text = said.clone();
            notice.also = (0..n).map(other).collect();
            prop_assert!(Text::of(&notice).within(bytes_max).len() <= bytes_max);
            prop_assert!(characters(&said, 20).chars().count() <= 20);
        }
    }
}
