//! The practice gateway's page for people: totals, and the latest messages.

use super::{PracticeTally, ReceivedMessage};

/// Messages that the page shows.
const SHOWN: usize = 50;

/// The page as HTML.
pub(super) fn page(tally: &PracticeTally, latest: &[ReceivedMessage]) -> String {
    let rows: String = latest.iter().take(SHOWN).map(row).collect();

    // In one file, and with nothing to load: it is looked at without a network, too.
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <title>Practice gateway</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem;\
         color-scheme:light dark}}td,th{{padding:.2rem .8rem;text-align:left;\
         vertical-align:top}}.big b{{font-size:1.6rem}}.big span{{margin-right:2rem}}</style>\
         <h1>Practice gateway</h1><p class=big><span><b>{}</b> requests</span>\
         <span><b>{}</b> messages taken</span><span><b>{}</b> refused</span>\
         <span><b>{}</b> duplicates</span></p><h2>The latest messages</h2>\
         <table><tr><th>id<th>phone<th>answer<th>text\n{rows}</table>\n",
        tally.requests, tally.messages, tally.refused, tally.duplicates
    )
}

fn row(message: &ReceivedMessage) -> String {
    let taken = if message.taken { "taken" } else { "refused" };
    let text = escape(&message.text);
    let ReceivedMessage { id, phone, .. } = message;
    format!("<tr><td>{id}<td>+{phone}<td>{taken}<td>{text}\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
