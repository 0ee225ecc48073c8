//! The reasons to doubt a node's clock, and the lines that explain them to a person.
//!
//! A doubt stops what time drives, so each line names the clock's error and the way out.

use std::fmt;

/// The way out of any doubt that a person can end.
const CURE: &str = "until then time stands still: nothing starts, ends, expires or is sent. \
                    Correct the clock (NTP), or, if it is correct, run: notty cluster set-time";

/// The reason for which a node does not believe its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The wall clock was set: by so many milliseconds, against the time since the machine started.
    Jumped(i64),
    /// It is so many milliseconds ahead of the cluster's time, and nothing shows that the machine was
    /// off for so long.
    Ahead(i64),
    /// It is so many milliseconds behind the cluster's time.
    Behind(i64),
    /// This node leads, and most voters have another time.
    Differs,
}

impl ClockDoubt {
    /// True if it would end if another source agreed with the clock.
    pub(crate) fn is_about_the_clock(self) -> bool {
        matches!(self, Self::Jumped(_) | Self::Ahead(_))
    }
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the clock is in doubt: ")?;

        match self {
            Self::Jumped(ms) => {
                let way = if *ms < 0 { "back" } else { "forward" };
                write!(f, "it was set {way} by {}; {CURE}", Span(*ms))
            }
            Self::Ahead(ms) => write!(
                f,
                "it is {} ahead of the cluster's time, and nothing says whether this machine was off \
                 for so long; {CURE}",
                Span(*ms)
            ),
            Self::Behind(ms) => write!(
                f,
                "it is {} behind the cluster's time; {CURE}, which sets the cluster's time back",
                Span(*ms)
            ),
            // No setting of the time helps here: the voters must come to agree.
            Self::Differs => write!(
                f,
                "it is more than 2 s from most voters', and this node leads: nothing starts, ends, \
                 expires or is sent until they agree, or another node leads; correct the clock (NTP)"
            ),
        }
    }
}

/// Milliseconds, rounded to the unit that a person would use.
pub(super) struct Span(pub(super) i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.unsigned_abs().div_ceil(1_000);
        let rounded = |unit: u64| (seconds + unit / 2) / unit;
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", rounded(60)),
            7_200..172_800 => write!(f, "{} hours", rounded(3_600)),
            _ => write!(f, "{} days", rounded(86_400)),
        }
    }
}
