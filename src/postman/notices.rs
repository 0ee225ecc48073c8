//! Log lines about halts. A person must do something about each: so the first line is a warning with the
//! profile's reason and the provider's answer, and what follows is for the record.

use super::halt::{HaltChange, HaltSubject};
use crate::gateway::HaltScope;

/// Logs that a halt began, goes on or ended. The words come without phones and texts.
pub(super) fn tell_halt(change: HaltChange, subject: HaltSubject, words: Option<String>) {
    let words = words.unwrap_or_else(|| "no more is known".to_owned());
    match change.scope {
        HaltScope::Gateway => tell_gateway(change, &words),
        HaltScope::Mailing => tell_mailing(change, subject, &words),
    }
}

fn tell_gateway(change: HaltChange, words: &str) {
    let Some(pause) = change.pause else {
        tracing::info!("the gateway takes messages again: the halt is over");
        return;
    };

    let seconds = pause.as_secs();
    if change.was_halted {
        tracing::info!("the gateway is still halted: {words}; the next probe is in {seconds} s");
    } else {
        tracing::warn!(
            "the gateway is halted: {words}; nothing is sent to it, no message is lost, and one message \
             probes in {seconds} s; do something about the reason"
        );
    }
}

fn tell_mailing(change: HaltChange, subject: HaltSubject, words: &str) {
    // A postman knows the mailing by its number alone; the API shows it with the message.
    let number = subject.mailing.0;
    let id = subject.message.as_u64();
    let Some(pause) = change.pause else {
        tracing::info!(
            mailing.number = number,
            message.id = id,
            "the gateway takes messages of the mailing of message {id} again: its halt is over"
        );
        return;
    };

    let seconds = pause.as_secs();
    if change.was_halted {
        tracing::info!(
            mailing.number = number,
            message.id = id,
            "the mailing of message {id} is still halted: {words}; the next probe is in {seconds} s"
        );
    } else {
        tracing::warn!(
            mailing.number = number,
            message.id = id,
            "the mailing of message {id} is halted: {words}; this postman sends nothing of it, and one \
             message probes in {seconds} s; look at its text and the sender"
        );
    }
}
