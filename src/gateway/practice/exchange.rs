//! One exchange in the place of a provider: a request comes, is noted, and gets its answer.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::Request;
use tokio::net::TcpStream;

use super::{
    Act, Behaviour, Practice,
    book::{ArrivedMessage, SeenRequest},
    handled::{HandledRequest, finish},
    provider::{MisfitRequest, PracticeProvider, key_of, shown_id},
    wire::answer,
};
use crate::gateway::profile::FoundMessage;

/// Takes in a message, or refuses it; false if the connection ends with it.
pub(super) async fn receive(
    practice: &Practice,
    provider: &PracticeProvider,
    stream: &mut TcpStream,
    request: Request<Bytes>,
) -> io::Result<bool> {
    let found = provider.read(&request);
    let request = Arc::new(request);

    // Noted before the wait: the message counts even if the client gives up meanwhile.
    let handled = match found {
        Ok(message) => note(practice, provider, &message, request),
        Err(misfit) => HandledRequest {
            act: note_misfit(practice, provider, misfit, request),
            latency_ms: 0,
            round: None,
        },
    };
    finish(practice, stream, handled).await
}

/// Notes a message. Returns how to go on with it.
fn note(
    practice: &Practice,
    provider: &PracticeProvider,
    message: &FoundMessage,
    request: Arc<Request<Bytes>>,
) -> HandledRequest {
    let number = provider.next_number();
    let key = key_of(message);
    // Locked together, so that a repeat that comes at the same time is told from the first.
    let mut book = practice.book.lock();
    let mut behaviour = practice.behaviour.lock();

    let next = behaviour.next_act(key.number(), book.tries(key));
    let act = provider.act(next, message, number);
    let shares = &behaviour.receipts;
    let wanted = act.is_taken.then_some(shares);

    book.note(ArrivedMessage {
        key,
        phone: message.phone().digits(),
        text: message.text(),
        is_taken: act.is_taken,
        seen: Some(SeenRequest {
            request,
            outcome: act.outcome,
            kind: act.kind,
            id: shown_id(message),
        }),
    });
    HandledRequest {
        act: act.act,
        latency_ms: behaviour.latency_ms,
        round: wanted.and_then(|shares| provider.round(message, key.number(), number, shares)),
    }
}

fn note_misfit(
    practice: &Practice,
    provider: &PracticeProvider,
    request: MisfitRequest,
    raw: Arc<Request<Bytes>>,
) -> Act {
    let MisfitRequest { misfit, answer } = request;
    let seen = SeenRequest {
        request: raw,
        outcome: answer.outcome,
        kind: answer.kind,
        id: String::new(),
    };

    // A mailing can bring the same misfit a million times.
    if practice.book.lock().note_misfit(&misfit, seen) {
        log_misfit(provider.name(), &misfit);
    }
    answer.act
}

fn log_misfit(profile: &str, misfit: &str) {
    tracing::warn!(profile, "a request does not fit the profile: {misfit}");
}

/// Has every message answered with the answer that a person chose on the page, or as before.
pub(super) async fn choose(
    practice: &Practice,
    stream: &mut TcpStream,
    form: &[u8],
) -> io::Result<()> {
    let behaviour = Behaviour {
        acts: Vec::from_iter(chosen(form)),
        times: None,
        ..practice.behaviour.lock().clone()
    };

    // A browser goes back to the page, and shows it anew.
    match practice.behave(behaviour) {
        Err(fault) => answer(stream, 400, &[], &fault).await,
        Ok(()) => answer(stream, 303, &["location: /".to_owned()], "").await,
    }
}

/// The answer that a form of the page names.
fn chosen(form: &[u8]) -> Option<Act> {
    let mut fields = form_urlencoded::parse(form);
    let (_, name) = fields.find(|(field, _)| field == "name")?;
    named(&name)
}

/// The act of a button; the empty name takes the chosen answer back.
fn named(name: &str) -> Option<Act> {
    (!name.is_empty()).then(|| Act::Named(name.to_owned()))
}
