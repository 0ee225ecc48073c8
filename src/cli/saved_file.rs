//! A file that is written aside and gets its name only when it is whole: `-o FILE`.
//!
//! Until then a file of that name stays as it is. Whatever ends the command removes the part that was
//! written, so that nobody takes it for the whole.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::signals;

/// A file that is being written.
pub(super) struct SavedFile {
    file: PathBuf,
    aside: PathBuf,
    output: File,
    is_whole: bool,
}

impl SavedFile {
    /// Creates the temporary file beside the one that is wanted.
    pub(super) fn create(file: &Path) -> anyhow::Result<Self> {
        let aside = aside(file);
        let output = signals::create_leftover(&aside);
        let output = output.with_context(|| format!("{}: cannot be written", file.display()))?;
        Ok(Self {
            file: file.to_owned(),
            aside,
            output,
            is_whole: false,
        })
    }

    /// Gives the file its name, once it is on the disk.
    pub(super) fn keep(mut self) -> io::Result<()> {
        self.output.sync_all()?;
        fs::rename(&self.aside, &self.file)?;
        self.is_whole = true;
        File::open(directory_of(&self.file))?.sync_all()
    }
}

impl Write for SavedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Drop for SavedFile {
    fn drop(&mut self) {
        if !self.is_whole {
            // It may be gone already.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

/// The temporary file for another, in the same directory, so that the rename is atomic.
pub(super) fn aside(file: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".new");
    file.with_file_name(name)
}

/// The directory that a file's name is in.
pub(super) fn directory_of(file: &Path) -> &Path {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    dir.unwrap_or(Path::new("."))
}
