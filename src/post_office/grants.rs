//! Granting: a postman's ask becomes a grant, if a mailing has something to send.
//!
//! The post office chooses the mailing and the limit; apply itself picks the messages. A grant that
//! would find nothing is not proposed, because every node would write and sync it.

use notty_raft::ProposeError;
use notty_storage::{
    Reader, Rejection, Source, Timestamp,
    command::{Grant, GrantedLease},
    limits,
    model::{Epoch, LeaseId, MailingNumber, Run},
    query::{self, leases::Prospect},
    records::DeclaredGateway,
};
use serde::{Deserialize, Serialize};

use super::{
    PostOffice,
    candidates::{self, Candidate, CandidatePolicy, Reach},
};

/// Parts of a mailing that are looked through for one ask; the next ask goes on there. A part opens
/// as many batches as a grant may, which takes some milliseconds.
const LOOKS: usize = 4;

/// A postman's request for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The lease's id, one above that of the postman's last lease.
    pub lease: LeaseId,
    /// Messages that the postman has room for: its slots, and half a second of sending besides.
    pub room: u16,
    /// Hash of the gateway that the postman sends to.
    pub gateway: u64,
    /// True if the postman has asked for this lease before and got no answer.
    pub again: bool,
    /// Mailings that the postman cannot send now: its gateway has halted them.
    pub unwanted: Vec<MailingNumber>,
}

/// The messages that a postman could send now.
#[derive(Clone, Copy)]
struct SendableMessages<'a> {
    /// Hash of the gateway that it sends to.
    gateway: u64,
    /// Mailings of which it can send none.
    unwanted: &'a [MailingNumber],
    /// The greatest number of messages.
    room: u16,
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Id of the lease.
    pub lease: LeaseId,
    /// Number of the mailing that the messages belong to.
    pub mailing: MailingNumber,
    /// The messages that were granted.
    pub runs: Vec<Run>,
    /// Position of the grant in the log.
    pub index: u64,
    /// Length of the lease, in milliseconds.
    pub ttl_ms: u64,
    /// Time by the leader's clock.
    pub at: Timestamp,
}

/// Result of looking for what a grant would find.
enum LookAhead {
    /// A grant is worth proposing. It begins at this batch; `None` leaves that to the mailing.
    Grant { from: Option<u32> },
    /// A grant would find nothing, or it is not known yet.
    Nothing,
}

impl PostOffice {
    /// Grants a lease, if there is something to send. The mailing that waited longest comes first.
    pub async fn ask(&self, ask: Ask) -> Result<Option<Granted>, ProposeError> {
        if ask.again
            && let Some(granted) = self.granted_before(ask.lease).await?
        {
            return Ok(Some(granted));
        }

        // A clock that is not agreed on would open the wrong zones.
        let wall = self.node.agreed_wall().await;
        if wall == Timestamp::default() {
            return Ok(None);
        }
        self.check_room(ask.lease)?;

        let work = SendableMessages {
            gateway: ask.gateway,
            unwanted: &ask.unwanted,
            room: ask.room,
        };
        let candidates = self.read(self.candidates(work, wall))?;
        for candidate in candidates {
            let LookAhead::Grant { from } = self.look_ahead(&ask, &candidate, wall)? else {
                continue;
            };

            // Only now: a mailing that has nothing to send must not use up the rate.
            let limit = self.take_budget(&ask);
            if limit == 0 {
                return Ok(None);
            }
            if let Some(granted) = self.spend(&ask, candidate, limit, from).await? {
                return Ok(Some(granted));
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
        unwanted: &[MailingNumber],
    ) -> Result<bool, notty_storage::Error> {
        let postmen = query::leases::postmen(&self.node.view().read())?;
        if !postmen.iter().any(|known| known.epoch == postman) {
            return Ok(true);
        }

        let work = SendableMessages {
            gateway,
            unwanted,
            room: 1,
        };
        let candidates = self.candidates(work, self.clock.wall())?;
        Ok(!candidates.is_empty())
    }

    /// Rejects here what the state would reject in an entry. A postman whose requests hang asks again
    /// and again, and each time would cost an entry.
    fn check_room(&self, lease: LeaseId) -> Result<(), ProposeError> {
        let index = self.node.applied_index();
        let view = self.node.view();
        if self.read(query::leases::has_too_many(&view.read(), lease))? {
            return Err(rejected(Rejection::TooManyLeases, index));
        }
        Ok(())
    }

    fn candidates(
        &self,
        work: SendableMessages<'_>,
        now: Timestamp,
    ) -> Result<Vec<Candidate>, notty_storage::Error> {
        let view = self.node.view();
        let reader = view.read();
        let mut memory = self.memory.lock();
        memory.zones.refresh(&reader);
        memory.retain(|mailing| reader.open_mailing(*mailing).is_some());
        memory.looks.refresh(declared_gateways(&reader)?);

        let policy = CandidatePolicy {
            now,
            room: work.room,
            zones: &memory.zones,
            served: &memory.served,
            looks: &memory.looks,
            gateway: work.gateway,
            unwanted: work.unwanted,
        };
        candidates::candidates(&reader, &policy)
    }

    /// Looks for what a grant would find, if the last one for this mailing found nothing.
    fn look_ahead(
        &self,
        ask: &Ask,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Result<LookAhead, ProposeError> {
        let wanted = &candidate.wanted;
        for _ in 0..LOOKS {
            let Some(from) = self.memory.lock().looks.next(wanted) else {
                return Ok(LookAhead::Grant { from: None });
            };
            let prospect = self.prospect(ask, candidate, from, now)?;

            let mut memory = self.memory.lock();
            let is_in_vain = memory.looks.note(wanted, prospect);
            if let Prospect::Something { batch } = prospect {
                return Ok(LookAhead::Grant { from: Some(batch) });
            }
            if is_in_vain {
                // One more batch of the mailing may have messages that can be sent.
                memory.barren.insert(candidate.mailing);
                drop(memory);

                self.wake.notify_one();
                return Ok(LookAhead::Nothing);
            }
        }

        // Other mailings have their turn before this look goes on.
        self.memory.lock().serve(candidate.mailing);
        Ok(LookAhead::Nothing)
    }

    /// Looks through one part of a mailing, by the rules of a grant.
    fn prospect(
        &self,
        ask: &Ask,
        candidate: &Candidate,
        from: u32,
        now: Timestamp,
    ) -> Result<Prospect, ProposeError> {
        let grant = Grant {
            from: Some(from),
            ..self.grant(ask, candidate, 1)
        };

        let view = self.node.view();
        self.read(query::leases::prospect(&view.read(), &grant, now))
    }

    /// Takes messages from the budget; 0 if the rate is used up.
    fn take_budget(&self, ask: &Ask) -> u16 {
        let wanted = ask
            .room
            .min(self.options.lease_size)
            .min(limits::LEASE_MESSAGES);
        let now = self.clock.boot();
        self.memory.lock().budgets.take(ask.gateway, wanted, now)
    }

    /// Grants messages of one mailing, up to a limit that was taken from the budget. Gives back the
    /// limit if nothing was granted.
    async fn spend(
        &self,
        ask: &Ask,
        candidate: Candidate,
        limit: u16,
        from: Option<u32>,
    ) -> Result<Option<Granted>, ProposeError> {
        let granted = match self.serve(ask, &candidate, limit, from).await {
            // A few batches held nothing; more of them may. This is tried once: the mailing is noted
            // as scattered now.
            Ok(None) if self.memory.lock().scattered.insert(candidate.mailing) => {
                self.serve(ask, &candidate, limit, from).await
            }
            other => other,
        };

        match &granted {
            Ok(Some(_)) => {}
            Ok(None) => self.note_in_vain(ask, candidate, limit),
            // The messages may have been granted: the limit counts as spent.
            Err(ProposeError::Unknown | ProposeError::UnexpectedReply) => {}
            Err(_) => self.memory.lock().budgets.give_back(ask.gateway, limit),
        }
        granted
    }

    /// Remembers that a grant found nothing, and gives its limit back.
    fn note_in_vain(&self, ask: &Ask, candidate: Candidate, limit: u16) {
        let mut memory = self.memory.lock();
        memory.budgets.give_back(ask.gateway, limit);
        memory.barren.insert(candidate.mailing);
        memory.looks.in_vain(candidate.wanted);
    }

    /// The grant that an ask becomes, which may look as far as any grant.
    fn grant(&self, ask: &Ask, candidate: &Candidate, limit: u16) -> Grant {
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

    /// Proposes a grant of one mailing; `None` if there is nothing to grant.
    async fn serve(
        &self,
        ask: &Ask,
        candidate: &Candidate,
        limit: u16,
        from: Option<u32>,
    ) -> Result<Option<Granted>, ProposeError> {
        let Reach { batches, barren } = self.memory.lock().serve(candidate.mailing);
        let grant = Grant {
            batches,
            barren,
            from,
            ..self.grant(ask, candidate, limit)
        };

        let answer = self.node.act_as_leader(grant).await;
        // Messages were taken, or none are left: either way there may be something to expand.
        self.wake.notify_one();

        let applied = match answer {
            Ok(applied) => applied,
            Err(error) if finds_nothing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(GrantedLease { mailing, runs, .. }) = applied.reply else {
            return Ok(None);
        };

        self.note_granted(ask, candidate, limit, &runs);
        let granted = self.granted(ask.lease, mailing, runs, applied.index);
        Ok(Some(granted.await))
    }

    /// Remembers the outcome of a grant that had a limit.
    fn note_granted(&self, ask: &Ask, candidate: &Candidate, limit: u16, runs: &[Run]) {
        let mailing = candidate.mailing;
        let mut memory = self.memory.lock();
        memory.barren.remove(&mailing);
        if candidates::is_scattered(runs, candidate.ready.min(limit.into())) {
            memory.scattered.insert(mailing);
        } else {
            memory.scattered.remove(&mailing);
        }

        // After a full grant, the next one is proposed without a look.
        let count: u16 = runs.iter().map(|run| run.len).sum();
        if count == limit {
            memory.looks.forget(mailing, ask.gateway);
        }
        memory
            .budgets
            .give_back(ask.gateway, limit.saturating_sub(count));
        memory.recent.note(count, self.tick());
    }

    /// Finds a lease that was granted, perhaps by an earlier leader, and whose answer was lost.
    /// Rejects the ask if the lease has run out since.
    async fn granted_before(&self, id: LeaseId) -> Result<Option<Granted>, ProposeError> {
        self.node.linearize().await?;
        let index = self.node.applied_index();
        let lease = query::leases::get(&self.node.view().read(), id);
        if let Some(lease) = self.read(lease)? {
            let granted = self.granted(id, lease.mailing, lease.runs, index).await;
            return Ok(Some(granted));
        }

        // Closed, it must not be granted anew under the same id: its messages may have been sent.
        let is_closed = query::leases::is_closed(&self.node.view().read(), id);
        if self.read(is_closed)? {
            return Err(rejected(Rejection::LeaseClosed, index));
        }
        Ok(None)
    }

    /// The result of reading the state, as an answer to a postman.
    fn read<T>(&self, result: Result<T, notty_storage::Error>) -> Result<T, ProposeError> {
        self.node.checked(result).map_err(unreadable)
    }

    async fn granted(
        &self,
        lease: LeaseId,
        mailing: MailingNumber,
        runs: Vec<Run>,
        index: u64,
    ) -> Granted {
        Granted {
            lease,
            mailing,
            runs,
            index,
            ttl_ms: self.options.lease_ttl_ms,
            at: self.node.agreed_wall().await,
        }
    }
}

/// The gateways that the registered postmen send to.
fn declared_gateways(reader: &Reader<'_>) -> Result<Vec<DeclaredGateway>, notty_storage::Error> {
    let postmen = query::leases::postmen(reader)?;
    let declared = postmen.iter().filter_map(|postman| postman.gateway);
    Ok(declared.collect())
}

/// True if apply rejected a grant because it found nothing that can be sent now.
fn finds_nothing(error: &ProposeError) -> bool {
    let ProposeError::Rejected { rejection, .. } = error else {
        return false;
    };
    matches!(rejection, Rejection::NothingToDo | Rejection::NotNow)
}

/// A rejection without an entry, as of the position that the state reflects.
fn rejected(rejection: Rejection, index: u64) -> ProposeError {
    ProposeError::Rejected { rejection, index }
}

/// The answer if the state could not be read. Nothing was proposed, so the postman may ask again.
fn unreadable(error: notty_storage::Error) -> ProposeError {
    tracing::error!(%error, "the post office could not read the state");
    ProposeError::NoLeader
}
