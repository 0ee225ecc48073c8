//! `notty import`: streams a file of customers to a node, or checks it here (`--dry-run`).

use std::{io::IsTerminal, path::PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::{
    ApiArgs,
    client::{Client, Refusal, count},
    out, runtime,
};
use crate::{
    api::IMPORT_COLUMNS,
    rows::{RowError, RowFormat},
};

/// Bytes read from the file at once.
const PIECE: usize = 256 * 1024;

/// Format of a file of customers or messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    /// A header row, then one row for each item
    Csv,
    /// One JSON object on each line
    Ndjson,
}

impl From<FileFormat> for RowFormat {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv,
            FileFormat::Ndjson => Self::Ndjson,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The file to import; `-` reads stdin
    file: PathBuf,
    /// Format of the file; default: ndjson for names in .ndjson or .jsonl, otherwise csv
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    #[command(flatten)]
    api: ApiArgs,
    /// Check the rows without a node, and write nothing; the exit status is 1 if a row is invalid
    #[arg(long)]
    dry_run: bool,
}

impl ImportArgs {
    fn format(&self) -> FileFormat {
        let by_name = match self
            .file
            .extension()
            .and_then(|extension| extension.to_str())
        {
            Some("ndjson" | "jsonl") => FileFormat::Ndjson,
            _ => FileFormat::Csv,
        };
        self.format.unwrap_or(by_name)
    }
}

pub(super) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        if args.dry_run {
            dry_run(args).await
        } else {
            import(args).await
        }
    })
}

type Reader = Box<dyn tokio::io::AsyncRead + Send + Unpin>;

/// Opens the file. Returns its length too, unless it is stdin or a pipe.
async fn open(args: &ImportArgs) -> anyhow::Result<(Reader, Option<u64>)> {
    if args.file.as_os_str() == "-" {
        return Ok((Box::new(tokio::io::stdin()), None));
    }
    let name = || args.file.display().to_string();
    let file = tokio::fs::File::open(&args.file).await.with_context(name)?;
    let metadata = file.metadata().await.with_context(name)?;
    anyhow::ensure!(!metadata.is_dir(), "{}: a directory, not a file", name());
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

fn bar(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    match length {
        Some(length) => ProgressBar::new(length).with_style(style),
        None => ProgressBar::new_spinner(),
    }
}

async fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.api.api)?;
    let (reader, length) = open(args).await?;
    let bar = bar(length);

    // The bar shows what was read. The body is not far behind: the node takes it piece by piece.
    let shown = bar.clone();
    let pieces = futures_util::stream::try_unfold(reader, move |mut reader| {
        let shown = shown.clone();
        async move {
            let mut piece = Vec::with_capacity(PIECE);
            let read = reader.read_buf(&mut piece).await?;
            shown.inc(read as u64);
            Ok::<_, std::io::Error>((read > 0).then_some((piece, reader)))
        }
    });

    let kind = RowFormat::from(args.format()).content_type();
    let body = reqwest::Body::wrap_stream(pieces.boxed());
    let answer = client.upload("/customers/import", kind, body).await;
    bar.finish_and_clear();

    let answer = answer.map_err(broken)?;
    show(&answer);
    match count(&answer, "rejected") {
        0 => Ok(()),
        rejected => bail!(
            "{}: rows left out: {}; correct them and import them again. All others are written",
            args.file.display(),
            out::number(rejected)
        ),
    }
}

/// A refusal says how far the import came. A connection that broke says nothing.
fn broken(error: anyhow::Error) -> anyhow::Error {
    if error.is::<Refusal>() {
        return error;
    }
    anyhow!("{error:#}; rows that were written stay, and the file may be imported again")
}

fn show(answer: &Value) {
    let created = count(answer, "created");
    let updated = count(answer, "updated");
    let rejected = count(answer, "rejected");
    out::line(&format!(
        "created {}, updated {}, rejected {}",
        out::number(created),
        out::number(updated),
        out::number(rejected)
    ));

    warn_of_live(answer);
    let errors = answer.get("errors").and_then(Value::as_array);
    for error in errors.into_iter().flatten() {
        let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
        let line = count(error, "line");
        out::line(&format!(
            "line {line}: {} ({})",
            text("detail"),
            text("code")
        ));
    }

    // The answer lists only the first errors.
    let listed = errors.map_or(0, Vec::len) as u64;
    if rejected > listed {
        out::line(&format!("… and {} more", out::number(rejected - listed)));
    }
}

/// Says to whom texts are about to go that were written before this import.
fn warn_of_live(answer: &Value) {
    let live = answer.get("live_mailings").and_then(Value::as_array);
    for mailing in live.into_iter().flatten() {
        let id = mailing.get("id").and_then(Value::as_str);
        let id = id.unwrap_or_default();
        let matches = out::number(count(mailing, "matches"));
        out::note(&format!(
            "warning: mailing {id} is active, and {matches} of these customers match it now: they get its \
             text. To stop that: POST /mailings/{id}/pause"
        ));
    }
}

/// Checks every row in this process, without a node.
async fn dry_run(args: &ImportArgs) -> anyhow::Result<()> {
    let (mut reader, length) = open(args).await?;
    let bar = bar(length);
    // The reader of the node: what it refuses is refused here.
    let mut rows = RowFormat::from(args.format()).reader(&IMPORT_COLUMNS);
    let mut valid = 0;
    let mut invalid = 0;
    let mut found = Vec::new();
    let mut piece = Vec::with_capacity(PIECE);

    loop {
        piece.clear();
        let read = reader
            .read_buf(&mut piece)
            .await
            .context("the file could not be read")?;
        bar.inc(read as u64);
        if read == 0 {
            rows.end(&mut found);
        } else {
            rows.feed(&piece, &mut found);
        }

        for row in found.drain(..) {
            match row.map(|row| (row.line, crate::api::check_import_row(row))) {
                Ok((_, Ok(()))) => valid += 1,
                Ok((line, Err((code, detail)))) => {
                    invalid += 1;
                    out::line(&format!("line {line}: {detail} ({code})"));
                }
                Err(RowError::Row { line, code, detail }) => {
                    invalid += 1;
                    out::line(&format!("line {line}: {detail} ({code})"));
                }
                // Without a header that is understood, no row can be.
                Err(RowError::Fatal { line, code, detail }) => {
                    bail!("line {line}: {detail} ({code})");
                }
            }
        }
        if read == 0 {
            break;
        }
    }
    bar.finish_and_clear();

    let counts = format!(
        "{} rows are valid, {} would be rejected; nothing was written",
        out::number(valid),
        out::number(invalid)
    );
    if invalid > 0 {
        bail!("{}: {counts}", args.file.display());
    }
    out::line(&counts);
    Ok(())
}
