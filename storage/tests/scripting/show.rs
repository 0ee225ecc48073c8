//! Answers as lines of a script.

use notty_storage::{
    Outcome, Reader, Rejection, Reply, Source,
    command::{Admitted, CustomersWritten, Expanded, GrantedLease, Reported, SweptBatches},
    keys::MembersKey,
    model::{Counts, Customer, Mailing, MailingNumber, Run, STATUSES, Seq},
    query,
    records::address,
};

use super::receipts;

/// The answer to one command.
pub(crate) fn outcome(reader: &Reader<'_>, outcome: &Outcome) -> Vec<String> {
    match outcome {
        Ok(reply) => self::reply(reader, reply),
        Err(Rejection::CursorMoved { cursor }) => {
            vec![format!(
                "refused: cursor_moved to {}:{}",
                cursor.customer, cursor.change
            )]
        }
        Err(rejection) => vec![format!("refused: {} ({rejection})", rejection.code())],
    }
}

fn reply(reader: &Reader<'_>, reply: &Reply) -> Vec<String> {
    let line = match reply {
        Reply::Done(()) => "done".to_owned(),
        Reply::Customers(CustomersWritten {
            created,
            updated,
            rejected,
            live: _,
        }) => {
            let rejected = rejected.iter();
            let rejected = rejected.map(|(row, why)| format!("row {row}: {}", why.code()));
            let first = format!("{created} created, {updated} updated");
            return [first].into_iter().chain(rejected).collect();
        }
        Reply::Customer(customer) => self::customer(customer),
        Reply::Mailing(mailing) => self::mailing(mailing),
        Reply::Expanded(Expanded { cursor, messages }) => {
            format!(
                "{messages} messages, now at {}:{}",
                cursor.customer, cursor.change
            )
        }
        Reply::Swept(SweptBatches { batches, more }) => {
            format!(
                "{batches} batches{}",
                if *more { ", more to do" } else { "" }
            )
        }
        Reply::Registered(epoch) => format!("epoch {}", epoch.0),
        Reply::Granted(Some(GrantedLease {
            mailing,
            expires_at,
            runs,
        })) => {
            format!(
                "granted until {}:{}",
                expires_at.as_millis(),
                tokens(reader, *mailing, runs)
            )
        }
        Reply::Receipts(taken) => receipts::reply(taken),
        Reply::Admitted(Admitted { node }) => format!("node {node}"),
        Reply::Granted(None) => "nothing yet".to_owned(),
        Reply::Reported(Reported {
            accepted,
            repeated,
            conflicts,
        }) => {
            let ids = conflicts
                .iter()
                .map(|id| whose(reader, id.mailing, id.position));
            let mut line = format!("{accepted} accepted, {repeated} repeated");
            ids.for_each(|id| line.push_str(&format!(", conflict {id}")));
            line
        }
    };
    vec![line]
}

/// A customer.
pub(crate) fn customer(customer: &Customer) -> String {
    let Customer {
        id,
        phone,
        tag,
        operator,
        timezone,
        name,
    } = customer;
    let zone = timezone.as_deref().unwrap_or("none");
    format!("customer {id} {phone} name={name:?} tag={tag:?} operator={operator:?} zone={zone}")
}

/// A mailing.
pub(crate) fn mailing(mailing: &Mailing) -> String {
    let caught_up = if mailing.caught_up { ", caught up" } else { "" };
    format!(
        "mailing {} ({}): {}{caught_up}",
        mailing.id,
        mailing.number,
        mailing.status.name()
    )
}

/// Counts that are not zero.
pub(crate) fn counts(counts: &Counts) -> String {
    let shown = STATUSES.into_iter().filter(|status| counts.of(*status) > 0);
    let shown: Vec<_> = shown
        .map(|s| format!("{} {}", s.name(), counts.of(s)))
        .collect();
    if shown.is_empty() {
        "nothing".to_owned()
    } else {
        shown.join(", ")
    }
}

/// Tokens as customer and attempt; long runs by their ends.
pub(crate) fn tokens(reader: &Reader<'_>, mailing: MailingNumber, runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        let name = |position| whose(reader, mailing, position);
        let last = run.first + u32::from(run.len) - 1;
        if run.len > 8 {
            text.push_str(&format!(
                " {}..{}#{}",
                name(run.first),
                name(last),
                run.attempt
            ));
        } else {
            let each = (run.first..=last).map(|at| format!(" {}#{}", name(at), run.attempt));
            text.extend(each);
        }
    }
    if text.is_empty() {
        " nothing".to_owned()
    } else {
        text
    }
}

/// The customer of a message.
pub(crate) fn whose(reader: &Reader<'_>, mailing: MailingNumber, position: u32) -> String {
    let (batch, index) = address(position);
    let members = reader.get(&MembersKey(mailing, batch)).ok().flatten();
    let customer = members.and_then(|members| members.customers().nth(index));
    let id = customer.and_then(|seq| query::customers::id_of(reader, Seq(seq)).ok());
    id.map_or_else(|| format!("position {position}"), |id| id.to_string())
}
