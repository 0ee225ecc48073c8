//! The directory of the state: generations of sled's files, and the marks beside them.
//!
//! A state is never repaired in place. A new one is built beside it, and one file names the generation
//! that counts. The marks `CLOSED` and `SUSPECT` decide at the next start whether the state is used or
//! rebuilt; the rebuilding itself is the work of the room `open`.

use std::path::{Path, PathBuf};

use notty_storage::rules;

use crate::{
    disk::files::{Files, RealFiles, replace},
    error::Error,
};

/// The reason why a state cannot be used as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// The process before ended without closing it. sled does not always survive that: a record that
    /// was overwritten by another may go unnoticed, or make sled read for ever.
    #[error("the process before ended without closing it")]
    NotClosed,
    /// The state does not check out.
    #[error("{0}")]
    Damaged(String),
}

/// Generations of sled's files, one of which counts.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    dir: PathBuf,
}

impl StateDir {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(Error::file(dir))?;
        let this = Self {
            dir: dir.to_owned(),
        };

        for name in RealFiles.list(dir).map_err(Error::file(dir))? {
            // A crash left it while it was being built, or after it was replaced.
            if name.starts_with("state-") && this.current()? != this.dir.join(&name) {
                this.remove(&this.dir.join(name))?;
            }
        }
        Ok(this)
    }

    /// The generation that counts.
    pub(crate) fn current(&self) -> Result<PathBuf, Error> {
        let path = self.dir.join("CURRENT");
        match std::fs::read_to_string(&path) {
            Ok(name) => Ok(self.dir.join(name.trim())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(self.dir.join("state-0"))
            }
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Path of a new generation, which does not exist yet.
    pub(crate) fn fresh(&self) -> PathBuf {
        self.dir
            .join(format!("state-{}", uuid::Uuid::new_v4().simple()))
    }

    /// Makes a generation the one that counts.
    pub(crate) fn switch_to(&self, place: &Path) -> Result<(), Error> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let path = self.dir.join("CURRENT");

        // The generation must survive a crash before it is named.
        self.sync()?;
        replace(&RealFiles, &path, name.as_bytes()).map_err(Error::file(&path))
    }

    /// Makes a new state the one that counts. The present one is removed, or, if it was damaged, set
    /// aside for a person to look at, in place of what was set aside before.
    pub(crate) fn replace_by(&self, place: &Path, why: &Unusable) -> Result<(), Error> {
        let old = self.current()?;
        let aside = self.dir.join("set-aside");
        self.switch_to(place)?;

        if old.exists() && old != place {
            match why {
                Unusable::NotClosed => self.remove(&old)?,
                Unusable::Damaged(_) => {
                    self.remove(&aside)?;
                    std::fs::rename(&old, &aside).map_err(Error::file(&old))?;
                }
            }
        }

        // The mark goes last: until then a crash has the state rebuilt once more.
        let suspect = self.suspect();
        RealFiles.remove(&suspect).map_err(Error::file(&suspect))?;
        self.sync()
    }

    /// Removes a generation, if it is there.
    pub(crate) fn remove(&self, place: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(Error::file(place)),
        }
    }

    /// Notes that the state is closed: nothing writes to it any more, and all of it is on the disk.
    pub(crate) fn mark_closed(&self) -> Result<(), Error> {
        let path = self.closed();
        replace(&RealFiles, &path, b"").map_err(Error::file(&path))
    }

    /// True if the process before closed the state, or there is none. It counts as open from now on.
    pub(crate) fn take_closed(&self) -> Result<bool, Error> {
        let path = self.closed();
        let was_closed = path.exists() || !self.current()?.exists();

        // Before the state is written to: a crash from now on finds no mark.
        RealFiles.remove(&path).map_err(Error::file(&path))?;
        self.sync()?;
        Ok(was_closed)
    }

    /// The reason for which the state was marked suspect, if it was.
    pub(crate) fn suspicion(&self) -> Option<String> {
        let path = self.suspect();
        if !path.exists() {
            return None;
        }

        // A mark that cannot be read is one.
        let why = std::fs::read_to_string(path).unwrap_or_default();
        Some(why.trim().to_owned())
    }

    /// Marks the state suspect, so that the next start rebuilds it.
    pub(crate) fn mark_suspect(&self, why: &str) {
        if !rules::damage_is_marked() {
            return;
        }
        let path = self.suspect();
        if let Err(error) = replace(&RealFiles, &path, format!("{why}\n").as_bytes()) {
            tracing::error!(file = %path.display(), %error, "the state could not be marked suspect");
        }
    }

    fn closed(&self) -> PathBuf {
        self.dir.join("CLOSED")
    }

    fn suspect(&self) -> PathBuf {
        self.dir.join("SUSPECT")
    }

    fn sync(&self) -> Result<(), Error> {
        RealFiles
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))
    }
}
