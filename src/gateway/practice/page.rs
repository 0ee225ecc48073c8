//! The practice gateway's page for people: totals, and the latest messages.

use super::{PracticeTally, ReceivedMessage};

/// Messages that the page shows.
const SHOWN: usize = 50;

/// The style of the page: light or dark as its reader has it, and a card for each message on a narrow screen.
pub(super) const STYLE: &str = "\
    body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:60rem;padding:0 1rem;\
    color-scheme:light dark}\
    .figures{display:flex;flex-wrap:wrap;gap:.5rem 2rem}b{font-size:1.6rem}\
    table{border-collapse:collapse;width:100%}\
    th,td{padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top}\
    td{overflow-wrap:anywhere;border-top:1px solid #8884}\
    .bad{background:#d334;font-weight:bold}\
    @media(max-width:40rem){tr:first-child{display:none!important}\
    tr{display:block;border-top:1px solid #8888;padding:.5rem}\
    td{display:block;border:0;padding:0}td::before{content:attr(title) ': ';opacity:.7}}";

/// The page as HTML.
pub(super) fn page(tally: &PracticeTally, latest: &[ReceivedMessage]) -> String {
    let rows: String = latest.iter().take(SHOWN).map(row).collect();
    let figures = [
        (tally.requests, "requests"),
        (tally.messages, "messages taken"),
        (tally.refused, "refused"),
    ];
    let figures: String = figures.iter().map(|(n, of)| figure(*n, of, "")).collect();

    // The figure that the page is for: anything but 0 must catch the eye.
    let mark = mark(tally.duplicates > 0);
    let duplicates = figure(tally.duplicates, "duplicates", mark);
    let receipts = receipt_figures(tally);

    // In one file, and with nothing to load: it is looked at without a network, too.
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>Practice gateway</title><style>{STYLE}</style>\
         <h1>Practice gateway</h1><p class=figures>{figures}{duplicates}{receipts}</p><h2>The latest messages</h2>\
         <table><tr><th>id<th>phone<th>answer<th>text\n{rows}</table>\n"
    )
}

/// The attribute of an element that shows a fault.
pub(super) fn mark(is_bad: bool) -> &'static str {
    if is_bad { " class=bad" } else { "" }
}

pub(super) fn figure(n: u64, of: &str, mark: &str) -> String {
    format!("<span{mark}><b>{n}</b> {of}</span>")
}

/// The figures of receipts, once there are any.
pub(super) fn receipt_figures(tally: &PracticeTally) -> String {
    let Some(receipts) = tally.receipts else {
        return String::new();
    };
    let given_up = mark(receipts.given_up > 0);
    let figures = [
        figure(receipts.sent, "receipts sent", ""),
        figure(receipts.noted, "receipts answered well", ""),
        figure(receipts.given_up, "receipts given up", given_up),
    ];
    figures.concat()
}

fn row(message: &ReceivedMessage) -> String {
    let taken = if message.taken { "taken" } else { "refused" };
    let duplicate = if message.duplicate { ", duplicate" } else { "" };
    let mark = mark(message.duplicate);

    // The text comes from anybody, and must not become a part of the page.
    let text = escape(&message.text);
    let ReceivedMessage { id, phone, .. } = message;
    format!(
        "<tr{mark}><td title=id>{id}<td title=phone>+{phone}<td title=answer>{taken}{duplicate}\
         <td title=text>{text}\n"
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(duplicate: bool) -> ReceivedMessage {
        ReceivedMessage {
            id: "9223372036854775807".to_owned(),
            phone: 79161112233,
            text: "<b>".to_owned(),
            taken: true,
            duplicate,
            ..ReceivedMessage::default()
        }
    }

    #[test]
    fn duplicates_are_marked_in_the_sum_and_in_their_rows() {
        let tally = |duplicates| PracticeTally {
            requests: 2,
            duplicates,
            ..PracticeTally::default()
        };
        let clean = page(&tally(0), &[message(false), message(false)]);
        assert!(!clean.contains("class=bad"), "{clean}");
        let marked = page(&tally(1), &[message(true), message(false)]);
        assert_eq!(marked.matches("class=bad").count(), 2, "{marked}");
        assert_eq!(marked.matches("taken, duplicate").count(), 1, "{marked}");
    }

    #[test]
    fn a_phone_shows_it_in_its_own_width() {
        let page = page(&PracticeTally::default(), &[message(false)]);
        for part in [
            "name=viewport",
            "width=device-width",
            "overflow-wrap:anywhere",
            "@media",
        ] {
            assert!(page.contains(part), "no `{part}` in {page}");
        }
    }
}
