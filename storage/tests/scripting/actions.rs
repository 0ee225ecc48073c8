//! The lines of a script that change the state, as commands of the log.

use notty_storage::{
    Action, Source,
    command::{
        AdmitNode, CancelMailing, CreateMailing, CustomerRow, DeclareGateway, DeleteCustomer,
        DeleteMailing, DismissNode, EndMailing, Expand, ExpireLease, FoldMailing, Grant,
        KeptFields, PauseMailing, PurgeMailing, PutCustomer, PutCustomers, PutMode, RaiseLevel,
        RegisterPostman, Report, ResumeMailing, SetTime, StartMailing, SweepDeleted, SweepMailing,
        TrimChanges, TryLevel, UpdateMailing,
    },
    limits::BATCH_STRIDE_BITS,
    model::{
        AudienceSpan, Customer, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber,
        MailingSpec, Phone, PostmanName, Run, SendResult, SendWindow, Timestamp, ZoneNumber, fold,
    },
    query,
    records::{Cursor, WordKind},
};

use super::{
    line::{Line, names},
    receipts,
    world::World,
};

/// A value, or why a line makes no sense.
type Parsed<T> = Result<T, String>;

/// Customers of a script: their ids, and what the keys say; several zones take turns, and so do as
/// many phones as `phones` says. With `by=phone`, rows have no ids, and new customers get these. With `none`
/// in place of the phone, rows have no phones.
fn put_customers(line: &Line) -> Parsed<Action> {
    line.only(&[
        "tag", "operator", "zone", "name", "mode", "by", "phones", "keep",
    ])?;
    let folded = |key| {
        let text = line.key(key).unwrap_or_default();
        vec![(text.to_owned(), fold(text))]
    };
    let mode = match line.key("mode").unwrap_or("upsert") {
        "create" => PutMode::Create,
        "update" => PutMode::Update,
        "upsert" => PutMode::Upsert,
        other => return Err(format!("mode={other}")),
    };
    let ids = names(line.word(0)?)?;
    let zones = line.key("zone").map_or(Ok(Vec::new()), names)?;
    let phones = line.number("phones", i64::from(u32::MAX))? as u64;
    let (first, has_phones) = match line.word(1)? {
        "none" => (0, false),
        text => (
            Phone::parse(text).map_err(|e| e.to_string())?.digits(),
            true,
        ),
    };
    let kept = kept_fields(line)?;
    let row = |(at, (id, digits)): (usize, (&String, u64))| {
        Ok(CustomerRow {
            id: CustomerId::parse(id).map_err(|e| e.to_string())?,
            by_phone: line.key("by") == Some("phone"),
            name: line.key("name").unwrap_or_default().to_owned(),
            phone: has_phones.then(|| Phone::from_digits(digits)),
            tag: 0,
            operator: 0,
            zone: (!zones.is_empty()).then(|| (at % zones.len()) as u16),
            kept,
        })
    };
    let rows = ids
        .iter()
        .zip((first..first + phones).cycle())
        .enumerate()
        .map(row)
        .collect::<Parsed<_>>()?;
    let (tags, operators) = (folded("tag"), folded("operator"));
    let put = PutCustomers {
        mode,
        tags,
        operators,
        zones,
        rows,
    };
    Ok(match put.rows.as_slice() {
        [row] if mode != PutMode::Upsert => put_one(&put, row)?,
        _ => put.into(),
    })
}

/// Fields that a line keeps: `keep=name,tag`.
fn kept_fields(line: &Line) -> Parsed<KeptFields> {
    let kept = line.key("keep").map_or(Ok(Vec::new()), names)?;
    kept.iter().try_fold(KeptFields::NONE, |kept, name| {
        Ok(kept.and(match name.as_str() {
            "name" => KeptFields::NAME,
            "phone" => KeptFields::PHONE,
            "tag" => KeptFields::TAG,
            "operator" => KeptFields::OPERATOR,
            "zone" => KeptFields::TIMEZONE,
            other => return Err(format!("keep={other}")),
        }))
    })
}

/// The only row of a line, written by itself.
fn put_one(put: &PutCustomers, row: &CustomerRow) -> Parsed<Action> {
    let (tag, folded_tag) = put.tags[0].clone();
    let (operator, folded_operator) = put.operators[0].clone();
    let customer = Customer {
        id: row.id.clone(),
        name: row.name.clone(),
        phone: row.phone.ok_or("a phone is missing")?,
        operator,
        tag,
        timezone: put.zones.first().cloned(),
    };
    Ok(Action::PutCustomer(PutCustomer {
        mode: put.mode,
        customer,
        folded_tag,
        folded_operator,
    }))
}

/// The spec of a mailing: what the keys say over what it was.
fn spec(line: &Line, old: MailingSpec) -> Parsed<MailingSpec> {
    line.only(&[
        "text", "start", "end", "tag", "operator", "phone", "window", "desc", "audience", "unique",
        "first",
    ])?;
    let filter = |key, old: Filter| match line.key(key) {
        Some(pattern) => Filter::parse(pattern).map_err(|e| e.to_string()),
        None => Ok(old),
    };
    let window = match line.key("window").and_then(|window| window.split_once('-')) {
        Some((from, to)) => Some(SendWindow::parse(from, to).map_err(|e| e.to_string())?),
        None => old.send_window,
    };
    let audience = match line.key("audience") {
        Some(name) => AudienceSpan::from_name(name).ok_or(format!("audience={name}"))?,
        None => old.audience,
    };
    Ok(MailingSpec {
        audience,
        unique_phones: line
            .key("unique")
            .map_or(old.unique_phones, |key| key == "yes"),
        desc: line.key("desc").map_or(old.desc, str::to_owned),
        text: line.key("text").map_or(old.text, str::to_owned),
        start: Timestamp::from_millis(line.number("start", old.start.as_millis())?),
        end: Timestamp::from_millis(line.number("end", old.end.as_millis())?),
        tag_filter: filter("tag", old.tag_filter)?,
        operator_filter: filter("operator", old.operator_filter)?,
        phone_filter: filter("phone", old.phone_filter)?,
        send_window: window,
    })
}

fn new_spec() -> MailingSpec {
    MailingSpec {
        desc: String::new(),
        text: "Hi".to_owned(),
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(100_000),
        tag_filter: Filter::default(),
        operator_filter: Filter::default(),
        phone_filter: Filter::default(),
        send_window: None,
        audience: AudienceSpan::default(),
        unique_phones: false,
    }
}

fn result(name: &str, line: &Line) -> Parsed<SendResult> {
    let pause_ms = line.number("pause", 1_000)? as u64;
    let repeat_ms = line.number("repeat", 3_600_000)? as u64;
    Ok(match name {
        "done" => SendResult::Done,
        "invalid" => SendResult::Invalid,
        "not-taken" => SendResult::NotTaken { pause_ms },
        "not-sent" => SendResult::NotSent { pause_ms },
        "handed-back" => SendResult::HandedBack,
        "unsure" => SendResult::Unsure,
        "repeatable" => SendResult::UnsureRepeatable {
            pause_ms,
            repeat_ms,
        },
        other => return Err(format!("{other} is no result")),
    })
}

/// A command about nodes, postmen or the time.
fn of_the_cluster(line: &Line) -> Parsed<Action> {
    Ok(match line.name.as_str() {
        "register" => Action::RegisterPostman(RegisterPostman {
            name: PostmanName::parse(line.word(0)?).map_err(|e| e.to_string())?,
            nonce: line.number("nonce", 0)? as u64,
        }),
        "admit" => Action::AdmitNode(AdmitNode {
            name: line.word(0)?.to_owned(),
            disk: line.word(1)?.to_owned(),
            above: line.number("above", 0)? as u64,
        }),
        "dismiss" => Action::DismissNode(DismissNode {
            node: line.number("node", 1)? as u64,
            name: line.word(0)?.to_owned(),
            disk: line.word(1)?.to_owned(),
        }),
        "set-time" => Action::SetTime(SetTime {
            to: Timestamp::from_millis(line.word(0)?.parse().map_err(|_| "set-time milliseconds")?),
        }),
        "declare" => Action::DeclareGateway(DeclareGateway {
            postman: Epoch(
                line.word(0)?
                    .parse()
                    .map_err(|_| "declare EPOCH".to_owned())?,
            ),
            gateway: line.number("gateway", 1)? as u64,
            repeat_ms: match line.key("repeat") {
                Some(_) => Some(line.number("repeat", 0)? as u64),
                None => None,
            },
        }),
        "raise" => Action::RaiseLevel(RaiseLevel {
            to: line.word(0)?.parse().map_err(|_| "raise LEVEL")?,
            version: line.key("by").unwrap_or("1.2.3").to_owned(),
        }),
        "secret" => receipts::secret(line)?,
        "try-level" => Action::TryLevel(TryLevel { nonce: 7 }),
        other => return Err(format!("{other} is no command")),
    })
}

impl World {
    /// The command that a line stands for.
    pub(crate) fn action(&self, line: &Line) -> Parsed<Action> {
        let batches = line.number("batches", 50)? as u32;
        let id = || MailingId::parse(line.word(0)?).map_err(|e| e.to_string());
        let mailing = || self.mailing(line.word(0)?);
        Ok(match line.name.as_str() {
            "customers" => put_customers(line)?,
            "delete" => Action::DeleteCustomer(DeleteCustomer {
                id: CustomerId::parse(line.word(0)?).map_err(|e| e.to_string())?,
            }),
            "trim" => Action::TrimChanges(TrimChanges { blocks: batches }),
            "sweep-deleted" => Action::SweepDeleted(SweepDeleted { batches }),
            "mailing" => Action::CreateMailing(CreateMailing {
                id: id()?,
                spec: spec(line, new_spec())?,
                first: line.number("first", 0)? as u32,
            }),
            "change" => Action::UpdateMailing(UpdateMailing {
                id: id()?,
                spec: spec(line, self.old_spec(line.word(0)?)?)?,
            }),
            "pause" => Action::PauseMailing(PauseMailing { id: id()? }),
            "resume" => Action::ResumeMailing(ResumeMailing {
                id: id()?,
                accept_duplicates: match line.words.get(1).map(String::as_str) {
                    None => false,
                    Some("accepting") => true,
                    Some(other) => return Err(format!("resume m accepting, not {other}")),
                },
            }),
            "cancel" => Action::CancelMailing(CancelMailing { id: id()? }),
            "drop" => Action::DeleteMailing(DeleteMailing { id: id()? }),
            "start" => Action::StartMailing(StartMailing {
                mailing: mailing()?,
            }),
            "end" => Action::EndMailing(EndMailing {
                mailing: mailing()?,
            }),
            "expand" => self.expand(line, mailing()?)?,
            "sweep" => Action::SweepMailing(SweepMailing {
                mailing: mailing()?,
                batches,
            }),
            "fold" => Action::FoldMailing(FoldMailing {
                mailing: mailing()?,
                batches,
                blocks: line.number("blocks", 1_000)? as u32,
            }),
            "purge" => Action::PurgeMailing(PurgeMailing {
                mailing: mailing()?,
                batches,
            }),
            "grant" => Action::Grant(self.grant(line)?),
            "report" => Action::Report(self.report(line)?),
            "receipts" => self.receipts(line)?,
            "run-out" => Action::ExpireLease(ExpireLease {
                lease: line.lease()?,
            }),
            _ => of_the_cluster(line)?,
        })
    }

    /// The number of a mailing by the name that the script gave it, or as `#number`.
    pub(super) fn mailing(&self, name: &str) -> Parsed<MailingNumber> {
        if let Some(number) = name.strip_prefix('#') {
            return Ok(MailingNumber(
                number.parse().map_err(|_| format!("{name} is no number"))?,
            ));
        }
        self.mailings
            .get(name)
            .copied()
            .ok_or_else(|| format!("no mailing was named {name}"))
    }

    fn old_spec(&self, name: &str) -> Parsed<MailingSpec> {
        let Some(number) = self.mailings.get(name) else {
            return Ok(new_spec());
        };
        let census = self.census()?;
        Ok(census
            .mailings
            .get(number)
            .map_or_else(new_spec, |found| found.record.spec.clone()))
    }

    /// `expand m scan=10 limit=5 cursor=0:0`; the cursor is where the mailing stands.
    fn expand(&self, line: &Line, mailing: MailingNumber) -> Parsed<Action> {
        line.only(&["scan", "limit", "cursor"])?;
        let scan = line.number("scan", 1_000)? as u32;
        let limit = line.number("limit", 1_000)? as u16;
        let cursor = match line.key("cursor").and_then(|cursor| cursor.split_once(':')) {
            Some((customer, change)) => Cursor {
                customer: customer.parse().map_err(|_| "cursor=customer:change")?,
                change: change.parse().map_err(|_| "cursor=customer:change")?,
            },
            None => self
                .census()?
                .mailings
                .get(&mailing)
                .map_or_else(Cursor::default, |m| m.progress.cursor),
        };
        Ok(Action::Expand(Expand {
            mailing,
            cursor,
            scan,
            limit,
        }))
    }

    /// `grant lease=1:1 mailing=m limit=5 batches=50 barren=50 zones=Europe/Moscow,none ttl=30000 gateway=1 from=0`.
    fn grant(&self, line: &Line) -> Parsed<Grant> {
        line.only(&[
            "lease", "mailing", "limit", "batches", "barren", "zones", "ttl", "gateway", "from",
        ])?;
        let zones = line
            .key("zones")
            .map(|zones| zones.split(',').map(|name| self.zone(name)));
        Ok(Grant {
            lease: line.lease()?,
            mailing: self.mailing(line.key("mailing").ok_or("mailing= is missing")?)?,
            limit: line.number("limit", 1_000)? as u16,
            batches: line.number("batches", 50)? as u8,
            barren: line.number("barren", 50)? as u8,
            zones: zones.map(|zones| zones.collect()).transpose()?,
            ttl_ms: line.number("ttl", 30_000)? as u64,
            gateway: line.number("gateway", 1)? as u64,
            from: line
                .key("from")
                .map(|_| line.number("from", 0))
                .transpose()?
                .map(|n| n as u32),
        })
    }

    fn zone(&self, name: &str) -> Parsed<ZoneNumber> {
        let name = if name == "none" { "" } else { name };
        let view = self.view();
        let reader = view.read();
        let count = query::work::zone_count(&reader);
        let named = |number: &u32| {
            reader
                .word(WordKind::Zone, *number)
                .is_some_and(|w| w.text == name)
        };
        let found = (0..count)
            .find(named)
            .ok_or_else(|| format!("nobody has the zone {name}"))?;
        Ok(ZoneNumber(found as u16))
    }

    /// `report lease=1:1 done a,b invalid c..e`: each result, then whose messages. What the lease
    /// was granted says which attempts, unless `attempt=` and `mailing=` do.
    fn report(&self, line: &Line) -> Parsed<Report> {
        line.only(&["lease", "mailing", "attempt", "gateway", "pause", "repeat"])?;
        let lease = line.lease()?;
        let granted = self.granted.get(&lease);
        let mailing = match line.key("mailing") {
            Some(name) => self.mailing(name)?,
            None => {
                granted
                    .ok_or("a lease that was not granted needs mailing=")?
                    .0
            }
        };
        let mut results = Vec::new();
        for pair in line.words.chunks(2) {
            let [name, whose] = pair else {
                return Err("a result, then whose".to_owned());
            };
            results.push((
                result(name, line)?,
                self.tokens(line, lease, mailing, whose)?,
            ));
        }
        Ok(Report {
            lease,
            mailing,
            gateway: line.number("gateway", 1)? as u64,
            results,
        })
    }

    fn tokens(
        &self,
        line: &Line,
        lease: LeaseId,
        mailing: MailingNumber,
        whose: &str,
    ) -> Parsed<Vec<Run>> {
        let empty = Vec::new();
        let runs = self.granted.get(&lease).map_or(&empty, |(_, runs)| runs);
        if whose == "all" {
            return Ok(runs.clone());
        }
        let mut tokens = Vec::new();
        for name in names(whose)? {
            let first = match name.split_once('@') {
                Some((batch, index)) => {
                    let number = |text: &str| text.parse::<u32>().map_err(|_| "batch@index");
                    (number(batch)? << BATCH_STRIDE_BITS) | number(index)?
                }
                None => self.position(mailing, &name)?,
            };
            let within = |run: &&Run| (run.first..run.first + u32::from(run.len)).contains(&first);
            let known = runs.iter().find(within).map(|run| i64::from(run.attempt));
            let attempt = match (line.key("attempt"), known) {
                (None, None) => return Err(format!("{name} was not granted: attempt= is missing")),
                _ => line.number("attempt", known.unwrap_or_default())? as u16,
            };
            tokens.push(Run {
                first,
                len: 1,
                attempt,
            });
        }
        tokens.sort_unstable();
        Ok(tokens)
    }
}
