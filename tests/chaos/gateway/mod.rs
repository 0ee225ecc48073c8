//! The player's own gateway. It misbehaves like the practice gateway, and besides it keeps each
//! request with its customer and its mailing, judges it against the ledger as it arrives, and forgets
//! nothing when it is killed: so it can tell a message that came twice from one that was tried again.
//!
//! Killed, it closes its listener and all connections at once; frozen, it accepts and reads nothing.

mod book;
mod connection;
mod fate;

use std::{io, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use book::{Book, text};
pub use fate::{Behaviour, Fate};

use super::{ledger::Ledger, support::free_addresses};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;

/// A gateway that keeps its books.
pub struct Gateway {
    address: String,
    shared: Arc<Shared>,
    /// It accepts, and owns all connections; none while it is dead.
    life: Mutex<Option<JoinHandle<()>>>,
}

/// What connections work with.
pub(super) struct Shared {
    ledger: Arc<Mutex<Ledger>>,
    pub(super) book: Mutex<Book>,
    behaviour: Mutex<Behaviour>,
    /// Closed while it is frozen.
    reading: watch::Sender<bool>,
    /// Closed while an audit wants nothing to change.
    answering: watch::Sender<bool>,
}

impl Gateway {
    /// One that behaves. A repeat of the same body is right where it is idempotent.
    pub async fn start(ledger: Arc<Mutex<Ledger>>, idempotent: bool) -> Self {
        let address = free_addresses(1).remove(0);
        let shared = Arc::new(Shared {
            ledger,
            book: Mutex::new(Book::new(idempotent)),
            behaviour: Mutex::new(Behaviour::default()),
            reading: watch::Sender::new(true),
            answering: watch::Sender::new(true),
        });
        let gateway = Self {
            address,
            shared,
            life: Mutex::new(None),
        };
        gateway.revive();
        gateway
    }

    /// Where messages go.
    pub fn url(&self) -> String {
        format!("http://{}/v1/send", self.address)
    }

    /// What it received; not to be held for long.
    pub fn book<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.shared.book.lock())
    }

    /// Behaves so from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock() = behaviour;
    }

    /// Ends at once, with all of its connections.
    pub async fn kill(&self) {
        let life = self.life.lock().take();
        if let Some(life) = life {
            life.abort();
            // Aborted, which is what was wanted.
            let _ = life.await;
        }
    }

    /// Listens again where it did before.
    pub fn revive(&self) {
        let mut life = self.life.lock();
        if life.is_none() {
            let listener = listen(&self.address).expect("the gateway's port is its own");
            *life = Some(tokio::spawn(accept(listener, self.shared.clone())));
        }
    }

    /// Reads nothing, or goes on.
    pub fn freeze(&self, frozen: bool) {
        self.shared.reading.send_replace(!frozen);
        if !frozen {
            self.shared.ledger.lock().rules.thawed = Some(std::time::Instant::now());
        }
    }

    /// Answers nothing, or goes on; requests are read and kept all the same.
    pub fn hold(&self, held: bool) {
        self.shared.answering.send_replace(!held);
    }
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    TcpListener::from_std(listener)
}

/// Accepts until it is aborted; the connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut reading = shared.reading.subscribe();
    loop {
        // The sender is part of what this task holds.
        let _ = reading.wait_for(|open| *open).await;
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    // A node that is killed breaks off anywhere.
                    let _ = connection::serve(&shared, stream).await;
                });
            }
            // A connection that was reset before it was accepted.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
