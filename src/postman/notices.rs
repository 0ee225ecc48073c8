//! Log lines about halts. A person must do something about each: so the first line is a warning with the
//! profile's reason and the provider's answer, and what follows is for the record.

use super::{halt::HaltChange, terms::Job};
use crate::gateway::HaltScope;

/// Logs that a halt began, goes on or ended. The words come without phones and texts.
pub(super) fn tell_halt(change: HaltChange, job: &Job, words: Option<String>) {
    let words = words.unwrap_or_else(|| "no more is known".to_owned());
    match change.scope {
        HaltScope::Gateway => tell_gateway(change, &words),
        HaltScope::Mailing => tell_mailing(change, job, &words),
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
            "the gateway is halted: {words}; nothing is sent to it, messages wait, and one message probes \
             in {seconds} s; do something about the reason"
        );
    }
}

fn tell_mailing(change: HaltChange, job: &Job, words: &str) {
    let mailing = job.lease.mailing_id.as_str();
    let id = job.id.as_u64();
    let Some(pause) = change.pause else {
        tracing::info!(
            mailing.id = mailing,
            message.id = id,
            "the gateway takes messages of the mailing `{mailing}` again: its halt is over"
        );
        return;
    };

    let seconds = pause.as_secs();
    if change.was_halted {
        tracing::info!(
            mailing.id = mailing,
            message.id = id,
            "the mailing `{mailing}` is still halted: {words}; the next probe is in {seconds} s"
        );
    } else {
        tracing::warn!(
            mailing.id = mailing,
            message.id = id,
            "the mailing `{mailing}` is halted: {words}; this postman sends nothing of it, and one message \
             probes in {seconds} s; look at its text and the sender"
        );
    }
}
