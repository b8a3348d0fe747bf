//! What a transmission device of GB/T 26875.3 sends: packets in any number of pieces, and what stands in them.

use gateway::decode::Message;
use gateway::decode::gbt26875::{Dialect, decode};
use gateway::model::DeviceIx;
use gateway::wire::gbt26875::{Content, Frame, Piece, Stream};

use super::{MOMENT, context};

/// First byte: how many bytes come at once, 0 for all. Then the stream.
pub fn gbt26875(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    let step = if piece == 0 { stream.len().max(1) } else { usize::from(piece) };
    let mut reader = Stream::default();
    let (mut taken, mut frames) = (0, Vec::new());
    for some in stream.chunks(step) {
        reader.push(some);
        while let Some(piece) = reader.piece() {
            taken += match piece {
                Piece::Frame(frame, bytes) => {
                    assert_eq!(frame.encode(), bytes, "a frame is written as it was read");
                    frames.push(frame);
                    bytes.len()
                }
                Piece::Faulty { bytes, .. } | Piece::Noise(bytes) => bytes.len(),
            };
        }
    }
    assert!(taken <= stream.len() && stream.len() - taken < 1054, "little is kept");
    frames.iter().for_each(check);
}

fn check(frame: &Frame) {
    let read = Content::read(&frame.unit);
    if let (Some(content), None) = (&read.content, &read.fault) {
        assert_eq!(Content::read(&content.encode()).content.as_ref(), Some(content));
    }
    let message =
        Message { topic: "gbt26875:889", payload: b"", retained: false, dup: false, received: MOMENT.wall };
    decode(frame, Some(DeviceIx(0)), &Dialect::default(), &message, &context());
}
