//! Small values in files of their own, each under a checksum and replaced as a whole.
//!
//! Votes, marks, identities and headers are kept this way: a crash leaves the old value or the new
//! one, and a value that does not check out is damage, never a guess. The meaning of a value belongs
//! to the rooms that keep it.

use std::path::Path;

use notty_storage::codec;
use serde::{Serialize, de::DeserializeOwned};

use super::files::{Files, replace};
use crate::error::Error;

/// Bytes before the value: its length and its checksum.
const HEAD_BYTES: usize = 8;

/// A value as bytes: `length, crc` and the encoded value.
pub(crate) fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    let payload = codec::encode(value);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_be_bytes());
    bytes.extend_from_slice(&payload);
    bytes
}

/// The sealed value at the start of some bytes, if it checks out; bytes after it are ignored.
pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let end = sealed_bytes(bytes)?;
    let crc = u32::from_be_bytes(bytes.get(4..HEAD_BYTES)?.try_into().ok()?);
    let payload = bytes.get(HEAD_BYTES..end)?;

    if crc32fast::hash(payload) == crc {
        codec::decode_known(payload).ok()
    } else {
        None
    }
}

/// Length of the sealed value at the start of some bytes, by its head.
pub(crate) fn sealed_bytes(bytes: &[u8]) -> Option<usize> {
    let len = bytes.first_chunk()?;
    Some(HEAD_BYTES + u32::from_be_bytes(*len) as usize)
}

/// Seals a value into a file; it survives a crash once this returns.
pub(crate) fn save<T: Serialize>(files: &dyn Files, path: &Path, value: &T) -> Result<(), Error> {
    replace(files, path, &seal(value)).map_err(Error::file(path))
}

/// Reads the value of a sealed file: `None` if there is no such file, damage if it does not check
/// out.
pub(crate) fn load<T: DeserializeOwned>(
    files: &dyn Files,
    path: &Path,
) -> Result<Option<T>, Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();

    // Opening would create it.
    let names = files.list(dir).map_err(Error::file(dir))?;
    if !names.iter().any(|other| *other == name) {
        return Ok(None);
    }

    let file = files.open(path).map_err(Error::file(path))?;
    let bytes = file.read_all().map_err(Error::file(path))?;
    // The file is replaced as a whole, so that bytes behind the value are damage too.
    match unseal(&bytes) {
        Some(value) if sealed_bytes(&bytes) == Some(bytes.len()) => Ok(Some(value)),
        _ => Err(Error::damage(path, 0, "its checksum does not match")),
    }
}
