//! How the two ends of a connection prove to each other that they know a secret.
//!
//! They run SPAKE2, a password-authenticated key exchange, inside TLS: each sends one message that
//! says nothing about the secret, and both get the same key if, and only if, they know the same
//! secret. The key then signs both messages and the TLS session that they came over; the client
//! shows its signature first. So
//!
//! - who reads or records everything learns nothing that a guess of the secret could be tried on;
//! - who takes part without the secret, as client, as server or between the two, can try one guess
//!   for each connection, and sees only whether it was right;
//! - a proof is worth nothing in another connection.
//!
//! With certificates alone (`cluster.tls` without a secret) there is nothing to prove here, and
//! both messages are empty.

use std::io;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use spake2::{Ed25519Group, Identity, Password, Spake2};

use super::{
    TlsError, TlsFiles,
    tls::{Binding, Channel, Tls},
    transport::Io,
};
use crate::runtime::Chance;

/// Bytes of a proof.
pub(super) const PROOF_BYTES: usize = 32;

/// What a secret is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grade {
    /// All calls, as far as the caller's number and disk allow them: `cluster.secret`.
    Cluster,
    /// Calls of postmen by themselves: `cluster.postman_secret`.
    Postmen,
}

impl Grade {
    /// The configuration key of the secret.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Cluster => "cluster.secret",
            Self::Postmen => "cluster.postman_secret",
        }
    }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// What this process proves itself with, and what it asks of others.
#[derive(Clone)]
pub struct Credentials {
    /// None in a simulation, whose network is closed.
    tls: Option<Tls>,
    cluster: Option<Password>,
    postmen: Option<Password>,
    /// What it proves itself with where it connects.
    own: Grade,
}

impl Credentials {
    /// A secret that all nodes know.
    pub fn by_secret(secret: &[u8]) -> Self {
        let (tls, cluster) = (Some(Tls::of_nobody()), Some(Password::new(secret)));
        Self {
            tls,
            cluster,
            postmen: None,
            own: Grade::Cluster,
        }
    }

    /// Certificates, which are read and checked here, and a secret besides, if there is one. `host`
    /// is where peers find this node, if they do.
    pub fn by_certificates(
        files: &TlsFiles,
        host: Option<&str>,
        secret: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let (tls, cluster) = (Some(Tls::of_files(files, host)?), secret.map(Password::new));
        Ok(Self {
            tls,
            cluster,
            postmen: None,
            own: Grade::Cluster,
        })
    }

    /// Nothing is proved, and nothing is encrypted: for networks that are closed.
    pub(crate) fn none() -> Self {
        Self {
            tls: None,
            cluster: None,
            postmen: None,
            own: Grade::Cluster,
        }
    }

    /// The same; postmen by themselves may prove this secret instead.
    pub fn with_postman_secret(mut self, secret: &[u8]) -> Self {
        self.postmen = Some(Password::new(secret));
        self
    }

    /// The same, for a postman by itself: it proves the postmen's secret if it knows one.
    pub fn of_postman(mut self) -> Self {
        if self.postmen.is_some() {
            self.own = Grade::Postmen;
        }
        self
    }

    pub(super) fn own(&self) -> Grade {
        self.own
    }

    /// Encrypts a stream to the peer at an address.
    pub(super) async fn connect(&self, stream: Box<dyn Io>, address: &str) -> io::Result<Channel> {
        match &self.tls {
            Some(tls) => tls.connect(stream, address).await,
            None => Ok(Channel {
                stream,
                binding: [0; 32],
            }),
        }
    }

    /// Encrypts a stream that a peer has opened.
    pub(super) async fn accept(&self, stream: Box<dyn Io>) -> io::Result<Channel> {
        match &self.tls {
            Some(tls) => tls.accept(stream).await,
            None => Ok(Channel {
                stream,
                binding: [0; 32],
            }),
        }
    }

    /// Begins to prove, as one end. Refuses what no secret of this process stands for: without this,
    /// a grade without a secret would be open to everybody.
    pub(super) fn begin(&self, grade: Grade, end: End) -> io::Result<Exchange> {
        let password = match grade {
            Grade::Cluster => self.cluster.as_ref(),
            Grade::Postmen => match &self.postmen {
                None => return Err(refused("this node has no cluster.postman_secret")),
                postmen => postmen.as_ref(),
            },
        };
        Ok(Exchange::begin(password, grade, end))
    }
}

pub(super) fn refused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what.into())
}

/// One end's half of a key exchange.
pub(super) struct Exchange {
    /// None where there is no secret to prove.
    state: Option<Spake2<Ed25519Group>>,
    grade: Grade,
    end: End,
    /// To be sent to the other end.
    pub(super) message: Vec<u8>,
}

impl Exchange {
    fn begin(password: Option<&Password>, grade: Grade, end: End) -> Self {
        let Some(password) = password else {
            return Self {
                state: None,
                grade,
                end,
                message: Vec::new(),
            };
        };
        let name = |end: &str| Identity::new(format!("notty {} {end}", grade.key()).as_bytes());
        let (client, server) = (name("client"), name("server"));
        let (state, message) = match end {
            End::Client => Spake2::start_a_with_rng(password, &client, &server, Chance),
            End::Server => Spake2::start_b_with_rng(password, &client, &server, Chance),
        };
        Self {
            state: Some(state),
            grade,
            end,
            message,
        }
    }

    /// The key that comes of both messages.
    pub(super) fn finish(self, theirs: &[u8]) -> io::Result<ProofKey> {
        let Self {
            state, grade, end, ..
        } = self;
        let key = match (state, theirs.is_empty()) {
            (None, true) => Vec::new(),
            (Some(state), false) => match state.finish(theirs) {
                Ok(key) => key,
                Err(_) => return Err(refused("it does not speak notty's peer protocol")),
            },
            (None, false) | (Some(_), true) => return Err(unproved(grade, end)),
        };
        Ok(ProofKey(
            Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"),
        ))
    }
}

/// The other end does not know the secret of this one, or has none; `end` is this one.
pub(super) fn unproved(grade: Grade, end: End) -> io::Error {
    let key = grade.key();
    match (grade, end) {
        (Grade::Postmen, End::Client) => {
            refused(format!("it has another {key} than this postman, or none"))
        }
        _ => refused(format!("it does not know {key} of this node")),
    }
}

/// What a proof is over: the TLS session, and the two messages that were sent in it.
pub(super) struct Transcript<'a> {
    pub(super) binding: &'a Binding,
    pub(super) client: &'a [u8],
    pub(super) server: &'a [u8],
}

/// A key that both ends have if they know the same secret.
pub(super) struct ProofKey(Hmac<Sha256>);

impl ProofKey {
    fn over(&self, end: End, said: &Transcript<'_>) -> Hmac<Sha256> {
        let label: &[u8] = match end {
            End::Client => b"client",
            End::Server => b"server",
        };
        let mut mac = self.0.clone();
        for part in [label, said.binding, said.client, said.server] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// The proof of one end.
    pub(super) fn proof(&self, end: End, said: &Transcript<'_>) -> [u8; PROOF_BYTES] {
        self.over(end, said).finalize().into_bytes().into()
    }

    /// Compares a proof of one end, in constant time.
    pub(super) fn proves(&self, proof: &[u8], end: End, said: &Transcript<'_>) -> bool {
        self.over(end, said).verify_slice(proof).is_ok()
    }
}
