//! Proofs: the two ends of a connection show each other that they know a secret.
//!
//! They run SPAKE2, a password-authenticated key exchange, inside TLS: each sends one message that
//! reveals nothing about the secret, and both get the same key if, and only if, they know the same
//! secret. The key then signs both messages and the TLS session that they came over; the client
//! shows its signature first. So
//!
//! - an eavesdropper learns nothing on which a guess of the secret could be tried;
//! - an attacker without the secret, as client, as server or between the two, can try one guess for
//!   each connection, and learns only whether it was right;
//! - a proof is worth nothing in another connection.
//!
//! With certificates alone (`cluster.tls` without a secret) there is nothing to prove here, and
//! both messages are empty. The order of the messages is that of [`super::opening`].

use std::io;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use spake2::{Ed25519Group, Identity, Password, Spake2};

use super::{
    TlsError, TlsFiles,
    tls::{Binding, Channel, PeerTls},
    transport::Io,
};
use crate::runtime::Chance;

/// Bytes of one proof.
pub(super) const PROOF_BYTES: usize = 32;

/// The calls that a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grade {
    /// All calls, as far as the caller's number and disk allow them: `cluster.secret`.
    Cluster,
    /// Calls of standalone postmen: `cluster.postman_secret`.
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

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// The secrets and certificates of this process, which it also asks of its peers.
#[derive(Clone)]
pub struct Credentials {
    /// `None` in a simulation, whose network is closed.
    tls: Option<PeerTls>,
    cluster: Option<Password>,
    postmen: Option<Password>,
    /// The secret that this process proves as a client.
    own: Grade,
}

impl Credentials {
    /// Credentials by a secret that all nodes know.
    pub fn by_secret(secret: &[u8]) -> Self {
        Self {
            tls: Some(PeerTls::of_nobody()),
            cluster: Some(Password::new(secret)),
            ..Self::none()
        }
    }

    /// Credentials by certificates, which are read and checked here, and a secret besides, if there is
    /// one. `host` is the one at which peers find this node, if they do.
    pub fn by_certificates(
        files: &TlsFiles,
        host: Option<&str>,
        secret: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            tls: Some(PeerTls::of_files(files, host)?),
            cluster: secret.map(Password::new),
            ..Self::none()
        })
    }

    /// No credentials: nothing is proved or encrypted, for networks that are closed.
    pub(crate) fn none() -> Self {
        Self {
            tls: None,
            cluster: None,
            postmen: None,
            own: Grade::Cluster,
        }
    }

    /// The same; standalone postmen may prove this secret instead.
    pub fn with_postman_secret(mut self, secret: &[u8]) -> Self {
        self.postmen = Some(Password::new(secret));
        self
    }

    /// The same, for a standalone postman: it proves the postmen's secret if it knows one.
    pub fn of_postman(mut self) -> Self {
        if self.postmen.is_some() {
            self.own = Grade::Postmen;
        }
        self
    }

    /// The time at which the certificate of this process expires, in seconds since 1970; `None` without a
    /// certificate.
    pub fn certificate_expires_at(&self) -> Option<i64> {
        self.tls.as_ref()?.expires_at
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

    /// Begins the proof of a grade, as one end. Refuses a grade for which this process has no secret:
    /// otherwise it would be open to everybody.
    pub(super) fn begin(&self, grade: Grade, end: End) -> io::Result<Exchange> {
        let password = match grade {
            // Without a secret there are certificates, or the network is closed.
            Grade::Cluster => self.cluster.as_ref(),
            Grade::Postmen => match &self.postmen {
                None => return Err(refused("this node has no cluster.postman_secret")),
                postmen => postmen.as_ref(),
            },
        };
        Ok(Exchange::begin(password, grade, end))
    }
}

/// A refusal, which the other end should learn and a person should read.
pub(super) fn refused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what.into())
}

/// One end's half of a key exchange.
pub(super) struct Exchange {
    /// `None` if there is no secret to prove.
    state: Option<Spake2<Ed25519Group>>,
    grade: Grade,
    end: End,
    /// Message for the other end.
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

        // The names bind the key to the grade and to the role of each end.
        let name = |end: &str| Identity::new(format!("notty {} {end}", grade.key()).as_bytes());
        let client = name("client");
        let server = name("server");
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

    /// Computes the key from both messages.
    pub(super) fn finish(self, theirs: &[u8]) -> io::Result<ProofKey> {
        let key = match (self.state, theirs.is_empty()) {
            (Some(state), false) => state
                .finish(theirs)
                .map_err(|_| refused("it does not speak notty's peer protocol"))?,
            // Neither end has a secret: any key does.
            (None, true) => Vec::new(),
            (None, false) | (Some(_), true) => return Err(unproved(self.grade, self.end)),
        };

        let mac = Hmac::new_from_slice(&key).expect("HMAC takes keys of any length");
        Ok(ProofKey(mac))
    }
}

/// The refusal of an end that does not know the secret of this one, or has none; `end` is this one.
pub(super) fn unproved(grade: Grade, end: End) -> io::Error {
    let key = grade.key();
    match (grade, end) {
        (Grade::Postmen, End::Client) => {
            refused(format!("it has another {key} than this postman, or none"))
        }
        _ => refused(format!("it does not know {key} of this node")),
    }
}

/// The content of a proof: the TLS session, and the two messages that were sent in it.
pub(super) struct Transcript<'a> {
    pub(super) binding: &'a Binding,
    pub(super) client: &'a [u8],
    pub(super) server: &'a [u8],
}

/// A key that both ends have if they know the same secret.
pub(super) struct ProofKey(Hmac<Sha256>);

impl ProofKey {
    fn over(&self, end: End, transcript: &Transcript<'_>) -> Hmac<Sha256> {
        let label: &[u8] = match end {
            End::Client => b"client",
            End::Server => b"server",
        };

        // With their lengths, so that no two transcripts have the same bytes.
        let mut mac = self.0.clone();
        for part in [
            label,
            transcript.binding,
            transcript.client,
            transcript.server,
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// Makes the proof of one end.
    pub(super) fn proof(&self, end: End, transcript: &Transcript<'_>) -> [u8; PROOF_BYTES] {
        self.over(end, transcript).finalize().into_bytes().into()
    }

    /// Compares a proof of one end, in constant time.
    pub(super) fn proves(&self, proof: &[u8], end: End, transcript: &Transcript<'_>) -> bool {
        self.over(end, transcript).verify_slice(proof).is_ok()
    }
}
