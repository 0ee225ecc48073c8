//! Line numbers of a file that is read in pieces. LF, CR LF and CR each end one line.

/// Counts the lines of a file.
pub(super) struct LineCount {
    line: u64,
    /// True behind a CR: a LF there belongs to it, and ends no other line.
    is_after_cr: bool,
}

impl LineCount {
    pub(super) fn new() -> Self {
        Self {
            line: 1,
            is_after_cr: false,
        }
    }

    /// The number of the line that the next byte stands on, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Goes on behind some bytes.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            let is_after_cr = match at {
                0 => self.is_after_cr,
                _ => bytes[at - 1] == b'\r',
            };
            self.line += u64::from(bytes[at] == b'\r' || !is_after_cr);
        }
        if let Some(last) = bytes.last() {
            self.is_after_cr = *last == b'\r';
        }
    }
}

/// Bytes at the beginning of a text that end lines.
pub(super) fn leading_line_ends(bytes: &[u8]) -> usize {
    let others = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    others.unwrap_or(bytes.len())
}
