//! The standard's own examples byte for byte, every type in both directions, damage of every kind.

use proptest::prelude::*;

use super::frame::{FRAME_BYTES_MAX, UNIT_BYTES_MAX};
use super::unit::{
    Analog, ComponentState, ComponentText, DeviceState, NOTE_BYTES, Read, SystemOperation, SystemState,
    SystemText, UnitFault,
};
use super::*;

/// 2012-09-26 09:58:02, 09:58:32 and 09:58:35.
const AT: Label = Label([2, 58, 9, 26, 9, 12]);
const SENT: Label = Label([32, 58, 9, 26, 9, 12]);
const ANSWERED: Label = Label([35, 58, 9, 26, 9, 12]);

fn address(number: u64) -> Address {
    Address::new(number).expect("48 bits")
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn frame(upwards: bool, sent: Label, command: Command, content: Option<Content>) -> Frame {
    let (device, centre) = (address(889), address(88_888));
    let (from, to) = if upwards { (device, centre) } else { (centre, device) };
    let header = Header { serial: 1, version: [1, 1], sent, from, to };
    Frame { header, command, unit: content.map(|content| content.encode()).unwrap_or_default() }
}

/// The examples, each with what it says.
fn examples() -> Vec<(&'static str, Frame)> {
    use Command::{Answer, Confirm, Control, Deny, Request, Send};
    let up = |command, content| frame(true, SENT, command, Some(content));
    let down = |command, content| frame(false, SENT, command, Some(content));
    let smoke = ComponentState {
        place: Place { system: System { kind: 1, address: 1 }, zone: 10, point: 2 },
        kind: 40,
        state: 2,
        note: Text::note(""),
    };
    let mains = || Content::DeviceState(vec![At { body: DeviceState { state: 8 }, at: Some(AT) }]);
    let roll_call = Operation { operation: 1 << 5, operator: 1 };
    vec![
        (
            "404001000101203a091a090c790300000000385b0100000030000202010101280a000200020020202020202020202020202020202020202020202020202020202020202000023a091a090c462323",
            up(Send, Content::ComponentState(vec![At { body: smoke, at: Some(AT) }])),
        ),
        (
            "404001000101233a091a090c385b01000000790300000000000003ab2323",
            frame(false, ANSWERED, Confirm, None),
        ),
        ("404001000101233a091a090c385b01000000790300000000000006ae2323", frame(false, ANSWERED, Deny, None)),
        ("404001000101203a091a090c790300000000385b01000000090002150108023a091a090c422323", up(Send, mains())),
        (
            "404001000101203a091a090c790300000000385b010000000a000218012001023a091a090c5f2323",
            up(Send, Content::DeviceOperation(vec![At { body: roll_call, at: Some(AT) }])),
        ),
        (
            "404001000101203a091a090c790300000000385b0100000004000219010101c72323",
            up(Send, Content::DeviceVersion([1, 1])),
        ),
        (
            "404001000101203a091a090c790300000000385b010000000800021c01023a091a090c402323",
            up(Send, Content::DeviceClock(AT)),
        ),
        (
            "404001000101203a091a090c385b01000000790300000000030004510100fe2323",
            down(Request, Content::ReadDeviceState),
        ),
        (
            "404001000101203a091a090c790300000000385b01000000090005150108023a091a090c452323",
            up(Answer, mains()),
        ),
        (
            "404001000101203a091a090c385b01000000790300000000030004550100022323",
            down(Request, Content::ReadDeviceVersion),
        ),
        (
            "404001000101203a091a090c790300000000385b0100000004000519010101ca2323",
            up(Answer, Content::DeviceVersion([1, 1])),
        ),
        (
            "404001000101203a091a090c385b01000000790300000000030004580100052323",
            down(Request, Content::ReadDeviceClock),
        ),
        (
            "404001000101203a091a090c790300000000385b010000000800051c01023a091a090c432323",
            up(Answer, Content::DeviceClock(AT)),
        ),
        (
            "404001000101203a091a090c385b01000000790300000000030001590100032323",
            down(Control, Content::Initialise),
        ),
        (
            "404001000101203a091a090c385b010000007903000000000800015a01023a091a090c7d2323",
            down(Control, Content::SetClock(AT)),
        ),
        (
            "404001000101203a091a090c385b010000007903000000000300015b010a0f2323",
            down(Control, Content::RollCall { minutes: 10 }),
        ),
    ]
}

fn pieces(stream: &mut Stream, bytes: &[u8]) -> Vec<Piece> {
    stream.push(bytes);
    std::iter::from_fn(|| stream.piece()).collect()
}

fn whole(bytes: &[u8]) -> Vec<Frame> {
    frames(pieces(&mut Stream::default(), bytes))
}

fn frames(pieces: Vec<Piece>) -> Vec<Frame> {
    let frame = |piece| match piece {
        Piece::Frame(frame, _) => Some(frame),
        Piece::Faulty { .. } | Piece::Noise(_) => None,
    };
    pieces.into_iter().filter_map(frame).collect()
}

#[test]
fn the_standards_examples_byte_for_byte() {
    assert_eq!(examples().len(), 16);
    for (hex, frame) in examples() {
        let bytes = bytes(hex);
        assert_eq!(frame.encode(), bytes, "{frame:?} is written {hex}");
        assert_eq!(whole(&bytes), std::slice::from_ref(&frame), "{hex} is read");
        if !frame.unit.is_empty() {
            let Read { content, fault } = Content::read(&frame.unit);
            assert_eq!((content.expect("of the standard").encode(), fault), (frame.unit, None), "{hex}");
        }
    }
}

#[test]
fn texts_are_gb_18030() {
    let note = Text::note("2号楼3层走廊感烟探测器");
    assert_eq!(note.0.len(), NOTE_BYTES);
    assert_eq!(note.read(encoding_rs::GB18030), "2号楼3层走廊感烟探测器");
    let long = Text::note("一二三四五六七八九十一二三四五六七八九十");
    assert_eq!(
        long.read(encoding_rs::GB18030),
        "一二三四五六七八九十一二三四五",
        "cut between two characters"
    );
    assert_eq!(Text::note("").0, [[b' '; NOTE_BYTES - 1].as_slice(), &[0]].concat());
    assert_eq!(Text(vec![0xff, 0xff]).read(encoding_rs::GB18030), "\u{fffd}\u{fffd}");
}

#[test]
fn each_fault_is_named_and_the_next_frame_is_found() {
    let (_, good) = examples().remove(0);
    let good_bytes = good.encode();
    let end = good_bytes.len();
    let with = |at: usize, byte: u8| {
        let mut bytes = good_bytes.clone();
        bytes[at] = byte;
        bytes
    };
    let long = [&good_bytes[..24], &1025u16.to_le_bytes(), &good_bytes[26..]].concat();
    let mut reserved = with(26, 7);
    reserved[end - 3] = reserved[end - 3].wrapping_add(5);
    for (bytes, fault) in [
        (with(end - 3, 0), Fault::Checksum { said: 0, found: 0x46 }),
        (reserved, Fault::Command(7)),
        (long, Fault::TooLong(1025)),
        (with(end - 1, b'!'), Fault::End(*b"#!")),
    ] {
        let found = pieces(&mut Stream::default(), &[bytes.as_slice(), &good_bytes].concat());
        let faults: Vec<_> = found
            .iter()
            .filter_map(|piece| match piece {
                Piece::Faulty { header, fault, .. } => Some((*header, *fault)),
                Piece::Frame(..) | Piece::Noise(_) => None,
            })
            .collect();
        assert_eq!(faults, [(good.header, fault)]);
        assert_eq!(frames(found), std::slice::from_ref(&good), "behind {fault}");
    }
}

#[test]
fn a_cut_frame_does_not_hold_up_the_next() {
    let (_, good) = examples().remove(0);
    let bytes = good.encode();
    for cut in 0..bytes.len() {
        let mut stream = Stream::default();
        assert_eq!(frames(pieces(&mut stream, &bytes[..cut])), []);
        assert_eq!(
            frames(pieces(&mut stream, &bytes)),
            std::slice::from_ref(&good),
            "behind {cut} bytes of it"
        );
    }
    assert_eq!(whole(&[b"@@@".as_slice(), &bytes].concat()), [good]);
}

#[test]
fn a_unit_that_is_not_what_it_says_gives_what_is_whole() {
    let states = |count: u8, objects: &[[u8; 10]]| [vec![1, count], objects.concat()].concat();
    let one = [1, 1, 2, 0, 2, 58, 9, 26, 9, 12];
    let read = |unit: &[u8]| {
        let Read { content, fault } = Content::read(unit);
        let whole = match content {
            Some(Content::SystemState(list)) => list.len(),
            Some(other) => panic!("{other:?}"),
            None => 0,
        };
        (whole, fault)
    };
    assert_eq!(read(&states(2, &[one, one])), (2, None));
    let fault = |said, whole, bytes| Some(UnitFault::Objects { flag: 1, said, whole, bytes });
    assert_eq!(read(&states(3, &[one, one])), (2, fault(3, 2, 20)));
    assert_eq!(read(&states(1, &[one, one])), (1, fault(1, 1, 20)));
    assert_eq!(read(&states(2, &[one, one])[..19]), (1, fault(2, 1, 17)));
    assert_eq!(read(&[1, 0]), (0, fault(0, 0, 0)));
    assert_eq!(read(&[]), (0, Some(UnitFault::Short(0))));
    assert_eq!(read(&[99, 1, 0]), (0, Some(UnitFault::Flag(99))));
    // A device that leaves the times out.
    let without = Content::read(&[1, 2, 1, 1, 2, 0, 1, 2, 0, 0]);
    let state =
        |address, state| At { body: SystemState { system: System { kind: 1, address }, state }, at: None };
    assert_eq!(without.content, Some(Content::SystemState(vec![state(1, 2), state(2, 0)])));
    assert_eq!(without.fault, None);
}

/// As many objects as the standard allows fit into a frame.
#[test]
fn the_largest_units_fit() {
    let system = System { kind: 1, address: 1 };
    let place = Place { system, zone: 1, point: 1 };
    let note = Text::note("");
    let at = Some(AT);
    let state = At { body: ComponentState { place, kind: 40, state: 0, note: note.clone() }, at };
    for content in [
        Content::SystemState(vec![At { body: SystemState { system, state: 0 }, at }; 102]),
        Content::ComponentState(vec![state; 22]),
        Content::Analog(vec![At { body: Analog { place, kind: 0, quantity: 5, raw: 0 }, at }; 63]),
        Content::SystemOperation(vec![
            At {
                body: SystemOperation { system, done: Operation { operation: 1, operator: 1 } },
                at
            };
            102
        ]),
        Content::SystemText(vec![SystemText { system, text: Text(vec![b'x'; 255]) }; 3]),
        Content::ComponentText(vec![ComponentText { place, kind: 40, note }; 26]),
        Content::DeviceOperation(vec![At { body: Operation { operation: 1, operator: 1 }, at }; 127]),
    ] {
        let unit = content.encode();
        assert!(unit.len() <= UNIT_BYTES_MAX, "{} bytes of type {}", unit.len(), content.flag());
        assert_eq!(Content::read(&unit), Read { content: Some(content), fault: None });
    }
}

fn label() -> impl Strategy<Value = Label> {
    any::<[u8; 6]>().prop_map(Label)
}

fn system() -> impl Strategy<Value = System> {
    any::<(u8, u8)>().prop_map(|(kind, address)| System { kind, address })
}

fn place() -> impl Strategy<Value = Place> {
    (system(), any::<(u16, u16)>()).prop_map(|(system, (zone, point))| Place { system, zone, point })
}

fn text() -> impl Strategy<Value = Text> {
    prop::collection::vec(any::<u8>(), 0..=255).prop_map(Text)
}

fn note() -> impl Strategy<Value = Text> {
    prop::collection::vec(any::<u8>(), NOTE_BYTES).prop_map(Text)
}

/// Objects of which all say when, or none does.
fn timed<T: std::fmt::Debug + Clone>(
    body: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = Vec<At<T>>> {
    (prop::collection::vec((body, label()), 1..=most), any::<bool>()).prop_map(|(list, said)| {
        list.into_iter().map(|(body, at)| At { body, at: said.then_some(at) }).collect()
    })
}

fn many<T: std::fmt::Debug + Clone>(
    one: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(one, 1..=most)
}

fn content() -> impl Strategy<Value = Content> {
    let operation = || any::<(u8, u8)>().prop_map(|(operation, operator)| Operation { operation, operator });
    prop_oneof![
        timed((system(), any::<u16>()).prop_map(|(system, state)| SystemState { system, state }), 102)
            .prop_map(Content::SystemState),
        timed(
            (place(), any::<(u8, u16)>(), note()).prop_map(|(place, (kind, state), note)| ComponentState {
                place,
                kind,
                state,
                note
            }),
            22
        )
        .prop_map(Content::ComponentState),
        timed(
            (place(), any::<(u8, u8, i16)>()).prop_map(|(place, (kind, quantity, raw))| Analog {
                place,
                kind,
                quantity,
                raw
            }),
            63
        )
        .prop_map(Content::Analog),
        timed((system(), operation()).prop_map(|(system, done)| SystemOperation { system, done }), 102)
            .prop_map(Content::SystemOperation),
        (system(), any::<[u8; 2]>()).prop_map(|(system, version)| Content::SystemVersion { system, version }),
        many((system(), text()).prop_map(|(system, text)| SystemText { system, text }), 3)
            .prop_map(Content::SystemText),
        many(
            (place(), any::<u8>(), note()).prop_map(|(place, kind, note)| ComponentText {
                place,
                kind,
                note
            }),
            26
        )
        .prop_map(Content::ComponentText),
        (system(), label()).prop_map(|(system, at)| Content::SystemClock { system, at }),
        timed(any::<u8>().prop_map(|state| DeviceState { state }), 1).prop_map(Content::DeviceState),
        timed(operation(), 127).prop_map(Content::DeviceOperation),
        any::<[u8; 2]>().prop_map(Content::DeviceVersion),
        text().prop_map(Content::DeviceText),
        label().prop_map(Content::DeviceClock),
        many(system(), 102).prop_map(Content::ReadSystemState),
        many(place(), 22).prop_map(Content::ReadComponentState),
        many(place(), 63).prop_map(Content::ReadAnalog),
        (system(), any::<u8>(), label()).prop_map(|(system, count, since)| Content::ReadSystemOperation {
            system,
            count,
            since
        }),
        system().prop_map(Content::ReadSystemVersion),
        many(system(), 3).prop_map(Content::ReadSystemText),
        many(place(), 26).prop_map(Content::ReadComponentText),
        system().prop_map(Content::ReadSystemClock),
        Just(Content::ReadDeviceState),
        (any::<u8>(), label()).prop_map(|(count, since)| Content::ReadDeviceOperation { count, since }),
        Just(Content::ReadDeviceVersion),
        Just(Content::ReadDeviceText),
        Just(Content::ReadDeviceClock),
        Just(Content::Initialise),
        label().prop_map(Content::SetClock),
        any::<u8>().prop_map(|minutes| Content::RollCall { minutes }),
        (128u8..=254, any::<u8>(), prop::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(flag, count, bytes)| Content::User { flag, count, bytes }),
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let command = prop_oneof![
        Just(Command::Control),
        Just(Command::Send),
        Just(Command::Confirm),
        Just(Command::Request),
        Just(Command::Answer),
        Just(Command::Deny),
        (128u8..).prop_map(Command::User),
    ];
    let head = (any::<u16>(), any::<[u8; 2]>(), label(), 0..=Address::MAX, 0..=Address::MAX);
    let unit = prop_oneof![
        content().prop_map(|content| content.encode()),
        prop::collection::vec(any::<u8>(), 0..=UNIT_BYTES_MAX),
    ];
    (head, command, unit).prop_map(|((serial, version, sent, from, to), command, unit)| Frame {
        header: Header { serial, version, sent, from: address(from), to: address(to) },
        command,
        unit,
    })
}

proptest! {
    #[test]
    fn content_is_read_as_it_was_written(content in content()) {
        prop_assert_eq!(Content::read(&content.encode()), Read { content: Some(content), fault: None });
    }

    /// However the bytes are cut.
    #[test]
    fn frames_are_read_as_they_were_written(frames in prop::collection::vec(any_frame(), 1..5), step in 1usize..200) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        let mut stream = Stream::default();
        let read: Vec<_> = bytes.chunks(step).flat_map(|some| self::frames(pieces(&mut stream, some))).collect();
        prop_assert_eq!(read, frames);
    }

    /// Noise without a start before a frame costs nothing; noise with one costs no frame that comes whole behind it.
    #[test]
    fn a_frame_is_found_behind_noise(noise: Vec<u8>, starts in 0usize..3, frame in any_frame()) {
        let noise = [noise.clone(), b"@@".repeat(starts), noise].concat();
        let mut stream = Stream::default();
        let mut read = frames(pieces(&mut stream, &noise));
        // What looks like a longer packet must be over before the next is looked for.
        for _ in 0..2 {
            read.extend(frames(pieces(&mut stream, &frame.encode())));
        }
        prop_assert!(read.contains(&frame));
    }

    #[test]
    fn random_bytes_never_panic_and_little_is_kept(chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'@'), Just(b'#'), any::<u8>()], 0..600), 0..8)) {
        let mut stream = Stream::default();
        let (mut all, mut kept) = (0, 0);
        for chunk in &chunks {
            all += chunk.len();
            for piece in pieces(&mut stream, chunk) {
                kept += match piece {
                    Piece::Frame(_, bytes) | Piece::Faulty { bytes, .. } | Piece::Noise(bytes) => bytes.len(),
                };
            }
            prop_assert!(all - kept < FRAME_BYTES_MAX, "{} bytes wait", all - kept);
        }
    }

    #[test]
    fn random_units_never_panic(unit: Vec<u8>, flag: u8, count: u8) {
        let _ = Content::read(&unit);
        let _ = Content::read(&[vec![flag, count], unit].concat());
    }

    #[test]
    fn a_note_is_read_as_it_was_written(text in "[a-z0-9\u{4e00}-\u{9fa5}]{0,12}") {
        prop_assert_eq!(Text::note(&text).read(encoding_rs::GB18030), text);
    }
}
