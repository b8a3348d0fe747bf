//! A JPEG of nothing, whole by its marks, with as much in it as a test wants.

/// `exif`: what its camera wrote into it, such as where it was taken; `light`: bytes of the picture itself.
pub fn jpeg(exif: &str, light: usize) -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 2).expect("a segment is short");
        [&[0xff, marker][..], &length.to_be_bytes(), payload].concat()
    };
    let exif = segment(0xe1, format!("Exif\0\0II\x2a\0 {exif}").as_bytes());
    let (tables, scan) = (segment(0xdb, &[1; 65]), segment(0xda, &[1, 2, 3]));
    [&[0xff, 0xd8][..], &exif, &tables, &scan, &vec![7; light], b"\xff\xd9"].concat()
}
