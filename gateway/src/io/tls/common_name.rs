//! The common name (CN) in the subject of a certificate.
//!
//! Walks just far enough into the DER (X.509, RFC 5280 §4.1) to find it. The signature was checked by rustls before; this still never panics,
//! and says `None` rather than guess when anything is unusual, above all when there are two common names.

/// Object identifier 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xA0;
/// UTF8String, PrintableString, IA5String: all of them are UTF-8.
const TEXTS: [u8; 3] = [0x0C, 0x13, 0x16];

/// `None` when there is not exactly one, or it is empty or no plain text.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let mut names = subject(certificate)?.map(|(kind, text)| match TEXTS.contains(&kind) {
        true => std::str::from_utf8(text).ok().filter(|name| !name.is_empty() && !name.contains('\0')),
        false => None,
    });
    match (names.next(), names.next()) {
        (Some(Some(name)), None) => Some(name.to_owned()),
        (Some(_) | None, _) => None,
    }
}

/// The tags and contents of all common names in the subject.
fn subject(certificate: &[u8]) -> Option<impl Iterator<Item = (u8, &[u8])>> {
    let mut outer = Der(certificate);
    let mut signed = Der(Der(outer.content_of(SEQUENCE)?).content_of(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.next()?;
    }
    for _serial_algorithm_issuer_validity in 0..4 {
        signed.next()?;
    }
    let sets = Der(signed.content_of(SEQUENCE)?);
    let attributes = sets.filter(|(tag, _)| *tag == SET).flat_map(|(_, set)| Der(set));
    Some(attributes.filter_map(|(_, attribute)| {
        let mut attribute = Der(attribute);
        let is_name = attribute.content_of(OBJECT_IDENTIFIER)? == COMMON_NAME;
        is_name.then(|| attribute.next())?
    }))
}

/// What is left of a row of DER values; yields tag and content, and ends at the first that is not well formed.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn content_of(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            0x80 | 0x84.. => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut out = vec![tag];
        if length < 0x80 {
            out.push(length as u8);
        } else {
            out.extend([0x82, (length >> 8) as u8, length as u8]);
        }
        out.extend(content);
        out
    }

    fn attribute(identifier: &[u8], tag: u8, text: &[u8]) -> Vec<u8> {
        der(SET, &der(SEQUENCE, &[der(OBJECT_IDENTIFIER, identifier), der(tag, text)].concat()))
    }

    fn certificate(version: bool, subject: &[Vec<u8>]) -> Vec<u8> {
        let mut signed = if version { der(VERSION, &der(0x02, &[2])) } else { Vec::new() };
        let issuer = der(SEQUENCE, &attribute(&COMMON_NAME, 0x0C, b"the issuer"));
        for part in [der(0x02, &[1]), der(SEQUENCE, &[]), issuer, der(SEQUENCE, &[0; 200][..0])] {
            signed.extend(part);
        }
        signed.extend(der(SEQUENCE, &subject.concat()));
        der(SEQUENCE, &[der(SEQUENCE, &signed), vec![0; 300]].concat())
    }

    #[test]
    fn finds_the_one_common_name_of_the_subject() {
        let organisation = attribute(&[0x55, 0x04, 0x0A], 0x0C, b"Street office");
        let name = |text: &[u8]| attribute(&COMMON_NAME, 0x0C, text);
        let long = "长".repeat(60);
        for (subject, expected) in [
            (vec![organisation.clone(), name(b"meter-7")], Some("meter-7")),
            (vec![attribute(&COMMON_NAME, 0x13, b"printable")], Some("printable")),
            (vec![name(long.as_bytes())], Some(long.as_str())),
            (vec![organisation], None),
            (vec![name(b"one"), name(b"two")], None),
            (vec![name(b"")], None),
            (vec![name(b"a\0b")], None),
            (vec![name(&[0xFF])], None),
            (vec![attribute(&COMMON_NAME, 0x1E, b"\0w\0i\0d\0e")], None),
        ] {
            for version in [true, false] {
                assert_eq!(common_name(&certificate(version, &subject)).as_deref(), expected);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, place: proptest::sample::Index, byte: u8) {
            let _ = common_name(&bytes);
            let mut good = certificate(true, &[attribute(&COMMON_NAME, 0x0C, b"meter-7")]);
            let place = place.index(good.len());
            good[place] = byte;
            let _ = common_name(&good);
            let _ = common_name(&good[..place]);
        }
    }
}
