//! The diary of mailings in the leader's log: each one's start, its end, and what became of it.
//!
//! An action is noted once it was executed, by the leader that proposed it.

use notty_raft::Node;
use notty_storage::{
    Action,
    command::{EndMailing, FoldMailing, StartMailing},
    model::{Counts, MailingNumber, MailingStatus, STATUSES},
    query::{stats, work},
};

/// An event of a mailing that an operator would put in a diary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiaryEvent {
    Started,
    /// Its end has passed; messages may still be under way.
    Ended,
    /// Its messages are being added to their customers' totals, because all are final.
    Folded,
}

/// The event that an action is, if it is one.
pub(super) fn event_of(action: &Action) -> Option<(MailingNumber, DiaryEvent)> {
    match action {
        Action::StartMailing(StartMailing { mailing }) => Some((*mailing, DiaryEvent::Started)),
        Action::EndMailing(EndMailing { mailing }) => Some((*mailing, DiaryEvent::Ended)),
        Action::FoldMailing(FoldMailing { mailing, .. }) => Some((*mailing, DiaryEvent::Folded)),
        _ => None,
    }
}

/// Writes an event that has happened.
pub(super) fn write(node: &Node, mailing: MailingNumber, event: DiaryEvent) {
    let view = node.view();
    let reader = view.read();
    // Several actions fold a large mailing: the last one is its end.
    if event == DiaryEvent::Folded && work::next_settled(&reader) == Some(mailing) {
        return;
    }
    let Ok(Some(record)) = node.checked(work::record(&reader, mailing)) else {
        return;
    };

    let id = &record.id;
    match event {
        DiaryEvent::Started => tracing::info!(mailing.id = %id, "mailing {id} has started"),
        DiaryEvent::Ended => {
            tracing::info!(mailing.id = %id, "the end of mailing {id} has passed");
        }
        DiaryEvent::Folded => {
            // A deleted mailing has no counts any more.
            if let Ok(Some(counts)) = node.checked(stats::of_mailing(&reader, mailing)) {
                let how = how_it_ended(record.status());
                tracing::info!(mailing.id = %id, "mailing {id} is {how} {}", counts_text(&counts));
            }
        }
    }
}

fn how_it_ended(status: MailingStatus) -> &'static str {
    if status == MailingStatus::Cancelled {
        "cancelled"
    } else {
        "finished"
    }
}

/// The number of messages, and that of each status that has any.
fn counts_text(counts: &Counts) -> String {
    let present = STATUSES.into_iter().filter(|status| counts.of(*status) > 0);
    let each: Vec<_> = present
        .map(|status| format!("{} {}", counts.of(status), status.name()))
        .collect();
    if each.is_empty() {
        return "without messages".to_owned();
    }
    format!("with {} messages: {}", counts.total(), each.join(", "))
}

#[cfg(test)]
mod tests {
    use notty_storage::model::Status;

    use super::*;

    #[test]
    fn counts_name_every_status_that_has_messages() {
        let mut counts = Counts::default();
        assert_eq!(counts_text(&counts), "without messages");
        counts.add(Status::Done, 12);
        counts.add(Status::Unconfirmed, 2);
        assert_eq!(
            counts_text(&counts),
            "with 14 messages: 12 done, 2 unconfirmed"
        );
    }
}
