//! The postman: leases messages, sends them, reports what became of each.
//!
//! It safeguards "at most once" on its side: a request starts only under a token that was granted
//! to it, noted in its [`journal`] first, and checked against the lease's time, the mailing's
//! window and a fresh view of pauses, ends and deletions. Every result is reported until the report
//! is acknowledged, always in the same words. [`delivery`] does the sending; [`desk`] is where it
//! asks.

pub mod breaker;
mod delivery;
pub mod desk;
pub mod journal;
mod queue;
pub mod retry;
#[cfg(test)]
mod tests;
mod wakes;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use notty_raft::{AppliedChanges, Clock, Fatal};
use notty_storage::{
    Timestamp,
    command::Report,
    limits,
    model::{Epoch, LeaseId, PostmanName, Run, SendResult},
};
use tokio::sync::watch;

use self::{
    breaker::Stand,
    delivery::{Floor, Job, LeaseTerms, Sender, Settled},
    desk::{Desk, DeskError, Held, Left, Look, Parcel, Terms},
    journal::{Fate, Journal, Past, Remains, RunTerms, SenderJournal, Token},
    retry::RetryPolicy,
    wakes::Wakes,
};
use crate::{gateway::Gateway, metrics::SendingMetrics};

/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(250);
/// Between two turns of the loop when nothing happens.
const TURN: Duration = Duration::from_millis(20);
/// Between two reports of a lease that is not yet done.
const REPORT: Duration = Duration::from_millis(250);
/// Before a call is made again that was not answered.
const AGAIN: Duration = Duration::from_millis(200);
/// Before an ask after a lease that is too short for a single message.
const SHORT: Duration = Duration::from_secs(10);
/// For how long an ask without an answer may still come to a grant: a call to the leader ends sooner.
const DOUBT: Duration = Duration::from_secs(12);
/// How far apart the clocks of leader and postman may be, in milliseconds.
const CLOCKS_MS: i64 = 2_000;
/// How long stopping waits for requests on their way.
const STOP_REQUESTS: Duration = Duration::from_secs(13);
/// How long stopping waits for the last reports after that.
const STOP_REPORTS: Duration = Duration::from_secs(3);

/// How a postman works.
#[derive(Clone, Debug)]
pub struct PostmanOptions {
    /// Its name: one postman of a name works at a time.
    pub name: PostmanName,
    /// Where its journal lies.
    pub journal_dir: PathBuf,
    /// The cluster's id: what the journal holds of another is not for this one.
    pub cluster: String,
    /// Requests in flight, at most.
    pub concurrency: usize,
    /// Threads that send; 0: the one that the postman itself is on, as in a simulation.
    pub threads: usize,
    /// Messages of one lease, at most.
    pub lease_size: u16,
    /// Hash of the gateway and the account there, so that a message in doubt goes to no other.
    pub gateway: u64,
    /// How tries are spaced.
    pub retry: RetryPolicy,
    /// What connecting, and waiting for an answer, may take.
    pub send_time: (Duration, Duration),
}

/// What a postman works with.
#[derive(Clone)]
pub struct PostmanParts {
    /// Where it asks.
    pub desk: Arc<dyn Desk>,
    /// Where it sends.
    pub gateway: Arc<Gateway>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What it counts.
    pub metrics: SendingMetrics,
    /// What ends the process when the journal cannot be written.
    pub fatal: Fatal,
}

/// A lease that is held.
struct Lease {
    terms: Arc<LeaseTerms>,
    runs: Arc<[Run]>,
    /// Messages without a result.
    unsettled: usize,
    /// Positions of those with one.
    settled: HashSet<u32>,
    /// Results not yet in a report.
    results: Vec<Settled>,
    /// The report on its way; repeated unchanged until it is acknowledged.
    report: Option<Report>,
    reported_at: Duration,
    /// Messages that are begun only after a look: the lease's own answer took long.
    unshown: Vec<Job>,
}

/// What the loop waits for.
enum Event {
    Asked(Duration, Result<Option<Parcel>, DeskError>),
    Missed(Result<Vec<Left>, DeskError>),
    Reported(u64, Result<usize, DeskError>),
    Looked(Duration, Result<Look, DeskError>),
}

/// A postman at work.
pub struct Postman {
    options: PostmanOptions,
    parts: PostmanParts,
    floor: Arc<Floor>,
    journal: Journal,
    epoch: Epoch,
    leases: BTreeMap<u64, Lease>,
    /// Leases whose report was refused.
    refused: BTreeSet<u64>,
    calls: FuturesUnordered<BoxFuture<'static, Event>>,
    next_n: u64,
    first_asked: Option<Duration>,
    /// When an ask was last found to have no answer: its lease may have been granted, or may yet be.
    unanswered: Option<Duration>,
    asking: bool,
    ask_after: Duration,
    wakes: Wakes,
    changes: Option<AppliedChanges>,
    looking: bool,
    look_after: Duration,
    pace: Pace,
}

/// Why a postman ended.
#[derive(Debug, thiserror::Error)]
pub enum PostmanError {
    /// Its journal cannot be used.
    #[error("the postman's journal: {0}")]
    Journal(#[from] io::Error),
    /// A newer postman of its name has registered.
    #[error("a newer postman of this name has registered; this one ends")]
    Replaced,
    /// The cluster has forgotten it; it may register anew.
    #[error(
        "the cluster does not know this postman any more: it had nothing to send while many others \
         registered; this one ends, and may be started again"
    )]
    Forgotten,
    /// The cluster does not take it.
    #[error("the cluster does not take this postman: {0}")]
    Refused(String),
}

/// Messages settled a second, smoothed.
#[derive(Default)]
struct Pace {
    per_second: f64,
    counted: u64,
    since: Duration,
}

impl Pace {
    fn note(&mut self, settled: usize, now: Duration) {
        self.counted += settled as u64;
        let elapsed = now.saturating_sub(self.since).as_secs_f64();
        if elapsed >= 0.1 {
            let rate = self.counted as f64 / elapsed;
            self.per_second = self.per_second * 0.7 + rate * 0.3;
            (self.counted, self.since) = (0, now);
        }
    }
}

impl Postman {
    /// Opens the journal, registers, settles what an earlier run left, and works until told to
    /// stop.
    pub async fn run(
        options: PostmanOptions,
        parts: PostmanParts,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), PostmanError> {
        let boot = parts.clock.boot_id()?;
        let mut journal = Journal::open(&options.journal_dir, boot, &options.cluster)?;
        let remains = match journal.past(options.retry.initial_ms)? {
            Past::Nothing => None,
            Past::Whole(remains) => Some(remains),
            Past::Damaged(damage) => {
                tracing::error!("{damage}");
                None
            }
        };
        let nonce = rand::random();
        let starting = start(&options, &*parts.desk, remains.as_ref(), nonce);
        let epoch = tokio::select! {
            epoch = starting => epoch?,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let (gateway, repeat_ms) = (options.gateway, options.retry.repeat_ms);
        let run = RunTerms {
            epoch,
            nonce,
            gateway,
            repeat_ms,
        };
        let senders = journal.begin(run, options.threads.max(1))?;
        let floor = Floor::new(
            parts.gateway.clone(),
            parts.clock.clone(),
            options.retry,
            parts.metrics.clone(),
            (options.concurrency, options.send_time),
            parts.fatal.clone(),
        );
        hire(&options, &floor, senders, &parts.fatal)?;
        let mut postman = Self {
            floor,
            journal,
            epoch,
            leases: BTreeMap::new(),
            refused: BTreeSet::new(),
            calls: FuturesUnordered::new(),
            next_n: 1,
            first_asked: None,
            unanswered: None,
            asking: false,
            ask_after: Duration::ZERO,
            wakes: Wakes::default(),
            changes: parts.desk.changes(),
            looking: false,
            look_after: Duration::ZERO,
            pace: Pace::default(),
            options,
            parts,
        };
        let mut ended = postman.work(&mut stop).await;
        // One that was replaced may still report, and hands back what it did not begin.
        if matches!(
            ended,
            Ok(()) | Err(PostmanError::Replaced | PostmanError::Forgotten)
        ) {
            ended = postman.wind_up().await.and(ended);
        }
        postman.floor.stop();
        postman.floor.close();
        if let Err(error @ PostmanError::Journal(_)) = &ended {
            (postman.parts.fatal)(&error.to_string());
        }
        ended
    }

    async fn work(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), PostmanError> {
        while !*stop.borrow() {
            self.step()?;
            let floor = self.floor.clone();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(event) = self.calls.next(), if !self.calls.is_empty() => self.take(event)?,
                () = changed(&mut self.changes), if self.wakes.is_open() => {
                    self.wakes.wake();
                    self.ask_after = Duration::ZERO;
                }
                () = floor.news.notified() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
        Ok(())
    }

    /// One turn: collect results, report, look, ask.
    fn step(&mut self) -> Result<(), PostmanError> {
        let now = self.parts.clock.boot();
        self.collect(now);
        self.report_due(now, false);
        self.close_done()?;
        if self.floor.waiting() > 0 && self.floor.breaker.lock().holds_up(now) {
            self.floor.hand_back_waiting();
        }
        if !self.looking && now >= self.look_after {
            self.look(now);
        }
        if !self.asking && now >= self.ask_after {
            self.ask(now);
        }
        self.show();
        Ok(())
    }

    fn collect(&mut self, now: Duration) {
        let settled = self.floor.take_settled();
        let sent = settled
            .iter()
            .filter(|settled| settled.result != SendResult::HandedBack);
        self.pace.note(sent.count(), now);
        for settled in settled {
            if let Some(lease) = self.leases.get_mut(&settled.token.n) {
                // Once given up, a message has its result: a later one would be a conflict.
                if lease.settled.insert(settled.token.position) {
                    lease.unsettled -= 1;
                    lease.results.push(settled);
                }
            }
        }
    }

    /// Reports leases that are done, and others from time to time.
    fn report_due(&mut self, now: Duration, all: bool) {
        let mut due = Vec::new();
        for (n, lease) in &mut self.leases {
            let waited = now.saturating_sub(lease.reported_at) >= REPORT;
            let ready = lease.unsettled == 0 || waited || all;
            if lease.report.is_none() && !lease.results.is_empty() && ready {
                let results = std::mem::take(&mut lease.results);
                lease.reported_at = now;
                lease.report = Some(put_together(&lease.terms, self.options.gateway, results));
                due.push(*n);
            }
        }
        for n in due {
            self.send_report(n, Duration::ZERO);
        }
    }

    fn send_report(&mut self, n: u64, after: Duration) {
        let Some(report) = self.leases.get(&n).and_then(|lease| lease.report.clone()) else {
            return;
        };
        let desk = self.parts.desk.clone();
        self.calls.push(Box::pin(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            Event::Reported(n, desk.report(report).await)
        }));
    }

    /// Forgets leases whose every result is acknowledged.
    fn close_done(&mut self) -> Result<(), PostmanError> {
        let is_done = |lease: &Lease| {
            lease.unsettled == 0 && lease.results.is_empty() && lease.report.is_none()
        };
        let done = self
            .leases
            .iter()
            .filter(|(_, lease)| is_done(lease))
            .map(|(n, _)| *n);
        for n in done.collect::<Vec<_>>() {
            self.leases.remove(&n);
            let open = self.leases.keys().chain(&self.refused).min();
            let oldest_open = open.copied().unwrap_or(self.next_n);
            self.journal.closed(n, oldest_open)?;
        }
        Ok(())
    }

    fn look(&mut self, now: Duration) {
        self.looking = true;
        let held = |lease: &Lease| Held {
            lease: lease.terms.lease,
            mailing: lease.terms.mailing,
            runs: lease.runs.clone(),
        };
        let held = self
            .leases
            .values()
            .filter(|lease| lease.unsettled > 0)
            .map(held)
            .collect();
        let desk = self.parts.desk.clone();
        self.calls.push(Box::pin(async move {
            let looked = tokio::time::timeout(LOOK * 4, desk.look(held)).await;
            let late = || Err(DeskError::Unavailable("no answer in time".into()));
            Event::Looked(now, looked.unwrap_or_else(|_| late()))
        }));
    }

    /// Asks for as many messages as can be sent in the next half second or so.
    fn ask(&mut self, now: Duration) {
        let held: usize = self.leases.values().map(|lease| lease.unsettled).sum();
        let slots = self.floor.breaker.lock().slots();
        let wanted = slots + (self.pace.per_second / 2.0) as usize;
        let room = wanted
            .saturating_sub(held)
            .min(usize::from(self.options.lease_size)) as u16;
        let room = self.floor.breaker.lock().room(room, now);
        // Leases that are few and full cost the cluster less: an eighth of it must be used up.
        let least = (slots / 4).clamp(1, 64).max(wanted / 8);
        let worth_it = usize::from(room) >= least.min(usize::from(self.options.lease_size));
        let probing = self.floor.breaker.lock().stand() != Stand::Closed && room > 0;
        let full = self.leases.len() >= limits::POSTMAN_LEASES;
        // What could not be begun now would only come back.
        let blind = self.floor.view_age(now) > delivery::VIEW_AGE / 2;
        let agree = self.floor.clocks_agree.load(Ordering::Relaxed);
        if full || blind || !agree || !(worth_it || probing) {
            return;
        }
        self.asking = true;
        self.wakes.asked();
        let asked_at = *self.first_asked.get_or_insert(now);
        let lease = LeaseId {
            epoch: self.epoch,
            n: self.next_n,
        };
        let (desk, gateway) = (self.parts.desk.clone(), self.options.gateway);
        let again = self.unanswered.is_some();
        self.calls.push(Box::pin(async move {
            Event::Asked(asked_at, desk.ask(lease, room, gateway, again).await)
        }));
    }

    fn take(&mut self, event: Event) -> Result<(), PostmanError> {
        let now = self.parts.clock.boot();
        match event {
            Event::Asked(asked_at, answer) => {
                self.asking = false;
                self.take_parcel(asked_at, answer, now)
            }
            Event::Missed(answer) => self.take_missed(answer, now),
            Event::Reported(n, answer) => self.take_receipt(n, answer),
            Event::Looked(asked_at, answer) => {
                self.looking = false;
                self.look_after = asked_at + LOOK;
                self.take_look(asked_at, answer)
            }
        }
    }

    fn take_parcel(
        &mut self,
        asked_at: Duration,
        answer: Result<Option<Parcel>, DeskError>,
        now: Duration,
    ) -> Result<(), PostmanError> {
        match answer {
            Ok(Some(parcel)) => {
                self.next_n += 1;
                (self.first_asked, self.unanswered) = (None, None);
                self.accept(asked_at, parcel, now)
            }
            Ok(None) => {
                // An earlier ask may still be on its way to a grant, whose lease runs from then on.
                if self
                    .unanswered
                    .is_none_or(|since| now.saturating_sub(since) >= DOUBT)
                {
                    (self.first_asked, self.unanswered) = (None, None);
                }
                self.ask_after = self.wakes.wait(now);
                Ok(())
            }
            Err(DeskError::Unavailable(why)) => {
                tracing::debug!(why, "the postman's ask was not answered");
                self.unanswered = Some(now);
                self.ask_after = now + AGAIN;
                Ok(())
            }
            Err(DeskError::Closed) => {
                // Before the next is asked for: what this one held is known until then.
                self.find_missed(Duration::ZERO);
                Ok(())
            }
            Err(DeskError::Refused(why)) => {
                tracing::warn!(why, lease.n = self.next_n, "a lease was refused");
                // An earlier ask may still be granted: its lease runs from when that was made.
                if self.unanswered.is_none() {
                    self.first_asked = None;
                }
                self.ask_after = now + AGAIN * 5;
                Ok(())
            }
            Err(DeskError::Replaced) => Err(PostmanError::Replaced),
            Err(DeskError::Forgotten) => Err(PostmanError::Forgotten),
        }
    }

    /// Finds out what the lease held that ran out before its answer came.
    fn find_missed(&mut self, after: Duration) {
        self.asking = true;
        let (desk, epoch) = (self.parts.desk.clone(), self.epoch);
        self.calls.push(Box::pin(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            Event::Missed(desk.left(epoch).await)
        }));
    }

    /// Hands back what was never begun, nor heard of.
    fn take_missed(
        &mut self,
        answer: Result<Vec<Left>, DeskError>,
        now: Duration,
    ) -> Result<(), PostmanError> {
        let Ok(left) = answer else {
            self.find_missed(AGAIN);
            return Ok(());
        };
        let n = self.next_n;
        (self.asking, self.ask_after) = (false, now + AGAIN);
        (self.next_n, self.first_asked, self.unanswered) = (n + 1, None, None);
        let Some(missed) = left.into_iter().find(|left| left.lease.n == n) else {
            tracing::warn!(lease.n = n, "a lease ran out before it was used");
            return Ok(());
        };
        self.journal.leased(n, missed.mailing, &missed.runs)?;
        let back = |(position, attempt)| {
            let token = Token {
                n,
                mailing: missed.mailing,
                position,
                attempt,
            };
            Settled {
                token,
                result: SendResult::HandedBack,
            }
        };
        let results: Vec<_> = positions(&missed.runs).map(back).collect();
        tracing::warn!(
            lease.n = n,
            count = results.len(),
            "a lease ran out before its answer came: its messages are handed back unsent"
        );
        let terms = (now, Terms::default());
        self.leases.insert(
            n,
            Lease {
                terms: LeaseTerms::new(missed.lease, missed.mailing, "", now, terms),
                runs: missed.runs.into(),
                unsettled: 0,
                settled: HashSet::new(),
                results,
                report: None,
                reported_at: now,
                unshown: Vec::new(),
            },
        );
        Ok(())
    }

    fn accept(
        &mut self,
        asked_at: Duration,
        parcel: Parcel,
        now: Duration,
    ) -> Result<(), PostmanError> {
        let n = parcel.lease.n;
        self.journal.leased(n, parcel.mailing, &parcel.runs)?;
        let ends = asked_at + parcel.ttl;
        let terms = (asked_at, parcel.terms);
        let terms = LeaseTerms::new(parcel.lease, parcel.mailing, &parcel.text, ends, terms);
        let job = |message: &notty_storage::query::leases::LeasedMessage| Job {
            terms: terms.clone(),
            id: message.id,
            phone: message.phone,
            attempt: message.attempt,
            tries: message.tries,
            zone: message.zone.0,
            repeat_until: message.repeat_until,
        };
        let jobs: Vec<_> = parcel.messages.iter().map(job).collect();
        let lease = Lease {
            terms: terms.clone(),
            runs: parcel.runs.into(),
            unsettled: jobs.len(),
            settled: HashSet::with_capacity(parcel.messages.len()),
            results: Vec::new(),
            report: None,
            reported_at: now,
            unshown: Vec::new(),
        };
        let lease = self.leases.entry(n).or_insert(lease);
        if now.saturating_sub(asked_at) <= delivery::VIEW_AGE / 2 {
            self.floor.enqueue(jobs);
        } else {
            // The answer took long: what it says of the mailing may have changed meanwhile.
            lease.unshown = jobs;
            self.look_after = now;
        }
        let needs = self.options.send_time.0 + self.options.send_time.1 + delivery::MARGIN;
        if parcel.ttl <= needs {
            tracing::error!(
                lease.ms = parcel.ttl.as_millis() as u64,
                "the leases of the cluster are too short for this postman's gateway timeouts \
                 ({} ms): it sends nothing; raise lease.ttl_ms on the nodes",
                needs.as_millis()
            );
            self.ask_after = now + SHORT;
        }
        Ok(())
    }

    fn take_receipt(
        &mut self,
        n: u64,
        answer: Result<usize, DeskError>,
    ) -> Result<(), PostmanError> {
        match answer {
            Ok(conflicts) => {
                if conflicts > 0 {
                    let epoch = self.epoch.0;
                    tracing::error!(
                        lease.epoch = epoch,
                        lease.n = n,
                        conflicts,
                        "messages were reported otherwise than before; the first report stands"
                    );
                    self.parts.metrics.conflicts.inc_by(conflicts as u64);
                }
                if let Some(lease) = self.leases.get_mut(&n) {
                    lease.report = None;
                }
            }
            Err(why @ (DeskError::Refused(_) | DeskError::Closed)) => {
                tracing::error!(lease.n = n, %why,
                    "a report was refused; its messages become unconfirmed when the lease ends");
                self.leases.remove(&n);
                // Not closed: what the journal knows of it must stay.
                self.refused.insert(n);
            }
            // Also after being replaced: an older postman may report to the last.
            Err(DeskError::Unavailable(_) | DeskError::Replaced | DeskError::Forgotten) => {
                self.send_report(n, AGAIN);
            }
        }
        Ok(())
    }

    fn take_look(
        &mut self,
        asked_at: Duration,
        answer: Result<Look, DeskError>,
    ) -> Result<(), PostmanError> {
        let look = match answer {
            Ok(look) => look,
            Err(DeskError::Replaced) => return Err(PostmanError::Replaced),
            Err(_) => return Ok(()),
        };
        let took = self.parts.clock.boot().saturating_sub(asked_at).as_millis() as i64;
        let apart = self.parts.clock.wall().since(look.leader_clock).abs() - took;
        let agree = apart <= CLOCKS_MS;
        if self.floor.clocks_agree.swap(agree, Ordering::Relaxed) != agree {
            match agree {
                true => tracing::info!("the clocks of leader and postman agree again"),
                false if look.leader_clock == Timestamp::default() => tracing::error!(
                    "the leader's clock is more than 2 s from most nodes', or was not compared with \
                     them yet: nothing is sent until they agree; look at the clock of the leader"
                ),
                false => tracing::error!(
                    apart_ms = apart,
                    "the clocks of leader and postman are more than 2 s apart: nothing is sent \
                     until they agree"
                ),
            }
        }
        let mut shown = Vec::new();
        for (lease, terms) in look.terms {
            if let Some(lease) = self.leases.get_mut(&lease.n) {
                lease.terms.set(asked_at, terms);
                shown.push(std::mem::take(&mut lease.unshown));
            }
        }
        for (lease, positions) in look.dropped {
            if let Some(lease) = self.leases.get(&lease.n) {
                lease.terms.drop_messages(positions);
            }
        }
        self.floor.seen(asked_at);
        for jobs in shown {
            self.floor.enqueue(jobs);
        }
        Ok(())
    }

    fn show(&self) {
        let metrics = &self.parts.metrics;
        let held: usize = self.leases.values().map(|lease| lease.unsettled).sum();
        metrics.held.set(held as i64);
        metrics.leases.set(self.leases.len() as i64);
        metrics.in_flight.set(self.floor.in_flight() as i64);
        let stand = match self.floor.breaker.lock().stand() {
            Stand::Closed => 0,
            Stand::Open { until } if until > self.parts.clock.boot() => 1,
            // Between two probes that follow each other too.
            Stand::Open { .. } | Stand::Probing => 2,
        };
        if metrics.breaker.set(stand) != stand && stand != 2 {
            match stand {
                0 => tracing::info!("the gateway answers again: sending goes on"),
                _ if self.floor.unreachable.load(Ordering::Relaxed) => tracing::warn!(
                    "the gateway cannot be connected to: sending waits, one message at a time \
                     probes; look at gateway.url, and whether it runs"
                ),
                _ => tracing::warn!(
                    "the gateway takes requests, and gives no answer in time, or none that is clear, \
                     to too many of them: sending waits, one message at a time probes, until ten in a \
                     row go well"
                ),
            }
        }
    }

    /// Lets requests on their way end, hands back the rest, and reports it all.
    async fn wind_up(&mut self) -> Result<(), PostmanError> {
        self.release_unshown();
        self.floor.stop();
        let (clock, floor) = (self.parts.clock.clone(), self.floor.clone());
        let began = clock.boot();
        let mut given_up = false;
        loop {
            let now = clock.boot();
            self.collect(now);
            let waited = now.saturating_sub(began);
            if waited >= STOP_REQUESTS && !given_up {
                self.give_up_unsettled();
                given_up = true;
            }
            self.report_due(now, true);
            self.close_done()?;
            // A lease that is asked for may yet come, and must go back.
            let done = self.leases.is_empty() && !self.asking;
            if done || waited >= STOP_REQUESTS + STOP_REPORTS {
                return Ok(());
            }
            tokio::select! {
                Some(event) = self.calls.next(), if !self.calls.is_empty() => match event {
                    Event::Asked(asked_at, answer) => {
                        self.asking = false;
                        // A lease that came too late goes back whole.
                        self.unless_replaced(|this| this.take_parcel(asked_at, answer, now))?;
                        self.release_unshown();
                        self.floor.hand_back_waiting();
                    }
                    event => self.unless_replaced(|this| this.take(event))?,
                },
                () = floor.news.notified() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
    }

    /// Takes in an event; that the postman was replaced or forgotten changes nothing while it winds up.
    fn unless_replaced(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<(), PostmanError>,
    ) -> Result<(), PostmanError> {
        match take(self) {
            Err(PostmanError::Replaced | PostmanError::Forgotten) => Ok(()),
            taken => taken,
        }
    }

    /// Messages that wait for a look go back like those that wait for a slot.
    fn release_unshown(&mut self) {
        for lease in self.leases.values_mut() {
            self.floor.enqueue(std::mem::take(&mut lease.unshown));
        }
    }

    /// What is still on its way when stopping can wait no longer may have been taken.
    fn give_up_unsettled(&mut self) {
        for (n, lease) in &mut self.leases {
            if lease.unsettled == 0 {
                continue;
            }
            let token = |(position, attempt)| Token {
                n: *n,
                mailing: lease.terms.mailing,
                position,
                attempt,
            };
            let left: Vec<_> = positions(&lease.runs)
                .map(token)
                .filter(|token| !lease.settled.contains(&token.position))
                .collect();
            lease
                .settled
                .extend(left.iter().map(|token| token.position));
            let unsure = left.into_iter().map(|token| (token, SendResult::Unsure));
            lease
                .results
                .extend(unsure.map(|(token, result)| Settled { token, result }));
            lease.unsettled = 0;
        }
    }
}

/// Returns once the state has changed; never where no changes are seen.
async fn changed(changes: &mut Option<AppliedChanges>) {
    let is_seen = match changes {
        Some(changes) => changes.changed().await,
        None => false,
    };
    // Also once the node is gone: the postman ends with it.
    if !is_seen {
        std::future::pending::<()>().await;
    }
}

/// Registers, then reports what an earlier run left, until all of it is acknowledged.
async fn start(
    options: &PostmanOptions,
    desk: &dyn Desk,
    remains: Option<&Remains>,
    nonce: u64,
) -> Result<Epoch, PostmanError> {
    let epoch = loop {
        match desk.register(options.name.clone(), nonce).await {
            Ok(epoch) => break epoch,
            Err(DeskError::Refused(why)) => return Err(PostmanError::Refused(why)),
            Err(error) => tracing::debug!(%error, "the postman could not register yet"),
        }
        tokio::time::sleep(AGAIN).await;
    };
    let (gateway, repeat_ms) = (options.gateway, options.retry.repeat_ms);
    loop {
        match desk.declare(epoch, gateway, repeat_ms).await {
            Ok(()) => break,
            Err(DeskError::Refused(why)) => return Err(PostmanError::Refused(why)),
            Err(DeskError::Replaced) => return Err(PostmanError::Replaced),
            Err(DeskError::Forgotten) => return Err(PostmanError::Forgotten),
            Err(error) => tracing::debug!(%error, "the postman could not say where it sends yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }

    let Some(remains) = remains else {
        return Ok(epoch);
    };
    let left = loop {
        match desk.left(remains.run.epoch).await {
            Ok(left) => break left,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    };
    let mut leases: BTreeMap<u64, Left> = BTreeMap::new();
    for left in remains.leases().cloned().chain(left) {
        leases.insert(left.lease.n, left);
    }
    for left in leases.values() {
        let report = recovered(left, remains);
        let count: usize = left.runs.iter().map(|run| usize::from(run.len)).sum();
        tracing::info!(lease.id = %left.lease, count, "a lease of the run before is settled");
        while let Err(error) = desk.report(report.clone()).await {
            if matches!(error, DeskError::Refused(_) | DeskError::Closed) {
                tracing::warn!(%error, lease.id = %left.lease, "a report of the run before");
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(epoch)
}

/// What the journal proves of a lease: never begun, a result, or neither.
fn recovered(left: &Left, remains: &Remains) -> Report {
    let settled = positions(&left.runs).map(|(position, attempt)| {
        let token = Token {
            n: left.lease.n,
            mailing: left.mailing,
            position,
            attempt,
        };
        let result = match remains.fate(&token) {
            None if remains.is_whole(left.lease.n) => SendResult::HandedBack,
            None => SendResult::Unsure,
            Some(Fate::Settled(result)) => result,
            Some(Fate::Begun) => SendResult::Unsure,
        };
        Settled { token, result }
    });
    let results = group(settled.collect());
    // A doubt belongs to the gateway that the run before sent to.
    let gateway = remains.run.gateway;
    Report {
        lease: left.lease,
        mailing: left.mailing,
        gateway,
        results,
    }
}

fn put_together(terms: &LeaseTerms, gateway: u64, results: Vec<Settled>) -> Report {
    Report {
        lease: terms.lease,
        mailing: terms.mailing,
        gateway,
        results: group(results),
    }
}

/// Results by what they are, positions that follow each other as runs.
fn group(mut settled: Vec<Settled>) -> Vec<(SendResult, Vec<Run>)> {
    settled.sort_unstable_by_key(|settled| settled.token.position);
    let mut groups: Vec<(SendResult, Vec<Run>)> = Vec::new();
    for Settled { token, result } in settled {
        let at = groups
            .iter()
            .position(|(other, _)| *other == result)
            .unwrap_or_else(|| {
                groups.push((result, Vec::new()));
                groups.len() - 1
            });
        let runs = &mut groups[at].1;
        match runs.last_mut() {
            Some(run) if run.attempt == token.attempt && run.end() == u64::from(token.position) => {
                run.len += 1;
            }
            _ => runs.push(Run {
                first: token.position,
                len: 1,
                attempt: token.attempt,
            }),
        }
    }
    groups
}

fn positions(runs: &[Run]) -> impl Iterator<Item = (u32, u16)> + '_ {
    runs.iter()
        .flat_map(|run| run.positions().map(|position| (position, run.attempt)))
}

/// Starts the slots, shared out over the threads.
fn hire(
    options: &PostmanOptions,
    floor: &Arc<Floor>,
    senders: Vec<SenderJournal>,
    fatal: &Fatal,
) -> Result<(), PostmanError> {
    if options.threads == 0 {
        hire_here(options, floor, senders);
        return Ok(());
    }
    let threads = options.threads;
    for (thread, sender) in senders.into_iter().enumerate() {
        let slots =
            options.concurrency / threads + usize::from(thread < options.concurrency % threads);
        let (floor, fatal) = (floor.clone(), fatal.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let run = move || {
            let sender = Sender::new(sender);
            let local = tokio::task::LocalSet::new();
            let work = || local.spawn_local(delivery::work(floor.clone(), sender.clone()));
            let mut slots: FuturesUnordered<_> = (0..slots).map(|_| work()).collect();
            local.block_on(&runtime, async {
                while let Some(ended) = slots.next().await {
                    if let Err(error) = ended {
                        (fatal)(&format!("postman: a slot broke down: {error}"));
                    }
                }
            });
        };
        std::thread::Builder::new()
            .name(format!("notty-sender-{thread}"))
            .spawn(run)?;
    }
    Ok(())
}

/// Starts the slots on the runtime that the postman itself is on.
fn hire_here(options: &PostmanOptions, floor: &Arc<Floor>, senders: Vec<SenderJournal>) {
    for sender in senders {
        let sender = Sender::new(sender);
        for _ in 0..options.concurrency {
            tokio::spawn(delivery::work(floor.clone(), sender.clone()));
        }
    }
}
