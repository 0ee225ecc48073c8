//! Random commands over a small world: mostly sensible, sometimes wrong, old or repeated.

use notty_storage::{
    Action, Timestamp,
    command::{
        CancelMailing, CreateMailing, CustomerRow, DeclareGateway, DeleteCustomer, DeleteMailing,
        EndMailing, Expand, ExpireLease, FoldMailing, Grant, KeptFields, PauseMailing,
        PurgeMailing, PutCustomer, PutCustomers, PutMode, RegisterPostman, Report, ResumeMailing,
        StartMailing, SweepDeleted, SweepMailing, TrimChanges, UpdateMailing,
    },
    model::{
        AudienceSpan, Customer, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber,
        MailingSpec, Phone, PostmanName, Run, SendResult, ZoneNumber,
    },
    records::{Cursor, MailingRecord},
};

use super::{
    dice::Dice,
    model::{Model, each},
    receipts,
};
use crate::common::Census;

const CUSTOMERS: u64 = 20;
/// Mailings that are not settled at once, at most.
const MAILINGS: usize = 4;
const POSTMEN: u64 = 3;
const WORDS: [&str; 3] = ["", "x", "y"];
const ZONES: [&str; 2] = ["Europe/Moscow", "Asia/Vladivostok"];

/// What a move looks at to make sense.
pub(crate) struct Table<'a> {
    /// The state as it is.
    pub(crate) census: &'a Census,
    /// What was granted and said.
    pub(crate) model: &'a Model,
    /// Epochs and their last leases.
    pub(crate) postmen: &'a [(Epoch, u64)],
    /// Leases that are open, and their ends.
    pub(crate) open: &'a [(LeaseId, Timestamp)],
    /// The time.
    pub(crate) at: Timestamp,
    /// The same without what people set it by.
    pub(crate) steady: Timestamp,
}

impl Table<'_> {
    fn has_room(&self) -> bool {
        let open = self
            .census
            .mailings
            .values()
            .filter(|m| m.record.settled_at.is_none());
        open.count() < MAILINGS
    }
}

/// The next command.
pub(crate) fn next(dice: &mut Dice, table: &Table<'_>) -> Action {
    match dice.below(100) {
        0..6 => put(dice),
        6..8 => Action::DeleteCustomer(DeleteCustomer { id: customer(dice) }),
        8..9 if dice.below(2) == 0 => Action::TrimChanges(TrimChanges {
            blocks: dice.below(5) as u32,
        }),
        8..9 => Action::SweepDeleted(SweepDeleted {
            batches: dice.below(5) as u32,
        }),
        9..14 if table.has_room() => create(dice, table.at, table.census.mailings.len()),
        9..17 => about_mailing(dice, table),
        17..18 => Action::StartMailing(StartMailing {
            mailing: open_mailing(dice, table),
        }),
        18..19 => Action::EndMailing(EndMailing {
            mailing: open_mailing(dice, table),
        }),
        19..30 => office(dice, table),
        30..37 => expand(dice, table),
        37..39 => over(dice, table),
        39..40 => register(dice),
        40..64 => Action::Grant(grant(dice, table)),
        64..93 => Action::Report(report(dice, table)),
        93..95 => declare(dice, table),
        95..97 => receipts::some(dice, table),
        _ if table.open.is_empty() => office(dice, table),
        _ => expire(dice, table),
    }
}

/// A postman says where it sends: mostly to the first gateway, and that it takes repeats.
fn declare(dice: &mut Dice, table: &Table<'_>) -> Action {
    let (postman, _) = dice.pick(table.postmen).copied().unwrap_or_default();
    let gateway = 1 + dice.below(8) / 7;
    let repeat_ms = (!dice.one_in(6)).then(|| dice.below(600));
    Action::DeclareGateway(DeclareGateway {
        postman,
        gateway,
        repeat_ms,
    })
}

/// What a game begins with: customers, two mailings, postmen.
pub(crate) fn first(dice: &mut Dice) -> Vec<Action> {
    let at = Timestamp::from_millis(1);
    let mut first: Vec<Action> = (0..10).map(|_| put(dice)).collect();
    first.extend((0..3).map(|known| create(dice, at, known)));
    first.extend(postmen(dice));
    let repeat_ms = Some(300);
    let declare = |by| {
        Action::DeclareGateway(DeclareGateway {
            postman: Epoch(by),
            gateway: 1,
            repeat_ms,
        })
    };
    first.extend((1..=POSTMEN).map(declare));
    first
}

/// Postmen that start.
pub(crate) fn postmen(dice: &mut Dice) -> Vec<Action> {
    (0..POSTMEN).map(|_| register(dice)).collect()
}

/// Fields that a row keeps: most rows keep none.
const KEPT: [KeptFields; 6] = [
    KeptFields::NONE,
    KeptFields::NONE,
    KeptFields::NONE,
    KeptFields::TAG,
    KeptFields::PHONE,
    KeptFields::ALL,
];

/// A command that touches customers.
pub(crate) fn put(dice: &mut Dice) -> Action {
    // Some words come and go, so that their numbers are given again.
    let rare = format!("rare-{}", dice.below(12));
    let words = || {
        let all = WORDS.into_iter().chain([rare.as_str()]);
        all.map(|word| (word.to_owned(), word.to_owned())).collect()
    };
    let rows = (0..=dice.below(3)).map(|n| CustomerRow {
        id: customer(dice),
        by_phone: dice.one_in(4),
        name: String::new(),
        // Never the first one: a command of it alone may be that of one whole customer.
        phone: Some(Phone::from_digits(79_160_000_000 + dice.below(3)))
            .filter(|_| n == 0 || !dice.one_in(4)),
        tag: dice.below(4) as u16,
        operator: dice.below(4) as u16,
        zone: dice.pick(&[None, Some(0), Some(1)]).copied().flatten(),
        kept: dice.pick(&KEPT).copied().unwrap_or_default(),
    });
    let rows = rows.collect();
    let modes = [
        PutMode::Create,
        PutMode::Update,
        PutMode::Upsert,
        PutMode::Upsert,
    ];
    let mode = dice.pick(&modes).copied().unwrap_or(PutMode::Upsert);
    let zones = ZONES.map(str::to_owned).to_vec();
    let put = PutCustomers {
        mode,
        tags: words(),
        operators: words(),
        zones,
        rows,
    };
    match put.rows.as_slice() {
        [row] if mode != PutMode::Upsert => put_one(&put, row),
        _ => put.into(),
    }
}

/// The only row of a command, written by itself.
fn put_one(put: &PutCustomers, row: &CustomerRow) -> Action {
    let (tag, folded_tag) = put.tags[usize::from(row.tag)].clone();
    let (operator, folded_operator) = put.operators[usize::from(row.operator)].clone();
    let customer = Customer {
        id: row.id.clone(),
        name: row.name.clone(),
        phone: row.phone.expect("the first row has a phone"),
        operator,
        tag,
        timezone: row.zone.map(|zone| put.zones[usize::from(zone)].clone()),
    };
    Action::PutCustomer(PutCustomer {
        mode: put.mode,
        customer,
        folded_tag,
        folded_operator,
    })
}

fn customer(dice: &mut Dice) -> CustomerId {
    CustomerId::parse(&format!("c-{}", dice.below(CUSTOMERS))).expect("a customer's id")
}

/// The id of a mailing, mostly one that is not settled.
fn mailing_id(dice: &mut Dice, table: &Table<'_>) -> MailingId {
    let number = open_mailing(dice, table);
    let known = table
        .census
        .mailings
        .get(&number)
        .map(|mailing| mailing.record.id.clone());
    known.unwrap_or_else(|| MailingId::parse("nobody").expect("an id"))
}

/// What the post office would propose now, any of it.
fn office(dice: &mut Dice, table: &Table<'_>) -> Action {
    let mut sensible = Vec::new();
    for (number, known) in &table.census.mailings {
        let (mailing, record) = (*number, &known.record);
        let batches = 1 + dice.below(6) as u32;
        if record.settled_at.is_some() {
            sensible.push(Action::FoldMailing(FoldMailing {
                mailing,
                batches,
                blocks: 1,
            }));
            sensible.push(Action::PurgeMailing(PurgeMailing { mailing, batches }));
        } else if record.is_over() {
            sensible.push(Action::SweepMailing(SweepMailing { mailing, batches }));
            let cursor = known.progress.cursor;
            sensible.push(Action::Expand(Expand {
                mailing,
                cursor,
                scan: 30,
                limit: 9,
            }));
        } else if record.spec.end <= table.at {
            sensible.push(Action::EndMailing(EndMailing { mailing }));
        } else if record.started_at.is_none() && record.spec.start <= table.at {
            sensible.push(Action::StartMailing(StartMailing { mailing }));
        }
    }
    let found = dice.pick(&sensible).cloned();
    found.unwrap_or_else(|| expand(dice, table))
}

/// A mailing, mostly one that is not settled.
fn open_mailing(dice: &mut Dice, table: &Table<'_>) -> MailingNumber {
    mailing(dice, table, |record| record.settled_at.is_none())
}

/// A mailing, mostly one that sends.
fn running_mailing(dice: &mut Dice, table: &Table<'_>) -> MailingNumber {
    mailing(dice, table, |record| {
        record.is_running() && !record.paused && table.at < record.spec.end
    })
}

fn mailing(
    dice: &mut Dice,
    table: &Table<'_>,
    mostly: impl Fn(&MailingRecord) -> bool,
) -> MailingNumber {
    let any = dice.one_in(8);
    let all = table.census.mailings.iter();
    let chosen: Vec<_> = all
        .filter(|(_, m)| any || mostly(&m.record))
        .map(|(n, _)| *n)
        .collect();
    dice.pick(&chosen).copied().unwrap_or(MailingNumber(1))
}

fn create(dice: &mut Dice, at: Timestamp, known: usize) -> Action {
    let id = known as u64 + 1 - dice.below(10) / 9;
    let id = MailingId::parse(&format!("m-{id}")).expect("an id");
    let start = at.plus_millis(dice.below(30) as i64);
    let tag = dice
        .pick(&["%", "%", "%", "%", "x", "y"])
        .copied()
        .unwrap_or("%");
    let spec = MailingSpec {
        desc: String::new(),
        text: "Hi".to_owned(),
        start,
        end: start.plus_millis(200 + dice.below(1_500) as i64),
        tag_filter: Filter::parse(tag).expect("a pattern"),
        operator_filter: Filter::default(),
        phone_filter: Filter::default(),
        send_window: None,
        audience: match dice.below(3) {
            0 => AudienceSpan::AtStart,
            _ => AudienceSpan::UntilEnd,
        },
        unique_phones: !dice.one_in(4),
    };
    Action::CreateMailing(CreateMailing { id, spec, first: 0 })
}

fn about_mailing(dice: &mut Dice, table: &Table<'_>) -> Action {
    let id = mailing_id(dice, table);
    match dice.below(12) {
        0..2 => Action::PauseMailing(PauseMailing { id }),
        2..9 => Action::ResumeMailing(ResumeMailing {
            id,
            accept_duplicates: dice.one_in(2),
        }),
        9 => Action::CancelMailing(CancelMailing { id }),
        10 => Action::DeleteMailing(DeleteMailing { id }),
        _ => {
            let records = table
                .census
                .mailings
                .values()
                .map(|mailing| &mailing.record);
            let Some(old) = records.rev().find(|record| record.id == id) else {
                return Action::PauseMailing(PauseMailing { id });
            };
            let end = old.spec.end.plus_millis(dice.below(200) as i64 - 100);
            Action::UpdateMailing(UpdateMailing {
                id,
                spec: MailingSpec {
                    end,
                    ..old.spec.clone()
                },
            })
        }
    }
}

fn expand(dice: &mut Dice, table: &Table<'_>) -> Action {
    let mailing = if dice.one_in(4) {
        open_mailing(dice, table)
    } else {
        running_mailing(dice, table)
    };
    let known = table.census.mailings.get(&mailing);
    let mut cursor = known.map_or_else(Cursor::default, |known| known.progress.cursor);
    cursor.customer += u32::from(dice.one_in(30));
    Action::Expand(Expand {
        mailing,
        cursor,
        scan: dice.below(30) as u32,
        limit: 1 + dice.below(6) as u16,
    })
}

/// What follows the end of a mailing.
fn over(dice: &mut Dice, table: &Table<'_>) -> Action {
    let all: Vec<_> = table.census.mailings.keys().copied().collect();
    let mailing = dice.pick(&all).copied().unwrap_or(MailingNumber(1));
    let batches = dice.below(6) as u32;
    match dice.below(6) {
        0..3 => Action::SweepMailing(SweepMailing { mailing, batches }),
        3..5 => Action::FoldMailing(FoldMailing {
            mailing,
            batches,
            blocks: batches,
        }),
        _ => Action::PurgeMailing(PurgeMailing { mailing, batches }),
    }
}

fn register(dice: &mut Dice) -> Action {
    let name = PostmanName::parse(&format!("p-{}", dice.below(POSTMEN))).expect("a name");
    Action::RegisterPostman(RegisterPostman {
        name,
        nonce: 1 + dice.below(4) / 3 * dice.below(9),
    })
}

fn grant(dice: &mut Dice, table: &Table<'_>) -> Grant {
    let (epoch, last) = dice.pick(table.postmen).copied().unwrap_or_default();
    let n = match dice.below(12) {
        0 => last,
        1 => dice.below(last + 3),
        _ => last + 1,
    };
    let zones = match dice.below(3) {
        0 => Some((0..3).map(ZoneNumber).filter(|_| dice.one_in(2)).collect()),
        _ => None,
    };
    Grant {
        lease: LeaseId { epoch, n },
        mailing: running_mailing(dice, table),
        limit: 1 + dice.below(6) as u16,
        batches: 1 + dice.below(4) as u8,
        barren: 1 + dice.below(4) as u8,
        zones,
        ttl_ms: 10 + dice.below(150),
        gateway: 1 + dice.below(8) / 7,
        from: dice.one_in(3).then(|| dice.below(4) as u32),
    }
}

fn report(dice: &mut Dice, table: &Table<'_>) -> Report {
    let known: Vec<_> = table.model.leases.iter().collect();
    let open: Vec<_> = known
        .iter()
        .filter(|(id, _)| table.open.iter().any(|(o, _)| o == *id))
        .copied()
        .collect();
    let recent = &known[known.len().saturating_sub(8)..];
    let from = if dice.one_in(4) || open.is_empty() {
        recent
    } else {
        &open
    };
    let none = (LeaseId::default(), (MailingNumber(1), Vec::new()));
    let (lease, (mailing, runs)) = dice.pick(from).copied().unwrap_or((&none.0, &none.1));
    let mut results = Vec::new();
    for (position, attempt) in each(runs) {
        if dice.one_in(4) {
            continue;
        }
        let wrong = dice.one_in(60);
        let attempt = if wrong { dice.below(4) as u16 } else { attempt };
        results.push((
            result(dice),
            vec![Run {
                first: position,
                len: 1,
                attempt,
            }],
        ));
    }
    let stranger = dice.one_in(40);
    // Nobody holds messages of two lives.
    let strangers = recent.iter().map(|(id, _)| **id);
    let strangers = strangers.filter(|id| table.model.is_over(*id) == table.model.is_over(*lease));
    let strangers: Vec<_> = strangers.collect();
    let stranger = dice.pick(&strangers).copied().filter(|_| stranger);
    let lease = stranger.unwrap_or(*lease);
    Report {
        lease,
        mailing: *mailing,
        gateway: 1 + dice.below(8) / 7,
        results,
    }
}

fn result(dice: &mut Dice) -> SendResult {
    let pause_ms = dice.below(40);
    match dice.below(20) {
        0..6 => SendResult::Done,
        6 => SendResult::Invalid,
        7..11 => SendResult::NotTaken { pause_ms },
        11..14 => SendResult::NotSent { pause_ms },
        14..17 => SendResult::HandedBack,
        17 => SendResult::Unsure,
        _ => SendResult::UnsureRepeatable {
            pause_ms,
            repeat_ms: dice.below(400),
        },
    }
}

fn expire(dice: &mut Dice, table: &Table<'_>) -> Action {
    let over = table
        .open
        .iter()
        .find(|(_, expires_at)| *expires_at <= table.steady);
    let any = dice.pick(table.open).or(over).map(|(lease, _)| *lease);
    let lease = over
        .map(|(lease, _)| *lease)
        .filter(|_| !dice.one_in(5))
        .or(any);
    Action::ExpireLease(ExpireLease {
        lease: lease.unwrap_or_default(),
    })
}
