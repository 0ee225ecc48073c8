//! Entries of the log applied to the state.
//!
//! The state's marker carries the position and the members, so that they move in the same atomic batch
//! as what an entry changed. Commands are not looked into here.

use std::{sync::atomic::Ordering, time::Instant};

use notty_storage::{Outcome, Store};
use openraft::EntryPayload;

use super::NodeState;
use crate::{
    error::Error,
    state::{onlooker::AppliedEntry, position::Position},
    types::{LogEntry, Membership},
};

impl NodeState {
    /// Applies entries in order, and returns the outcomes of each one's commands.
    pub(crate) fn apply(&self, entries: Vec<LogEntry>) -> Result<Vec<Vec<Outcome>>, Error> {
        let began = Instant::now();
        let mut store = self.store.lock();
        let mut position = self.applied.borrow().clone();
        let mut outcomes = Vec::with_capacity(entries.len());

        for entry in entries {
            advance(&mut position, &entry);
            let of_entry = apply_one(&mut store, &entry, &position)?;
            self.show(&entry, &of_entry, &store);
            outcomes.push(of_entry);
        }

        // Published once for all entries, and after the lock is free: whoever waits for it reads the
        // state at once.
        drop(store);
        self.applied.send_replace(position);
        self.note_applying(began);
        Ok(outcomes)
    }

    fn note_applying(&self, began: Instant) {
        let took = began.elapsed();
        self.apply_nanos
            .fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        if let Some(observer) = self.observer.get() {
            observer(took);
        }
    }

    /// Shows an applied entry to the onlooker, if there is one.
    fn show(&self, entry: &LogEntry, outcomes: &[Outcome], store: &Store) {
        let Some(onlooker) = &self.parts.onlooker else {
            return;
        };

        let commands = match &entry.payload {
            EntryPayload::Normal(entry) => Some(&**entry),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        };
        onlooker.applied(&AppliedEntry {
            index: entry.log_id.index,
            entry: commands,
            outcomes,
            hash: store.hash(),
            view: store.view(),
        });
    }
}

/// Moves the position to an entry, and to the members that it brings.
fn advance(position: &mut Position, entry: &LogEntry) {
    position.applied = Some(entry.log_id);
    if let EntryPayload::Membership(members) = &entry.payload {
        position.membership = Membership::new(position.applied, members.clone());
    }
}

/// Applies one entry; `position` is that of the state afterwards.
fn apply_one(
    store: &mut Store,
    entry: &LogEntry,
    position: &Position,
) -> Result<Vec<Outcome>, Error> {
    match &entry.payload {
        EntryPayload::Normal(entry) => Ok(store.apply(entry, &position.marker())?),
        // They change nothing of the state, but its position must follow them too.
        EntryPayload::Blank | EntryPayload::Membership(_) => {
            store.mark(&position.marker())?;
            Ok(Vec::new())
        }
    }
}
