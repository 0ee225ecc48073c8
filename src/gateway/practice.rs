//! The practice gateway: takes messages like a real one, misbehaves on demand, and keeps count.
//!
//! It reads requests by `httparse` in a loop of its own, because it must not be what a benchmark
//! measures. A message is a duplicate if it arrives again after an earlier request for it was
//! taken, or may have been: a refusal (400, 429, 503) leaves room for another try.
//!
//! With a [`PracticeProvider`] it stands for that provider: it takes the requests of its profile alone,
//! and answers as the profile's `[[practice]]` has it.

mod behaviour;
mod book;
mod connection;
mod exchange;
mod handled;
mod own_receipts;
mod page;
mod perform;
mod provider;
mod provider_check;
mod provider_page;
mod provider_receipts;
mod receipts;
mod tally;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

pub use behaviour::{Act, Behaviour};
pub use book::{PracticeBook, ReceivedMessage};
pub use provider::PracticeProvider;
pub use receipts::{PracticeReceipts, ReceiptShares};
pub use tally::{PracticeAnswers, PracticeTally};

use self::{
    book::{ArrivedMessage, MessageKey},
    handled::HandledRequest,
    receipts::PracticeCaller,
};

/// Connections that may wait to be accepted: more than a postman opens at once. Of those beyond, each
/// is tried again a second later, with a message waiting for it.
const BACKLOG: i32 = 4_096;
/// Pause after a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

/// A practice gateway: its behaviour, and the messages that it received.
pub struct Practice {
    token: String,
    /// The provider in whose place it answers; without one it speaks notty's own protocol.
    provider: Option<PracticeProvider>,
    behaviour: Mutex<Behaviour>,
    book: Mutex<PracticeBook>,
    receipts: Arc<PracticeCaller>,
}

impl Practice {
    /// A gateway that asks for a token, unless it is empty.
    pub fn new(token: String, behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            token,
            provider: None,
            behaviour: Mutex::new(behaviour),
            book: Mutex::new(PracticeBook::default()),
            receipts: Arc::default(),
        })
    }

    /// A gateway in the place of a provider. The error tells which part of the behaviour the provider has
    /// no answer for.
    pub fn of(provider: PracticeProvider, behaviour: Behaviour) -> Result<Arc<Self>, String> {
        provider.check(&behaviour)?;
        Ok(Arc::new(Self {
            token: String::new(),
            provider: Some(provider),
            behaviour: Mutex::new(behaviour),
            book: Mutex::new(PracticeBook::of_provider()),
            receipts: Arc::default(),
        }))
    }

    /// Behaves so from the next message on. The error tells what it cannot do.
    fn behave(&self, behaviour: Behaviour) -> Result<(), String> {
        behaviour.check_shares()?;
        match &self.provider {
            Some(provider) => provider.check(&behaviour)?,
            None => behaviour.check_plain()?,
        }
        *self.behaviour.lock() = behaviour;
        Ok(())
    }

    /// The name of the profile's answer that each request gets at present, if one was chosen.
    fn named_act(&self) -> Option<String> {
        let behaviour = self.behaviour.lock();
        let first = behaviour.acts.first()?;
        first.name().map(str::to_owned)
    }

    /// The latest messages, newest first, with their requests as people may see them.
    fn latest(&self) -> Vec<ReceivedMessage> {
        let mut latest = self.book.lock().latest();
        for message in &mut latest {
            message.request = self.shown_request(message);
        }
        latest
    }

    fn shown_request(&self, message: &ReceivedMessage) -> Option<String> {
        let provider = self.provider.as_ref()?;
        let raw = message.raw.as_deref()?;
        Some(provider.shown(raw))
    }

    /// Notes a message, which may have a URL for its receipts. Returns how to go on with it.
    fn note(&self, (id, phone, text): (u64, u64, &str), receipts: Option<&str>) -> HandledRequest {
        let mut book = self.book.lock();
        let mut behaviour = self.behaviour.lock();

        let key = MessageKey::Id(id);
        let act = behaviour.next_act(id, book.tries(key)).plain();
        book.note(ArrivedMessage {
            key,
            phone,
            text,
            is_taken: act.takes(),
            seen: None,
        });
        let wanted = receipts.filter(|_| act.takes());
        HandledRequest {
            act,
            latency_ms: behaviour.latency_ms,
            round: wanted.and_then(|url| own_receipts::round(url, id, &behaviour.receipts)),
        }
    }

    /// Totals of the messages received so far.
    pub fn tally(&self) -> PracticeTally {
        PracticeTally {
            receipts: self.receipts.counts().some(),
            ..self.book.lock().tally()
        }
    }

    /// The moment at which the next message to a phone arrives, from now on. A second wait for the
    /// same phone ends the first.
    pub fn await_phone(&self, phone: u64) -> oneshot::Receiver<Instant> {
        self.book.lock().await_phone(phone)
    }

    /// Serves until the listener fails.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.clone().spawn_connection(stream),
                // Too many open files, a connection reset before it was accepted: go on.
                Err(error) => {
                    tracing::warn!(%error, "the practice gateway could not accept a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    fn spawn_connection(self: Arc<Self>, stream: TcpStream) {
        tokio::spawn(async move {
            // A client that goes away is no fault of the gateway's.
            let _ = connection::serve(self, stream).await;
        });
    }

    /// Serves in a thread of its own, so that it does not share a runtime with what is tried.
    pub fn spawn(self: &Arc<Self>, listener: std::net::TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;

        // The listener belongs to the runtime that it is made in.
        let practice = self.clone();
        let serve = async move {
            let listener = TcpListener::from_std(listener)?;
            practice.serve(listener).await
        };

        std::thread::Builder::new()
            .name("practice-gateway".into())
            .spawn(move || runtime.block_on(serve))?;
        Ok(address)
    }
}
