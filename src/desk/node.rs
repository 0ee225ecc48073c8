//! The desk of a node, where its own postman asks, and postmen by themselves through the peer port:
//! calls become commands and reads.
//!
//! What comes from a postman by itself is one of the calls below and nothing else: the commands that
//! they become are made here.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use notty_raft::{AppliedChanges, Caller, Node, ProposeError, Service};
use notty_storage::{
    Error, Reader, Rejection, Timestamp, codec,
    command::{DeclareGateway, RegisterPostman, Report},
    limits,
    model::{Epoch, LeaseId, MailingNumber, PostmanName, Run},
    query,
    records::Lease,
};
use parking_lot::Mutex;

use super::calls::{Answered, Call};
use crate::{
    post_office::{Ask, Granted, PostOffice},
    postman::desk::{Answer, Desk, DeskError, Held, Left, Look, Parcel, Terms},
    zones::Zones,
};

/// How long a grant may take to arrive here, once the leader made it.
const APPLIED: Duration = Duration::from_secs(5);

/// What a leader's post office answers another node's desk.
type Asked = Result<Option<Granted>, ProposeError>;

/// Whether one lease can have these messages. Every run counts: also one of nothing takes room.
fn fit_a_lease<'r>(runs: impl Iterator<Item = &'r Run>) -> bool {
    runs.map(|run| usize::from(run.len).max(1)).sum::<usize>() <= limits::LEASE_MESSAGES.into()
}

/// Whether a postman can hold so much.
fn is_within_bounds(held: &[Held]) -> bool {
    held.len() <= limits::POSTMAN_LEASES && held.iter().all(|held| fit_a_lease(held.runs.iter()))
}

/// Whether one lease can have come to this.
fn can_be_of_a_lease(report: &Report) -> bool {
    report.results.len() <= limits::LEASE_MESSAGES.into()
        && fit_a_lease(report.results.iter().flat_map(|(_, runs)| runs))
}

/// What a postman may not ask, or is not understood.
fn not_for_postmen() -> Vec<u8> {
    let why = "this node does not understand the call; run the same version of notty on both";
    codec::encode(&Answered::<()>::Err(DeskError::Refused(why.to_owned())))
}

/// What this node answers its peers.
impl Service for NodeDesk {
    fn call(&self, caller: Caller, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let call = codec::decode::<Call>(&request);
            match (caller, call) {
                (Caller::Node, Ok(Call::Grant(ask))) => {
                    let asked: Asked = self.post_office.ask(ask).await;
                    codec::encode(&asked)
                }
                (Caller::Node, _) => codec::encode(&Asked::Err(ProposeError::Unknown)),
                (Caller::Postman(name), Ok(call)) => self.answer(&name, call).await,
                (Caller::Postman(_), Err(_)) => not_for_postmen(),
            }
        })
    }
}

/// The desk of a node.
pub struct NodeDesk {
    node: Arc<Node>,
    post_office: Arc<PostOffice>,
    zones: Mutex<Zones>,
}

impl NodeDesk {
    /// For a node and its post office; customers without a time zone count as in `timezone`.
    pub fn new(node: Arc<Node>, post_office: Arc<PostOffice>, timezone: &str) -> Arc<Self> {
        let zones = Mutex::new(Zones::new(timezone));
        Arc::new(Self {
            node,
            post_office,
            zones,
        })
    }

    fn read<T>(
        &self,
        question: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, DeskError> {
        let view = self.node.view();
        let answer = self.node.checked(question(&view.read()));
        answer.map_err(|error| DeskError::Unavailable(error.to_string()))
    }

    /// Answers a call of a postman by itself.
    async fn answer(&self, caller: &str, call: Call) -> Vec<u8> {
        if let Err(why) = self.may_speak_of(caller, &call) {
            return codec::encode(&Answered::<()>::Err(why));
        }
        match call {
            Call::Register { name, nonce } => {
                let registered = match self.may_register(caller, &name) {
                    Ok(()) => self.register(name, nonce).await,
                    Err(why) => Err(DeskError::Refused(why)),
                };
                codec::encode(&registered)
            }
            Call::Ask {
                lease,
                room,
                gateway,
                again,
            } => codec::encode(&self.ask(lease, room, gateway, again).await),
            Call::Report(report) => match can_be_of_a_lease(&report) {
                true => codec::encode(&self.report(report).await),
                false => not_for_postmen(),
            },
            Call::Look(held) => match is_within_bounds(&held) {
                true => codec::encode(&self.look(held).await),
                false => not_for_postmen(),
            },
            Call::Left(epoch) => codec::encode(&self.left(epoch).await),
            Call::Declare {
                postman,
                gateway,
                repeat_ms,
            } => codec::encode(&self.declare(postman, gateway, repeat_ms).await),
            Call::Grant(_) => not_for_postmen(),
        }
    }

    /// Whether a call is about leases of nobody else: a postman must not report on, or take, what a
    /// node's postman or another one holds. Epochs that the state here does not know yet, or no
    /// more, are for the state machine to judge.
    fn may_speak_of(&self, caller: &str, call: &Call) -> Result<(), DeskError> {
        let epochs: Vec<Epoch> = match call {
            Call::Ask { lease, .. } => vec![lease.epoch],
            Call::Report(report) => vec![report.lease.epoch],
            Call::Look(held) => held.iter().map(|held| held.lease.epoch).collect(),
            Call::Left(epoch) => vec![*epoch],
            Call::Declare { postman, .. } => vec![*postman],
            Call::Register { .. } | Call::Grant(_) => return Ok(()),
        };
        let postmen = self.read(|reader| query::leases::postmen(reader))?;
        let mut others = postmen
            .iter()
            .filter(|postman| postman.name.as_str() != caller);
        match others.find(|other| epochs.iter().any(|epoch| other.has_had(*epoch))) {
            Some(other) => Err(DeskError::Refused(format!(
                "`{caller}` speaks of a lease of the postman `{}`",
                other.name.as_str()
            ))),
            None => Ok(()),
        }
    }

    /// Whether a postman by itself may have a name: a node's own postman would end by it.
    fn may_register(&self, caller: &str, name: &PostmanName) -> Result<(), String> {
        if name.as_str() != caller {
            return Err(format!("`{caller}` cannot register as `{}`", name.as_str()));
        }
        PostmanName::parse(caller).map_err(|invalid| invalid.detail)?;
        let members = self.node.status().members;
        match members.iter().any(|member| member.peer.name == caller) {
            true => Err(format!(
                "`{caller}` is a node of the cluster, and its own postman has that name: set \
                 postman.name to another"
            )),
            false => Ok(()),
        }
    }

    /// Until when a mailing's messages may be sent, as things stood at a time.
    fn terms(
        &self,
        reader: &Reader<'_>,
        mailing: MailingNumber,
        now: Timestamp,
    ) -> Result<Terms, Error> {
        let Some(record) = query::work::record(reader, mailing)? else {
            return Ok(Terms::default());
        };
        let mut zones = self.zones.lock();
        zones.refresh(reader);
        let window = record.spec.send_window;
        let closes = window.iter().flat_map(|window| {
            let open = zones.open(window, now);
            let closes = open
                .into_iter()
                .map(|zone| (zone.0, zones.closes(window, zone, now)));
            closes
                .filter_map(|(zone, at)| Some((zone, at?)))
                .collect::<Vec<_>>()
        });
        Ok(Terms {
            open: record.is_running() && !record.paused,
            ends_at: record.spec.end,
            closes: closes.collect(),
            window,
        })
    }

    /// Asks the post office that is at work: this node's, or the leader's.
    async fn leaders_post_office(&self, ask: Ask) -> Result<Option<Granted>, ProposeError> {
        if self.node.leads_now() {
            return self.post_office.ask(ask).await;
        }
        let answer = self
            .node
            .ask_leader(codec::encode(&Call::Grant(ask)))
            .await?;
        let answer: Asked = codec::decode(&answer).map_err(|_| ProposeError::Unknown)?;
        if let Ok(Some(granted)) = &answer {
            // Its messages are read from the state here.
            if !self.node.wait_applied(granted.index, APPLIED).await {
                return Err(ProposeError::Unknown);
            }
        }
        answer
    }

    fn parcel(&self, granted: Granted) -> Result<Parcel, DeskError> {
        let Granted {
            lease,
            mailing,
            runs,
            ttl_ms,
            at,
            ..
        } = granted;
        let ttl = Duration::from_millis(ttl_ms);
        self.read(|reader| {
            let text = query::leases::text(reader, mailing)?.unwrap_or_default();
            let messages = query::leases::messages(reader, mailing, &runs)?;
            let terms = self.terms(reader, mailing, at)?;
            Ok(Parcel {
                lease,
                mailing,
                ttl,
                text: text.into(),
                runs,
                messages,
                terms,
            })
        })
    }

    /// By the leader's clock, which the postman compares with its own: this node's may be wrong.
    fn look_at(&self, held: &[Held], leader_clock: Timestamp) -> Result<Look, DeskError> {
        self.read(|reader| {
            let mut look = Look {
                leader_clock,
                ..Look::default()
            };
            for held in held {
                let terms = self.terms(reader, held.mailing, leader_clock)?;
                look.terms.push((held.lease, terms));
                let dropped = query::leases::of_deleted(reader, held.mailing, &held.runs)?;
                if !dropped.is_empty() {
                    look.dropped.push((held.lease, dropped));
                }
            }
            Ok(look)
        })
    }
}

fn desk_error(error: ProposeError) -> DeskError {
    match error {
        ProposeError::Rejected {
            rejection: Rejection::PostmanClosed,
            ..
        } => DeskError::Replaced,
        ProposeError::Rejected {
            rejection: Rejection::PostmanForgotten,
            ..
        } => DeskError::Forgotten,
        ProposeError::Rejected {
            rejection: Rejection::LeaseClosed,
            ..
        } => DeskError::Closed,
        ProposeError::Rejected {
            rejection: Rejection::TooManyLeases,
            ..
        } => DeskError::Unavailable(Rejection::TooManyLeases.to_string()),
        ProposeError::Rejected { rejection, .. } => DeskError::Refused(rejection.to_string()),
        error => DeskError::Unavailable(error.to_string()),
    }
}

impl Desk for NodeDesk {
    fn register(&self, name: PostmanName, nonce: u64) -> Answer<'_, Epoch> {
        Box::pin(async move {
            let registered = self.node.act(RegisterPostman { name, nonce }).await;
            Ok(registered.map_err(desk_error)?.reply)
        })
    }

    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> Answer<'_, ()> {
        Box::pin(async move {
            let action = DeclareGateway {
                postman,
                gateway,
                repeat_ms,
            };
            self.node.act(action).await.map_err(desk_error).map(drop)
        })
    }

    fn ask(
        &self,
        lease: LeaseId,
        room: u16,
        gateway: u64,
        again: bool,
    ) -> Answer<'_, Option<Parcel>> {
        Box::pin(async move {
            let asked = self
                .leaders_post_office(Ask {
                    lease,
                    room,
                    gateway,
                    again,
                })
                .await;
            match asked.map_err(desk_error)? {
                Some(granted) => self.parcel(granted).map(Some),
                None => Ok(None),
            }
        })
    }

    fn report(&self, report: Report) -> Answer<'_, usize> {
        Box::pin(async move {
            let reported = self.node.act(report).await.map_err(desk_error)?;
            Ok(reported.reply.conflicts.len())
        })
    }

    fn look(&self, held: Vec<Held>) -> Answer<'_, Look> {
        Box::pin(async move {
            let leader_clock = self.node.read_point().await.map_err(desk_error)?;
            self.look_at(&held, leader_clock)
        })
    }

    fn left(&self, epoch: Epoch) -> Answer<'_, Vec<Left>> {
        Box::pin(async move {
            self.node.linearize().await.map_err(desk_error)?;
            let left = self
                .read(|reader| query::leases::left(reader, epoch))?
                .into_iter();
            Ok(left
                .map(
                    |Lease {
                         id, mailing, runs, ..
                     }| Left {
                        lease: id,
                        mailing,
                        runs,
                    },
                )
                .collect())
        })
    }

    fn changes(&self) -> Option<AppliedChanges> {
        Some(self.node.applied_changes())
    }
}
