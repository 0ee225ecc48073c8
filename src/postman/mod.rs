//! The postman: leases messages, sends them, and reports the result of each.
//!
//! It safeguards "at most once" on its side: a request starts only under a token that was granted
//! to it, noted in its [`journal`] first, and checked against the lease's time, the mailing's
//! window and a fresh view of pauses, ends and deletions ([`terms`]). Every result is reported until the
//! report is acknowledged, always in the same words.
//!
//! One loop decides and calls: [`asking`] and [`looking`] are its states, [`leases`] and [`reports`] what
//! it holds, [`calls`] its calls of the [`desk`]. [`slots`] send beside it, over any
//! [`Gateway`]; [`outlet`] is what all of them know of one gateway. [`start`] and
//! [`winding_up`] are the two ends of its life.

mod asking;
pub mod breaker;
mod calls;
mod complaints;
pub mod desk;
mod floor;
mod halt;
mod halted_before;
pub mod journal;
mod leases;
mod looking;
mod notices;
mod outlet;
mod parcels;
mod pause;
mod queue;
mod rate;
mod reports;
pub mod retry;
mod slots;
mod start;
mod terms;
#[cfg(test)]
mod tests;
mod wakes;
mod winding_up;

use std::{
    collections::HashMap, io, path::PathBuf, sync::Arc, sync::atomic::Ordering, time::Duration,
};

use notty_raft::{Clock, Fatal};
use notty_storage::model::{LeaseId, PostmanName, SendResult};
use tokio::sync::watch;

pub use self::outlet::OutletOptions;
use self::{
    asking::{AGAIN, Asking, Load},
    calls::{DeskCalls, DeskEvent},
    desk::{ClusterLook, Desk, DeskError},
    floor::Floor,
    journal::{Journal, RunTerms},
    leases::LeasesInHand,
    looking::{ClockCheck, LOOK, Looking, compare_clocks},
    outlet::Outlet,
    rate::SendRate,
    slots::Workplace,
    terms::VIEW_AGE,
};
use crate::{gateway::Gateway, metrics::SendingMetrics};

/// Time between two turns of the loop while messages are held and nothing happens.
const TURN: Duration = Duration::from_millis(20);

/// The settings of a postman.
#[derive(Clone, Debug)]
pub struct PostmanOptions {
    /// Its name: one postman of a name works at a time.
    pub name: PostmanName,
    /// Directory of its journal.
    pub journal_dir: PathBuf,
    /// The cluster's id: a journal of another cluster is not for this one.
    pub cluster: String,
    /// Threads that send; 0: the one that the postman itself is on, as in a simulation.
    pub threads: usize,
    /// Messages of one lease, at most.
    pub lease_size: u16,
    /// The gateway that it sends through.
    pub outlet: OutletOptions,
}

/// The means of a postman.
pub struct PostmanParts<G> {
    /// The place where it asks.
    pub desk: Arc<dyn Desk>,
    /// The gateway that it sends through.
    pub gateway: Arc<G>,
    /// The clocks that it reads.
    pub clock: Arc<dyn Clock>,
    /// Counters of its sending.
    pub metrics: SendingMetrics,
    /// Ends the process when the journal cannot be written.
    pub fatal: Fatal,
}

impl<G> PostmanParts<G> {
    /// The same for another gateway.
    pub fn at<H>(self, gateway: H) -> PostmanParts<H> {
        PostmanParts {
            desk: self.desk,
            gateway: Arc::new(gateway),
            clock: self.clock,
            metrics: self.metrics,
            fatal: self.fatal,
        }
    }
}

impl<G> Clone for PostmanParts<G> {
    fn clone(&self) -> Self {
        Self {
            desk: self.desk.clone(),
            gateway: self.gateway.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            fatal: self.fatal.clone(),
        }
    }
}

/// The reason for which a postman ended.
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

/// A postman at work.
pub struct Postman {
    lease_size: u16,
    floor: Arc<Floor>,
    outlet: Arc<Outlet>,
    journal: Journal,
    calls: DeskCalls,
    leases: LeasesInHand,
    asking: Asking,
    looking: Looking,
    rate: SendRate,
}

impl Postman {
    /// Opens the journal, registers, settles what an earlier run left, and works until it is stopped.
    pub async fn run<G: Gateway>(
        options: PostmanOptions,
        parts: PostmanParts<G>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), PostmanError> {
        let boot = parts.clock.boot_id()?;
        let mut journal = Journal::open(&options.journal_dir, boot, &options.cluster)?;
        let remains = start::remains(&journal, &options)?;

        // Until it has registered it holds nothing: a stop need not wait for that.
        let nonce = rand::random();
        let starting = start::start(&options, &*parts.desk, remains.as_ref(), nonce);
        let epoch = tokio::select! {
            epoch = starting => epoch?,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };

        // The journal of the run before may go only now: all that it held is acknowledged.
        let run = RunTerms {
            epoch,
            nonce,
            gateway: options.outlet.identity,
            repeat_ms: options.outlet.retry.repeat_ms,
        };
        let senders = journal.begin(run, options.threads.max(1))?;
        let place = Workplace {
            floor: Floor::new(parts.clock, parts.metrics, parts.fatal),
            outlet: Outlet::new(options.outlet),
            gateway: parts.gateway,
        };
        slots::hire(&place, senders, options.threads)?;

        let postman = Self {
            lease_size: options.lease_size,
            floor: place.floor,
            outlet: place.outlet,
            journal,
            calls: DeskCalls::new(parts.desk, epoch),
            leases: LeasesInHand::default(),
            asking: Asking::default(),
            looking: Looking::default(),
            rate: SendRate::default(),
        };
        postman.work_and_end(&mut stop).await
    }

    async fn work_and_end(mut self, stop: &mut watch::Receiver<bool>) -> Result<(), PostmanError> {
        let mut ended = self.work(stop).await;
        // One that was replaced may still report, and hands back what it did not begin.
        if matches!(
            ended,
            Ok(()) | Err(PostmanError::Replaced | PostmanError::Forgotten)
        ) {
            ended = self.wind_up().await.and(ended);
        }

        self.floor.stop(&self.outlet);
        self.outlet.close();
        if let Err(error @ PostmanError::Journal(_)) = &ended {
            (self.floor.fatal)(&error.to_string());
        }
        ended
    }

    async fn work(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), PostmanError> {
        while !*stop.borrow() {
            let now = self.floor.clock.boot();
            self.step(now)?;
            let turn = self.turn(now);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                event = self.calls.next() => self.take(event)?,
                () = self.floor.news.notified() => {}
                () = tokio::time::sleep(turn) => {}
            }
        }
        Ok(())
    }

    /// One turn: collect results, report, look, ask.
    fn step(&mut self, now: Duration) -> Result<(), PostmanError> {
        // Results first: what they make room for is asked for in the same turn.
        self.collect(now);
        self.report_due(now, false);
        self.close_done()?;
        if self.outlet.is_held_up(now) {
            self.floor.hand_back_waiting(&self.outlet);
        }

        if self.looking.due().is_some_and(|due| now >= due) {
            self.looking = Looking::Looks;
            self.calls.look(self.leases.held(), now);
        }
        if self.asking.due().is_some_and(|due| now >= due) {
            self.ask(now);
        }
        self.show(now);
        Ok(())
    }

    /// The time until the next turn, if nothing happens: long while nothing is held.
    fn turn(&self, now: Duration) -> Duration {
        if self.leases.len() > 0 {
            return TURN;
        }
        let next = self.looking.due().into_iter().chain(self.asking.due());
        let until_next = next.map(|due| due.saturating_sub(now)).min();
        // What is due and cannot be done yet is tried again a turn later.
        until_next.unwrap_or(LOOK).clamp(TURN, LOOK)
    }

    fn collect(&mut self, now: Duration) {
        let settled = self.floor.take_settled();
        let is_sent = |result| result != SendResult::HandedBack;
        let sent = settled.iter().filter(|settled| is_sent(settled.result));
        self.rate.note(sent.count(), now);
        for settled in settled {
            self.leases.take(settled);
        }
    }

    /// Reports leases that are done, and others from time to time.
    fn report_due(&mut self, now: Duration, at_once: bool) {
        for report in self.leases.reports_due(now, at_once) {
            self.calls.report(report, Duration::ZERO);
        }
    }

    /// Forgets leases whose every result is acknowledged.
    fn close_done(&mut self) -> Result<(), PostmanError> {
        while let Some((n, oldest_open)) = self.leases.close_next(self.asking.next_n()) {
            self.journal.closed(n, oldest_open)?;
        }
        Ok(())
    }

    /// Asks for messages, if it is worth it.
    fn ask(&mut self, now: Duration) {
        // What could not be begun now would only come back.
        let is_old = self.floor.view_age(now) > VIEW_AGE / 2;
        let load = Load {
            slots: self.outlet.slots(now),
            is_paused: self.outlet.rests(now),
            probes_halt: self.outlet.halts.wants_probe(now),
            is_unanswered: self.asking.is_unanswered(),
            held: self.leases.unsettled(),
            leases: self.leases.len(),
            per_second: self.rate.per_second(),
            lease_size: self.lease_size,
            is_blind: is_old || !self.floor.clocks_agree(),
        };

        let room = asking::room(&load, &self.outlet.breaker.lock(), now);
        if let Some(room) = room {
            let ask = self.asking.begin(now);
            self.calls.ask(ask, room, self.outlet.sendable(now));
        }
    }

    /// Takes in an answer of the desk.
    fn take(&mut self, event: DeskEvent) -> Result<(), PostmanError> {
        let now = self.floor.clock.boot();
        match event {
            DeskEvent::Asked(asked_at, answer) => return self.take_parcel(asked_at, answer, now),
            DeskEvent::Traced(answer) => return self.take_missed(answer, now),
            DeskEvent::Woken(answer) => self.asking.woken(answer.ok(), now),
            DeskEvent::Reported(n, answer) => return self.take_receipt(n, answer),
            DeskEvent::Looked(asked_at, answer) => {
                self.looking.looked(asked_at);
                return self.take_look(asked_at, answer, now);
            }
        }
        Ok(())
    }

    /// Takes in the answer to a report.
    fn take_receipt(
        &mut self,
        n: u64,
        answer: Result<usize, DeskError>,
    ) -> Result<(), PostmanError> {
        match answer {
            Ok(conflicts) => {
                if conflicts > 0 {
                    tracing::error!(
                        lease.epoch = self.calls.epoch().0,
                        lease.n = n,
                        conflicts,
                        "messages were reported otherwise than before; the first report stands"
                    );
                    self.floor.metrics.conflicts.inc_by(conflicts as u64);
                }
                self.leases.acknowledge(n);
            }

            Err(why @ (DeskError::Refused(_) | DeskError::Closed)) => {
                tracing::error!(lease.n = n, %why,
                    "a report was refused; its messages become unconfirmed when the lease ends");
                self.forget_refused(n, &why)?;
            }

            // Also after being replaced: an older postman may report to the last.
            Err(DeskError::Unavailable(_) | DeskError::Replaced | DeskError::Forgotten) => {
                if let Some(report) = self.leases.report_of(n) {
                    self.calls.report(report.clone(), AGAIN);
                }
            }
        }
        Ok(())
    }

    /// Forgets a lease whose report was refused. After a final refusal the journal lets it go as well:
    /// nothing that it knows of the lease could ever be reported.
    fn forget_refused(&mut self, n: u64, why: &DeskError) -> Result<(), PostmanError> {
        if why.is_final() {
            let oldest_open = self.leases.let_go(n, self.asking.next_n());
            self.journal.closed(n, oldest_open)?;
        } else {
            self.leases.refuse(n);
        }
        Ok(())
    }

    /// Takes in a look that was asked for at a time.
    fn take_look(
        &mut self,
        asked_at: Duration,
        answer: Result<ClusterLook, DeskError>,
        now: Duration,
    ) -> Result<(), PostmanError> {
        let look = match answer {
            Ok(look) => look,
            Err(DeskError::Replaced) => return Err(PostmanError::Replaced),
            // The view grows old, and nothing is begun under it: the next look is soon.
            Err(_) => return Ok(()),
        };

        let wall = self.floor.clock.wall();
        let check = compare_clocks(look.leader_clock, wall, now.saturating_sub(asked_at));
        if self.floor.note_clocks(check == ClockCheck::Agree) {
            check.tell();
        }

        // Terms and deletions of a lease are renewed together.
        let mut dropped: HashMap<LeaseId, Vec<u32>> = look.dropped.into_iter().collect();
        let mut shown = Vec::new();
        for (lease, terms) in look.terms {
            let dropped = dropped.remove(&lease).unwrap_or_default();
            if let Some(held) = self.leases.get_mut(lease.n) {
                held.shared.renew(asked_at, terms, &dropped);
                shown.push(lease.n);
            }
        }

        // Before anything is begun under the new terms: they are only as good as the view itself.
        self.floor.seen(asked_at);
        for n in shown {
            if let Some(held) = self.leases.get_mut(n) {
                held.release();
            }
        }
        Ok(())
    }

    /// Brings the metrics up to date, and logs that the breaker has opened or closed, and that a pause is
    /// over.
    fn show(&self, now: Duration) {
        let metrics = &self.floor.metrics;
        metrics.held.set(self.leases.unsettled() as i64);
        metrics.leases.set(self.leases.len() as i64);
        let in_flight = self.outlet.in_flight.load(Ordering::Relaxed);
        metrics.in_flight.set(in_flight as i64);

        let figure = self.outlet.stand_figure(now);
        let before = metrics.breaker.set(figure);
        // Probing is no news: it follows being open.
        if before != figure && figure != 2 {
            self.outlet.tell_stand(figure);
        }

        self.show_halts(now);
        let is_paused = self.outlet.pause.holds(now);
        if metrics.paused.set(is_paused.into()) == 1 && !is_paused {
            tracing::info!("the pause that the gateway asked for is over: sending resumes");
        }
    }

    fn show_halts(&self, now: Duration) {
        let metrics = &self.floor.metrics;
        let halts = &self.outlet.halts;
        metrics.halted.set(halts.is_halted().into());
        metrics
            .mailings_halted
            .set(halts.halted_mailings(now) as i64);
    }
}
