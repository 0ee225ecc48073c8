//! One game: a seed, a state, a model, and as many moves as are asked for.

use notty_storage::{
    Action, Beginning, Command, Entry, Error, Origin, Outcome, Rejection, Reply, Store,
    StoreOptions, Timestamp, begin_anew,
    command::{CustomersWritten, DeclareGateway, Grant, GrantedLease, SetTime},
    import_snapshot,
    model::LeaseId,
    query::{self, leases::Prospect},
    records::Draw,
};
use tempfile::TempDir;

use super::{
    at_start::AtStart,
    dice::Dice,
    model::{Model, Now},
    moves::{self, Table},
};
use crate::common::{self, Census, Checked, Past, ensure};

/// One game in so many is played again by another state: to open one takes long.
const REPLAYED: u64 = 4;

struct Game {
    dice: Dice,
    dir: TempDir,
    store: Store,
    model: Model,
    at_start: AtStart,
    past: Past,
    census: Census,
    at: Timestamp,
    /// By how much the time was set, in milliseconds.
    shift_ms: i64,
    entries: Vec<Entry>,
    /// How many entries there were at each restore, what it drew, and the time that it began with.
    restores: Vec<(usize, Draw, Timestamp)>,
    places: u32,
}

/// Plays a game and says at which move something did not hold.
pub(crate) fn play(seed: u64, moves: u32) -> Checked {
    let mut game = Game::new(seed)?;
    for number in 0..moves {
        game.one_move().map_err(|fault| {
            let last = game.entries.last();
            format!("seed {seed}, move {number}: {fault}\n{last:#?}")
        })?;
    }
    if !seed.is_multiple_of(REPLAYED) {
        return Ok(());
    }
    game.replay()
        .map_err(|fault| format!("seed {seed}, in the end: {fault}"))
}

impl Game {
    fn new(seed: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let store = Store::open(&dir.path().join("0"), StoreOptions::default());
        let store = store.map_err(|error| error.to_string())?;
        let census = common::take(&store.view().read()).map_err(|error| error.to_string())?;
        let (model, past, entries) = (Model::default(), Past::new(10), Vec::new());
        let (dice, at) = (Dice::new(seed), Timestamp::from_millis(1));
        let (restores, places) = (Vec::new(), 0);
        let mut game = Self {
            dice,
            dir,
            store,
            model,
            at_start: AtStart::default(),
            past,
            census,
            at,
            shift_ms: 0,
            entries,
            restores,
            places,
        };
        for action in moves::first(&mut game.dice) {
            game.act(action)?;
        }
        Ok(game)
    }

    fn one_move(&mut self) -> Checked {
        let step = if self.dice.one_in(40) { 500 } else { 12 };
        self.at = self.at.plus_millis(self.dice.below(step) as i64);
        match self.dice.below(60) {
            0 => self.twice(),
            1 if self.dice.one_in(8) => self.through_a_file(),
            2 if self.dice.one_in(4) => self.restore(),
            3 if self.dice.one_in(2) => self.set_time(),
            _ => self.one_command(),
        }
    }

    fn one_command(&mut self) -> Checked {
        let view = self.store.view();
        let postmen = query::leases::postmen(&view.read()).map_err(|e| e.to_string())?;
        let postmen: Vec<_> = postmen.iter().map(|p| (p.epoch, p.last)).collect();
        let open = query::leases::open(&view.read()).map_err(|e| e.to_string())?;
        let open: Vec<(LeaseId, Timestamp)> = open.iter().map(|l| (l.id, l.expires_at)).collect();
        let (census, model) = (&self.census, &self.model);
        let (at, steady) = (self.at, self.steady());
        let table = Table {
            census,
            model,
            postmen: &postmen,
            open: &open,
            at,
            steady,
        };
        let action = moves::next(&mut self.dice, &table);
        self.act(action)
    }

    fn act(&mut self, action: Action) -> Checked {
        let prospect = match &action {
            Action::Grant(grant) => self.prospect(grant, self.at),
            _ => None,
        };
        let outcome = self.apply(vec![action.clone().into()])?.remove(0);
        if let (Action::Grant(grant), Some(prospect)) = (&action, prospect) {
            self.as_foreseen(grant, prospect, &outcome)?;
        }
        self.watch(&action, &outcome)
    }

    /// What the leader would foresee of a grant; none if the mailing is not there.
    fn prospect(&self, grant: &Grant, at: Timestamp) -> Option<Prospect> {
        query::leases::prospect(&self.store.view().read(), grant, at).ok()
    }

    /// A grant comes to what the leader foresaw, and one that was foreseen to be in vain would have
    /// been so until the time that was foreseen.
    fn as_foreseen(&self, grant: &Grant, prospect: Prospect, outcome: &Outcome) -> Checked {
        let foreseen = |holds| {
            ensure(holds, || {
                format!("{prospect:?} was foreseen, {outcome:?} came: {grant:?}")
            })
        };
        match (outcome, prospect) {
            (Ok(Reply::Granted(Some(_))), prospect) => {
                // A repeat gives the same lease, whatever there is now.
                let again = self.model.leases.contains_key(&grant.lease);
                foreseen(again || matches!(prospect, Prospect::Something { .. }))
            }
            (Ok(Reply::Granted(None)), Prospect::Nothing { stopped, .. }) => {
                foreseen(stopped.is_some() && grant.from.is_none())
            }
            (
                Err(Rejection::NothingToDo),
                Prospect::Nothing {
                    stopped: None,
                    until,
                },
            ) => {
                let last = until.plus_millis(self.shift_ms - 1).max(self.at);
                let still = self.prospect(grant, last);
                ensure(matches!(still, Some(Prospect::Nothing { .. })), || {
                    format!("nothing was foreseen until {until:?}, {still:?} comes at {last:?}")
                })
            }
            (Err(Rejection::NothingToDo), Prospect::Nothing { stopped, .. }) => {
                foreseen(stopped.is_none() || grant.from.is_some())
            }
            (Err(Rejection::NothingToDo), Prospect::Something { .. }) => foreseen(false),
            _ => Ok(()),
        }
    }

    fn now(&self) -> Now {
        Now {
            at: self.at,
            steady: self.steady(),
        }
    }

    /// The time without what it was set by.
    fn steady(&self) -> Timestamp {
        self.at.plus_millis(-self.shift_ms)
    }

    /// People set the time back or forward, a little or far. Every rule holds as before.
    fn set_time(&mut self) -> Checked {
        let far = if self.dice.one_in(4) { 100_000 } else { 300 };
        let to = (self.at.as_millis() + self.dice.below(2 * far) as i64 - far as i64).max(1);
        let to = Timestamp::from_millis(to);
        let steady = self.steady();
        self.act(Action::SetTime(SetTime { to }))?;
        self.shift_ms += to.since(self.at);
        self.at = to;
        self.model.time_was_set(steady);
        ensure(self.steady() == steady, || {
            "the steady time went elsewhere".to_owned()
        })
    }

    fn apply(&mut self, commands: Vec<Command>) -> Result<Vec<Outcome>, String> {
        let entry = Entry {
            at: self.at,
            commands,
        };
        self.entries.push(entry.clone());
        let marker = (self.entries.len() as u64).to_be_bytes();
        self.store
            .apply(&entry, &marker)
            .map_err(|error| error.to_string())
    }

    /// Compares what a command did with what the model allows.
    fn watch(&mut self, action: &Action, outcome: &Outcome) -> Checked {
        let view = self.store.view();
        let after = common::check(&view.read(), &mut self.past)?;
        match (action, outcome) {
            (Action::Grant(grant), Ok(Reply::Granted(Some(GrantedLease { runs, .. })))) => {
                self.model.granted(&self.census, self.now(), grant, runs)?;
            }
            (
                Action::DeclareGateway(DeclareGateway {
                    postman,
                    gateway,
                    repeat_ms,
                }),
                Ok(_),
            ) => {
                self.model.declared.insert(*postman, (*gateway, *repeat_ms));
            }
            (Action::Report(report), outcome) => {
                self.model
                    .reported(&self.census, &after, self.now(), report, outcome)?;
            }
            (Action::TakeReceipts(take), outcome) => {
                self.model.heard.answered(&self.census, take, outcome)?;
            }
            (Action::DeleteCustomer(_), Ok(_)) => self.model.deleted(&self.census, &after),
            _ => {}
        }
        self.model.check(&after)?;
        self.at_start.check(&view.read(), &after)?;
        self.census = after;
        Ok(())
    }

    /// A command that comes twice is executed once, and answered the same.
    fn twice(&mut self) -> Checked {
        let key = u128::from(self.dice.next()).to_be_bytes();
        let command = Command::new(moves::put(&mut self.dice));
        let command = command.by(Origin::Client {
            key,
            request: key,
            caller: key[15].into(),
        });
        let customers = self.census.customers;
        let outcomes = self.apply(vec![command.clone(), command.clone()])?;
        let again = self.apply(vec![command.clone()])?;
        let kept = outcomes[0] == outcomes[1] && outcomes[0] == again[0];
        ensure(kept, || {
            format!("a repeat was answered otherwise: {outcomes:?} {again:?}")
        })?;
        self.watch(&command.action, &outcomes[0])?;
        let created = match &outcomes[0] {
            Ok(Reply::Customers(CustomersWritten { created, .. })) => *created,
            Ok(Reply::Customer(_)) => 1,
            _ => 0,
        };
        let new = self.census.customers - customers;
        ensure(new <= created, || {
            format!("{new} customers are new, {created} were told")
        })
    }

    /// Goes on with a state that was written to a file meanwhile, and read from it.
    fn through_a_file(&mut self) -> Checked {
        let path = self.dir.path().join("snapshot");
        let mut export = self.store.begin_export(&path).map_err(|e| e.to_string())?;
        self.one_command()?;
        while export.copy_some().map_err(|e| e.to_string())? {}
        self.one_command()?;
        self.store.end_export(export).map_err(|e| e.to_string())?;
        self.places += 1;
        let into = self.dir.path().join(self.places.to_string());
        let copy = import_snapshot(&path, &into, StoreOptions::default());
        let copy = copy.map_err(|e| e.to_string())?;
        self.same_as(&copy)?;
        self.store = copy;
        Ok(())
    }

    /// The state begins a new life: what there was before never changes again.
    fn restore(&mut self) -> Checked {
        let draw = Draw {
            mailings: self.dice.next(),
            epochs: self.dice.next(),
        };
        // The machine that restores may have another time than the state.
        let ago = if self.dice.one_in(2) {
            self.dice.below(2_000) as i64
        } else {
            0
        };
        let at = Timestamp::from_millis((self.at.as_millis() - ago).max(1));
        self.restores.push((self.entries.len(), draw, at));
        let beginning = Beginning {
            marker: b"anew",
            draw,
            at,
        };
        begin_anew(&mut self.store, beginning).map_err(|error| error.to_string())?;
        let steady = self.steady();
        self.shift_ms += at.since(self.at);
        if at < self.at {
            self.model.time_was_set(steady);
        }
        self.at = at;
        let after = common::check(&self.store.view().read(), &mut self.past)?;
        self.model.restored(&self.census, &after)?;
        self.census = after;
        for action in moves::postmen(&mut self.dice) {
            self.act(action)?;
        }
        Ok(())
    }

    /// Another state fed with the same entries is the same.
    fn replay(&mut self) -> Checked {
        let path = self.dir.path().join("again");
        let mut again = Store::open(&path, StoreOptions::default()).map_err(|e| e.to_string())?;
        for (entry, number) in self.entries.iter().zip(1u64..) {
            for (_, draw, at) in self
                .restores
                .iter()
                .filter(|(n, ..)| *n as u64 + 1 == number)
            {
                let beginning = Beginning {
                    marker: b"anew",
                    draw: *draw,
                    at: *at,
                };
                begin_anew(&mut again, beginning).map_err(|e| e.to_string())?;
            }
            again
                .apply(entry, &number.to_be_bytes())
                .map_err(|e| e.to_string())?;
        }
        self.same_as(&again)
    }

    fn same_as(&self, other: &Store) -> Checked {
        ensure(self.store.hash() == other.hash(), || {
            "the hashes differ".to_owned()
        })?;
        ensure(self.store.marker() == other.marker(), || {
            "the positions differ".to_owned()
        })?;
        let (mine, theirs) = (self.store.view(), other.view());
        let answers = |store: &notty_storage::View| -> Result<String, Error> {
            let reader = store.read();
            let filter = query::messages::MessageFilter::default();
            let messages = query::messages::list(&reader, &filter, 0, 1_000)?;
            let totals = query::stats::overall(&reader)?;
            let customers = query::customers::CustomerFilter::default();
            let customers = query::customers::list(&reader, &customers, Default::default(), 100)?;
            let leases = query::leases::open(&reader)?;
            Ok(format!("{messages:?} {totals:?} {customers:?} {leases:?}"))
        };
        let mine = answers(&mine).map_err(|e| e.to_string())?;
        let theirs = answers(&theirs).map_err(|e| e.to_string())?;
        ensure(mine == theirs, || {
            format!("the answers differ:\n{mine}\n{theirs}")
        })
    }
}
