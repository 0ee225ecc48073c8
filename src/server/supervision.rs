//! Supervised parts: a part that ends by itself ends the process.
//!
//! A node that answers as if all were well, and does nothing, is worse than none.

use notty_raft::Fatal;
use tokio::{sync::watch, task::JoinHandle};

/// Runs parts of the service, and ends the process if one ends before it is stopped.
#[derive(Clone)]
pub(super) struct Supervisor {
    stop: watch::Receiver<bool>,
    fatal: Fatal,
}

impl Supervisor {
    /// Supervises parts that end when a value becomes true.
    pub(super) fn new(stop: watch::Receiver<bool>, fatal: Fatal) -> Self {
        Self { stop, fatal }
    }

    /// The value that becomes true when the parts have to end.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Runs a part whose result shows if its end is in order. A panic never is.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        part: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();

        // A task of its own, so that a panic comes back as an error.
        let part = tokio::spawn(part);
        tokio::spawn(async move {
            let ended = part.await.unwrap_or_else(|error| Err(error.to_string()));
            if let Err(reason) = ended {
                supervisor.fail(name, &reason);
            }
        })
    }

    /// Runs a part that must not return before it is stopped.
    pub(super) fn spawn_endless(
        &self,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            part.await;

            // Looked at after the end: only a stop may be the reason for it.
            if is_stopped(&stop) {
                Ok(())
            } else {
                Err("it returned".to_owned())
            }
        })
    }

    fn fail(&self, name: &str, reason: &str) {
        if is_stopped(&self.stop) {
            tracing::error!("{name} did not end in order: {reason}");
        } else {
            (self.fatal)(&format!(
                "{name} ended although nothing stopped it: {reason}"
            ));
        }
    }
}

/// True if a part has to end, or if nobody is left who could stop it because the start has failed.
pub(super) fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}
