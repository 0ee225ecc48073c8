//! Explicit language.

/// What was found.
pub struct Finding {
    /// The word as it stands in the text.
    pub word: String,
}

/// The check.
pub struct Moderation;

impl Moderation {
    /// With more roots.
    pub fn new(_extra_roots: &[String]) -> Self {
        Self
    }

    /// The first explicit word.
    pub fn find(&self, _text: &str) -> Option<Finding> {
        None
    }
}
