//! Bodies of several parts (RFC 2046, 5.1), as cameras send them: whole in a push, or without an end on a connection that stays open.
//!
//! Pure: bytes in, parts out; what is kept of an unfinished one is bounded. Where a part ends is said by its Content-Length, by the next boundary, or by the end of its XML: a camera that leaves out the
//! length must not keep an event back until its next one. A part that says to be too large is read over; one that does not end is an error, and so is a header that does not.

/// Of the lines before a part.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Longer ones are read over only up to here; nobody means more.
const SKIPPED_BYTES_MAX: usize = 64 << 20;
/// RFC 2046: a boundary has 70 characters at most; cameras' are shorter.
const BOUNDARY_BYTES_MAX: usize = 200;
/// How the one document ends that cameras send without a length.
const XML_END: &[u8] = b"</EventNotificationAlert>";

#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Media type in small letters, without parameters; empty when the part does not say.
    pub kind: String,
    pub bytes: Vec<u8>,
}

impl Part {
    pub fn is_picture(&self) -> bool {
        self.kind.starts_with("image/") || self.bytes.starts_with(b"\xff\xd8\xff")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("the body does not begin with a boundary")]
    NoBoundary,
    #[error("the header of a part is longer than {HEAD_BYTES_MAX} bytes")]
    LongHeader,
    #[error("a part does not end after {0} bytes")]
    Endless(usize),
}

#[derive(Debug)]
enum State {
    /// Before the first boundary.
    Start,
    /// Between a part and the next boundary.
    Between,
    Head,
    Body {
        kind: String,
        length: Option<usize>,
    },
    /// Of a part that is too large.
    Over {
        left: usize,
    },
    End,
}

/// Takes a body apart as it comes.
#[derive(Debug)]
pub struct Parts {
    part_bytes_max: usize,
    /// With the two dashes in front.
    boundary: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    too_large: u64,
}

impl Parts {
    pub fn new(part_bytes_max: usize) -> Self {
        Self { part_bytes_max, boundary: Vec::new(), buffer: Vec::new(), state: State::Start, too_large: 0 }
    }

    /// Parts of a body that is here whole. The last one may lack its end.
    pub fn of(body: &[u8], part_bytes_max: usize) -> Result<Vec<Part>, Broken> {
        let mut parts = Self::new(part_bytes_max);
        let mut found = Vec::new();
        parts.take(body, &mut |part| found.push(part))?;
        if let State::Body { kind, .. } = std::mem::replace(&mut parts.state, State::End) {
            let bytes = trimmed(&parts.buffer).to_vec();
            found.push(Part { kind, bytes });
        }
        Ok(found)
    }

    /// How many were too large since this was last asked.
    pub fn take_too_large(&mut self) -> u64 {
        std::mem::take(&mut self.too_large)
    }

    /// The next bytes; `found` gets each part that they finish. After an error nothing more is read.
    pub fn take(&mut self, bytes: &[u8], found: &mut impl FnMut(Part)) -> Result<(), Broken> {
        // In pieces, so that never more than one part and a little is kept.
        for piece in bytes.chunks(16 << 10) {
            self.buffer.extend_from_slice(piece);
            while self.step(found)? {}
        }
        Ok(())
    }

    /// `false`: more bytes are needed.
    fn step(&mut self, found: &mut impl FnMut(Part)) -> Result<bool, Broken> {
        match &mut self.state {
            State::Start => {
                let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                self.buffer.drain(..blank);
                let Some(end) = find(&self.buffer, b"\n") else {
                    let wrong = BOUNDARY_BYTES_MAX < self.buffer.len()
                        || !(b"--".starts_with(&self.buffer) || self.buffer.starts_with(b"--"));
                    return if wrong { Err(Broken::NoBoundary) } else { Ok(false) };
                };
                let line = trimmed(&self.buffer[..end]);
                if !line.starts_with(b"--") || line.len() < 3 || BOUNDARY_BYTES_MAX < line.len() {
                    return Err(Broken::NoBoundary);
                }
                self.boundary = line.to_vec();
                self.buffer.drain(..=end);
                self.state = State::Head;
                Ok(true)
            }
            State::Between => {
                let Some(at) = find(&self.buffer, &self.boundary) else {
                    // Nothing before the boundary is wanted, but the boundary may have begun.
                    let spare = self.buffer.len().saturating_sub(self.boundary.len());
                    self.buffer.drain(..spare);
                    return Ok(false);
                };
                let after = at + self.boundary.len();
                let rest = &self.buffer[after..];
                if rest.starts_with(b"--") {
                    self.state = State::End;
                    return Ok(true);
                }
                let Some(end) = find(rest, b"\n") else {
                    let wrong = BOUNDARY_BYTES_MAX < rest.len();
                    return if wrong { Err(Broken::LongHeader) } else { Ok(false) };
                };
                self.buffer.drain(..=after + end);
                self.state = State::Head;
                Ok(true)
            }
            State::Head => self.head(),
            State::Body { kind, length: Some(length) } => {
                if self.buffer.len() < *length {
                    return Ok(false);
                }
                let bytes = self.buffer.drain(..*length).collect();
                found(Part { kind: std::mem::take(kind), bytes });
                self.state = State::Between;
                Ok(true)
            }
            State::Body { kind, length: None } => {
                let until_boundary = find(&self.buffer, &self.boundary);
                let until_end = find(&self.buffer, XML_END).map(|at| at + XML_END.len());
                let end = until_boundary.into_iter().chain(until_end).min();
                let Some(end) = end else {
                    let most = self.part_bytes_max + self.boundary.len();
                    return if most < self.buffer.len() {
                        Err(Broken::Endless(self.part_bytes_max))
                    } else {
                        Ok(false)
                    };
                };
                let bytes = trimmed(&self.buffer[..end]).to_vec();
                found(Part { kind: std::mem::take(kind), bytes });
                self.buffer.drain(..end);
                self.state = State::Between;
                Ok(true)
            }
            State::Over { left } => {
                let some = self.buffer.len().min(*left);
                self.buffer.drain(..some);
                *left -= some;
                if *left == 0 {
                    self.state = State::Between;
                    return Ok(true);
                }
                Ok(false)
            }
            State::End => {
                self.buffer.clear();
                Ok(false)
            }
        }
    }

    fn head(&mut self) -> Result<bool, Broken> {
        let blank = [&b"\r\n"[..], b"\n"].into_iter().find(|end| self.buffer.starts_with(end));
        let ends = [&b"\r\n\r\n"[..], b"\n\n"].into_iter();
        let first = ends.filter_map(|end| Some((find(&self.buffer, end)?, end.len()))).min();
        let Some((end, length)) = blank.map(|end| (0, end.len())).or(first) else {
            return if HEAD_BYTES_MAX < self.buffer.len() { Err(Broken::LongHeader) } else { Ok(false) };
        };
        if HEAD_BYTES_MAX < end {
            return Err(Broken::LongHeader);
        }
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + length);
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (field, value) = line.split_once(':')?;
                field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let kind = field("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let length: Option<usize> = field("content-length").and_then(|length| length.parse().ok());
        self.state = match length {
            Some(length) if SKIPPED_BYTES_MAX < length => return Err(Broken::Endless(length)),
            Some(length) if self.part_bytes_max < length => {
                self.too_large += 1;
                State::Over { left: length }
            }
            Some(_) | None => State::Body { kind, length },
        };
        Ok(true)
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1_000;

    fn texts(parts: &[Part]) -> Vec<(&str, &str)> {
        parts.iter().map(|part| (part.kind.as_str(), std::str::from_utf8(&part.bytes).unwrap())).collect()
    }

    #[test]
    fn parts_with_and_without_a_length() {
        let body = b"\r\n--boundary\r\nContent-Type: application/xml; charset=\"UTF-8\"\r\nContent-Length: 5\r\n\r\n<a/>\n\r\n--boundary\r\n\
            content-type: text/plain\r\n\r\nCode=A\r\n--boundary\n\nplain\n--boundary--\r\nafter";
        let parts = Parts::of(body, MAX).unwrap();
        assert_eq!(texts(&parts), [("application/xml", "<a/>\n"), ("text/plain", "Code=A"), ("", "plain")]);
    }

    #[test]
    fn an_event_without_a_length_is_there_when_its_xml_ends() {
        let mut parts = Parts::new(MAX);
        let mut found = Vec::new();
        let body =
            b"--b\r\nContent-Type: application/xml\r\n\r\n<EventNotificationAlert>1</EventNotificationAlert>";
        parts.take(body, &mut |part| found.push(part)).unwrap();
        assert_eq!(found.len(), 1, "before the next boundary");
        parts.take(b"\r\n--b\r\nContent-Length: 2\r\n\r\nok", &mut |part| found.push(part)).unwrap();
        assert_eq!(texts(&found)[1], ("", "ok"));
    }

    #[test]
    fn what_is_too_large_is_read_over_and_what_does_not_end_is_an_error() {
        let large = [
            &b"--b\r\nContent-Length: 3000\r\n\r\n"[..],
            &[b'x'; 3_000],
            b"\r\n--b\r\nContent-Length: 2\r\n\r\nok",
        ]
        .concat();
        let mut parts = Parts::new(MAX);
        let mut found = Vec::new();
        parts.take(&large, &mut |part| found.push(part)).unwrap();
        assert_eq!((texts(&found), parts.take_too_large()), (vec![("", "ok")], 1));

        for (body, broken) in [
            ([&b"--b\r\n\r\n"[..], &[b'x'; 3_000]].concat(), Broken::Endless(MAX)),
            ([&b"--b\r\nA: "[..], &[b'x'; 9_000]].concat(), Broken::LongHeader),
            (b"--b\r\nContent-Length: 99999999999\r\n\r\n".to_vec(), Broken::Endless(99_999_999_999)),
            (b"HTTP/1.1 200 OK\r\n".to_vec(), Broken::NoBoundary),
            (vec![b'-'; 300], Broken::NoBoundary),
        ] {
            assert_eq!(Parts::of(&body, MAX), Err(broken));
        }
    }

    #[test]
    fn a_push_may_lack_its_end() {
        assert_eq!(
            texts(&Parts::of(b"--b\r\nContent-Length: 9\r\n\r\nshort", MAX).unwrap()),
            [("", "short")]
        );
        assert_eq!(Parts::of(b"", MAX), Ok(vec![]));
    }

    proptest! {
        /// However the bytes are cut, the same parts come out, and no more is kept than one part and a piece.
        #[test]
        fn cuts_change_nothing(bodies in prop::collection::vec("[a-z \r\n]{0,60}", 1..6), with_length: bool, cut in 1..40usize) {
            let body: String = bodies.iter().map(|text| {
                let length = if with_length { format!("Content-Length: {}\r\n", text.len()) } else { String::new() };
                format!("--limit\r\nContent-Type: text/plain\r\n{length}\r\n{text}\r\n")
            }).collect();
            let mut parts = Parts::new(MAX);
            let mut found = Vec::new();
            for piece in body.as_bytes().chunks(cut) {
                parts.take(piece, &mut |part| found.push(part)).unwrap();
                prop_assert!(parts.buffer.len() <= MAX + HEAD_BYTES_MAX);
            }
            parts.take(b"--limit--\r\n", &mut |part| found.push(part)).unwrap();
            let wanted: Vec<&str> = bodies.iter().map(|text| if with_length { text.as_str() } else { text.trim() }).collect();
            prop_assert_eq!(texts(&found).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..400), head: bool) {
            let body = if head { [b"--b\r\n", &bytes[..]].concat() } else { bytes };
            let _ = Parts::of(&body, 100);
        }
    }
}
