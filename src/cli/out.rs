//! What goes to the terminal. A reader that has gone away is no error.

use std::io::Write;

/// A line on stdout.
pub(super) fn line(text: &str) {
    // The reader may have closed the pipe (`| head`): then nobody is there to be told.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line on stderr.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error with its causes, as one line on stderr.
pub(super) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string()) {
        // Some errors name their cause themselves.
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    note(&format!("notty: {text}"));
}

/// A number with its thousands set apart.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
