//! Slots: each takes messages from the queue and sends them, one at a time, by a courier of its own.
//!
//! Slots run on threads of their own, away from the node's work; a simulation runs them on its one
//! thread. A message goes through the same steps in each: may it still be sent; prepare; may it still
//! be sent now; note it as begun; send; note the result.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{Either, poll_immediate, select},
    stream::FuturesUnordered,
};
use notty_raft::Clock;
use notty_storage::model::SendResult;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::LocalSet};

use super::{
    floor::{Floor, Settled},
    journal::SenderJournal,
    notices,
    outlet::{Outlet, OutletPass},
    terms::{Job, MARGIN},
};
use crate::gateway::{Courier, Envelope, Gateway, GatewayOutcome, PreparedCourier};

/// Time that a sender's thread works before it lets others have its core. It lies between two costs. A
/// longer time makes reads wait: their p99 was 1.3 ms at 0.2 ms, and 2.0 ms at 1.5 ms. A shorter one
/// wakes the gateway for a few messages at a time: the rate was 0.77 of the bare client's at 0.2 ms, and
/// 0.85 at 0.6 ms.
const STAND_BACK: Duration = Duration::from_micros(350);

/// Time that a message waits which the gateway sends back, without halting for it.
const MOMENT: Duration = Duration::from_secs(1);

/// The means that all slots of a postman share.
pub(super) struct Workplace<G> {
    pub(super) floor: Arc<Floor>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) gateway: Arc<G>,
}

impl<G> Clone for Workplace<G> {
    fn clone(&self) -> Self {
        Self {
            floor: self.floor.clone(),
            outlet: self.outlet.clone(),
            gateway: self.gateway.clone(),
        }
    }
}

/// The part that the slots of one thread share.
struct SendingThread {
    /// Never contended: the slots take turns on their thread.
    journal: Mutex<SenderJournal>,
    /// Last time that it let others have its core, in microseconds of boot time.
    stood_back_at: AtomicU64,
}

impl SendingThread {
    fn new(journal: SenderJournal) -> Arc<Self> {
        Arc::new(Self {
            journal: Mutex::new(journal),
            stood_back_at: AtomicU64::new(0),
        })
    }

    /// Lets others have the core now and then: a thread that sends at full rate never waits by
    /// itself, and whoever wants to read meanwhile would wait for its whole time slice.
    fn stand_back(&self, clock: &dyn Clock) {
        let micros = || clock.boot().as_micros() as u64;
        let since = micros().saturating_sub(self.stood_back_at.load(Ordering::Relaxed));
        if since >= STAND_BACK.as_micros() as u64 {
            std::thread::yield_now();
            self.stood_back_at.store(micros(), Ordering::Relaxed);
        }
    }
}

/// The outcome of a message, and its time.
#[derive(Clone, Copy)]
struct Answered {
    outcome: GatewayOutcome,
    at: Duration,
}

/// The surroundings of a slot.
struct Station {
    floor: Arc<Floor>,
    outlet: Arc<Outlet>,
    thread: Arc<SendingThread>,
}

impl Station {
    /// Waits until there may be a message in the queue, and one more request may be in flight; false
    /// once the outlet is closed.
    async fn may_take(&self) -> bool {
        self.take_permit(&self.outlet.ready).await && self.take_permit(&self.outlet.free).await
    }

    async fn take_permit(&self, of: &Semaphore) -> bool {
        if let Ok(permit) = of.try_acquire() {
            permit.forget();
            return true;
        }

        // A slot that waits leaves nothing unwritten: the process may be killed meanwhile.
        if let Err(error) = self.thread.journal.lock().flush() {
            self.end_process(&error);
        }
        match of.acquire().await {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        }
    }

    /// Waits before a message goes back that halted, and did not halt its gateway: it would soon come again,
    /// and providers ban addresses that send the same error over and over. Its lease must not end meanwhile.
    async fn wait_a_moment(&self, job: &Job, now: Duration) -> io::Result<()> {
        let left = job.lease.ends.saturating_sub(now + MARGIN);
        self.thread.journal.lock().flush()?;
        let stopped = pin!(self.floor.stopped());
        let _ = tokio::time::timeout(left.min(MOMENT), stopped).await;
        Ok(())
    }

    /// Notes the outcome of a message, and logs what it says of the gateway, with the gateway's words. Returns
    /// the result of the message.
    fn note(
        &self,
        job: &Job,
        pass: OutletPass,
        answered: Answered,
        words: impl Fn() -> Option<String>,
    ) -> SendResult {
        let Answered { outcome, at } = answered;
        let outlet = &self.outlet;
        let is_changed = outlet.note(pass, outcome, at);
        let news = outlet.note_halts(pass, outcome, at);
        if is_changed || !news.changes.is_empty() {
            self.floor.news.notify_one();
        }

        // A halt has lines of its own.
        for change in &news.changes {
            notices::tell_halt(*change, job, words());
        }
        if !outcome.halts() || outlet.halts_alone(outcome) {
            outlet.complaints.note(outcome, at, words);
        }
        outlet.result(job, outcome, &news)
    }

    fn end_process(&self, error: &io::Error) {
        (self.floor.fatal)(&format!("postman: the journal cannot be written: {error}"));
    }

    /// Prepares the next message, unless the postman stops meanwhile.
    async fn prepare<'c, C: Courier>(
        &self,
        courier: &'c mut C,
    ) -> io::Result<Preparation<C::PreparedCourier<'c>>> {
        let mut preparing = pin!(courier.prepare());
        if let Some(prepared) = poll_immediate(preparing.as_mut()).await {
            return Ok(Preparation::of(prepared));
        }

        // Connecting may take long, and results must not stay unwritten meanwhile. Only now is it known: a
        // connection that was there before may have ended unnoticed.
        self.thread.journal.lock().flush()?;
        let stopped = pin!(self.floor.stopped());
        Ok(match select(preparing, stopped).await {
            Either::Left((prepared, _)) => Preparation::of(prepared),
            Either::Right(((), _)) => Preparation::Stopped,
        })
    }

    /// Notes a message as begun, and hands it over. Returns the outcome, and its time.
    async fn send(
        &self,
        prepared: impl PreparedCourier,
        job: &Job,
        began: Duration,
    ) -> io::Result<(GatewayOutcome, Duration)> {
        let Self {
            floor,
            outlet,
            thread,
        } = self;
        // Before the first byte: after a kill, what is not noted counts as never begun.
        thread.journal.lock().begun(job.token())?;

        let receipt_url = job.receipt_url();
        outlet.in_flight.fetch_add(1, Ordering::Relaxed);
        let outcome = prepared.send(envelope(job, &receipt_url)).await;
        outlet.in_flight.fetch_sub(1, Ordering::Relaxed);

        let ended = floor.clock.boot();
        floor.metrics.answered(outcome, ended.saturating_sub(began));
        Ok((outcome, ended))
    }
}

/// One slot, with its courier.
struct Slot<C> {
    station: Station,
    courier: C,
}

impl<C: Courier> Slot<C> {
    fn new<G: Gateway<Courier = C>>(place: &Workplace<G>, thread: &Arc<SendingThread>) -> Self {
        let station = Station {
            floor: place.floor.clone(),
            outlet: place.outlet.clone(),
            thread: thread.clone(),
        };
        Self {
            station,
            courier: place.gateway.courier(),
        }
    }

    /// Waits for a message to take, and looks after the connection meanwhile; false once the outlet is
    /// closed.
    async fn may_take(&mut self) -> bool {
        let Self { station, courier } = self;
        let may_take = pin!(station.may_take());
        let rest = pin!(courier.rest());
        // The message first: at full rate one waits, and the connection is not looked at here.
        match select(may_take, rest).await {
            Either::Left((may_take, _)) => may_take,
            Either::Right(((), may_take)) => may_take.await,
        }
    }

    /// Takes messages and sends them, until the outlet closes.
    async fn work(mut self) {
        while self.may_take().await {
            let Some(job) = self.station.outlet.next_job() else {
                let clock = &self.station.floor.clock;
                self.station.outlet.release(|| clock.boot());
                continue;
            };
            // A message that was taken always gets a result, also where the journal fails. (If this slot
            // panics, the process ends, and its next run reads the journal.)
            let token = job.token();
            let delivered = self.deliver(&job).await;

            let Station {
                floor,
                outlet,
                thread,
            } = &self.station;
            outlet.release(|| floor.clock.boot());
            match delivered {
                Ok(result) => {
                    floor.settle(outlet, Settled { token, result });
                    thread.stand_back(&*floor.clock);
                }
                Err(error) => {
                    self.station.end_process(&error);
                    floor.settle(outlet, Settled::handed_back(token));
                }
            }
        }
    }

    async fn deliver(&mut self, job: &Job) -> io::Result<SendResult> {
        let Self { station, courier } = self;
        let station = &*station;
        let Station {
            floor,
            outlet,
            thread,
        } = station;

        let looked_at = floor.clock.boot();
        if !floor.may_begin(job, looked_at, outlet.send_time()) {
            return Ok(SendResult::HandedBack);
        }
        // Only now: a message that cannot be sent must not use up a pass of the breaker.
        let Some(pass) = outlet.may_begin(job, looked_at) else {
            return Ok(SendResult::HandedBack);
        };

        let (outcome, ended) = match station.prepare(courier).await? {
            Preparation::Done(prepared) => {
                // Preparing took time: look again.
                let began = floor.clock.boot();
                let answer_time = outlet.options.answer_time;
                if !outlet.still_permits(pass, began) || !floor.may_begin(job, began, answer_time) {
                    outlet.lapsed(pass, began);
                    return Ok(SendResult::HandedBack);
                }
                station.send(prepared, job, began).await?
            }

            Preparation::Failed => {
                let not_sent = GatewayOutcome::NotSent;
                floor.metrics.answered(not_sent, Duration::ZERO);
                (not_sent, floor.clock.boot())
            }
            // Nothing was written: a stop need not wait for the gateway.
            Preparation::Stopped => {
                outlet.lapsed(pass, floor.clock.boot());
                return Ok(SendResult::HandedBack);
            }
        };

        let answered = Answered { outcome, at: ended };
        let words = || courier.describe_failure(&envelope(job, &job.receipt_url()));
        let result = station.note(job, pass, answered, words);

        // Buffered here, and written together with the next message that is begun: one write a message
        // instead of two.
        thread.journal.lock().settled(job.token(), result);
        if outlet.halts_alone(outcome) && result == SendResult::HandedBack {
            station.wait_a_moment(job, ended).await?;
        }
        Ok(result)
    }
}

/// The end of preparing a message.
enum Preparation<P> {
    /// The message can be handed over at once.
    Done(P),
    /// No connection came about in time.
    Failed,
    /// The postman stops, and nothing was written.
    Stopped,
}

impl<P> Preparation<P> {
    fn of(prepared: Option<P>) -> Self {
        prepared.map_or(Self::Failed, Self::Done)
    }
}

fn envelope<'e>(job: &'e Job, receipt_url: &'e str) -> Envelope<'e> {
    Envelope {
        id: job.id,
        phone: job.phone,
        text: &job.lease.text,
        ends_at: job.lease.mailing_ends_at(),
        receipt_url,
    }
}

/// Starts the slots, shared out over the threads; with none, on the runtime of the postman itself.
pub(super) fn hire<G: Gateway>(
    place: &Workplace<G>,
    senders: Vec<SenderJournal>,
    threads: usize,
) -> io::Result<()> {
    let slots = place.outlet.options.concurrency;
    // A simulation has one thread, and decides the order of everything on it.
    if threads == 0 {
        hire_here(place, senders, slots);
        return Ok(());
    }

    // Where slots do not share out evenly, the first threads have one more.
    for (thread, journal) in senders.into_iter().enumerate() {
        let share = slots / threads + usize::from(thread < slots % threads);
        hire_thread(place.clone(), journal, thread, share)?;
    }
    Ok(())
}

/// Starts a thread with so many slots.
fn hire_thread<G: Gateway>(
    place: Workplace<G>,
    journal: SenderJournal,
    number: usize,
    slots: usize,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;

    let run = move || {
        let thread = SendingThread::new(journal);
        let local = LocalSet::new();
        let start = |_| local.spawn_local(Slot::new(&place, &thread).work());
        let mut working: FuturesUnordered<_> = (0..slots).map(start).collect();

        local.block_on(&runtime, async {
            // A slot that panics is gone, and its message with it: nothing may go on as if it were not.
            while let Some(ended) = working.next().await {
                if let Err(error) = ended {
                    (place.floor.fatal)(&format!("postman: a slot broke down: {error}"));
                }
            }
        });
    };

    std::thread::Builder::new()
        .name(format!("notty-sender-{number}"))
        .spawn(run)?;
    Ok(())
}

fn hire_here<G: Gateway>(place: &Workplace<G>, senders: Vec<SenderJournal>, slots: usize) {
    for journal in senders {
        let thread = SendingThread::new(journal);
        for _ in 0..slots {
            tokio::spawn(Slot::new(place, &thread).work());
        }
    }
}
