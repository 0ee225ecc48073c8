//! `notty backup`: a consistent copy of a running node, in one file.
//!
//! The copy is written to a temporary file in the same directory, synced, checked, and renamed only then:
//! a file with the requested name is always a complete backup.

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::AsyncWriteExt;

use super::{
    ApiArgs,
    client::Client,
    out, runtime,
    saved_file::{aside, directory_of},
    signals::Stop,
};
use crate::backup::{self, Backup};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The file to write
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.api.api)?;
    refuse_existing(args)?;
    let aside = aside(&args.file);
    let saved = runtime()?.block_on(save_unless_stopped(&client, args, &aside));
    if saved.is_err() {
        // The file may not exist yet.
        let _ = fs::remove_file(&aside);
    }
    let saved = saved?;
    out::line(&format!("{}: {}", args.file.display(), figures(&saved)));
    Ok(())
}

/// A line about the contents of a backup.
pub(super) fn figures(backup: &Backup) -> String {
    let count = |n: u64, one: &str| match n {
        1 => format!("1 {one}"),
        n => format!("{} {one}s", out::number(n)),
    };
    format!(
        "position {}, {} bytes, {}, {}, {}, written by notty {}",
        out::number(backup.index),
        out::number(backup.bytes),
        count(backup.contents.customers, "customer"),
        count(backup.contents.mailings, "mailing"),
        count(backup.contents.messages.total(), "message"),
        backup.notty,
    )
}

fn refuse_existing(args: &BackupArgs) -> anyhow::Result<()> {
    let there = fs::symlink_metadata(&args.file).is_ok();
    if there && (!args.force || args.file.is_dir()) {
        bail!(
            "{}: the file exists; choose another name, or use --force",
            args.file.display()
        );
    }
    Ok(())
}

async fn save_unless_stopped(
    client: &Client,
    args: &BackupArgs,
    aside: &Path,
) -> anyhow::Result<Backup> {
    let mut stop = Stop::listen()?;
    tokio::select! {
        saved = save(client, args, aside) => saved,
        _ = stop.told() => bail!("stopped; {} was not written", args.file.display()),
    }
}

async fn save(client: &Client, args: &BackupArgs, aside: &Path) -> anyhow::Result<Backup> {
    receive(client, args, aside).await?;
    let checked = aside.to_owned();
    let backup = tokio::task::spawn_blocking(move || backup::check(&checked)).await?;
    let backup = backup.context("the received backup is incomplete or damaged; try again")?;
    refuse_existing(args)?;
    let name = || args.file.display().to_string();
    fs::rename(aside, &args.file).with_context(name)?;
    fs::File::open(directory_of(&args.file))
        .and_then(|dir| dir.sync_all())
        .with_context(name)?;
    Ok(backup)
}

async fn receive(client: &Client, args: &BackupArgs, aside: &Path) -> anyhow::Result<()> {
    let name = || format!("{}: cannot be written", args.file.display());
    // Created before the request, so that a missing directory costs the node no work.
    let mut file = tokio::fs::File::create(aside).await.with_context(name)?;
    let response = client.download("/backup").await?;
    let bar = bar(response.content_length());
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.context("the connection to the node ended early; try again")?;
        bar.inc(piece.len() as u64);
        file.write_all(&piece).await.with_context(name)?;
    }
    file.flush().await.with_context(name)?;
    file.sync_all().await.with_context(name)?;
    bar.finish_and_clear();
    Ok(())
}

fn bar(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length.unwrap_or(0)).with_style(style)
}
