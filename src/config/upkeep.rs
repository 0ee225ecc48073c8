//! The sections of what a node does for its operator: `[backup]` and `[metrics]`.

use std::{path::PathBuf, time::Duration};

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};

use super::{ConfigError, FaultList, values::within};

/// The shortest time between two backups: each takes as much of the disk as the state.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time between two backups.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The most backups that are kept.
const MOST: u64 = 10_000;

/// `[backup]`: backups that a node makes by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupConfig {
    /// Time from one backup to the next.
    pub every: Period,
    /// Directory of the backups, which is made if it is missing.
    pub dir: PathBuf,
    /// Backups of this node that are kept; older ones are removed.
    pub keep: u32,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            every: Period(Duration::from_secs(86_400)),
            dir: PathBuf::new(),
            keep: 7,
        }
    }
}

/// `[metrics]`: access to the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// True if `/metrics` needs no token.
    pub open: bool,
}

/// A duration in words, like `24h`, `1d` or `90m`. Days have 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

impl Period {
    /// The time as the rest of the program has it.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration, like \"24h\", \"7d\" or \"90m\"");
        let span: Span = text.parse().map_err(|_| wrong())?;
        let days_are_24_hours = SpanRelativeTo::days_are_24_hours();
        let time = span.to_duration(days_are_24_hours).map_err(|_| wrong())?;
        Duration::try_from(time).map(Self).map_err(|_| wrong())
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        let seconds = period.0.as_secs();
        match (seconds % 3_600, seconds % 60) {
            (0, _) => format!("{}h", seconds / 3_600),
            (_, 0) => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        }
    }
}

/// Checks the section of backups.
pub(super) fn check_backup(backup: &BackupConfig) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    let every = backup.every.duration();
    if !(SHORTEST..=LONGEST).contains(&every) {
        let text = String::from(backup.every);
        let fault = format!("{text} is not between 1s and 366d");
        faults.add("backup.every", fault);
    }

    if backup.dir.as_os_str().is_empty() {
        let fault = "must name a directory for the backups, on another disk than the data if there is \
                     one, like `/var/backups/notty`";
        faults.add("backup.dir", fault);
    }
    faults.take(within("backup.keep", backup.keep.into(), 1..=MOST));
    faults.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_duration_in_words_and_nothing_else() {
        for (text, seconds) in [
            ("24h", 86_400),
            ("1d", 86_400),
            ("90m", 5_400),
            ("1h 30m", 5_400),
            ("45s", 45),
            ("2 weeks", 1_209_600),
            ("PT24H", 86_400),
        ] {
            let period = Period::try_from(text.to_owned());
            assert_eq!(period, Ok(Period(Duration::from_secs(seconds))), "{text}");
        }
        for wrong in ["", "24", "h", "-1h", "1 month", "1y", "24 x", "∞"] {
            let refused = Period::try_from(wrong.to_owned()).expect_err("it is no duration");
            assert!(refused.contains(&format!("`{wrong}`")), "{refused}");
        }
    }
}
