//! `notty export`: writes customers or messages to stdout, page by page.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

use super::{
    ApiArgs,
    client::{Client, naming},
    destination::Destination,
    import::FileFormat,
    runtime,
};
use crate::{config::ConfigError, formula};

/// Items requested in one page.
const PAGE: usize = 1_000;
const CUSTOMER: [&str; 6] = ["id", "name", "phone", "operator", "tag", "timezone"];
const MESSAGE: [&str; 13] = [
    "id",
    "mailing_id",
    "customer_id",
    "phone",
    "text",
    "status",
    "attempts",
    "created_at",
    "updated_at",
    "sent_at",
    "reason",
    "delivery",
    "delivered_at",
];

/// The items that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// All customers, in the form that `notty import` reads
    Customers,
    /// Messages with their status
    Messages,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The items to export
    what: What,
    /// Only messages of this mailing
    #[arg(long, value_name = "ID")]
    mailing: Option<String>,
    /// Format of the output
    #[arg(long, value_enum, default_value = "csv")]
    format: FileFormat,
    /// Write to this file instead of stdout; an existing file is replaced when the export is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    if let Some(mailing) = args
        .mailing
        .as_ref()
        .filter(|_| args.what == What::Customers)
    {
        let what =
            format!("--mailing: `{mailing}`: only messages have a mailing; use `export messages`");
        return Err(ConfigError(what).into());
    }
    runtime()?.block_on(export(args))
}

async fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.api.api)?;
    let (route, fields): (&str, &[&str]) = match args.what {
        What::Customers => ("/customers", &CUSTOMER),
        What::Messages => ("/messages", &MESSAGE),
    };

    let mut output = Destination::open(args.output.as_deref())?;
    let mut next: Option<String> = None;
    let mut first = true;
    loop {
        let query = page_query(args, next.as_deref());
        let page = client.get(&format!("{route}?{query}")).await;
        let page = page.map_err(|error| match &args.mailing {
            Some(mailing) => naming("mailing", mailing)(error),
            None => error,
        })?;
        let items = page
            .get("items")
            .and_then(Value::as_array)
            .context("the answer has no `items`: is --api the API of a notty node?")?;

        let mut text = String::new();
        if std::mem::take(&mut first) && args.format == FileFormat::Csv {
            text.push_str(&fields.join(","));
            text.push('\n');
        }
        for item in items {
            match args.format {
                FileFormat::Csv => put_csv(&mut text, item, fields),
                FileFormat::Ndjson => text.push_str(&format!("{item}\n")),
            }
        }

        if !output.write(&text)? {
            return Ok(());
        }

        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    output.finish()
}

/// The query of a page that follows an item, or of the first page.
fn page_query(args: &ExportArgs, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &PAGE.to_string());
    if let Some(mailing) = &args.mailing {
        query.append_pair("mailing", mailing);
    }
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    query.finish()
}

fn put_csv(text: &mut String, item: &Value, fields: &[&str]) {
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        if let Some(value) = item.get(field) {
            put_value(text, field, value);
        }
    }
    text.push('\n');
}

fn put_value(text: &mut String, field: &str, value: &Value) {
    match value {
        Value::Null => {}
        // A phone is `+` and digits: a number to a spreadsheet, and never a formula.
        Value::String(cell) if field == "phone" => put_cell(text, cell),
        Value::String(cell) => put_cell(text, &formula::escape(cell)),

        // A reason is an object, of which the name is for programs.
        Value::Object(reason) => {
            let code = reason.get("code").and_then(Value::as_str);
            put_cell(text, code.unwrap_or_default());
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Writes a cell, quoted if it holds a comma, a quote or a line break.
fn put_cell(text: &mut String, cell: &str) {
    if cell.contains([',', '"', '\n', '\r']) {
        text.push('"');
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(cell);
    }
}
