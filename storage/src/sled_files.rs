//! A check of sled's metadata, which says where in the other files everything lies.
//!
//! sled reads its logs of metadata as far as they check out, and takes what follows for never
//! written. Then it finds, without a word, an older state some of whose places hold newer data. So
//! whatever is not whole here is damage, the last frame of a log too, which a power loss may have
//! torn: the state is rebuilt in either case.
//!
//! A frame: 6 bytes of length and 2 of its checksum, so many bytes, 4 bytes of the checksum of all
//! of that.

use std::{fs, io, path::Path};

/// Bytes before what a frame holds.
const HEAD: usize = 8;
/// Bytes after it.
const TAIL: usize = 4;
/// What checksums of frames are mixed with, so that nothing but zeros has a wrong one.
const MIX: u32 = 0xAF;

/// Checks all files of metadata below a directory of sled's, if there is one.
pub(crate) fn check(dir: &Path) -> io::Result<()> {
    let dir = dir.join("metadata");
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        // Those that were being written are left out by sled, too.
        let counts = name.starts_with("log_") || name.starts_with("snapshot_");
        if !counts || name.ends_with(".tmp") {
            continue;
        }
        let bytes = fs::read(dir.join(&*name))?;
        if let Some(at) = first_damage(&bytes) {
            let what = format!("metadata/{name} does not check out at byte {at}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
    }
    Ok(())
}

/// Where the first frame begins that is not as it was written.
fn first_damage(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match frame_bytes(&bytes[at..]) {
            Some(length) => at += length,
            None => return Some(at),
        }
    }
    None
}

/// The length of the frame that comes first, if it checks out.
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let head: [u8; HEAD] = *bytes.first_chunk()?;
    let [a, b, c, d, e, f, sum @ ..] = head;
    if (crc32fast::hash(&head[..6]) as u16).to_le_bytes() != sum {
        return None;
    }
    let held = usize::try_from(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])).ok()?;
    let end = held.checked_add(HEAD)?;
    let whole = bytes.get(..end)?;
    let sum: [u8; TAIL] = *bytes.get(end..)?.first_chunk()?;
    let checks_out = (crc32fast::hash(whole) ^ MIX).to_le_bytes() == sum;
    checks_out.then_some(end + TAIL)
}
