//! The post office. Only on the leader, it starts and ends mailings at their time, expands them a
//! little ahead of the sending, grants leases, and removes what is no longer needed.
//!
//! It owns policy (the order of mailings, the rate, the end of leases), never safety: it acts by
//! proposing commands, and the state machine rejects what does not fit. What is due is decided in
//! [`agenda`], by pure functions of the state and the time; [`grants`] answers postmen; `diary` logs
//! what became of each mailing.

pub mod agenda;
pub mod candidates;
mod diary;
pub mod grants;
pub mod looks;
pub mod rates;

mod memory;

#[cfg(test)]
pub(crate) mod tests;

use std::{sync::Arc, time::Duration};

use notty_raft::{AppliedChanges, Clock, Node, ProposeError};
use notty_storage::{
    Action, Reader, Timestamp,
    command::{Expand, SetReceiptSecret},
    level::needed_level,
    model::ReceiptSecret,
    query,
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

pub use self::grants::{Ask, Granted};
use self::{
    agenda::{Agenda, AgendaPolicy},
    memory::LeaderMemory,
};

/// The longest time between two looks at the state while nothing changes.
const IDLE: Duration = Duration::from_millis(250);
/// The shortest time between two looks at the state while it changes all the time.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after a look that could not be acted upon.
const PAUSE: Duration = Duration::from_millis(500);

/// The configured values that the post office decides by.
#[derive(Clone, Debug)]
pub struct PostOfficeOptions {
    /// The most messages of one lease.
    pub lease_size: u16,
    /// Length of a lease, in milliseconds.
    pub lease_ttl_ms: u64,
    /// Messages a second to one gateway, over the whole cluster; 0 means no limit.
    pub rate_limit: u32,
    /// Time for which messages of finished mailings are kept, in milliseconds.
    pub retention_ms: i64,
    /// The time zone of customers without one of their own.
    pub timezone: String,
}

/// The post office of one node; at work only while the node leads.
pub struct PostOffice {
    node: Arc<Node>,
    clock: Arc<dyn Clock>,
    options: PostOfficeOptions,
    memory: Mutex<LeaderMemory>,
    /// Notified when a grant has changed what is due.
    wake: Notify,
}

impl PostOffice {
    /// Makes the post office of a node; [`run`](Self::run) starts it.
    pub fn new(node: Arc<Node>, clock: Arc<dyn Clock>, options: PostOfficeOptions) -> Arc<Self> {
        let memory = Mutex::new(LeaderMemory::new(&options));
        Arc::new(Self {
            node,
            clock,
            options,
            memory,
            wake: Notify::new(),
        })
    }

    /// Works whenever the node leads, until it is stopped.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut leads = self.node.leadership();
        let mut applied = self.node.applied_changes();
        loop {
            let is_leader = leads.borrow_and_update().is_some();
            let wait = if is_leader {
                // A proposal of a leader that is cut off may wait for long; a stop must not.
                tokio::select! {
                    () = stopped(&mut stop) => return,
                    wait = self.step() => wait,
                }
            } else {
                PAUSE
            };

            let earliest = Instant::now() + BUSY;
            tokio::select! {
                () = stopped(&mut stop) => return,
                changed = leads.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                () = changed(&mut applied, earliest), if wait > BUSY => {}
            }
        }
    }

    /// Looks once and proposes what is due. Returns the time until something is due by itself.
    pub async fn step(&self) -> Duration {
        // While the leader's clock is not agreed on, this is the beginning of time, and nothing is
        // due. By any other time, proposals would be rejected, and repeated again and again.
        let now = self.node.agreed_wall().await;
        let agenda = match self.look(now) {
            Ok(agenda) => agenda,
            Err(error) => {
                tracing::error!(%error, "the post office could not read the state");
                return PAUSE;
            }
        };

        match self.act_on(agenda.actions).await {
            // There may be more to do at once. A look whose proposals were all rejected would only
            // propose the same again.
            Ok(true) => Duration::ZERO,
            Ok(false) => agenda.wait.min(IDLE),
            Err(error) => {
                tracing::debug!(%error, "the post office could not act");
                PAUSE
            }
        }
    }

    fn look(&self, now: Timestamp) -> Result<Agenda, notty_storage::Error> {
        let view = self.node.view();
        let reader = view.read();
        let mut memory = self.memory.lock();
        memory.zones.refresh(&reader);

        let ahead = memory.recent.ahead(self.options.lease_size, self.tick());
        let policy = AgendaPolicy {
            ahead,
            barren: &memory.barren,
            retention_ms: self.options.retention_ms,
            zones: &memory.zones,
        };
        let mut agenda = self.node.checked(agenda::draw_up(&reader, now, &policy))?;

        if !memory.has_receipt_secret {
            let known = self.node.checked(query::receipts::secret(&reader))?;
            memory.has_receipt_secret = known.is_some();
            let drawn = self.node.checked(receipt_secret(&reader))?;
            let missing = drawn.filter(|_| known.is_none());
            agenda.actions.extend(missing);
        }

        // One batch for each grant in vain: otherwise a closed window expands a mailing whole.
        for action in &agenda.actions {
            if let Action::Expand(Expand { mailing, .. }) = action {
                memory.barren.remove(mailing);
            }
        }
        Ok(agenda)
    }

    /// Proposes all actions at once. Returns true if at least one was executed.
    async fn act_on(&self, actions: Vec<Action>) -> Result<bool, ProposeError> {
        let proposals = actions.into_iter().map(|action| self.act(action));
        let mut has_acted = false;
        for executed in futures_util::future::join_all(proposals).await {
            has_acted |= executed?;
        }
        Ok(has_acted)
    }

    /// Proposes one action. Returns false if it no longer fits the state, which is no error.
    async fn act(&self, action: Action) -> Result<bool, ProposeError> {
        let event = diary::event_of(&action);
        match self.node.act_as_leader(action).await {
            Ok(_) => {
                if let Some((mailing, event)) = event {
                    diary::write(&self.node, mailing, event);
                }
                Ok(true)
            }
            // The state has changed since the look: the next one sees it.
            Err(ProposeError::Rejected { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The time by a clock that nobody can set, for rates.
    fn tick(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.boot().as_millis() as i64)
    }
}

/// A secret of receipts, drawn at random, where all nodes of the cluster know what it is.
fn receipt_secret(reader: &Reader<'_>) -> Result<Option<Action>, notty_storage::Error> {
    let set = SetReceiptSecret {
        secret: ReceiptSecret::new(rand::random()),
    };
    let action = Action::from(set);
    let level = query::level::cluster_level(reader)?.level();
    Ok((level >= needed_level(&action)).then_some(action))
}

/// Waits for a change of the state. The first change is looked at when it comes; one of many together
/// with those that follow it, so that the next look is not before its time.
async fn changed(applied: &mut AppliedChanges, earliest: Instant) {
    applied.changed().await;
    tokio::time::sleep_until(earliest).await;
}

/// Returns once the post office has to stop, or once nobody is left who could stop it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
