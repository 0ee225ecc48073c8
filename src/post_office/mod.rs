//! The post office: on the leader alone, it starts and ends mailings at their time, expands them a
//! little ahead of the sending, hands out leases, and tidies up after them.
//!
//! It owns policy (which mailing next, how fast, what has run out), never safety: it acts by
//! proposing commands, and the state machine refuses what does not fit. Its decisions are pure
//! functions of the state and the time, in [`agenda`]; who gets the next lease is in [`grants`].

pub mod agenda;
pub mod grants;
pub mod looks;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use notty_raft::{Clock, Node, ProposeError};
use notty_storage::{
    Action, Rejection, Source, Timestamp,
    command::{EndMailing, Expand, Grant, GrantedLease, StartMailing},
    limits,
    model::{Epoch, LeaseId, MailingNumber, Run},
    query,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use self::{agenda::Agenda, grants::Budgets, looks::Looks};
use crate::zones::Zones;

/// Between two looks at the state while nothing changes.
const IDLE: Duration = Duration::from_millis(250);
/// Between two looks at the state while it changes all the time.
const BUSY: Duration = Duration::from_millis(20);
/// How long a look that could not be acted upon waits before the next.
const PAUSE: Duration = Duration::from_millis(500);
/// Parts of a mailing that one ask looks through, at most; the next ask goes on there. A part opens
/// as many batches as a grant may, some milliseconds' worth.
const LOOKS: usize = 4;

/// What the post office decides by.
#[derive(Clone, Debug)]
pub struct PostOfficeOptions {
    /// Messages of one lease, at most.
    pub lease_size: u16,
    /// How long a lease lasts, in milliseconds.
    pub lease_ttl_ms: u64,
    /// Messages a second to one gateway, over the whole cluster; 0: no limit.
    pub rate_limit: u32,
    /// For how long messages of finished mailings are kept, in milliseconds.
    pub retention_ms: i64,
    /// The time zone of customers without one.
    pub timezone: String,
}

/// A postman's ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The lease's id, one above the postman's last.
    pub lease: LeaseId,
    /// Messages that it can take: its slots, and half a second of sending besides.
    pub room: u16,
    /// Hash of the gateway that it sends to.
    pub gateway: u64,
    /// Whether the same was asked before, and no answer came.
    pub again: bool,
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Its id.
    pub lease: LeaseId,
    /// Whose messages.
    pub mailing: MailingNumber,
    /// Which messages.
    pub runs: Vec<Run>,
    /// The position of the grant in the log.
    pub index: u64,
    /// How long it lasts, in milliseconds.
    pub ttl_ms: u64,
    /// The leader's clock.
    pub at: Timestamp,
}

/// The post office of one node; at work only while the node leads.
pub struct PostOffice {
    node: Arc<Node>,
    clock: Arc<dyn Clock>,
    options: PostOfficeOptions,
    desk: Mutex<LeaderMemory>,
    wake: Notify,
}

/// The memory of a leader between asks; lost with its leadership, and not needed for safety.
struct LeaderMemory {
    zones: Zones,
    /// Limits of messages a second, one for each gateway.
    budgets: Budgets,
    /// When each mailing was last served, as a rising number.
    served: HashMap<MailingNumber, u64>,
    turn: u64,
    /// Mailings whose last grant found nothing, until one more batch of theirs is asked for.
    barren: BTreeSet<MailingNumber>,
    /// Mailings whose last grant found nothing, by gateway, and what the leader found there.
    looks: Looks,
    /// Mailings whose messages lie far apart: the next grant looks far.
    scattered: BTreeSet<MailingNumber>,
    /// Messages granted lately, for how far ahead to expand.
    pace: grants::Pace,
}

impl LeaderMemory {
    /// A mailing has its turn; how far the grant looks.
    fn serve(&mut self, mailing: MailingNumber) -> (u8, u8) {
        self.turn += 1;
        self.served.insert(mailing, self.turn);
        grants::reach(self.scattered.contains(&mailing))
    }
}

impl PostOffice {
    /// The post office of a node.
    pub fn new(node: Arc<Node>, clock: Arc<dyn Clock>, options: PostOfficeOptions) -> Arc<Self> {
        let desk = LeaderMemory {
            zones: Zones::new(&options.timezone),
            budgets: Budgets::new(options.rate_limit),
            served: HashMap::new(),
            turn: 0,
            barren: BTreeSet::new(),
            looks: Looks::default(),
            scattered: BTreeSet::new(),
            pace: grants::Pace::default(),
        };
        Arc::new(Self {
            node,
            clock,
            options,
            desk: Mutex::new(desk),
            wake: Notify::new(),
        })
    }

    /// Works whenever the node leads, until told to stop.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut leads = self.node.leadership();
        let mut applied = self.node.applied_changes();
        loop {
            let leading = leads.borrow_and_update().is_some();
            let wait = match leading {
                // What was proposed by a leader that is cut off may wait for long.
                true => tokio::select! {
                    _ = async { stop.wait_for(|stop| *stop).await.is_ok() } => return,
                    wait = self.step() => wait,
                },
                false => PAUSE,
            };
            let looked_at = tokio::time::Instant::now();
            let change = async {
                let applied = applied.changed().await;
                // The first change is looked at when it comes, one of many with those that follow.
                tokio::time::sleep_until(looked_at + BUSY).await;
                applied
            };
            tokio::select! {
                _ = async { stop.wait_for(|stop| *stop).await.is_ok() } => return,
                changed = leads.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                _ = change, if wait > BUSY => {}
            }
        }
    }

    /// Looks once and proposes what is due; how long nothing will be due by itself.
    pub async fn step(&self) -> Duration {
        // While the leader's clock is not believed, nothing is due: time stands still, and what is due
        // by another time would be refused, and proposed again and again.
        let agenda = match self.look(self.node.agreed_wall().await) {
            Ok(agenda) => agenda,
            Err(error) => {
                tracing::error!(%error, "the post office could not read the state");
                return PAUSE;
            }
        };
        let wait = agenda.wait.min(IDLE);
        let proposals = agenda.actions.into_iter().map(|action| self.act(action));
        let mut acted = false;
        for done in futures_util::future::join_all(proposals).await {
            match done {
                // A look that only proposed what was refused would do the same again at once.
                Ok(executed) => acted |= executed,
                Err(error) => {
                    tracing::debug!(%error, "the post office could not act");
                    return PAUSE;
                }
            }
        }
        if acted { Duration::ZERO } else { wait }
    }

    fn look(&self, now: Timestamp) -> Result<Agenda, notty_storage::Error> {
        let view = self.node.view();
        let reader = view.read();
        let mut desk = self.desk.lock();
        desk.zones.refresh(&reader);
        let ahead = desk.pace.ahead(self.options.lease_size, self.tick());
        let policy = agenda::Policy {
            ahead,
            barren: &desk.barren,
            retention_ms: self.options.retention_ms,
            zones: &desk.zones,
        };
        let agenda = self.node.checked(agenda::draw_up(&reader, now, &policy))?;
        // One batch for each grant in vain: otherwise a closed window expands a mailing whole.
        for action in &agenda.actions {
            if let Action::Expand(Expand { mailing, .. }) = action {
                desk.barren.remove(mailing);
            }
        }
        Ok(agenda)
    }

    /// Proposes one action, and says whether it was executed; that it no longer fits the state is
    /// no error.
    async fn act(&self, action: Action) -> Result<bool, ProposeError> {
        let diary = diary_line(&action);
        match self.node.act_as_leader(action).await {
            Ok(_) => {
                if let Some((mailing, what)) = diary {
                    self.write_diary(mailing, what);
                }
                Ok(true)
            }
            Err(ProposeError::Rejected { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write_diary(&self, mailing: MailingNumber, what: &str) {
        let view = self.node.view();
        let record = self
            .node
            .checked(query::work::record(&view.read(), mailing));
        if let Ok(Some(record)) = record {
            tracing::info!(mailing.id = %record.id, "mailing {} {what}", record.id);
        }
    }

    /// Grants a lease, if there is something to send; the mailing that waited longest comes first.
    pub async fn ask(&self, ask: Ask) -> Result<Option<Granted>, ProposeError> {
        if ask.again
            && let Some(granted) = self.granted_before(ask.lease).await?
        {
            return Ok(Some(granted));
        }
        // By a clock that is wrong, the wrong zones would be open.
        let wall = self.node.agreed_wall().await;
        if wall == Timestamp::default() {
            return Ok(None);
        }
        self.check_room(ask.lease)?;
        let candidates = self
            .node
            .checked(self.candidates(ask.gateway, ask.room, wall))
            .map_err(unreadable)?;
        for candidate in candidates {
            let Some(reach) = self.look_ahead(&ask, &candidate, wall)? else {
                continue;
            };
            let now = self.clock.boot();
            let limit = ask
                .room
                .min(self.options.lease_size)
                .min(limits::LEASE_MESSAGES);
            let limit = self.desk.lock().budgets.take(ask.gateway, limit, now);
            if limit == 0 {
                return Ok(None);
            }
            let granted = match self.serve(&ask, &candidate, limit, reach).await {
                // Where a few batches hold nothing, more may.
                Ok(None) if self.desk.lock().scattered.insert(candidate.mailing) => {
                    self.serve(&ask, &candidate, limit, reach).await
                }
                other => other,
            };
            match granted {
                Ok(Some(granted)) => return Ok(Some(granted)),
                Ok(None) => {
                    let mut desk = self.desk.lock();
                    desk.budgets.give_back(ask.gateway, limit);
                    desk.barren.insert(candidate.mailing);
                    desk.looks.in_vain(candidate.wanted);
                }
                // What may have been granted is spent.
                Err(error @ (ProposeError::Unknown | ProposeError::UnexpectedReply)) => {
                    return Err(error);
                }
                Err(error) => {
                    self.desk.lock().budgets.give_back(ask.gateway, limit);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// True if an ask of a postman may find something, or would find that it is not known any more, as
    /// far as this node's state shows. Also asked of nodes that do not lead.
    pub fn is_worth_asking(
        &self,
        postman: Epoch,
        gateway: u64,
    ) -> Result<bool, notty_storage::Error> {
        let postmen = query::leases::postmen(&self.node.view().read())?;
        if !postmen.iter().any(|known| known.epoch == postman) {
            return Ok(true);
        }
        let candidates = self.candidates(gateway, 1, self.clock.wall())?;
        Ok(!candidates.is_empty())
    }

    /// Refuses here what the state would refuse in an entry, for every ask of a postman whose
    /// requests hang.
    fn check_room(&self, lease: LeaseId) -> Result<(), ProposeError> {
        let index = self.node.applied_index();
        let view = self.node.view();
        let too_many = self
            .node
            .checked(query::leases::has_too_many(&view.read(), lease));
        let too_many = too_many.map_err(unreadable)?;
        let rejection = Rejection::TooManyLeases;
        if too_many {
            Err(ProposeError::Rejected { rejection, index })
        } else {
            Ok(())
        }
    }

    /// Looks for what a grant would find, where the last one found nothing. None: nothing, or not
    /// yet; otherwise where the grant is to begin.
    fn look_ahead(
        &self,
        ask: &Ask,
        candidate: &grants::Candidate,
        now: Timestamp,
    ) -> Result<Option<From>, ProposeError> {
        let wanted = &candidate.wanted;
        for _ in 0..LOOKS {
            let Some(from) = self.desk.lock().looks.next(wanted) else {
                return Ok(Some(None));
            };
            let grant = Grant {
                from: Some(from),
                ..self.grant(ask, candidate, 1)
            };
            let found = {
                let view = self.node.view();
                let prospect = query::leases::prospect(&view.read(), &grant, now);
                self.node.checked(prospect).map_err(unreadable)?
            };

            let mut desk = self.desk.lock();
            let is_through = desk.looks.note(wanted, found);
            if let query::leases::Prospect::Something { batch } = found {
                return Ok(Some(Some(batch)));
            }
            if is_through {
                desk.barren.insert(candidate.mailing);
                drop(desk);
                self.wake.notify_one();
                return Ok(None);
            }
        }
        // The others have their turn before it goes on.
        self.desk.lock().serve(candidate.mailing);
        Ok(None)
    }

    /// The grant that an ask becomes, as far as it may look.
    fn grant(&self, ask: &Ask, candidate: &grants::Candidate, limit: u16) -> Grant {
        Grant {
            lease: ask.lease,
            mailing: candidate.mailing,
            limit,
            batches: limits::LEASE_BATCHES,
            barren: limits::GRANT_BARREN_BATCHES,
            zones: candidate.zones.clone(),
            ttl_ms: self.options.lease_ttl_ms,
            gateway: ask.gateway,
            from: None,
        }
    }

    /// Grants messages of one mailing, if any are found.
    async fn serve(
        &self,
        ask: &Ask,
        candidate: &grants::Candidate,
        limit: u16,
        from: From,
    ) -> Result<Option<Granted>, ProposeError> {
        let (batches, barren) = self.desk.lock().serve(candidate.mailing);
        let grant = Grant {
            batches,
            barren,
            from,
            ..self.grant(ask, candidate, limit)
        };
        let answer = self.node.act_as_leader(grant).await;
        self.wake.notify_one();
        let (mailing, runs, index) = match answer {
            Ok(applied) => match applied.reply {
                Some(GrantedLease { mailing, runs, .. }) => (mailing, runs, applied.index),
                None => return Ok(None),
            },
            Err(ProposeError::Rejected {
                rejection: Rejection::NothingToDo | Rejection::NotNow,
                ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.note_granted((mailing, ask.gateway), candidate.ready, limit, &runs);
        Ok(Some(self.granted(ask.lease, mailing, runs, index).await))
    }

    /// Remembers what a grant of at most so many messages gave.
    fn note_granted(
        &self,
        (mailing, gateway): (MailingNumber, u64),
        ready: u64,
        limit: u16,
        runs: &[Run],
    ) {
        let mut desk = self.desk.lock();
        desk.barren.remove(&mailing);
        match grants::is_scattered(runs, ready.min(limit.into())) {
            true => desk.scattered.insert(mailing),
            false => desk.scattered.remove(&mailing),
        };
        let count: u16 = runs.iter().map(|run| run.len).sum();
        if count == limit {
            desk.looks.forget(mailing, gateway);
        }
        desk.budgets.give_back(gateway, limit.saturating_sub(count));
        desk.pace.note(count, self.tick());
    }

    /// The time by a clock that cannot be set, for what is counted a second.
    fn tick(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.boot().as_millis() as i64)
    }

    /// A lease that was granted, perhaps by an earlier leader, and whose answer was lost; refused if it
    /// has run out since.
    async fn granted_before(&self, id: LeaseId) -> Result<Option<Granted>, ProposeError> {
        self.node.linearize().await?;
        let index = self.node.applied_index();
        let lease = self
            .node
            .checked(query::leases::get(&self.node.view().read(), id));
        if let Some(lease) = lease.map_err(unreadable)? {
            return Ok(Some(
                self.granted(id, lease.mailing, lease.runs, index).await,
            ));
        }
        let closed = query::leases::is_closed(&self.node.view().read(), id);
        if self.node.checked(closed).map_err(unreadable)? {
            return Err(ProposeError::Rejected {
                rejection: Rejection::LeaseClosed,
                index,
            });
        }
        Ok(None)
    }

    async fn granted(
        &self,
        lease: LeaseId,
        mailing: MailingNumber,
        runs: Vec<Run>,
        index: u64,
    ) -> Granted {
        let ttl_ms = self.options.lease_ttl_ms;
        let at = self.node.agreed_wall().await;
        Granted {
            lease,
            mailing,
            runs,
            index,
            ttl_ms,
            at,
        }
    }

    fn candidates(
        &self,
        gateway: u64,
        room: u16,
        now: Timestamp,
    ) -> Result<Vec<grants::Candidate>, notty_storage::Error> {
        let view = self.node.view();
        let reader = view.read();
        let mut desk = self.desk.lock();
        desk.zones.refresh(&reader);
        let LeaderMemory {
            zones,
            served,
            barren,
            scattered,
            looks,
            ..
        } = &mut *desk;

        let is_open = |number: &MailingNumber| reader.open_mailing(*number).is_some();
        served.retain(|number, _| is_open(number));
        barren.retain(is_open);
        scattered.retain(is_open);
        looks.retain(is_open);
        let postmen = query::leases::postmen(&reader)?;
        looks.refresh(
            postmen
                .iter()
                .filter_map(|postman| postman.gateway)
                .collect(),
        );

        let policy = grants::Policy {
            zones,
            served,
            looks,
            gateway,
        };
        grants::candidates(&reader, now, room, &policy)
    }
}

/// The batch at which a grant begins; none: where its mailing says.
type From = Option<u32>;

/// The state could not be read: whoever asks may ask again, nothing was proposed.
fn unreadable(error: notty_storage::Error) -> ProposeError {
    tracing::error!(%error, "the post office could not read the state");
    ProposeError::NoLeader
}

/// What an operator would put in a diary.
fn diary_line(action: &Action) -> Option<(MailingNumber, &'static str)> {
    match action {
        Action::StartMailing(StartMailing { mailing }) => Some((*mailing, "has started")),
        Action::EndMailing(EndMailing { mailing }) => Some((*mailing, "has ended")),
        _ => None,
    }
}
