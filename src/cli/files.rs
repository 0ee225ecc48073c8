//! The system's limit of open files: raised as far as it goes, and shared out to what needs them.
//!
//! The usual limits, 1,024 on Linux and 256 on a Mac, are for programs from long ago.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits that are tried below the one that the system calls possible: a Mac calls any number possible and
/// refuses all above 10,240 or so.
const TRIED: [u64; 4] = [1_048_576, 65_536, 10_240, 4_096];
/// Files of a process before it does anything.
const OWN: usize = 16;
/// The part of the files left that connections to the gateway may take, in percent: the API needs some.
const GATEWAY_PERCENT: usize = 75;

/// The way out, on each kind of system.
const WAY_OUT: &str = "raise the limit: `ulimit -n 4096` in a shell, LimitNOFILE= in systemd, `--ulimit \
                       nofile=4096` in Docker";

/// Lets this process open as many files as it may. Returns their number.
pub(super) fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let higher = |limit: &u64| current.is_some_and(|current| *limit > current);
    let possible = |limit: &u64| maximum.is_none_or(|maximum| *limit <= maximum);

    let lower_ones = TRIED.into_iter().filter(higher).filter(possible).map(Some);
    for current in std::iter::once(maximum).chain(lower_ones) {
        if setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
            break;
        }
    }
    limit()
}

/// The number of files that this process may open.
pub(super) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// Refuses to start with fewer files than a command needs at the very least.
pub(super) fn require(command: &str, least: usize) -> anyhow::Result<()> {
    let limit = limit();
    anyhow::ensure!(
        limit >= least,
        "the process may open {limit} files, but `notty {command}` needs at least {least}; {WAY_OUT}"
    );
    Ok(())
}

/// Connections to a gateway for which there are files: no more than wanted, and at least one.
pub(super) fn for_gateway(wanted: usize, taken: usize) -> usize {
    let left = limit().saturating_sub(taken + OWN);
    let part = left.saturating_mul(GATEWAY_PERCENT) / 100;
    wanted.min(part.max(1))
}

/// A line about fewer files than may be needed; `None` if there are enough. It ends with what follows from
/// that, and the way out.
pub(super) fn shortage(needs: &[(&str, usize)], consequence: &str) -> Option<String> {
    let limit = limit();
    let needed: usize = needs.iter().map(|(_, count)| count).sum();
    if limit >= needed {
        return None;
    }
    let parts: Vec<_> = needs
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    Some(format!(
        "the process may open {limit} files, but up to {needed} may be needed ({}){consequence}; {WAY_OUT}",
        parts.join(", ")
    ))
}
