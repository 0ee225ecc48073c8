//! The page of a practice gateway in the place of a provider: each request as the provider sees it, and
//! buttons that choose the answer.

use super::{
    PracticeTally, ReceivedMessage,
    page::{STYLE, escape, figure, mark, receipt_figures},
    provider::PracticeProvider,
};

/// Requests that the page shows.
const SHOWN: usize = 50;

/// The style of what the plain page does not have.
const MORE_STYLE: &str = "\
    pre{margin:.3rem 0 0;padding:.6rem;background:#8882;border-radius:.3rem;white-space:pre-wrap;\
    overflow-wrap:anywhere;font-size:.85rem;line-height:1.4}\
    form{display:flex;flex-wrap:wrap;gap:.4rem}button{font:inherit;padding:.2rem .7rem;cursor:pointer;\
    border:1px solid #8888;border-radius:1rem;background:none;color:inherit}\
    button.on{background:#37d;border-color:#37d;color:#fff}\
    article{border-top:1px solid #8884;padding:.8rem 0}article p{margin:0;overflow-wrap:anywhere}\
    article.bad{font-weight:normal;background:none;border-left:.3rem solid #d33;padding-left:.8rem}\
    small{opacity:.7}";

/// The page as HTML. `chosen` is the answer that every message gets at present.
pub(super) fn provider_page(
    provider: &PracticeProvider,
    chosen: &Option<String>,
    tally: &PracticeTally,
    latest: &[ReceivedMessage],
) -> String {
    let figures = figures(tally);
    let buttons = buttons(provider, chosen.as_deref());
    let requests: String = latest.iter().take(SHOWN).map(request).collect();
    let content = format!(
        "<p class=figures>{figures}</p><h2>Answer to every message</h2>{buttons}\
         <h2>The latest requests</h2>{requests}\n"
    );
    framed(&escape(provider.name()), &content)
}

/// The content with all around it. In one file, and with nothing to load: it is looked at without a
/// network, too.
fn framed(name: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>Practice gateway: {name}</title><style>{STYLE}{MORE_STYLE}</style>\
         <h1>Practice gateway: {name}</h1>{content}"
    )
}

fn figures(tally: &PracticeTally) -> String {
    let misfits = tally.misfits.unwrap_or_default();
    let halts = tally.answers.unwrap_or_default().halt;
    let figures = [
        figure(tally.requests, "requests", ""),
        figure(tally.messages, "messages taken", ""),
        figure(tally.refused, "not taken", ""),
        figure(halts, "halts", ""),
        figure(misfits, "misfits", mark(misfits > 0)),
        figure(tally.duplicates, "duplicates", mark(tally.duplicates > 0)),
    ];
    figures.concat() + &receipt_figures(tally)
}

fn buttons(provider: &PracticeProvider, chosen: Option<&str>) -> String {
    let named = provider
        .names()
        .map(|name| button(name, name, chosen == Some(name)));
    let named: String = named.collect();
    let usual = button("", "by the shares", chosen.is_none());
    format!("<form method=post action=/answer>{usual}{named}</form>")
}

fn button(value: &str, shown: &str, is_on: bool) -> String {
    let on = if is_on { " class=on" } else { "" };
    let (value, shown) = (escape(value), escape(shown));
    format!("<button name=name value=\"{value}\"{on}>{shown}</button>")
}

fn request(message: &ReceivedMessage) -> String {
    let mark = mark(message.duplicate || message.misfit.is_some());
    let outcome = shown(&message.outcome);
    let duplicate = if message.duplicate { ", duplicate" } else { "" };
    let what = what(message);
    let request = shown(&message.request);
    format!(
        "<article{mark}><p><strong>{outcome}{duplicate}</strong> {what}</p><pre>{request}</pre></article>\n"
    )
}

/// A text that came from anybody, and must not become a part of the page.
fn shown(text: &Option<String>) -> String {
    escape(text.as_deref().unwrap_or_default())
}

/// The message as it was understood, or why it was not.
fn what(message: &ReceivedMessage) -> String {
    if message.misfit.is_some() {
        return format!("does not fit the profile: {}", shown(&message.misfit));
    }
    let ReceivedMessage { phone, text, .. } = message;
    let id = shown_id(&message.id);
    format!("+{phone}{id}<br><small>{}</small>", escape(text))
}

fn shown_id(id: &str) -> String {
    match id {
        "" => String::new(),
        id => format!(", id {id}"),
    }
}
