//! The desk of a node, where its own postman asks, and standalone postmen through the peer port: calls
//! become commands and reads.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use notty_raft::{Node, ProposeError};
use notty_storage::{
    Error, Reader, Rejection, Timestamp, codec,
    command::{DeclareGateway, RegisterPostman, Report},
    level::UNWANTED_LEVEL,
    model::{Epoch, LeaseId, MailingNumber, PostmanName, SendWindow},
    query::{self, leases::LeasedMessage},
    records::{Lease, MailingRecord},
};
use parking_lot::Mutex;

use super::{calls::Call, presence::Presence};
use crate::{
    post_office::{Ask, Granted, PostOffice},
    postman::desk::{
        ClusterLook, Desk, DeskAnswer, DeskError, HeldLease, Left, Parcel, SendableWork, Terms,
    },
    receipts::{AskedReceipts, WantedReceipts},
    zones::Zones,
};

/// Longest time for a grant to arrive here, once the leader made it.
const APPLIED: Duration = Duration::from_secs(5);

/// The answer of a leader's post office to another node's desk.
pub(super) type Asked = Result<Option<Granted>, ProposeError>;

/// The desk of a node.
pub struct NodeDesk {
    pub(super) node: Arc<Node>,
    pub(super) post_office: Arc<PostOffice>,
    zones: Mutex<Zones>,
    pub(super) presence: Presence,
    /// The receipts to ask for; none are asked for without it.
    wanted_receipts: OnceLock<WantedReceipts>,
}

impl NodeDesk {
    /// The desk of a node and its post office; customers without a time zone count as in `timezone`.
    pub fn new(node: Arc<Node>, post_office: Arc<PostOffice>, timezone: &str) -> Arc<Self> {
        let zones = Mutex::new(Zones::new(timezone));
        Arc::new(Self {
            node,
            post_office,
            zones,
            presence: Presence::default(),
            wanted_receipts: OnceLock::new(),
        })
    }

    /// Asks for receipts from now on, which a gateway sends to the cluster's address.
    pub fn ask_for_receipts(&self, wanted: WantedReceipts) {
        let _ = self.wanted_receipts.set(wanted);
    }

    /// The receipts to ask for of messages, once the cluster has a secret for them. The secret itself goes to
    /// no postman.
    fn receipts(
        &self,
        reader: &Reader<'_>,
        messages: &[LeasedMessage],
    ) -> Result<Option<AskedReceipts>, Error> {
        let Some(wanted) = self.wanted_receipts.get() else {
            return Ok(None);
        };
        let secret = query::receipts::secret(reader)?;
        let ids = messages.iter().map(|message| message.id);
        let WantedReceipts {
            public_url,
            gateway,
        } = wanted;
        Ok(secret.map(|secret| AskedReceipts::sign(public_url, &secret, gateway, ids)))
    }

    pub(super) fn read<T>(
        &self,
        question: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, DeskError> {
        let view = self.node.view();
        let answer = self.node.checked(question(&view.read()));
        answer.map_err(|error| DeskError::Unavailable(error.to_string()))
    }

    /// The limits within which a mailing's messages may be sent, as things stood at a time.
    fn terms(
        &self,
        reader: &Reader<'_>,
        mailing: MailingNumber,
        now: Timestamp,
    ) -> Result<Terms, Error> {
        let record = query::work::record(reader, mailing)?;
        Ok(record.map_or_else(Terms::default, |record| self.terms_of(reader, &record, now)))
    }

    fn terms_of(&self, reader: &Reader<'_>, record: &MailingRecord, now: Timestamp) -> Terms {
        // Customers may have come with zones that were not known before.
        let mut zones = self.zones.lock();
        zones.refresh(reader);
        let window = record.spec.send_window;
        let closes = window
            .as_ref()
            .map_or_else(Vec::new, |window| closing_times(&zones, window, now));

        Terms {
            open: record.is_running() && !record.paused,
            ends_at: record.spec.end,
            closes,
            window,
        }
    }

    /// True if an ask of a postman may find something, as far as the state here shows.
    pub(super) fn is_worth_asking(
        &self,
        postman: Epoch,
        work: &SendableWork,
    ) -> Result<bool, DeskError> {
        let SendableWork { gateway, unwanted } = work;
        let answer = self
            .post_office
            .is_worth_asking(postman, *gateway, unwanted);
        let checked = self.node.checked(answer);
        checked.map_err(|error| DeskError::Unavailable(error.to_string()))
    }

    /// Asks the post office that is at work: this node's, or the leader's.
    async fn leaders_post_office(&self, ask: Ask) -> Result<Option<Granted>, ProposeError> {
        if self.node.leads_now() {
            self.post_office.ask(ask).await
        } else {
            self.other_post_office(ask).await
        }
    }

    async fn other_post_office(&self, mut ask: Ask) -> Result<Option<Granted>, ProposeError> {
        // A leader of an older version would not understand the ask.
        if self.node.cluster_level() < UNWANTED_LEVEL {
            ask.unwanted.clear();
        }
        let call = codec::encode(&Call::Grant(ask));
        let bytes = self.node.ask_leader(call).await?;

        // An answer that does not decode leaves open whether it was granted.
        let answer: Asked = codec::decode(&bytes).map_err(|_| ProposeError::Unknown)?;
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
        // All of one state: its text, its messages and its terms belong together.
        self.read(|reader| {
            let text = query::leases::text(reader, mailing)?.unwrap_or_default();
            let messages = query::leases::messages(reader, mailing, &runs)?;
            let record = query::work::record(reader, mailing)?;
            let terms = record.as_ref().map(|of| self.terms_of(reader, of, at));
            let mailing_id = record.map(|record| record.id.to_string());
            let receipts = self.receipts(reader, &messages)?;

            Ok(Parcel {
                lease,
                mailing,
                ttl,
                text: text.into(),
                runs,
                messages,
                terms: terms.unwrap_or_default(),
                mailing_id: mailing_id.unwrap_or_default(),
                receipts,
            })
        })
    }

    /// By the leader's clock, which the postman compares with its own: this node's may be wrong.
    fn look_at(
        &self,
        held: &[HeldLease],
        leader_clock: Timestamp,
    ) -> Result<ClusterLook, DeskError> {
        self.read(|reader| {
            let mut look = ClusterLook {
                leader_clock,
                ..ClusterLook::default()
            };

            // The state may be newer than the leader's clock, never older: the call waited for that.
            for held in held {
                let terms = self.terms(reader, held.mailing, leader_clock)?;
                look.terms.push((held.lease, terms));

                let dropped = query::leases::dropped(reader, held.mailing, &held.runs)?;
                if !dropped.is_empty() {
                    look.dropped.push((held.lease, dropped));
                }
            }
            Ok(look)
        })
    }
}

/// The zones in which a window is open, each with the time at which it closes there.
fn closing_times(zones: &Zones, window: &SendWindow, now: Timestamp) -> Vec<(u16, Timestamp)> {
    let open = zones.open(window, now).into_iter();
    open.filter_map(|zone| Some((zone.0, zones.closes(window, zone, now)?)))
        .collect()
}

fn left(lease: Lease) -> Left {
    Left {
        lease: lease.id,
        mailing: lease.mailing,
        runs: lease.runs,
    }
}

fn desk_error(error: ProposeError) -> DeskError {
    let ProposeError::Rejected { rejection, .. } = error else {
        return DeskError::Unavailable(error.to_string());
    };
    match rejection {
        Rejection::PostmanClosed => DeskError::Replaced,
        Rejection::PostmanForgotten => DeskError::Forgotten,
        Rejection::LeaseClosed => DeskError::Closed,
        // Leases end by themselves: the same ask may be granted later.
        Rejection::TooManyLeases => DeskError::Unavailable(rejection.to_string()),
        rejection => DeskError::Refused(rejection.to_string()),
    }
}

impl Desk for NodeDesk {
    fn register(&self, name: PostmanName, nonce: u64) -> DeskAnswer<'_, Epoch> {
        Box::pin(async move {
            let registered = self.node.act(RegisterPostman { name, nonce }).await;
            Ok(registered.map_err(desk_error)?.reply)
        })
    }

    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> DeskAnswer<'_, ()> {
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
        work: SendableWork,
        again: bool,
    ) -> DeskAnswer<'_, Option<Parcel>> {
        Box::pin(async move {
            let ask = Ask {
                lease,
                room,
                gateway: work.gateway,
                again,
                unwanted: work.unwanted,
            };
            // An error leaves open whether it was granted: the postman asks again under the same id.
            let asked = self.leaders_post_office(ask).await;

            match asked.map_err(desk_error)? {
                Some(granted) => self.parcel(granted).map(Some),
                None => Ok(None),
            }
        })
    }

    fn report(&self, report: Report) -> DeskAnswer<'_, usize> {
        Box::pin(async move {
            let reported = self.node.act(report).await.map_err(desk_error)?;
            Ok(reported.reply.conflicts.len())
        })
    }

    fn look(&self, held: Vec<HeldLease>) -> DeskAnswer<'_, ClusterLook> {
        Box::pin(async move {
            let leader_clock = self.node.read_point().await.map_err(desk_error)?;
            self.look_at(&held, leader_clock)
        })
    }

    fn left(&self, epoch: Epoch) -> DeskAnswer<'_, Vec<Left>> {
        Box::pin(async move {
            self.node.linearize().await.map_err(desk_error)?;
            let leases = self.read(|reader| query::leases::left(reader, epoch))?;
            Ok(leases.into_iter().map(left).collect())
        })
    }

    fn wait(&self, postman: Epoch, work: SendableWork, seen: Option<u64>) -> DeskAnswer<'_, u64> {
        Box::pin(self.until_worth_asking(postman, work, seen))
    }
}
