//! The level of the cluster, which only rises.

use super::ruled::Ruled;
use crate::{
    changes::Changes,
    command::{RaiseLevel, Rejection, TryLevel},
    keys::ClusterLevelKey,
    limits::ID_CHARS,
    source::Source,
};

/// Raises the level. One that is reached already is nothing to do, so that a late proposal of an old
/// leader lowers nothing.
pub(super) fn raise(changes: &mut Changes<'_>, raise: &RaiseLevel) -> Ruled<()> {
    if raise.version.chars().count() > ID_CHARS {
        let what = format!("a version has at most {ID_CHARS} characters");
        return Err(Rejection::OutOfBounds { what }.into());
    }

    let mut level = changes.get_or_default(&ClusterLevelKey)?;
    if !level.raise(raise.to, &raise.version) {
        return Err(Rejection::NothingToDo.into());
    }
    changes.put(&ClusterLevelKey, &level);
    Ok(())
}

/// Changes nothing: it is enough that every node understands the command.
pub(super) fn try_it(_changes: &mut Changes<'_>, _try: &TryLevel) -> Ruled<()> {
    Ok(())
}
