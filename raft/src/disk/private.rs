//! Access to the data directory: for its owner alone, because it holds phones, names and texts.
//!
//! New files get their mode from the process, which takes all rights of others away when it starts
//! (`umask`). This file is about what was there before: a directory that somebody made, or that an
//! earlier notty left. Symbolic links are not followed.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The rights of users other than the owner, in the mode of a file.
const OTHERS: u32 = 0o077;

/// Paths that other users can still open after [`tighten`].
#[derive(Debug, Default)]
pub(crate) struct StillOpen {
    /// One of the files in the directory, and the reason.
    file: Option<(PathBuf, io::Error)>,
    /// The reason for the directory itself.
    root: Option<io::Error>,
}

impl StillOpen {
    /// Logs what is still open, and the remedy. Nothing, if all is private.
    pub(crate) fn tell(&self, dir: &Path) {
        let remedy = format!(
            "as the owner, run: chmod -R go-rwx {dir}",
            dir = dir.display()
        );
        if let Some((path, error)) = &self.file {
            tracing::warn!(
                "{} can be opened by other users, and this process may not change that ({error}); {remedy}",
                path.display()
            );
        } else if let Some(error) = &self.root {
            // The root of a volume often belongs to somebody else. The files in it are private.
            tracing::info!(
                "{} can be listed by other users, and this process may not change that ({error}); {remedy}",
                dir.display()
            );
        }
    }
}

/// Makes a directory and those above it, for their owner alone. One that exists stays as it is.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Takes the rights of other users away from a directory and from everything in it.
pub(crate) fn tighten(dir: &Path) -> StillOpen {
    let mut open = StillOpen {
        root: take_rights(dir).err(),
        ..StillOpen::default()
    };

    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        // One that this process cannot read holds nothing of its own.
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            match take_rights(&path) {
                Ok(true) => dirs.push(path),
                Ok(false) => {}
                Err(error) => open.file = Some((path, error)),
            }
        }
    }
    open
}

/// Takes the rights of other users away from one path. True if it is a directory.
fn take_rights(path: &Path) -> io::Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };

    let mode = found.permissions().mode();
    if mode & OTHERS != 0 && !found.is_symlink() {
        let private = Permissions::from_mode(mode & !OTHERS);
        fs::set_permissions(path, private)?;
    }
    Ok(found.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_directory_is_open_to_others_and_nothing_outside_is_touched() {
        let base = tempfile::tempdir().expect("a directory");
        let outside = base.path().join("outside");
        fs::write(&outside, b"x").expect("written");
        fs::set_permissions(&outside, Permissions::from_mode(0o644)).expect("set");
        let dir = base.path().join("data");
        fs::create_dir_all(dir.join("log")).expect("created");
        fs::write(dir.join("log/1"), b"x").expect("written");
        std::os::unix::fs::symlink(&outside, dir.join("link")).expect("linked");
        for path in [dir.clone(), dir.join("log"), dir.join("log/1")] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).expect("set");
        }

        let open = tighten(&dir);
        assert!(open.file.is_none() && open.root.is_none(), "{open:?}");
        let mode = |path: &Path| {
            fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode()
        };
        for path in [dir.clone(), dir.join("log"), dir.join("log/1")] {
            assert_eq!(mode(&path) & OTHERS, 0, "{path:?}");
        }
        assert_eq!(mode(&outside) & 0o777, 0o644);
    }
}
