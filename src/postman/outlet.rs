//! One gateway, as the postman sees it: the messages that wait for it, and how much of it is trusted.
//!
//! Breaker, pauses and requests in flight belong to a gateway and an account, not to the postman: the
//! trouble of one gateway says nothing of another, and a message in doubt belongs to one. So they lie
//! here, under the gateway's identity. The limit of messages a second belongs to a gateway too; the
//! post office keeps it under the same identity, because it holds for all postmen together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossbeam_utils::CachePadded;
use notty_storage::model::SendResult;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{
    breaker::{Breaker, Pass, Signal, Stand},
    complaints::Complaints,
    desk::SendableWork,
    halt::{GATEWAY_HALTS, HaltNews, HaltPass, HaltSubject, Halts},
    pause::{GatewayPause, LONGEST, wish},
    queue::JobQueue,
    retry::RetryPolicy,
    terms::{Job, MARGIN},
};
use crate::gateway::GatewayOutcome;

/// The settings of one gateway.
#[derive(Clone, Copy, Debug)]
pub struct OutletOptions {
    /// Hash of the gateway and the account there, so that a message in doubt goes to no other.
    pub identity: u64,
    /// Requests in flight, at most.
    pub concurrency: usize,
    /// Pauses between tries, and the meaning of an unsure outcome.
    pub retry: RetryPolicy,
    /// Longest time for connecting.
    pub connect_time: Duration,
    /// Longest time for an answer.
    pub answer_time: Duration,
}

/// Permission to begin a message; its outcome comes back with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutletPass {
    subject: HaltSubject,
    breaker: Pass,
    halts: HaltPass,
}

/// One gateway at work. What changes with each message is kept apart, each on a cache line of its own:
/// the threads would else wait for each other's writes to its neighbours.
pub(super) struct Outlet {
    pub(super) options: OutletOptions,
    pub(super) breaker: CachePadded<Mutex<Breaker>>,
    queue: CachePadded<Mutex<JobQueue<Job>>>,
    /// As many permits as messages wait in the queue.
    pub(super) ready: CachePadded<Semaphore>,
    /// As many permits as requests may be in flight, those in use included: see [`Breaker::slots`].
    pub(super) free: CachePadded<Semaphore>,
    /// Number of permits of `free`, in use or not. Changed under the breaker's lock.
    permits: AtomicUsize,
    pub(super) in_flight: CachePadded<AtomicUsize>,
    /// The pause that the gateway asked for.
    pub(super) pause: GatewayPause,
    /// The halts of the gateway, and of single mailings at it.
    pub(super) halts: CachePadded<Halts>,
    /// Log lines about its failures.
    pub(super) complaints: Complaints,
    /// True if the last trouble was that the gateway could not be connected to.
    is_unreachable: AtomicBool,
}

impl Outlet {
    /// An outlet with nothing to send.
    pub(super) fn new(options: OutletOptions) -> Arc<Self> {
        let breaker = Breaker::new(options.concurrency);
        Arc::new(Self {
            options,
            permits: AtomicUsize::new(breaker.slots()),
            free: CachePadded::new(Semaphore::new(breaker.slots())),
            breaker: CachePadded::new(Mutex::new(breaker)),
            queue: CachePadded::default(),
            ready: CachePadded::new(Semaphore::new(0)),
            in_flight: CachePadded::default(),
            pause: GatewayPause::default(),
            halts: CachePadded::default(),
            complaints: Complaints::default(),
            is_unreachable: AtomicBool::new(false),
        })
    }

    /// Longest time that a message takes from its first check to its outcome.
    pub(super) fn send_time(&self) -> Duration {
        self.options.connect_time + self.options.answer_time
    }

    /// The length that a lease must have for a single message to be begun.
    pub(super) fn least_lease(&self) -> Duration {
        self.send_time() + MARGIN
    }

    /// Puts messages of one lease where the slots find them.
    pub(super) fn enqueue(&self, jobs: Vec<Job>) {
        let count = jobs.len();
        self.queue.lock().push(jobs);
        self.ready.add_permits(count);
    }

    /// Takes the next message; `None` if another slot, or a handing back, was quicker.
    pub(super) fn next_job(&self) -> Option<Job> {
        self.queue.lock().pop()
    }

    /// Takes out all messages that wait for a slot.
    pub(super) fn take_waiting(&self) -> Vec<Job> {
        let jobs: Vec<_> = self.queue.lock().take_all().collect();
        self.ready.forget_permits(jobs.len());
        jobs
    }

    /// Counts the messages that wait for a slot.
    fn waiting(&self) -> usize {
        self.queue.lock().len()
    }

    /// True if messages wait that will not be begun soon: the gateway rests, or the breaker is open.
    pub(super) fn is_held_up(&self, now: Duration) -> bool {
        self.waiting() > 0 && (self.rests(now) || self.breaker.lock().holds_up(now))
    }

    /// True while the gateway asked for a pause, or is halted.
    pub(super) fn rests(&self, now: Duration) -> bool {
        self.pause.holds(now) || self.halts.holds(now)
    }

    /// The messages that may be begun here, as far as halts go.
    pub(super) fn sendable(&self, now: Duration) -> SendableWork {
        SendableWork {
            gateway: self.options.identity,
            unwanted: self.halts.unwanted(now),
        }
    }

    /// Permits a message to begin now, or not.
    pub(super) fn may_begin(&self, job: &Job, now: Duration) -> Option<OutletPass> {
        // The pause first: a message that cannot begin must not use up a pass of the breaker.
        if self.pause.holds(now) {
            return None;
        }
        let subject = HaltSubject {
            message: job.id,
            mailing: job.lease.mailing,
        };
        let halts = self.halts.may_begin(subject.mailing, now)?;

        let Some(breaker) = self.breaker.lock().may_begin(now) else {
            self.halts.lapsed(halts, subject.mailing, now);
            return None;
        };
        Some(OutletPass {
            subject,
            breaker,
            halts,
        })
    }

    /// True if a message that was permitted may still go out.
    pub(super) fn still_permits(&self, pass: OutletPass, now: Duration) -> bool {
        !self.pause.holds(now) && self.halts.still_permits(pass.halts, pass.subject.mailing)
    }

    /// Takes back the permission of a message that never began.
    pub(super) fn lapsed(&self, pass: OutletPass, now: Duration) {
        self.breaker.lock().lapsed(pass.breaker, now);
        self.halts.lapsed(pass.halts, pass.subject.mailing, now);
    }

    /// Ends the slots that wait.
    pub(super) fn close(&self) {
        self.ready.close();
        self.free.close();
    }

    /// Requests that may be in flight now.
    pub(super) fn slots(&self, now: Duration) -> usize {
        let trusted = self.breaker.lock().slots();
        self.pause.slots(trusted, || now)
    }

    /// Lets another request be in flight instead of one that ended, or was not begun. The time is read only
    /// after a pause.
    pub(super) fn release(&self, now: impl FnOnce() -> Duration) {
        let breaker = self.breaker.lock();
        let wanted = self.pause.slots(breaker.slots(), now);
        let held = self.permits.load(Ordering::Relaxed);

        let permits = if held <= wanted {
            self.free.add_permits(1 + wanted - held);
            wanted
        } else {
            // This one is taken away, and is never shown: a slot that waits would have it at once. Others
            // in use go the same way when they come back.
            let others = held - wanted - 1;
            held - 1 - self.free.forget_permits(others)
        };
        self.permits.store(permits, Ordering::Relaxed);
    }

    /// Notes the outcome of a request; true if the breaker's stand changed.
    pub(super) fn note(&self, pass: OutletPass, outcome: GatewayOutcome, now: Duration) -> bool {
        let signal = match outcome {
            GatewayOutcome::Unsure => Signal::InDoubt,
            GatewayOutcome::NotSent => Signal::Unsent,
            GatewayOutcome::Done
            | GatewayOutcome::Invalid
            | GatewayOutcome::NotTaken { .. }
            | GatewayOutcome::Halted { .. } => Signal::Clear,
        };

        // What an operator is told of the gateway depends on its last trouble.
        if signal != Signal::Clear {
            let is_unreachable = signal == Signal::Unsent;
            self.is_unreachable.store(is_unreachable, Ordering::Relaxed);
        }

        if let Some(wish) = wish(outcome) {
            self.note_wish(wish, now);
        }
        self.breaker.lock().note(pass.breaker, signal, now)
    }

    /// Notes the outcome of a request for halts.
    pub(super) fn note_halts(
        &self,
        pass: OutletPass,
        outcome: GatewayOutcome,
        now: Duration,
    ) -> HaltNews {
        self.halts.note(pass.halts, pass.subject, outcome, now)
    }

    /// The result of a message of a lease. One that halts again may be the reason itself: it must not come
    /// back at once for ever, and keep others waiting.
    pub(super) fn result(&self, job: &Job, outcome: GatewayOutcome, news: &HaltNews) -> SendResult {
        if news.halts_again {
            self.options.retry.not_taken(job.tries)
        } else {
            self.options.retry.result(outcome, job.tries)
        }
    }

    /// True if an outcome is about its message alone, as far as is known: it would halt the gateway, and did
    /// not.
    pub(super) fn halts_alone(&self, outcome: GatewayOutcome) -> bool {
        outcome == GATEWAY_HALTS && !self.halts.is_halted()
    }

    /// Notes that the gateway asks for a pause, and logs the first such wish.
    fn note_wish(&self, wish: Duration, now: Duration) {
        let Some(length) = self.pause.note(wish, now) else {
            return;
        };
        let asked_s = wish.as_millis().div_ceil(1_000);
        if wish > LONGEST {
            tracing::warn!(
                "the gateway asks for a pause of {asked_s} s: nothing is sent to it for {} s, and then \
                 it is asked again; look whether it means that",
                length.as_secs()
            );
        } else {
            tracing::warn!(
                "the gateway asks for a pause of {asked_s} s: nothing is sent to it for so long, and \
                 only a few messages at a time at first"
            );
        }
    }

    /// The breaker's stand as a figure: 0 closed, 1 open, 2 probing, also between two probes.
    pub(super) fn stand_figure(&self, now: Duration) -> i64 {
        match self.breaker.lock().stand() {
            Stand::Closed => 0,
            Stand::Open { until } if until > now => 1,
            Stand::Open { .. } | Stand::Probing => 2,
        }
    }

    /// Logs that the breaker has closed (0) or opened.
    pub(super) fn tell_stand(&self, figure: i64) {
        if figure == 0 {
            tracing::info!("the gateway answers again: sending continues");
            return;
        }

        // The operator looks in different places: at the network, or at the gateway.
        if self.is_unreachable.load(Ordering::Relaxed) {
            tracing::warn!(
                "the gateway cannot be connected to: sending waits, one message at a time probes; \
                 look at its URL in the configuration, and whether it runs"
            );
        } else {
            tracing::warn!(
                "the gateway takes requests, and gives no answer in time, or none that is clear, to \
                 too many of them: sending waits, one message at a time probes, until ten in a row \
                 go well"
            );
        }
    }
}
