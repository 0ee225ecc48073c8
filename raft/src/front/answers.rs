//! The answers of this node to its peers' calls.
//!
//! Each call has one `impl Answer`, whose reply has the type that the call declares. Whether the
//! caller may make the call was decided before, in [`super::admission`].

use std::{future::Future, io, sync::Arc};

use notty_storage::level::VERSION;
use tokio::sync::watch;

use crate::{
    cluster::change::{ChangeError, Changed},
    disk::data_dir::Identity,
    front::{
        admission::{Gatekeeper, permit},
        invitations::Invitations,
        received::receive_and_install,
        responder::{NodePlace, Responder},
        service::Caller,
    },
    outcome::{Applied, ProposeError},
    peers::{
        call::Denial,
        proof::Grade,
        protocol::{
            AnyCall, AppendEntries, AskReadPoint, AskStatus, AskSupport, BidFarewell, CallService,
            Identify, InstallSnapshot, Invite, MakeChange, PeerCall, PeerStatus, ProposeCommand,
            ReadPoint, RequestVote, Retire, StandForElection, Standing, Vouch, Word,
        },
        server::{Admitting, Handler, Handling, Who},
        session::{Hello, Session},
    },
    time::clock::Clock,
    types::Vote,
};

/// The front of a node.
pub(crate) struct Front {
    name: String,
    own: watch::Receiver<Identity>,
    clock: Arc<dyn Clock>,
    /// The level that this node understands.
    level: u32,
    /// The commit that this node was built from.
    commit: String,
    invitations: Invitations,
    place: Arc<NodePlace>,
    gatekeeper: Gatekeeper,
}

/// A peer whose call is being answered, and its session.
struct Asker<'a> {
    who: Who,
    session: &'a mut Session,
}

/// The answer to one type of call.
trait Answer<C: PeerCall> {
    fn answer(
        &self,
        call: C,
        asker: &mut Asker<'_>,
    ) -> impl Future<Output = Result<C::Reply, Denial>> + Send;
}

impl Front {
    pub(crate) fn new(
        name: &str,
        own: watch::Receiver<Identity>,
        clock: Arc<dyn Clock>,
        level: u32,
        commit: &str,
    ) -> Arc<Self> {
        let place = Arc::<NodePlace>::default();

        Arc::new(Self {
            name: name.to_owned(),
            gatekeeper: Gatekeeper::new(own.clone(), place.clone()),
            own,
            clock,
            level,
            commit: commit.to_owned(),
            invitations: Invitations::default(),
            place,
        })
    }

    pub(crate) fn invitations(&self) -> &Invitations {
        &self.invitations
    }

    /// The node runs from now on, and answers what it alone can.
    pub(crate) fn open(&self, node: &Arc<impl Responder>) {
        let node: Arc<dyn Responder> = node.clone();
        self.place.fill(Arc::downgrade(&node));
    }

    fn node(&self) -> Result<Arc<dyn Responder>, Denial> {
        let node = self.place.get();
        node.ok_or_else(|| Denial::refused("it is not ready yet"))
    }

    /// Sends the answer to a call: the reply, or the reason why there is none.
    async fn reply<C>(&self, call: C, mut asker: Asker<'_>) -> io::Result<()>
    where
        C: PeerCall,
        Self: Answer<C>,
    {
        let answer = match permit(&asker.who, &asker.session.peer, &call) {
            Ok(()) => self.answer(call, &mut asker).await,
            Err(denial) => Err(denial),
        };
        asker.session.send_in_time(&answer).await
    }

    async fn dispatch(&self, call: AnyCall, asker: Asker<'_>) -> io::Result<()> {
        // Every arm is the same: the type of the call picks its answer.
        match call {
            AnyCall::Identify(call) => self.reply(call, asker).await,
            AnyCall::Invite(call) => self.reply(call, asker).await,
            AnyCall::AppendEntries(call) => self.reply(call, asker).await,
            AnyCall::RequestVote(call) => self.reply(call, asker).await,
            AnyCall::InstallSnapshot(call) => self.reply(call, asker).await,
            AnyCall::ProposeCommand(call) => self.reply(call, asker).await,
            AnyCall::AskReadPoint(call) => self.reply(call, asker).await,
            AnyCall::AskStatus(call) => self.reply(call, asker).await,
            AnyCall::StandForElection(call) => self.reply(call, asker).await,
            AnyCall::CallService(call) => self.reply(call, asker).await,
            AnyCall::MakeChange(call) => self.reply(call, asker).await,
            AnyCall::Retire(call) => self.reply(call, asker).await,
            AnyCall::BidFarewell(call) => self.reply(call, asker).await,
            AnyCall::Vouch(call) => self.reply(call, asker).await,
            AnyCall::AskSupport(call) => self.reply(call, asker).await,
        }
    }
}

impl Handler for Front {
    fn admit<'a>(&'a self, peer: &'a Hello, grade: Grade) -> Admitting<'a> {
        Box::pin(self.gatekeeper.admit(peer, grade))
    }

    fn handle<'a>(&'a self, who: Who, call: AnyCall, session: &'a mut Session) -> Handling<'a> {
        Box::pin(self.dispatch(call, Asker { who, session }))
    }
}

impl Answer<Identify> for Front {
    async fn answer(&self, _: Identify, _: &mut Asker<'_>) -> Result<Standing, Denial> {
        let identity = self.own.borrow().clone();
        Ok(Standing {
            name: self.name.clone(),
            disk: identity.disk,
            cluster: Some(identity.cluster).filter(|cluster| !cluster.is_empty()),
            level: self.level,
            version: VERSION.to_owned(),
        })
    }
}

impl Answer<Invite> for Front {
    async fn answer(&self, call: Invite, asker: &mut Asker<'_>) -> Result<(), Denial> {
        let by = &asker.session.peer;
        self.invitations.take(call.0, by, self.own.clone()).await
    }
}

impl Answer<AppendEntries> for Front {
    async fn answer(
        &self,
        call: AppendEntries,
        _: &mut Asker<'_>,
    ) -> Result<<AppendEntries as PeerCall>::Reply, Denial> {
        let node = self.node()?;
        let appended = node.raft().append_entries(call.0).await;
        appended.map_err(Denial::refused)
    }
}

impl Answer<RequestVote> for Front {
    async fn answer(
        &self,
        call: RequestVote,
        _: &mut Asker<'_>,
    ) -> Result<<RequestVote as PeerCall>::Reply, Denial> {
        let node = self.node()?;
        let voted = node.raft().vote(call.0).await;
        voted.map_err(Denial::refused)
    }
}

impl Answer<InstallSnapshot> for Front {
    async fn answer(&self, call: InstallSnapshot, asker: &mut Asker<'_>) -> Result<Vote, Denial> {
        let node = self.node()?;
        receive_and_install(&*node, call, asker.session).await
    }
}

impl Answer<StandForElection> for Front {
    async fn answer(&self, _: StandForElection, _: &mut Asker<'_>) -> Result<(), Denial> {
        let node = self.node()?;
        let stands = node.raft().trigger().elect().await;
        stands.map_err(Denial::refused)
    }
}

impl Answer<AskSupport> for Front {
    async fn answer(&self, call: AskSupport, _: &mut Asker<'_>) -> Result<bool, Denial> {
        let node = self.node()?;
        Ok(node.supports(call.last).await)
    }
}

impl Answer<AskStatus> for Front {
    async fn answer(&self, _: AskStatus, _: &mut Asker<'_>) -> Result<PeerStatus, Denial> {
        let wall = self.clock.wall();
        // Before the node runs nothing vouches for this clock: it has no say.
        let Some(node) = self.place.get() else {
            return Ok(PeerStatus {
                wall,
                level: self.level,
                version: VERSION.to_owned(),
                commit: self.commit.clone(),
                ..PeerStatus::default()
            });
        };

        // Looked up first: the metrics stay locked until the end.
        let has_say = node.has_say();
        let watched = node.raft().metrics();
        let metrics = watched.borrow();
        Ok(PeerStatus {
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: metrics.last_applied.map_or(0, |applied| applied.index),
            wall,
            has_say,
            level: self.level,
            version: VERSION.to_owned(),
            commit: self.commit.clone(),
        })
    }
}

impl Answer<Vouch> for Front {
    async fn answer(&self, claim: Vouch, _: &mut Asker<'_>) -> Result<Word, Denial> {
        Ok(self.gatekeeper.word(&claim))
    }
}

impl Answer<ProposeCommand> for Front {
    async fn answer(
        &self,
        call: ProposeCommand,
        _: &mut Asker<'_>,
    ) -> Result<Result<Applied, ProposeError>, Denial> {
        let node = self.node()?;
        Ok(node.propose_here(call.0).await)
    }
}

impl Answer<AskReadPoint> for Front {
    async fn answer(
        &self,
        _: AskReadPoint,
        _: &mut Asker<'_>,
    ) -> Result<Result<ReadPoint, ProposeError>, Denial> {
        let node = self.node()?;
        Ok(node.read_point().await)
    }
}

impl Answer<CallService> for Front {
    async fn answer(&self, call: CallService, asker: &mut Asker<'_>) -> Result<Vec<u8>, Denial> {
        let service = self.node()?.service();
        let (Some(service), Some(caller)) = (service, Caller::of(&asker.who)) else {
            return Err(Denial::refused("it is not ready yet"));
        };
        if !service.may_be_dropped(&call.0) {
            return Ok(service.call(caller, call.0).await);
        }

        // A call that the service holds must not outlive its caller.
        tokio::select! {
            reply = service.call(caller, call.0) => Ok(reply),
            () = asker.session.gone() => Err(Denial::refused("the caller has gone")),
        }
    }
}

impl Answer<MakeChange> for Front {
    async fn answer(
        &self,
        call: MakeChange,
        _: &mut Asker<'_>,
    ) -> Result<Result<Changed, ChangeError>, Denial> {
        let node = self.node()?;
        Ok(node.change_here(call.0).await)
    }
}

impl Answer<Retire> for Front {
    async fn answer(&self, _: Retire, _: &mut Asker<'_>) -> Result<(), Denial> {
        self.node()?.retire().await;
        Ok(())
    }
}

impl Answer<BidFarewell> for Front {
    async fn answer(&self, _: BidFarewell, _: &mut Asker<'_>) -> Result<(), Denial> {
        let node = self.node()?;
        if node.ask_whether_dismissed().await {
            Ok(())
        } else {
            Err(Denial::refused("no member says that it was taken out"))
        }
    }
}
