//! A wall clock that a test sets while processes run, by libfaketime; the clock that counts since the
//! machine started goes on as it is.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// A wall clock.
pub struct FakeClock {
    dir: TempDir,
    library: PathBuf,
}

impl FakeClock {
    /// One that is right; none, with a line that says why, where that cannot be done.
    pub fn new() -> Option<Self> {
        let Some(library) = library() else {
            println!("skipped: libfaketime is not installed (Debian: apt-get install faketime)");
            return None;
        };
        let clock = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            library,
        };
        clock.ahead(0);
        Some(clock)
    }

    /// From now on it is so many seconds ahead.
    pub fn ahead(&self, seconds: i64) {
        // Whole at any moment: a process may read it at any.
        let aside = self.dir.path().join("aside");
        fs::write(&aside, format!("{seconds:+}\n")).expect("written");
        fs::rename(aside, self.path()).expect("renamed");
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("time")
    }

    /// What makes a process see it.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}

/// The library for programs with threads.
fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|place| place.path());
    let places = places.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    let mut libraries = places.map(|place| place.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists())
}
