//! Photos and voice notes as phones make them: which they are, told by their first bytes, and photos without what a camera writes beside the picture.
//!
//! A photo tells in its metadata where and with whose phone it was taken, and may hold a small copy of what was cut away. None of that is kept: of JPEG, PNG and WebP only what is needed to draw the picture,
//! and how to turn it. Pure. What is not whole is refused, never guessed. Sources: JPEG: ITU-T T.81 annex B; Exif: CIPA DC-008 4.5; PNG: W3C PNG third edition, chapters 5 and 11; WebP: RFC 9649.

/// What may be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
    /// Browsers record Opus in one of these.
    WebmAudio,
    OggAudio,
    Mp4Audio,
}

/// Why a file is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is neither a photo (JPEG, PNG, WebP) nor a voice note (WebM, Ogg, MP4)")]
    Unknown,
    #[error("the picture is cut off or damaged; take it again")]
    Damaged,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Jpeg, Self::Png, Self::Webp, Self::WebmAudio, Self::OggAudio, Self::Mp4Audio];

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::WebmAudio => "audio/webm",
            Self::OggAudio => "audio/ogg",
            Self::Mp4Audio => "audio/mp4",
        }
    }

    pub const fn is_photo(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Webp)
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Webp,
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Self::WebmAudio,
            [b'O', b'g', b'g', b'S', ..] => Self::OggAudio,
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Self::Mp4Audio,
            _ => return None,
        })
    }
}

/// What the file is, and as much of it as is kept.
pub fn take(bytes: &[u8]) -> Result<(Kind, Vec<u8>), Unusable> {
    let kind = Kind::of(bytes).ok_or(Unusable::Unknown)?;
    let kept = match kind {
        Kind::Jpeg => jpeg(bytes),
        Kind::Png => png(bytes),
        Kind::Webp => webp(bytes),
        Kind::WebmAudio | Kind::OggAudio | Kind::Mp4Audio => Some(bytes.to_vec()),
    };
    Ok((kind, kept.ok_or(Unusable::Damaged)?))
}

/// Width and height as the picture is seen, in pixels. `None`: it is no picture, or does not say.
pub fn size(kind: Kind, bytes: &[u8]) -> Option<(u32, u32)> {
    let big = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let low = |at: usize, count: usize| -> Option<u32> {
        let bytes = bytes.get(at..at + count)?;
        Some(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
    };
    let (width, height) = match kind {
        Kind::Png => (big(16)?, big(20)?),
        Kind::Jpeg => jpeg_size(bytes)?,
        Kind::Webp => match bytes.get(12..16)? {
            // Sections 2.5 to 2.7 of the RFC: 14 bits each, 14 bits each less one, 24 bits each less one.
            b"VP8 " => (low(26, 2)? & 0x3fff, low(28, 2)? & 0x3fff),
            b"VP8L" => ((low(21, 4)? & 0x3fff) + 1, (low(21, 4)? >> 14 & 0x3fff) + 1),
            b"VP8X" => (low(24, 3)? + 1, low(27, 3)? + 1),
            _ => return None,
        },
        Kind::WebmAudio | Kind::OggAudio | Kind::Mp4Audio => return None,
    };
    (0 < width && 0 < height).then_some((width, height))
}

/// From the frame header; turned on its side where the Exif says so.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    const EXIF: u8 = 0xe1;
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (mut at, mut on_its_side) = (2, false);
    loop {
        let marker = *bytes.get(at + 1)?;
        let length = usize::from(word(at + 2)?);
        match marker {
            EXIF => {
                on_its_side |= orientation(bytes.get(at + 4..at + 2 + length)?).is_some_and(|turn| 5 <= turn)
            }
            // Frame headers; between them lie the tables of Huffman and arithmetic codes and a reserved marker.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let (height, width) = (word(at + 5)?.into(), word(at + 7)?.into());
                return Some(if on_its_side { (height, width) } else { (width, height) });
            }
            _ => (),
        }
        at += 2 + length;
    }
}

/// Segment by segment; what follows the end of the picture, where phones put further pictures and films, is left out.
fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    const END: u8 = 0xd9;
    const START_OF_SCAN: u8 = 0xda;
    const JFIF: u8 = 0xe0;
    const EXIF: u8 = 0xe1;
    const COLOUR_PROFILE: u8 = 0xe2;
    const ADOBE: u8 = 0xee;
    const APPLICATIONS: std::ops::RangeInclusive<u8> = 0xe0..=0xef;
    const COMMENT: u8 = 0xfe;
    let mut kept = vec![0xff, 0xd8];
    let mut at = 2;
    loop {
        let marker = match bytes.get(at..at + 2)? {
            [0xff, 0xff] => {
                at += 1; // Fill bytes may stand before a marker.
                continue;
            }
            [0xff, END] => {
                kept.extend_from_slice(&[0xff, END]);
                return Some(kept);
            }
            [0xff, marker] => *marker,
            _ => return None,
        };
        let length = usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?));
        let segment = bytes.get(at..at + 2 + length).filter(|_| 2 <= length)?;
        at += segment.len();
        match marker {
            START_OF_SCAN => {
                let scan = scan(&bytes[at..])?;
                kept.extend_from_slice(segment);
                kept.extend_from_slice(scan);
                at += scan.len();
            }
            EXIF => kept.extend(orientation(&segment[4..]).map(turned).unwrap_or_default()),
            JFIF | COLOUR_PROFILE | ADOBE => kept.extend_from_slice(segment),
            COMMENT => (),
            _ if APPLICATIONS.contains(&marker) => (),
            _ => kept.extend_from_slice(segment),
        }
    }
}

/// The coded picture up to the next marker; a restart, or 0xff followed by 0, is part of it.
fn scan(bytes: &[u8]) -> Option<&[u8]> {
    let marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(marker).map(|end| &bytes[..end])
}

/// How to turn the picture, from the payload of an Exif segment: tag 0x0112 of the first directory, 2 to 8; 1 is upright and needs no word.
fn orientation(exif: &[u8]) -> Option<u16> {
    const TAG: u16 = 0x0112;
    let tiff = exif.strip_prefix(b"Exif\0\0")?;
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let pair = tiff.get(at..at + 2)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let long = |at: usize| -> Option<u32> {
        let four = tiff.get(at..at + 4)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = (0..usize::from(short(directory)?)).map(|entry| directory + 2 + 12 * entry);
    let mut found = entries.filter(|&entry| short(entry) == Some(TAG)).filter_map(|entry| short(entry + 8));
    found.next().filter(|turn| (2..=8).contains(turn))
}

/// An Exif segment that says how to turn the picture and nothing else.
fn turned(turn: u16) -> Vec<u8> {
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend_from_slice(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01");
    segment.extend_from_slice(&turn.to_be_bytes());
    segment.extend_from_slice(&[0; 6]);
    segment
}

/// Chunks that say more than the picture go: texts, Exif, the time. What a browser needs to draw it stays.
fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: usize = 8;
    const TALK: [&[u8; 4]; 5] = [b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"];
    let mut kept = bytes[..SIGNATURE].to_vec();
    let mut at = SIGNATURE;
    loop {
        let length = usize::try_from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()?;
        let chunk = bytes.get(at..at.checked_add(length)?.checked_add(12)?)?;
        let name: &[u8; 4] = chunk[4..8].try_into().ok()?;
        if !TALK.contains(&name) {
            kept.extend_from_slice(chunk);
        }
        if name == b"IEND" {
            return Some(kept);
        }
        at += chunk.len();
    }
}

/// RIFF chunks, those of Exif and XMP left out, and the head told so.
fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    const EXIF_AND_XMP: u8 = 0b0000_1100;
    let long = |at: usize| -> Option<usize> {
        usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
    };
    let end = long(4)?.checked_add(8).filter(|end| HEAD <= *end && *end <= bytes.len())?;
    let mut kept = bytes[..HEAD].to_vec();
    let mut at = HEAD;
    while at < end {
        let length = long(at + 4)?;
        let padded = length.checked_add(length & 1)?.checked_add(8)?;
        let chunk = bytes.get(at..at.checked_add(padded)?).filter(|_| at + padded <= end)?;
        match &chunk[..4] {
            b"EXIF" | b"XMP " => (),
            b"VP8X" => {
                let begun = kept.len();
                kept.extend_from_slice(chunk);
                *kept.get_mut(begun + 8)? &= !EXIF_AND_XMP;
            }
            _ => kept.extend_from_slice(chunk),
        }
        at += padded;
    }
    let size = u32::try_from(kept.len() - 8).ok()?;
    kept[4..8].copy_from_slice(&size.to_le_bytes());
    Some(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker][..], &length, payload].concat()
    }

    /// A camera's Exif: taken in Nanjing, to be turned as said.
    fn exif(turn: u16) -> Vec<u8> {
        let mut tiff = b"Exif\0\0II\x2a\0\x08\0\0\0\x02\0".to_vec();
        tiff.extend_from_slice(&[0x12, 0x01, 3, 0, 1, 0, 0, 0]);
        tiff.extend_from_slice(&u32::from(turn).to_le_bytes());
        tiff.extend_from_slice(&[0x25, 0x88, 4, 0, 1, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0]);
        tiff.extend_from_slice(b"N 32.0603 E 118.7969");
        segment(0xe1, &tiff)
    }

    fn photo(turn: u16) -> Vec<u8> {
        [
            &[0xff, 0xd8][..],
            &segment(0xe0, b"JFIF\0"),
            &exif(turn),
            &segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0somebody"),
            &segment(0xe2, b"ICC_PROFILE\0"),
            &segment(0xed, b"Photoshop somebody"),
            &segment(0xfe, b"somebody's comment"),
            &segment(0xdb, &[7; 65]),
            &segment(0xda, &[1, 2, 3]),
            b"the picture\xff\x00\xff\xd9",
            b"and a film of somebody",
        ]
        .concat()
    }

    fn has(bytes: &[u8], text: &[u8]) -> bool {
        bytes.windows(text.len()).any(|window| window == text)
    }

    #[test]
    fn a_jpeg_loses_where_and_by_whom_it_was_taken_and_keeps_how_to_turn_it() {
        let (kind, kept) = take(&photo(6)).unwrap();
        assert_eq!((kind, kind.media_type()), (Kind::Jpeg, "image/jpeg"));
        for gone in [&b"32.0603"[..], b"somebody", b"Photoshop"] {
            assert!(!has(&kept, gone), "{}", String::from_utf8_lossy(gone));
        }
        for stays in [&b"JFIF"[..], b"ICC_PROFILE", b"the picture\xff\x00\xff\xd9"] {
            assert!(has(&kept, stays), "{}", String::from_utf8_lossy(stays));
        }
        let at = kept.windows(4).position(|window| window == b"Exif").unwrap();
        assert_eq!(orientation(&kept[at..]), Some(6), "a browser finds it as we do");
        assert_eq!(usize::from(u16::from_be_bytes([kept[at - 2], kept[at - 1]])), 34);
        assert_eq!(take(&kept), Ok((Kind::Jpeg, kept.clone())), "cleaning twice changes nothing");
        assert!(!has(&take(&photo(1)).unwrap().1, b"Exif"), "upright needs no word");
    }

    fn chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as u32).to_be_bytes()[..], name, payload, &[0; 4]].concat()
    }

    #[test]
    fn a_png_keeps_its_picture_and_loses_its_words() {
        let parts = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &[0; 13]),
            chunk(b"tEXt", b"Author\0somebody"),
            chunk(b"eXIf", b"MM somebody"),
            chunk(b"IDAT", b"the picture"),
            chunk(b"IEND", b""),
            b"somebody".to_vec(),
        ];
        let (kind, kept) = take(&parts.concat()).unwrap();
        assert_eq!(kind, Kind::Png);
        assert!(has(&kept, b"the picture") && has(&kept, b"IHDR") && !has(&kept, b"somebody"));
        assert_eq!(take(&kept), Ok((Kind::Png, kept.clone())));
    }

    #[test]
    fn a_webp_keeps_its_picture_and_says_that_there_is_no_more() {
        let part = |name: &[u8; 4], payload: &[u8]| {
            let odd = vec![0; payload.len() & 1];
            [&name[..], &(payload.len() as u32).to_le_bytes(), payload, &odd].concat()
        };
        let inside = [
            part(b"VP8X", &[0b0001_1100, 0, 0, 0, 1, 0, 0, 1, 0, 0]),
            part(b"VP8 ", b"the picture"),
            part(b"EXIF", b"somebody"),
            part(b"XMP ", b"somebody too."),
        ]
        .concat();
        let whole = [b"RIFF", &(inside.len() as u32 + 4).to_le_bytes()[..], b"WEBP", &inside].concat();
        let (kind, kept) = take(&whole).unwrap();
        assert_eq!(kind, Kind::Webp);
        assert!(has(&kept, b"the picture") && !has(&kept, b"somebody"));
        assert_eq!(kept[20], 0b0001_0000, "the flags of Exif and XMP are gone");
        assert_eq!(u32::from_le_bytes(kept[4..8].try_into().unwrap()) as usize, kept.len() - 8);
        assert_eq!(take(&kept), Ok((Kind::Webp, kept.clone())));
    }

    #[test]
    fn a_picture_says_how_large_it_is() {
        let frame = |turn: u16| {
            let head = [&[0xff, 0xd8][..], &exif(turn), &segment(0xdb, &[7; 65])].concat();
            [&head[..], &segment(0xc4, &[0; 9]), &segment(0xc2, &[8, 0x02, 0x58, 0x03, 0x20, 3])].concat()
        };
        assert_eq!(size(Kind::Jpeg, &frame(1)), Some((800, 600)));
        assert_eq!(size(Kind::Jpeg, &frame(6)), Some((600, 800)), "it is shown upright");
        assert_eq!(size(Kind::Jpeg, &photo(1)), None, "no frame before the scan");
        let head = [&800u32.to_be_bytes()[..], &600u32.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        let png = [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &head)].concat();
        assert_eq!(size(Kind::Png, &png), Some((800, 600)));
        let webp = |name: &[u8; 4], payload: &[u8]| {
            [b"RIFF\0\0\0\0WEBP", &name[..], &(payload.len() as u32).to_le_bytes(), payload].concat()
        };
        // 800 is 0x320, 600 is 0x258.
        let lossy = [0, 0, 0, 0x9d, 0x01, 0x2a, 0x20, 0x03, 0x58, 0x02];
        assert_eq!(size(Kind::Webp, &webp(b"VP8 ", &lossy)), Some((800, 600)));
        let packed = (799u32 | 599 << 14).to_le_bytes();
        let lossless = [&[0x2f][..], &packed].concat();
        assert_eq!(size(Kind::Webp, &webp(b"VP8L", &lossless)), Some((800, 600)));
        let extended = [0, 0, 0, 0, 0x1f, 0x03, 0, 0x57, 0x02, 0];
        assert_eq!(size(Kind::Webp, &webp(b"VP8X", &extended)), Some((800, 600)));
        assert_eq!(size(Kind::Png, b"\x89PNG\r\n\x1a\n"), None);
        assert_eq!(size(Kind::OggAudio, b"OggS"), None);
    }

    #[test]
    fn what_it_is_is_told_by_the_first_bytes() {
        for (bytes, kind) in [
            (&b"\x1a\x45\xdf\xa3 opus"[..], Kind::WebmAudio),
            (b"OggS opus", Kind::OggAudio),
            (b"\0\0\0\x20ftypM4A ", Kind::Mp4Audio),
        ] {
            assert_eq!(take(bytes), Ok((kind, bytes.to_vec())));
            assert!(!kind.is_photo() && kind.media_type().starts_with("audio/"));
        }
        for bytes in [&b""[..], b"GIF89a", b"<svg onload=alert(1)>", b"%PDF-1.7", b"MZ"] {
            assert_eq!(take(bytes), Err(Unusable::Unknown));
        }
        for cut in [10, 40, 100] {
            assert_eq!(take(&photo(6)[..cut]), Err(Unusable::Damaged), "{cut}");
        }
    }

    proptest! {
        /// Whatever comes: no panic, nothing grows, and what was taken is taken again unchanged.
        #[test]
        fn no_bytes_are_too_strange(head in 0..6usize, tail in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
            let heads = [&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", b"\xff\xd8\xff\xe1", b"", b"OggS"];
            let mut bytes = [heads[head], &tail].concat();
            let real = photo(8);
            if head == 4 {
                bytes = real;
                let at = cut.index(bytes.len());
                bytes[at] ^= 0x55;
            }
            if let Ok((kind, kept)) = take(&bytes) {
                prop_assert!(kept.len() <= 2 * bytes.len());
                let _ = size(kind, &kept);
                prop_assert_eq!(take(&kept), Ok((kind, kept.clone())));
            }
        }
    }
}
