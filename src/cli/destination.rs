//! The place that a command writes its output to: stdout, or the file of `-o`.

use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Write},
    path::Path,
};

use anyhow::Context;

use super::saved_file::SavedFile;

/// An output that is being written.
pub(super) struct Destination {
    /// The name that errors show.
    name: String,
    output: OpenOutput,
}

enum OpenOutput {
    Stdout(BufWriter<io::Stdout>),
    /// A device or a pipe, which cannot be replaced.
    Stream(BufWriter<File>),
    File(BufWriter<SavedFile>),
}

impl Destination {
    /// Opens a file, or stdout if none is named or its name is `-`.
    pub(super) fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file.filter(|file| file.as_os_str() != "-") else {
            let output = OpenOutput::Stdout(BufWriter::new(io::stdout()));
            let name = "stdout".to_owned();
            return Ok(Self { name, output });
        };

        let name = file.display().to_string();
        let is_stream = file.exists() && !file.is_file() && !file.is_dir();
        let output = if is_stream {
            let opened = File::options().write(true).open(file);
            let stream = opened.with_context(|| format!("{name}: cannot be written"))?;
            OpenOutput::Stream(BufWriter::new(stream))
        } else {
            anyhow::ensure!(!file.is_dir(), "{name}: a directory, not a file");
            OpenOutput::File(BufWriter::new(SavedFile::create(file)?))
        };
        Ok(Self { name, output })
    }

    /// Writes a text. Returns false if the reader has gone away: then nothing is left to do.
    pub(super) fn write(&mut self, text: &str) -> anyhow::Result<bool> {
        let written = self.writer().write_all(text.as_bytes());
        self.unless_gone(written)
    }

    /// Writes the rest. Without this, a file does not get its name.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let written = self.writer().flush();
        self.unless_gone(written)?;
        let OpenOutput::File(file) = self.output else {
            return Ok(());
        };
        let kept = file.into_inner().map_err(io::Error::from);
        let kept = kept.and_then(SavedFile::keep);
        kept.with_context(|| cannot_be_written(&self.name))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.output {
            OpenOutput::Stdout(stdout) => stdout,
            OpenOutput::Stream(stream) => stream,
            OpenOutput::File(file) => file,
        }
    }

    fn unless_gone(&self, written: io::Result<()>) -> anyhow::Result<bool> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            written => written
                .map(|()| true)
                .with_context(|| cannot_be_written(&self.name)),
        }
    }
}

fn cannot_be_written(name: &str) -> String {
    format!("{name}: cannot be written")
}
