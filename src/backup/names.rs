//! The names of a node's own backups: who made them, and when, in UTC.
//!
//! Nodes may share a directory, so that each one only counts and removes files with its own name in
//! them. A file of any other name is somebody else's.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{civil::DateTime, tz::TimeZone};
use notty_storage::Timestamp;

/// The form of the time in a name, which sorts as the time does.
const TIME: &str = "%Y%m%dT%H%M%SZ";
/// The ending of a file that is still being written.
const ASIDE: &str = ".new";

/// The backups of one node in one directory.
#[derive(Clone, Debug)]
pub(super) struct OwnBackups {
    pub(super) dir: PathBuf,
    /// The beginning of all their names.
    prefix: String,
}

/// A backup that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnBackup {
    pub(super) at: Timestamp,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl OwnBackups {
    /// Those of a node by its name.
    pub(super) fn of(node: &str, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            prefix: format!("notty-{node}-"),
        }
    }

    /// The path of the backup of a time.
    pub(super) fn path(&self, at: Timestamp) -> PathBuf {
        self.dir.join(format!("{}{}", self.prefix, time_text(at)))
    }

    /// The path of the same while it is written.
    pub(super) fn aside(&self, at: Timestamp) -> PathBuf {
        let name = format!(".{}{}{ASIDE}", self.prefix, time_text(at));
        self.dir.join(name)
    }

    /// All that are there, the oldest first. None if there is no such directory.
    pub(super) fn list(&self) -> io::Result<Vec<OwnBackup>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };

        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let at = name.to_str().and_then(|name| self.time_of(name));
            if let Some(at) = at {
                let path = entry.path();
                let bytes = entry.metadata()?.len();
                found.push(OwnBackup { at, path, bytes });
            }
        }
        found.sort_by_key(|backup| backup.at);
        Ok(found)
    }

    /// Removes what backups that did not end have left.
    pub(super) fn clear_asides(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let written = name
                .strip_prefix('.')
                .and_then(|name| name.strip_suffix(ASIDE));
            if written.is_some_and(|name| self.time_of(name).is_some()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The time in a name, if it is that of a backup of this node.
    fn time_of(&self, name: &str) -> Option<Timestamp> {
        let text = name.strip_prefix(&self.prefix)?;
        let time = DateTime::strptime(TIME, text).ok()?;
        let at = TimeZone::UTC.to_timestamp(time).ok()?;
        let at = Timestamp::from_millis(at.as_millisecond());
        // What reads the same is not always written the same.
        (time_text(at) == text).then_some(at)
    }
}

fn time_text(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.strftime(TIME).to_string()
}

/// The newest of some backups that is not of the future, where a clock that was wrong may have put one.
pub(super) fn newest(backups: &[OwnBackup], now: Timestamp) -> Option<&OwnBackup> {
    backups.iter().rev().find(|backup| backup.at <= now)
}

/// Backups that may go once a new one is there: the oldest beyond those that are kept, never the new one.
pub(super) fn surplus(backups: &[OwnBackup], new: Timestamp, keep: usize) -> Vec<&OwnBackup> {
    let count = backups.len().saturating_sub(keep);
    let older = backups.iter().filter(|backup| backup.at != new);
    older.take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_772_442_000_000 + seconds * 1_000)
    }

    fn backup(seconds: i64) -> OwnBackup {
        OwnBackup {
            at: at(seconds),
            path: PathBuf::new(),
            bytes: 1,
        }
    }

    #[test]
    fn a_node_knows_its_own_backups_among_other_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = OwnBackups::of("a", dir.path());
        assert!(own.path(at(0)).ends_with("notty-a-20260302T090000Z"));
        for name in [
            "notty-a-20260302T090000Z",
            "notty-a-20260301T090000Z",
            "notty-a-b-20260302T090000Z",
            "notty-a-20260302T090000Z.old",
            "notty-a-2026302T090000Z",
            "notty-a-",
            "other",
            ".notty-a-20260302T090000Z.new",
            ".notty-b-20260302T090000Z.new",
        ] {
            fs::write(dir.path().join(name), b"x").expect("written");
        }
        let found = own.list().expect("lists");
        let times: Vec<_> = found.iter().map(|backup| backup.at).collect();
        assert_eq!(times, [at(-86_400), at(0)]);

        own.clear_asides().expect("cleared");
        let left = fs::read_dir(dir.path()).expect("lists").count();
        assert_eq!(left, 8, "only its own unfinished file goes");
        let nowhere = OwnBackups::of("a", &dir.path().join("nowhere"));
        assert_eq!(nowhere.list().expect("none"), []);
    }

    #[test]
    fn the_oldest_go_and_never_the_new_one() {
        let backups = [backup(1), backup(2), backup(3), backup(4)];
        let gone = |new, keep| -> Vec<_> {
            let surplus = surplus(&backups, at(new), keep);
            surplus.iter().map(|backup| backup.at).collect()
        };
        assert_eq!(gone(4, 2), [at(1), at(2)]);
        assert_eq!(gone(4, 7), []);
        // The clock was ahead before: the names of older ones are later than that of the new one.
        assert_eq!(gone(1, 1), [at(2), at(3), at(4)]);
        assert_eq!(newest(&backups, at(2)), Some(&backups[1]));
        assert_eq!(newest(&backups, at(0)), None);
    }
}
