//! The state that a script tells of, and what its lines do to it.

use std::{collections::BTreeMap, time::Duration};

use notty_storage::{
    Action, Beginning, Command, Entry, Error, Export, Origin, Reader, Reply, Source, Store,
    StoreOptions, Timestamp, View, begin_anew, codec,
    command::{Cost, ExpireLease, GrantedLease},
    import_snapshot,
    keys::{NumbersKey, WordUsesKey},
    model::{CustomerId, Epoch, Filter, LeaseId, MailingNumber, MessageId, Run},
    query::{self, messages::MessageFilter},
    read_snapshot_marker,
    records::{Draw, WordKind},
};
use tempfile::TempDir;

use super::{line::Line, receipts, show};
use crate::common::{self, Census, Past};

/// The most tries to open a place of the state that was just let go, a millisecond apart.
const TRIES: u32 = 10_000;

/// What a line answers, or why it makes no sense.
pub(crate) type Said = Result<Vec<String>, String>;

/// A state and what a script knows of it.
pub(crate) struct World {
    dir: TempDir,
    store: Store,
    /// The time of the next entry.
    pub(crate) at: Timestamp,
    /// Numbers of mailings by the names that the script gave them, deleted ones among them.
    pub(crate) mailings: BTreeMap<String, MailingNumber>,
    /// Mailings that the customers written last have come to match, and how many of them.
    live: Vec<(MailingNumber, u32)>,
    /// What each lease was granted.
    pub(crate) granted: BTreeMap<LeaseId, (MailingNumber, Vec<Run>)>,
    past: Past,
    entries: u64,
    places: u32,
    export: Option<Export>,
    /// Commands and their outcomes, encoded, in the order in which they were applied.
    pub(crate) encoded: Vec<(Vec<u8>, Vec<u8>)>,
}

impl World {
    /// An empty state.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let store = open(&dir, 0);
        Self {
            dir,
            store,
            at: Timestamp::default(),
            mailings: BTreeMap::new(),
            live: Vec::new(),
            granted: BTreeMap::new(),
            past: Past::new(1),
            entries: 0,
            places: 0,
            export: None,
            encoded: Vec::new(),
        }
    }

    /// Does what a line says, then checks the whole state.
    pub(crate) fn execute(&mut self, text: &str) -> Said {
        let said = match text
            .strip_prefix("repeat ")
            .and_then(|rest| rest.split_once(' '))
        {
            Some((times, rest)) => {
                let times: u32 = times.parse().map_err(|_| "repeat N command")?;
                let mut said = Vec::new();
                for _ in 0..times {
                    said = self.once(rest)?;
                }
                said
            }
            None => self.once(text)?,
        };
        let view = self.store.view();
        common::check(&view.read(), &mut self.past)?;
        Ok(said)
    }

    fn once(&mut self, text: &str) -> Said {
        let line = Line::parse(text)?;
        match line.name.as_str() {
            "at" => {
                let at = line.word(0)?.parse().map_err(|_| "at milliseconds")?;
                self.at = Timestamp::from_millis(at);
                Ok(Vec::new())
            }
            "expire" => self.expire(),
            "keys" => self.client_keys(&line),
            "cost" => self.cost(text.trim_start_matches("cost ")),
            "reopen" => self.reopen(),
            "export" => self.export(line.word(0)?),
            "damage" => self.damage(&line),
            "import" => self.import(),
            "restore" => self.restore(&line),
            "ids" => self.ids(line.word(0)?),
            _ => match self.ask(&line)? {
                Some(answer) => Ok(answer),
                None => self.apply(text),
            },
        }
    }

    /// Applies the commands of a line, separated by ` ; `, as one entry.
    fn apply(&mut self, text: &str) -> Said {
        let commands = text.split(" ; ").map(|text| self.command(text.trim()));
        let commands = commands.collect::<Result<Vec<_>, _>>()?;
        self.entry(commands)
    }

    fn entry(&mut self, commands: Vec<Command>) -> Said {
        self.entries += 1;
        let entry = Entry {
            at: self.at,
            commands,
        };
        let applied = self.store.apply(&entry, &self.entries.to_be_bytes());
        let outcomes = applied.map_err(|error| format!("apply: {error}"))?;
        let view = self.store.view();
        let mut said = Vec::new();
        for (outcome, command) in outcomes.iter().zip(&entry.commands) {
            let bytes = (codec::encode(command), codec::encode(outcome));
            self.encoded.push(bytes);
            said.extend(show::outcome(&view.read(), outcome));
            match (outcome, &command.action) {
                (
                    Ok(Reply::Granted(Some(GrantedLease { mailing, runs, .. }))),
                    Action::Grant(grant),
                ) => {
                    self.granted.insert(grant.lease, (*mailing, runs.clone()));
                }
                (Ok(Reply::Customers(written)), _) => self.live = written.live.clone(),
                (Ok(Reply::Mailing(mailing)), _) => {
                    self.mailings.insert(mailing.id.to_string(), mailing.number);
                }
                _ => {}
            }
        }
        Ok(said)
    }

    /// `client key/request: command`, `client key/request/caller: command`, `upload id/n: command`, or a
    /// command by itself.
    fn command(&self, text: &str) -> Result<Command, String> {
        if let Some(upload) = text.strip_prefix("upload ") {
            return self.upload_command(upload);
        }
        let Some((origin, rest)) = text
            .strip_prefix("client ")
            .and_then(|text| text.split_once(": "))
        else {
            return Ok(Command::new(self.action(&Line::parse(text)?)?));
        };

        let (key, request) = origin.split_once('/').ok_or("client key/request:")?;
        let (request, caller) = request.split_once('/').unwrap_or((request, ""));
        let origin = Origin::Client {
            key: hash(key),
            request: hash(request),
            caller: caller_number(caller),
        };
        Ok(Command::new(self.action(&Line::parse(rest)?)?).by(origin))
    }

    fn upload_command(&self, text: &str) -> Result<Command, String> {
        let (origin, rest) = text.split_once(": ").ok_or("upload id/n: command")?;
        let (import, n) = origin.split_once('/').ok_or("upload id/n:")?;
        let origin = Origin::Import {
            import: hash(import),
            n: n.parse().map_err(|_| "upload id/n:")?,
        };
        Ok(Command::new(self.action(&Line::parse(rest)?)?).by(origin))
    }

    /// Expires every lease whose time is over, as the post office does.
    fn expire(&mut self) -> Said {
        let view = self.store.view();
        let setting = query::time::setting(&view.read()).map_err(text)?;
        let steady = setting.steady(self.at);
        let over = query::leases::expired(&view.read(), steady).map_err(text)?;
        let mut said = Vec::new();
        for lease in over {
            self.entry(vec![Action::ExpireLease(ExpireLease { lease }).into()])?;
            said.push(format!("lease {lease} has run out"));
        }
        Ok(if said.is_empty() {
            vec!["no lease has run out".to_owned()]
        } else {
            said
        })
    }

    /// Uses many different keys of one client.
    fn client_keys(&mut self, line: &Line) -> Said {
        let count: u64 = line.word(0)?.parse().map_err(|_| "keys N caller")?;
        let caller = caller_number(line.word(1).unwrap_or_default());
        let mut last = Vec::new();
        let numbers: Vec<u64> = (0..count).collect();
        for numbers in numbers.chunks(1_000) {
            let command = |n: &u64| {
                let key = hash(&format!("{}-{n}", self.entries));
                let action = self.action(&Line::parse("resume nobody")?)?;
                Ok(Command::new(action).by(Origin::Client {
                    key,
                    request: key,
                    caller,
                }))
            };
            let commands = numbers
                .iter()
                .map(command)
                .collect::<Result<Vec<_>, String>>()?;
            last = self.entry(commands)?;
        }
        Ok(last.pop().into_iter().collect())
    }

    fn cost(&self, text: &str) -> Said {
        let Cost {
            customers, batches, ..
        } = self.command(text)?.cost();
        Ok(vec![format!(
            "at most {customers} customers, {batches} batches"
        )])
    }

    fn reopen(&mut self) -> Said {
        self.store.flush().map_err(text)?;
        let hash = self.store.hash();
        let elsewhere = open(&self.dir, u32::MAX);
        drop(std::mem::replace(&mut self.store, elsewhere));
        self.store = open(&self.dir, self.places);
        Ok(vec![same(hash, self.store.hash()).to_owned()])
    }

    fn export(&mut self, step: &str) -> Said {
        let path = self.dir.path().join("snapshot");
        match step {
            "begin" => self.export = Some(self.store.begin_export(&path).map_err(text)?),
            "copy" => {
                let export = self.export.as_mut().ok_or("no export was begun")?;
                while export.copy_some().map_err(text)? {}
            }
            "end" => {
                let export = self.export.take().ok_or("no export was begun")?;
                let summary = self.store.end_export(export).map_err(text)?;
                let marker = read_snapshot_marker(&path).map_err(text)?;
                let there = summary.marker == marker && summary.hash == self.store.hash();
                return Ok(vec![format!(
                    "exported: {}",
                    if there { "here" } else { "elsewhere" }
                )]);
            }
            _ => return Err("export begin, copy or end".to_owned()),
        }
        Ok(Vec::new())
    }

    /// Goes on with a state built from the exported file.
    fn import(&mut self) -> Said {
        self.places += 1;
        let into = self.dir.path().join(self.places.to_string());
        let path = self.dir.path().join("snapshot");
        let hash = self.store.hash();
        match import_snapshot(&path, &into, StoreOptions::default()) {
            Ok(store) => self.store = store,
            Err(Error::Snapshot { what, .. }) => return Ok(vec![format!("refused: {what}")]),
            Err(error) => return Err(text(error)),
        }
        if hash != self.store.hash() {
            // An earlier state: what came after it has never been.
            self.past = Past::new(1);
        }
        Ok(vec![same(hash, self.store.hash()).to_owned()])
    }

    /// The state begins a new life, as after a restore from a backup of it; `draw=50` draws numbers
    /// in the middle of all that can be drawn.
    fn restore(&mut self, line: &Line) -> Said {
        line.only(&["draw"])?;
        self.entries += 1;
        let percent = line.number("draw", 0)? as u64;
        let drawn = u64::MAX / 100 * percent;
        let draw = Draw {
            mailings: drawn,
            epochs: drawn,
        };
        let marker = self.entries.to_be_bytes();
        match begin_anew(
            &mut self.store,
            Beginning {
                marker: &marker,
                draw,
                at: self.at,
            },
        ) {
            Ok(()) => Ok(Vec::new()),
            Err(error) => Ok(vec![format!("refused: {error}")]),
        }
    }

    /// The ids of a mailing's messages as the gateway gets them, page by page; each is found again.
    fn ids(&self, mailing: &str) -> Said {
        let view = self.store.view();
        let reader = view.read();
        let mailing = self
            .mailings
            .get(mailing)
            .copied()
            .ok_or("no mailing was named so")?;
        let filter = MessageFilter {
            mailing: Some(mailing),
            ..MessageFilter::default()
        };
        let (mut said, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            let page = query::messages::list(&reader, &filter, next, 1).map_err(text)?;
            for message in page.items {
                let found = query::messages::get(&reader, message.id).map_err(text)?;
                if found.as_ref() != Some(&message) {
                    return Err(format!("{} is not found again", message.id));
                }
                let MessageId { mailing, position } = message.id;
                said.push(format!("{} {mailing}:{position}", message.customer_id));
            }
            from = page.next;
        }
        Ok(said)
    }

    /// `damage cut N` and `damage flip N`: bytes from the end; `damage add`: one byte too many.
    fn damage(&self, line: &Line) -> Said {
        let path = self.dir.path().join("snapshot");
        let mut bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        let from_end = line.words.get(1).and_then(|n| n.parse().ok()).unwrap_or(1);
        let at = bytes
            .len()
            .checked_sub(from_end)
            .ok_or("the file is shorter")?;
        match line.word(0)? {
            "cut" => bytes.truncate(at),
            "flip" => bytes[at] ^= 1,
            "add" => bytes.push(0),
            _ => return Err("damage cut, flip or add".to_owned()),
        }
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        Ok(Vec::new())
    }

    /// Answers a question, none if the line is not one.
    fn ask(&self, line: &Line) -> Result<Option<Vec<String>>, String> {
        let view = self.store.view();
        let reader = view.read();
        let answer = match line.name.as_str() {
            "messages" => self.messages(line.word(0)?)?,
            "customer" => {
                let id = CustomerId::parse(line.word(0)?).map_err(|e| e.to_string())?;
                let found = query::customers::get(&reader, &id).map_err(text)?;
                vec![found.map_or("no such customer".to_owned(), |found| {
                    show::customer(&found)
                })]
            }
            "stats" => vec![self.stats(line)?],
            "live" => {
                let live = self.live.iter();
                live.map(|(mailing, count)| format!("{count} match mailing {mailing}"))
                    .collect()
            }
            "hash" => vec![format!("{:016x}", self.store.hash())],
            "mailings" => {
                let from = MailingNumber::default();
                let page = query::mailings::list(&reader, None, from, 1_000).map_err(text)?;
                page.items.iter().map(show::mailing).collect()
            }
            "dropped" => {
                let lease = line.lease()?;
                let granted = self.granted.get(&lease).ok_or("it was not granted")?;
                let (mailing, runs) = granted;
                let dropped = query::leases::dropped(&reader, *mailing, runs);
                let dropped = dropped.map_err(text)?.into_iter();
                let whose = dropped.map(|position| show::whose(&reader, *mailing, position));
                vec![format!("dropped: {}", whose.collect::<Vec<_>>().join(" "))]
            }
            // What a postman would be given to send, if it asked for the lease again.
            "parcel" => {
                let granted = self.granted.get(&line.lease()?);
                let (mailing, runs) = granted.ok_or("it was not granted")?;
                let left = query::leases::messages(&reader, *mailing, runs).map_err(text)?;
                let left = left.iter().map(|message| message.id.position);
                let whose = left.map(|position| show::whose(&reader, *mailing, position));
                vec![format!("to send: {}", whose.collect::<Vec<_>>().join(" "))]
            }
            "leases" => {
                let open = query::leases::open(&reader).map_err(text)?;
                open.iter()
                    .map(|l| format!("{} until {}", l.id, l.expires_at.as_millis()))
                    .collect()
            }
            "left" => {
                let epoch = line.word(0)?.parse().map(Epoch).map_err(|_| "left EPOCH")?;
                let left = query::leases::left(&reader, epoch).map_err(text)?;
                left.iter()
                    .map(|l| format!("{}:{}", l.id, show::tokens(&reader, l.mailing, &l.runs)))
                    .collect()
            }
            "time" => {
                let at = query::time::at(&reader).map_err(text)?;
                let setting = query::time::setting(&reader).map_err(text)?;
                let (at, steady) = (at.as_millis(), setting.steady(at).as_millis());
                vec![format!("the time is {at}, steady {steady}")]
            }
            "words" => self.words(line.word(0)?)?,
            "conflicts" => {
                let numbers = reader.get_or_default(&NumbersKey).map_err(text)?;
                vec![format!("{} conflicts so far", numbers.conflicts)]
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }

    /// The words of a dictionary by number, with their uses; `words tag` or `words operator`.
    fn words(&self, dictionary: &str) -> Said {
        let kind = match dictionary {
            "tag" => WordKind::Tag,
            "operator" => WordKind::Operator,
            _ => return Err("words tag or operator".to_owned()),
        };
        let view = self.store.view();
        let reader = view.read();
        let words = reader.index().words(kind);
        let uses = reader
            .get_or_default(&WordUsesKey(kind, 0))
            .map_err(text)?
            .uses;
        let word = |(number, uses): (u32, &u64)| {
            let word = words.get(number)?;
            Some(format!("{number} {:?}, uses: {uses}", word.text))
        };
        Ok((0..).zip(&uses).filter_map(word).collect())
    }

    /// Messages of a mailing, or of a customer.
    fn messages(&self, of: &str) -> Said {
        let view = self.store.view();
        let reader = view.read();
        let census = common::take(&reader).map_err(text)?;
        let number = self.mailings.get(of).copied();
        let customer = CustomerId::parse(of).map_err(|e| e.to_string())?;
        let customer = reader
            .find_customer(&customer)
            .map_err(text)?
            .map(|seq| seq.0);
        let mut said = Vec::new();
        for (mailing, seen) in census.all() {
            let (whose, attempt) = (show::whose(&reader, mailing, seen.position), seen.attempt);
            let (status, tries) = (seen.status.name(), seen.tries);
            let due = seen
                .due
                .map(|due| format!(" due {}", due.as_millis()))
                .unwrap_or_default();
            let reason = seen
                .reason
                .map(|reason| format!(" ({})", reason.code()))
                .unwrap_or_default();
            let delivery = receipts::delivery(seen);
            let line = format!("{status} attempt {attempt}, tries {tries}{due}{reason}{delivery}");
            if number == Some(mailing) {
                said.push(format!("{whose} {line}"));
            } else if number.is_none() && customer == Some(seen.customer) {
                said.push(format!("mailing {mailing}: {line}"));
            }
        }
        Ok(if said.is_empty() {
            vec!["no messages".to_owned()]
        } else {
            said
        })
    }

    fn stats(&self, line: &Line) -> Result<String, String> {
        let view = self.store.view();
        let reader = view.read();
        let (counts, delivery) = match line.words.first() {
            None if line.key("tag").is_none() && line.key("operator").is_none() => (
                query::stats::overall(&reader).map_err(text)?,
                query::stats::overall_delivery(&reader).map_err(text)?,
            ),
            None => {
                let filter = |key| Filter::parse(line.key(key).unwrap_or("%"));
                let filter = query::filtered::StatsFilter {
                    tag: filter("tag").map_err(|e| e.to_string())?,
                    operator: filter("operator").map_err(|e| e.to_string())?,
                    from_day: line.number("from", 0)? as i32,
                    to_day: line.number("to", i32::MAX.into())? as i32,
                };
                let counts = query::filtered::filtered(&reader, &filter).map_err(text)?;
                let delivery = query::filtered::filtered_delivery(&reader, &filter);
                (counts, delivery.map_err(text)?)
            }
            Some(name) => return self.stats_of(&reader, name),
        };
        Ok(show::counts(&counts) + &receipts::counts(&delivery))
    }

    /// The counts of a mailing or a customer.
    fn stats_of(&self, reader: &Reader<'_>, name: &str) -> Result<String, String> {
        let (counts, delivery) = match self.mailings.get(name) {
            Some(number) => {
                let counts = query::stats::of_mailing(reader, *number).map_err(text)?;
                let delivery = query::stats::delivery_of_mailing(reader, *number).map_err(text)?;
                let Some(both) = counts.zip(delivery) else {
                    return Ok("no such mailing".to_owned());
                };
                both
            }
            None => {
                let id = CustomerId::parse(name).map_err(|e| e.to_string())?;
                let seq = reader.find_customer(&id).map_err(text)?.ok_or("who?")?;
                let counts = query::stats::of_customer(reader, seq).map_err(text)?;
                let delivery = query::stats::delivery_of_customer(reader, seq).map_err(text)?;
                (counts, delivery)
            }
        };
        Ok(show::counts(&counts) + &receipts::counts(&delivery))
    }

    /// The state, to be asked.
    pub(crate) fn view(&self) -> View {
        self.store.view()
    }

    /// Everything in the state.
    pub(crate) fn census(&self) -> Result<Census, String> {
        common::take(&self.store.view().read()).map_err(text)
    }

    /// The position of a customer's message in a mailing.
    pub(crate) fn position(&self, mailing: MailingNumber, customer: &str) -> Result<u32, String> {
        let view = self.store.view();
        let reader = view.read();
        let census = self.census()?;
        let messages = &census
            .mailings
            .get(&mailing)
            .ok_or("no such mailing")?
            .messages;
        let found = messages
            .iter()
            .find(|seen| show::whose(&reader, mailing, seen.position) == customer);
        Ok(found
            .ok_or_else(|| format!("{customer} has no message"))?
            .position)
    }
}

/// Opens one of the places in which a script's state has lain.
fn open(dir: &TempDir, place: u32) -> Store {
    let path = dir.path().join(place.to_string());
    for _ in 0..TRIES {
        match Store::open(&path, StoreOptions::default()) {
            // sled lets go of a place a moment after it was dropped.
            Err(error) if error.is_locked() => std::thread::sleep(Duration::from_millis(1)),
            opened => return opened.expect("a state of our own opens"),
        }
    }
    panic!("{} is still open", path.display());
}

fn same(before: u64, after: u64) -> &'static str {
    if before == after {
        "the same state"
    } else {
        "another state"
    }
}

/// Names stand for hashes: their bytes, cut or filled to sixteen.
fn hash(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    bytes
}

fn text(error: Error) -> String {
    error.to_string()
}

/// A client's caller by its name.
fn caller_number(name: &str) -> u64 {
    codec::hash(name.as_bytes())
}
