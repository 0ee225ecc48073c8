//! `notty restore`: creates the data directory of a new cluster from a backup.

use std::{io::IsTerminal, path::PathBuf};

use super::{backup::figures, out};
use crate::backup;

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The backup file to read
    file: PathBuf,
    /// The data directory to create; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

pub(super) fn run(args: &RestoreArgs) -> anyhow::Result<()> {
    let say = |what: &str| {
        if std::io::stderr().is_terminal() {
            out::note(what);
        }
    };

    say("checking the backup");
    let backup = backup::check(&args.file)?;
    say("restoring the backup");
    let restored = backup::restore(&backup, &args.data_dir)?;

    out::line(&format!(
        "{}: restored into {}: {}",
        args.file.display(),
        args.data_dir.display(),
        figures(&backup)
    ));
    out::line(&format!(
        "messages that were not final, and are unconfirmed now: {}",
        out::number(restored.unconfirmed)
    ));
    out::line(&format!(
        "mailings that are paused until they are resumed with accept_duplicates: {}",
        out::number(restored.held)
    ));
    let time = jiff::Timestamp::from_millisecond(restored.at.as_millis());
    out::line(&format!(
        "time of the new cluster: {}",
        time.map_or("unknown".to_owned(), |time| time.to_string())
    ));

    // Known before the node starts, so that nobody waits for mailings that cannot go on.
    if restored.not_believed_ms > 0 {
        out::note(&format!(
            "this machine's clock is {} days ahead of the backup, and the kernel does not confirm it by \
             NTP, so the node will not believe it: time stands still and nothing is sent. If the clock is \
             correct, start the node and run: notty cluster set-time",
            restored.not_believed_ms / 86_400_000
        ));
    }
    Ok(())
}
