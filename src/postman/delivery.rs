//! Delivery: slots that take messages from a queue and send them, each on its own connection.
//!
//! Slots run on current-thread runtimes, one a core, away from the node's own work. A message goes
//! through the same steps in each: may it still be sent; connect; may it still be sent now; note
//! it as begun; send; note the result.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossbeam_utils::CachePadded;
use notty_raft::Clock;
use notty_storage::{
    Timestamp,
    model::{LeaseId, MailingNumber, MessageId, Phone, SendResult},
    rules,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::{
    breaker::{Breaker, Outcome, Pass},
    desk::Terms,
    journal::{SenderJournal, Token},
    queue::JobQueue,
    retry::RetryPolicy,
};
use crate::{
    gateway::{Answer, Envelope, Gateway, Slot},
    metrics::SendingMetrics,
};

/// The oldest view of pauses, ends and deletions under which a message may be begun.
pub(super) const VIEW_AGE: Duration = Duration::from_secs(1);
/// Between two lines about a gateway that refuses messages.
const COMPLAIN: Duration = Duration::from_secs(60);
/// What a sender's thread works before it lets others have its core. Longer, and reads wait (p99
/// 1.3 ms at 0.2 ms, 2.0 at 1.5); shorter, and the gateway is woken for a few messages at a time,
/// which costs both sides more (at 0.2 ms 0.77 of the bare client's rate, at 0.6 ms 0.85).
const STAND_BACK: Duration = Duration::from_micros(350);
/// Results after which the postman is told while there is more to send.
const NEWS: usize = 256;
/// What a lease must have left beyond the gateway's time, for reporting.
pub(super) const MARGIN: Duration = Duration::from_millis(500);

/// A lease at work: what all of its messages share. Aligned, so that it is not on the cache line
/// where its references are counted, which changes with each message.
#[repr(align(128))]
pub(super) struct LeaseTerms {
    pub(super) lease: LeaseId,
    pub(super) mailing: MailingNumber,
    /// The text of its messages, as JSON.
    text: String,
    /// When the lease ends, since the machine started.
    pub(super) ends: Duration,
    /// When the terms below were asked for, in milliseconds since the machine started.
    asked_at: AtomicU64,
    open: AtomicBool,
    ends_at: AtomicI64,
    has_window: AtomicBool,
    /// When the mailing's window closes, by zone; zones where it is shut are not in it.
    closes: Mutex<Vec<(u16, Timestamp)>>,
    has_dropped: AtomicBool,
    dropped: Mutex<HashSet<u32>>,
}

impl LeaseTerms {
    pub(super) fn new(
        lease: LeaseId,
        mailing: MailingNumber,
        text: &str,
        ends: Duration,
        terms: (Duration, Terms),
    ) -> Arc<Self> {
        let this = Self {
            lease,
            mailing,
            text: Envelope::quote(text),
            ends,
            asked_at: AtomicU64::new(0),
            open: AtomicBool::new(false),
            ends_at: AtomicI64::new(0),
            has_window: AtomicBool::new(true),
            closes: Mutex::default(),
            has_dropped: AtomicBool::new(false),
            dropped: Mutex::default(),
        };
        this.set(terms.0, terms.1);
        Arc::new(this)
    }

    /// Takes in what was last seen of the mailing, and when that was asked for.
    pub(super) fn set(&self, asked_at: Duration, terms: Terms) {
        self.ends_at
            .store(terms.ends_at.as_millis(), Ordering::Relaxed);
        self.has_window
            .store(terms.window.is_some(), Ordering::Relaxed);
        *self.closes.lock() = terms.closes;
        self.open.store(terms.open, Ordering::Relaxed);
        self.asked_at
            .store(asked_at.as_millis() as u64, Ordering::Relaxed);
    }

    /// How old what is known of the mailing may be. A view of the cluster that was asked for before
    /// the lease came shows nothing of it.
    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.asked_at.load(Ordering::Relaxed)))
    }

    /// Takes in messages whose customers were deleted.
    pub(super) fn drop_messages(&self, positions: Vec<u32>) {
        self.dropped.lock().extend(positions);
        self.has_dropped.store(true, Ordering::Relaxed);
    }

    /// Whether a message may be begun at a time.
    fn allow(&self, job: &Job, wall: Timestamp) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        let ended = wall.as_millis() >= self.ends_at.load(Ordering::Relaxed);
        if !open || ended || job.repeat_until.is_some_and(|until| until < wall) {
            return false;
        }
        if self.has_dropped.load(Ordering::Relaxed)
            && self.dropped.lock().contains(&job.id.position)
        {
            return false;
        }
        !self.has_window.load(Ordering::Relaxed)
            || self
                .closes
                .lock()
                .iter()
                .any(|(zone, at)| *zone == job.zone && wall < *at)
    }
}

/// A message to be sent.
pub(super) struct Job {
    pub(super) terms: Arc<LeaseTerms>,
    pub(super) id: MessageId,
    pub(super) phone: Phone,
    pub(super) attempt: u16,
    pub(super) tries: u16,
    pub(super) zone: u16,
    /// Until when it may go out, if its gateway may have it already.
    pub(super) repeat_until: Option<Timestamp>,
}

impl Job {
    fn token(&self) -> Token {
        let LeaseTerms { lease, mailing, .. } = *self.terms;
        Token {
            n: lease.n,
            mailing,
            position: self.id.position,
            attempt: self.attempt,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) token: Token,
    pub(super) result: SendResult,
}

/// What the postman and its slots share. What changes with each message is kept apart, each on a
/// cache line of its own: the threads would else wait for each other's writes to its neighbours.
pub(super) struct Floor {
    gateway: Arc<Gateway>,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    metrics: SendingMetrics,
    /// What connecting and waiting for an answer may take.
    send_time: (Duration, Duration),
    pub(super) breaker: CachePadded<Mutex<Breaker>>,
    queue: CachePadded<Mutex<JobQueue<Job>>>,
    ready: CachePadded<Semaphore>,
    /// As many permits as requests may be in flight, those in use included: see [`Breaker::slots`].
    free: CachePadded<Semaphore>,
    /// Number of permits, in use or not. Changed under the breaker's lock.
    permits: AtomicUsize,
    settled: CachePadded<Mutex<Vec<Settled>>>,
    /// Told when results wait.
    pub(super) news: Notify,
    /// When the view of the cluster was asked for that is now known, in milliseconds of boot time.
    seen_at: AtomicU64,
    /// Whether the clocks of leader and postman are close enough to send at all.
    pub(super) clocks_agree: AtomicBool,
    in_flight: CachePadded<AtomicUsize>,
    stopping: AtomicBool,
    /// When it was last told that the gateway refuses messages.
    complained_at: AtomicU64,
    /// The last trouble with the gateway was that it could not be connected to.
    pub(super) unreachable: AtomicBool,
    fatal: notty_raft::Fatal,
}

impl Floor {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        clock: Arc<dyn Clock>,
        retry: RetryPolicy,
        metrics: SendingMetrics,
        (slots, send_time): (usize, (Duration, Duration)),
        fatal: notty_raft::Fatal,
    ) -> Arc<Self> {
        let breaker = Breaker::new(slots);
        Arc::new(Self {
            gateway,
            clock,
            retry,
            metrics,
            send_time,
            permits: AtomicUsize::new(breaker.slots()),
            free: CachePadded::new(Semaphore::new(breaker.slots())),
            breaker: CachePadded::new(Mutex::new(breaker)),
            queue: CachePadded::default(),
            ready: CachePadded::new(Semaphore::new(0)),
            settled: CachePadded::default(),
            news: Notify::new(),
            seen_at: AtomicU64::new(0),
            clocks_agree: AtomicBool::new(true),
            in_flight: CachePadded::default(),
            stopping: AtomicBool::new(false),
            complained_at: AtomicU64::new(0),
            unreachable: AtomicBool::new(false),
            fatal,
        })
    }

    /// Puts messages of one lease where the slots find them.
    pub(super) fn enqueue(&self, jobs: Vec<Job>) {
        let count = jobs.len();
        self.queue.lock().push(jobs);
        self.ready.add_permits(count);
    }

    /// Messages that wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().len()
    }

    /// Requests on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Hands back everything that no slot has taken.
    pub(super) fn hand_back_waiting(&self) {
        let jobs: Vec<_> = self.queue.lock().take_all().collect();
        self.ready.forget_permits(jobs.len());
        let back = |job: Job| Settled {
            token: job.token(),
            result: SendResult::HandedBack,
        };
        self.settled.lock().extend(jobs.into_iter().map(back));
        self.news.notify_one();
    }

    /// Begins nothing more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.hand_back_waiting();
    }

    /// Ends the slots that wait.
    pub(super) fn close(&self) {
        self.ready.close();
        self.free.close();
    }

    /// Takes out the results so far.
    pub(super) fn take_settled(&self) -> Vec<Settled> {
        std::mem::take(&mut *self.settled.lock())
    }

    /// How long ago the view was asked for that is known.
    pub(super) fn view_age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.seen_at.load(Ordering::Relaxed)))
    }

    /// Notes that a view is known which was asked for at a time.
    pub(super) fn seen(&self, asked_at: Duration) {
        self.seen_at
            .fetch_max(asked_at.as_millis() as u64, Ordering::Relaxed);
    }

    fn settle(&self, token: Token, result: SendResult) {
        let unread = {
            let mut settled = self.settled.lock();
            settled.push(Settled { token, result });
            settled.len()
        };
        // While there is work, results are read many at a time; the last ones at once.
        if unread.is_multiple_of(NEWS) || self.ready.available_permits() == 0 {
            self.news.notify_one();
        }
    }

    /// Tells now and then that the gateway refuses messages, and how: a wrong token must not stay
    /// unseen behind retries.
    fn complain(&self, status: u16) {
        let now = self.clock.boot().as_millis() as u64;
        let told = self.complained_at.load(Ordering::Relaxed);
        if (told == 0 || now >= told + COMPLAIN.as_millis() as u64)
            && self.complained_at.swap(now, Ordering::Relaxed) == told
        {
            tracing::warn!(
                http.status = status,
                "the gateway answers {status} and does not take messages: they are tried again"
            );
        }
    }

    /// Waits until there may be a message in the queue, and one more request may be in flight; false
    /// once the floor is closed.
    async fn next_job(&self, journal: &Mutex<SenderJournal>) -> bool {
        self.take_permit(&self.ready, journal).await && self.take_permit(&self.free, journal).await
    }

    async fn take_permit(&self, of: &Semaphore, journal: &Mutex<SenderJournal>) -> bool {
        if let Ok(permit) = of.try_acquire() {
            permit.forget();
            return true;
        }
        if let Err(error) = journal.lock().flush() {
            (self.fatal)(&format!("postman: the journal cannot be written: {error}"));
        }
        match of.acquire().await {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        }
    }

    /// Lets another request be in flight instead of one that ended, or was not begun.
    fn release(&self, breaker: &Breaker) {
        self.free.add_permits(1);
        let (wanted, permits) = (breaker.slots(), self.permits.load(Ordering::Relaxed));
        let permits = if permits < wanted {
            self.free.add_permits(wanted - permits);
            wanted
        } else {
            // Those in use are taken away when they come back.
            permits - self.free.forget_permits(permits - wanted)
        };
        self.permits.store(permits, Ordering::Relaxed);
    }

    /// Notes what a request came to.
    fn note(&self, pass: Pass, answer: Answer, now: Duration) {
        let outcome = match answer {
            Answer::Unsure => Outcome::InDoubt,
            Answer::NotSent => Outcome::Unsent,
            Answer::Done | Answer::Invalid | Answer::NotTaken { .. } => Outcome::Clear,
        };
        if outcome != Outcome::Clear {
            self.unreachable
                .store(outcome == Outcome::Unsent, Ordering::Relaxed);
        }
        if self.breaker.lock().note(pass, outcome, now) {
            self.news.notify_one();
        }
    }

    /// Rule 8: whether a message may be begun, given how long sending it may still take.
    fn may_begin(&self, job: &Job, now: Duration, needs: Duration) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && now + needs + MARGIN < job.terms.ends
            && rules::is_fresh(self.view_age(now).max(job.terms.age(now)), VIEW_AGE)
            && self.clocks_agree.load(Ordering::Relaxed)
            && job.terms.allow(job, self.clock.wall())
    }
}

/// What the slots of one thread share.
pub(super) struct Sender {
    /// Never contended: the slots take turns on their thread.
    journal: Mutex<SenderJournal>,
    /// When it last let others have its core, in microseconds of boot time.
    stood_back_at: AtomicU64,
}

impl Sender {
    pub(super) fn new(journal: SenderJournal) -> Arc<Self> {
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

/// One slot: takes messages and sends them, until the floor closes.
pub(super) async fn work(floor: Arc<Floor>, sender: Arc<Sender>) {
    let mut slot = Slot::new();
    while floor.next_job(&sender.journal).await {
        let job = floor.queue.lock().pop();
        let Some(job) = job else {
            floor.release(&floor.breaker.lock());
            continue;
        };
        let token = job.token();
        let delivered = deliver(&floor, &mut slot, &sender.journal, &job).await;
        floor.release(&floor.breaker.lock());
        match delivered {
            Ok(result) => {
                floor.settle(token, result);
                sender.stand_back(&*floor.clock);
            }
            Err(error) => {
                (floor.fatal)(&format!("postman: the journal cannot be written: {error}"));
                floor.settle(token, SendResult::HandedBack);
            }
        }
    }
}

async fn deliver(
    floor: &Floor,
    slot: &mut Slot,
    journal: &Mutex<SenderJournal>,
    job: &Job,
) -> io::Result<SendResult> {
    let (connecting, answering) = floor.send_time;
    let mut began = floor.clock.boot();
    if !floor.may_begin(job, began, connecting + answering) {
        return Ok(SendResult::HandedBack);
    }
    let Some(pass) = floor.breaker.lock().may_begin(began) else {
        return Ok(SendResult::HandedBack);
    };
    if !slot.is_connected() {
        journal.lock().flush()?;
    }
    let (answer, ended) = if slot.ensure_connected(&floor.gateway).await {
        // Connecting took time: look again.
        began = floor.clock.boot();
        if !floor.may_begin(job, began, answering) {
            floor.breaker.lock().lapsed(pass, began);
            return Ok(SendResult::HandedBack);
        }
        journal.lock().begun(job.token())?;
        floor.in_flight.fetch_add(1, Ordering::Relaxed);
        let envelope = Envelope::new(job.id, job.phone, &job.terms.text);
        let answer = slot.send(&floor.gateway, &envelope).await;
        floor.in_flight.fetch_sub(1, Ordering::Relaxed);
        let ended = floor.clock.boot();
        floor.metrics.answered(answer, ended.saturating_sub(began));
        (answer, ended)
    } else {
        floor.metrics.answered(Answer::NotSent, Duration::ZERO);
        (Answer::NotSent, floor.clock.boot())
    };
    floor.note(pass, answer, ended);
    if let Answer::NotTaken { status, .. } = answer {
        floor.complain(status);
    }
    let result = floor.retry.result(answer, job.tries);
    journal.lock().settled(job.token(), result);
    Ok(result)
}
