//! The form of a snapshot file: magic, frames (`length`, `crc32`, payload), the last of which is the
//! footer.
//!
//! A file without its footer, or with anything wrong in it, is refused.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{codec, error::Error, records::Meta};

/// Leads every snapshot; the last byte is the version of the framing.
pub(crate) const MAGIC: &[u8; 8] = b"nottysn\x01";
/// Bytes of one frame, at most: what a reader takes into memory at once. More becomes several.
pub(crate) const FRAME_BYTES: usize = 64 * 1024 * 1024;
/// Bytes that a frame spends on each key and value beside their own: their lengths, at most.
const PAIR_BYTES: usize = 20;
/// Bytes that a frame spends on what holds keys and values: format, kind and count, at most.
const HOLD_BYTES: usize = 20;

/// Keys and values.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
/// Keys and their new values; none where it was removed.
pub(crate) type Changed = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// One part of the file.
#[derive(Serialize, Deserialize)]
pub(crate) enum Frame {
    /// Keys and values as they were when this part was copied.
    Copy(Pairs),
    /// What one entry changed meanwhile.
    Change(Changed),
    /// The end: where the state stood when the export ended.
    Footer { meta: Meta, frames: u64 },
}

/// A frame's payload. One that is too long is refused here: its reader would refuse the whole
/// file, perhaps when nothing else is left.
pub(crate) fn encoded(frame: &Frame, most: usize) -> Result<Vec<u8>, &'static str> {
    let payload = codec::encode(frame);
    if payload.len() > most {
        Err("a value is too long for a frame")
    } else {
        Ok(payload)
    }
}

/// Pairs in parts that fit a frame of `most` bytes each; one that is longer alone stays alone.
pub(crate) fn split<T>(pairs: Vec<T>, most: usize, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for pair in pairs {
        let needed = bytes(&pair) + PAIR_BYTES;
        match parts.last_mut() {
            Some(part) if needed <= room => {
                part.push(pair);
                room -= needed;
            }
            _ => {
                parts.push(vec![pair]);
                room = most.saturating_sub(HOLD_BYTES + needed);
            }
        }
    }
    parts
}

/// Reads frames and checks them.
pub(crate) struct Frames {
    file: BufReader<File>,
    path: PathBuf,
    at: u64,
    frames: u64,
}

impl Frames {
    /// A snapshot in a file, from an offset to its end.
    pub(crate) fn open(path: &Path, from: u64) -> Result<Self, Error> {
        let wrap = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::with_capacity(256 * 1024, File::open(path).map_err(wrap)?);
        file.seek(SeekFrom::Start(from)).map_err(wrap)?;
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact(&mut magic);
        let mut frames = Self {
            file,
            path: path.to_owned(),
            at: from,
            frames: 0,
        };
        if read.is_err() || magic != *MAGIC {
            return Err(frames.damage("not a snapshot of this version"));
        }
        frames.at += MAGIC.len() as u64;
        Ok(frames)
    }

    pub(crate) fn damage(&self, what: &'static str) -> Error {
        Error::Snapshot {
            path: self.path.clone(),
            what,
            at: self.at,
        }
    }

    /// Reads the next frame; the footer is the last.
    pub(crate) fn next(&mut self) -> Result<Frame, Error> {
        let mut head = [0; 8];
        self.file
            .read_exact(&mut head)
            .map_err(|_| self.damage("ends without its footer"))?;
        let [a, b, c, d, e, f, g, h] = head;
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if len > FRAME_BYTES {
            return Err(self.damage("frame too long"));
        }
        let mut payload = vec![0; len];
        self.file
            .read_exact(&mut payload)
            .map_err(|_| self.damage("frame is cut"))?;
        if crc32fast::hash(&payload) != u32::from_be_bytes([e, f, g, h]) {
            return Err(self.damage("checksum does not match"));
        }
        let frame = codec::decode(&payload).map_err(|error| {
            if error.is_newer() {
                error
            } else {
                self.damage("frame does not decode")
            }
        })?;
        if let Frame::Footer { frames, .. } = &frame
            && *frames != self.frames
        {
            return Err(self.damage("frames are missing"));
        }
        self.at += (head.len() + len) as u64;
        self.frames += 1;
        Ok(frame)
    }

    /// Checks that nothing follows the footer.
    pub(crate) fn expect_end(&mut self) -> Result<(), Error> {
        match self.file.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(self.damage("bytes follow the footer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Changed {
        let pair = |n: usize| {
            let key = vec![n as u8; n % 7];
            (
                key,
                (!n.is_multiple_of(3)).then(|| vec![n as u8; n * 37 % 400]),
            )
        };
        (0..200).map(pair).collect()
    }

    #[test]
    fn a_change_too_long_for_one_frame_becomes_several_that_fit() {
        let bytes = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let parts = split(pairs(), 1_000, bytes);
        assert!(parts.len() > 30, "{}", parts.len());
        for part in &parts {
            assert!(encoded(&Frame::Change(part.clone()), 1_000).is_ok());
        }
        assert_eq!(parts.concat(), pairs());
    }

    #[test]
    fn a_value_too_long_for_any_frame_is_not_written() {
        let long = || vec![(vec![1], vec![7; 2_000])];
        let parts = split(long(), 1_000, |(_, value)| value.len());
        assert_eq!(parts.len(), 1);
        assert!(encoded(&Frame::Copy(long()), 1_000).is_err());
    }

    #[test]
    fn what_fits_is_one_frame() {
        assert_eq!(split(vec![1, 2, 3], 10_000, |_| 100), [[1, 2, 3]]);
        assert!(split(Vec::<u8>::new(), 10_000, |_| 100).is_empty());
    }
}
