//! A profile's file → [`Profile`], or every mistake in it with its place. Runs once; messages are read by what it makes.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_spanned::Spanned;

use super::frame::{self, Meaning, Setting, Word};
use super::place::{Path, Place};
use super::shape::{self, Literal, Over, Sort};
use super::{Form, Piece, Profile, Recipe, Template};
use crate::config::Page;
use crate::decode::bytes::from_hex;
use crate::decode::fields::is_known;
use crate::decode::modbus::{Conversion, Map, quantity};
use crate::model::Metric;
use crate::problem::{Problems, instead};
use crate::units::{Millis, Timestamp};

struct Compiler<'p, 'a> {
    page: &'p mut Page<'a>,
    over: Over,
    separator: Option<Box<str>>,
}

/// `name` is the file's, without its ending; `file` is shown in mistakes.
pub fn compile(name: &str, file: &str, text: &str) -> Result<Profile, Problems> {
    let (mut page, shape) = Page::read::<shape::File>(file, text, &[]);
    let profile = shape.map(|shape| {
        let over = *shape.over.get_ref();
        Compiler { page: &mut page, over, separator: None }.profile(name, shape)
    });
    match profile {
        Some(profile) if page.problems.is_empty() => Ok(profile),
        Some(_) | None => Err(page.problems.sorted()),
    }
}

impl Compiler<'_, '_> {
    fn wrong(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.page.wrong(span, text);
    }

    fn profile(&mut self, name: &str, file: shape::File) -> Profile {
        if file.evidence.get_ref().is_empty() {
            self.wrong(
                file.evidence.span(),
                "a profile without evidence is a guess; say what it was made from",
            );
        }
        if file.samples.is_empty() {
            self.wrong(0..0, "the profile has no [[sample]]; add a message and what it becomes");
        }
        let zigbee = self.over == Over::Zigbee2mqtt;
        for property in &file.properties {
            if zigbee && !is_known(property.get_ref()) {
                self.wrong(
                    property.span(),
                    format!("nothing is taken from `{}`; move it to `ignored`", property.get_ref()),
                );
            }
        }
        let modbus = self.over == Over::Modbus;
        if (zigbee || modbus) != file.frames.is_empty() {
            self.wrong(file.over.span(), "Zigbee2MQTT's properties are read by its own decoder and Modbus devices are polled, both without [[frame]]; everything else needs one");
        }
        if modbus != file.modbus.is_some() {
            self.wrong(
                file.over.span(),
                "over modbus the profile has a section [modbus] with its registers; nothing else has one",
            );
        }
        let map = file.modbus.as_ref().and_then(|modbus| self.map(modbus));
        let address = file.address.as_ref().and_then(|text| self.template(text));
        let records = file.records.as_ref().and_then(|text| self.path(text));
        if let (Some(text), Some(path)) = (&file.records, &records)
            && path.has_each()
            && !path.ends_with_each()
        {
            self.wrong(text.span(), "`*` can only stand at the end");
        }
        let encoding = file.encoding.as_ref().map_or(shape::Encoding::Raw, |encoding| *encoding.get_ref());
        let form = if zigbee {
            let names = |list: &[Spanned<String>]| list.iter().map(|name| name.get_ref().clone()).collect();
            Form::Zigbee { properties: names(&file.properties), ignored: names(&file.ignored) }
        } else if let Some(map) = map {
            Form::Modbus(map)
        } else {
            Form::Frames {
                encoding,
                address,
                records,
                frames: file.frames.iter().map(|frame| self.frame(frame)).collect(),
            }
        };
        let orders = file.orders.iter().filter_map(|order| self.order(order)).collect();
        Profile {
            name: name.to_owned(),
            title: file.title,
            kind: file.kind,
            over: self.over,
            names: file.names.into_iter().map(Spanned::into_inner).collect(),
            heartbeat: file.heartbeat_s.map(|seconds| Millis::from_secs(u64::from(seconds.into_inner()))),
            evidence: file.evidence.into_inner(),
            deviations: file.deviations,
            form,
            orders,
            samples: file.samples.into_iter().map(Spanned::into_inner).collect(),
        }
    }

    fn order(&mut self, order: &Spanned<shape::OrderShape>) -> Option<Recipe> {
        if self.over != Over::Lorawan {
            self.wrong(order.span(), "only a device over lorawan takes an [[order]]");
        }
        Recipe::compile(order.get_ref()).map_err(|why| self.wrong(order.span(), why)).ok()
    }

    fn map(&mut self, modbus: &shape::Modbus) -> Option<Map> {
        let pause = Millis(u64::from(modbus.pause_ms));
        let map = Map::compile(&modbus.registers, modbus.max_registers, pause, modbus.asks_for_pressure_unit);
        map.map_err(|problems| problems.into_iter().for_each(|one| self.wrong(one.span, one.text))).ok()
    }

    fn frame(&mut self, frame: &shape::Frame) -> frame::Frame {
        self.separator = frame.separator.as_ref().map(|text| text.get_ref().as_str().into());
        let here = 0..0;
        let place = |this: &mut Self, source: &Option<shape::Source>| {
            source.as_ref().and_then(|source| this.place(source, here.clone()))
        };
        let mut whens = Vec::new();
        for condition in &frame.when {
            if let Some(at) = self.place(&condition.from, 0..0) {
                whens.push((at, condition.is.iter().map(literal).collect()));
            }
        }
        frame::Frame {
            ports: frame.ports.clone(),
            length: frame.length.as_ref().map(|length| usize::from(*length.get_ref())),
            length_min: frame.length_min.as_ref().map_or(0, |length| usize::from(*length.get_ref())),
            when: whens,
            checksum: frame.checksum.as_ref().map(|sum| frame::Checksum {
                kind: sum.kind,
                from: sum.from.into(),
                to: sum.to.unwrap_or(0).into(),
                at: sum.at.as_ref().map_or(-1, |at| (*at.get_ref()).into()),
                order: sum.order,
            }),
            time: frame.time.as_ref().and_then(|clock| self.clock(clock)),
            counter: place(self, &frame.counter),
            serial: place(self, &frame.serial),
            test_hides_fire: frame.test_hides_fire,
            fields: self.fields(&frame.fields),
            tags_at: frame.tags_at.into(),
            tags: frame.tags.iter().filter_map(|tag| self.tag(tag)).collect(),
            records: frame.records.as_ref().and_then(|records| self.records(records)),
        }
    }

    fn tag(&mut self, tag: &shape::Tag) -> Option<frame::Tag> {
        let Some(bytes) = from_hex(tag.tag.get_ref()).filter(|bytes| !bytes.is_empty()) else {
            self.wrong(
                tag.tag.span(),
                format!(
                    "`{}` is no tag; write its bytes in hexadecimal, such as \"0175\"",
                    tag.tag.get_ref()
                ),
            );
            return None;
        };
        let time = tag.time.as_ref().and_then(|clock| self.clock(clock));
        Some(frame::Tag { tag: bytes, length: tag.length.into(), time, fields: self.fields(&tag.fields) })
    }

    fn records(&mut self, records: &shape::Records) -> Option<frame::Records> {
        let length = usize::from(*records.length.get_ref());
        if length == 0 {
            self.wrong(records.length.span(), "a measurement has at least one byte");
            return None;
        }
        Some(frame::Records {
            at: records.at.into(),
            length,
            count: records.count.as_ref().and_then(|source| self.place(source, 0..0)),
            time: self.clock(&records.time)?,
            fields: self.fields(&records.fields),
        })
    }

    fn clock(&mut self, clock: &shape::Clock) -> Option<frame::Clock> {
        let epoch = match &clock.epoch {
            None => Timestamp(0),
            Some(text) => match Timestamp::parse_rfc3339(text.get_ref()) {
                Some(at) => at,
                None => {
                    self.wrong(
                        text.span(),
                        format!(
                            "`{}` is no moment; write it like \"2018-09-10T00:00:00+08:00\"",
                            text.get_ref()
                        ),
                    );
                    return None;
                }
            },
        };
        Some(frame::Clock {
            place: self.place(&clock.from, 0..0)?,
            epoch,
            step_ms: match clock.unit {
                shape::ClockUnit::Seconds => 1000.0,
                shape::ClockUnit::Milliseconds => 1.0,
            },
            format: clock.format.as_ref().map(|format| format.get_ref().as_str().into()),
            zone: clock.zone.clone().unwrap_or_default(),
        })
    }

    fn fields(&mut self, fields: &[shape::Field]) -> Vec<frame::Field> {
        fields.iter().filter_map(|field| self.field(field)).collect()
    }

    fn field(&mut self, field: &shape::Field) -> Option<frame::Field> {
        let span = field.from.span();
        let place = self.place(field.from.get_ref(), span.clone())?;
        let words = field
            .values
            .iter()
            .map(|(word, settings)| (Word::from_text(word), self.settings(settings)))
            .collect();
        let otherwise = field.otherwise.as_ref().map(|settings| self.settings(settings));
        let meaning = match (&field.metric, field.flags.is_empty()) {
            (Some(metric), true) => self.metric(field, metric)?,
            (None, false) => Meaning::Bits(self.bits(&field.flags)),
            (None, true) if !field.values.is_empty() => Meaning::Words(otherwise),
            (None, true) | (Some(_), false) => {
                self.wrong(span, "say what the field means, by one of `metric`, `flags` and `values`");
                return None;
            }
        };
        let label = label(field.from.get_ref());
        Some(frame::Field { place, label, words, meaning })
    }

    fn metric(&mut self, field: &shape::Field, name: &Spanned<String>) -> Option<Meaning> {
        let metric = self.known(name.get_ref(), name.span())?;
        if metric.spec().flag {
            return Some(Meaning::Flag { metric, inverted: field.inverted });
        }
        let conversion = match &field.unit {
            None => Conversion::NONE,
            Some(unit) => match quantity::conversion(unit.get_ref(), metric) {
                Some(conversion) => conversion,
                None => {
                    let known = quantity::known_units(metric).join(", ");
                    self.wrong(
                        unit.span(),
                        format!(
                            "`{}` is no unit for {}; write one of {known}",
                            unit.get_ref(),
                            metric.name()
                        ),
                    );
                    return None;
                }
            },
        };
        let scale = field.scale.as_ref().map_or(1.0, |scale| *scale.get_ref());
        if let Some(scale) =
            field.scale.as_ref().filter(|scale| !scale.get_ref().is_finite() || *scale.get_ref() == 0.0)
        {
            self.wrong(scale.span(), "`scale` is a finite number other than 0");
        }
        let (min, max) =
            (field.min.as_ref().map_or(f64::MIN, |min| *min.get_ref()), field.max.unwrap_or(f64::MAX));
        if let Some(given) = field.min.as_ref().filter(|_| max <= min) {
            self.wrong(given.span(), format!("`min` must be lower than `max`, which is {max}"));
        }
        let times = match &field.times {
            None => None,
            Some(times) => {
                let factors =
                    times.values.iter().map(|(word, factor)| (Word::from_text(word), *factor)).collect();
                Some((self.place(&times.from, field.from.span())?, factors))
            }
        };
        let offset = field.offset.unwrap_or(0.0);
        Some(Meaning::Number(Box::new(frame::Number {
            metric,
            scale,
            offset,
            times,
            current_loop: field.current_loop,
            conversion,
            min,
            max,
        })))
    }

    fn bits(&mut self, flags: &BTreeMap<String, Spanned<String>>) -> Vec<(u8, Setting)> {
        let mut bits = Vec::new();
        for (bit, name) in flags {
            match bit.parse::<u8>().ok().filter(|bit| *bit < 32) {
                Some(bit) => {
                    bits.extend(self.setting(name.get_ref(), name.span()).map(|setting| (bit, setting)))
                }
                None => self.wrong(name.span(), format!("`{bit}` is no bit; write 0 (the lowest) to 31")),
            }
        }
        bits
    }

    fn settings(&mut self, names: &Spanned<Vec<String>>) -> Vec<Setting> {
        names.get_ref().iter().filter_map(|name| self.setting(name, names.span())).collect()
    }

    /// `smoke` sets the flag, `!smoke` clears it.
    fn setting(&mut self, name: &str, span: Range<usize>) -> Option<Setting> {
        let (name, set) = name.strip_prefix('!').map_or((name, true), |name| (name, false));
        let metric = self.known(name, span.clone())?;
        if !metric.spec().flag {
            self.wrong(span, format!("{name} is a number, which no code can set"));
            return None;
        }
        Some(Setting { metric, set })
    }

    fn known(&mut self, name: &str, span: Range<usize>) -> Option<Metric> {
        let metric = Metric::from_name(name);
        if metric.is_none() {
            let known: Vec<&str> = Metric::all().map(Metric::name).collect();
            self.wrong(span, format!("there is no metric `{name}`; {}", instead(name, known)));
        }
        metric
    }

    fn path(&mut self, text: &Spanned<String>) -> Option<Path> {
        Path::parse(text.get_ref()).map_err(|why| self.wrong(text.span(), why)).ok()
    }

    fn place(&mut self, source: &shape::Source, span: Range<usize>) -> Option<Place> {
        let span =
            source.at.as_ref().map(Spanned::span).or(source.path.as_ref().map(Spanned::span)).unwrap_or(span);
        match (self.over, source) {
            (
                Over::Lorawan | Over::Bytes,
                shape::Source { at: Some(at), path: None, chars: None, part: None, .. },
            ) => {
                let at = usize::from(*at.get_ref());
                let sort = source.sort.as_ref().map_or(Sort::default(), |sort| *sort.get_ref());
                match (sort.bytes(), &source.length) {
                    (None, Some(length)) => {
                        Some(Place::Word { at, length: usize::from(*length.get_ref()), sort })
                    }
                    (None, None) => {
                        self.wrong(span, "a text within bytes needs its `length`");
                        None
                    }
                    (Some(bytes), _) => {
                        let bits = source.bits.as_ref().map(|bits| (bits.span(), *bits.get_ref()));
                        if let Some((span, [low, high])) = &bits
                            && (sort.is_float() || high < low || bytes * 8 <= usize::from(*high))
                        {
                            self.wrong(
                                span.clone(),
                                format!(
                                    "`bits` are the lowest and the highest of {} bits of a whole number",
                                    bytes * 8
                                ),
                            );
                            return None;
                        }
                        Some(Place::Number {
                            at,
                            sort,
                            order: source.order,
                            bits: bits.map(|(_, [low, high])| (low, high)),
                        })
                    }
                }
            }
            (Over::Json, shape::Source { path: Some(path), at: None, chars: None, part: None, .. }) => {
                self.path(path).map(Place::Path)
            }
            (Over::Text, shape::Source { chars: Some(chars), at: None, path: None, part: None, .. }) => {
                let [from, count] = *chars.get_ref();
                Some(Place::Chars { from: from.into(), count: count.into() })
            }
            (Over::Text, shape::Source { part: Some(part), at: None, path: None, chars: None, .. }) => {
                match &self.separator {
                    Some(separator) => {
                        Some(Place::Part { number: (*part.get_ref()).into(), separator: separator.clone() })
                    }
                    None => {
                        self.wrong(part.span(), "a `part` needs the frame's `separator`");
                        None
                    }
                }
            }
            (over, _) => {
                self.wrong(
                    span,
                    format!(
                        "over {} a place is {}",
                        over.name(),
                        match over {
                            Over::Lorawan | Over::Bytes => "`at` with a `type`",
                            Over::Json => "a `path`",
                            Over::Text => "`chars` or a `part`",
                            Over::Zigbee2mqtt | Over::Modbus => "not needed",
                        }
                    ),
                );
                None
            }
        }
    }

    /// `{topic:1}`, `{key}`, `{serial}` and `{a.path}` are filled in.
    fn template(&mut self, text: &Spanned<String>) -> Option<Template> {
        let mut pieces = Vec::new();
        let mut rest = text.get_ref().as_str();
        while let Some((before, after)) = rest.split_once('{') {
            pieces.push(Piece::Text(before.to_owned()));
            let Some((inner, after)) = after.split_once('}') else {
                self.wrong(text.span(), "a `{` has no `}`");
                return None;
            };
            pieces.push(match (inner, inner.strip_prefix("topic:").map(str::parse)) {
                ("key", _) => Piece::Key,
                ("serial", _) => Piece::Serial,
                (_, Some(Ok(level))) => Piece::Topic(level),
                (_, Some(Err(_))) => {
                    self.wrong(text.span(), "`{topic:…}` takes the number of a level, from 0");
                    return None;
                }
                (path, None) => {
                    Piece::Path(Path::parse(path).map_err(|why| self.wrong(text.span(), why)).ok()?)
                }
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Some(Template(pieces))
    }
}

impl Word {
    fn from_text(text: &str) -> Self {
        let hex = text
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(|number| number as f64);
        Self { text: text.into(), number: hex.or_else(|| text.parse().ok()) }
    }
}

fn literal(literal: &Literal) -> Word {
    match literal {
        Literal::Flag(flag) => Word { text: flag.to_string().into(), number: None },
        Literal::Whole(number) => Word { text: number.to_string().into(), number: Some(*number as f64) },
        Literal::Number(number) => Word { text: number.to_string().into(), number: Some(*number) },
        Literal::Text(text) => Word { text: text.as_str().into(), number: None },
    }
}

fn label(source: &shape::Source) -> Box<str> {
    match (&source.at, &source.path, &source.chars, &source.part) {
        (Some(at), ..) => format!("byte {}", at.get_ref()),
        (_, Some(path), ..) => path.get_ref().clone(),
        (_, _, Some(chars), _) => format!("character {}", chars.get_ref()[0]),
        (_, _, _, Some(part)) => format!("part {}", part.get_ref()),
        (None, None, None, None) => "the field".into(),
    }
    .into()
}
