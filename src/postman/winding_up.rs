//! The end of a postman's work: requests on their way end, the rest is handed back, and all of it is
//! reported.

use std::time::Duration;

use super::{Postman, PostmanError, TURN, calls::DeskEvent};

/// Longest wait for requests on their way.
const STOP_REQUESTS: Duration = Duration::from_secs(13);
/// Longest wait for the last reports after that.
const STOP_REPORTS: Duration = Duration::from_secs(3);

impl Postman {
    /// Lets requests on their way end, hands back the rest, and reports it all.
    pub(super) async fn wind_up(&mut self) -> Result<(), PostmanError> {
        self.leases.release_all();
        self.floor.stop(&self.outlet);
        let began = self.floor.clock.boot();
        let mut has_given_up = false;

        loop {
            let now = self.floor.clock.boot();
            self.collect(now);
            let waited = now.saturating_sub(began);
            if waited >= STOP_REQUESTS && !has_given_up {
                self.leases.give_up();
                has_given_up = true;
            }
            self.report_due(now, true);
            self.close_done()?;

            // A lease that is asked for may yet come, and must go back.
            let is_done = self.leases.len() == 0 && !self.asking.may_bring();
            if is_done || waited >= STOP_REQUESTS + STOP_REPORTS {
                return Ok(());
            }
            tokio::select! {
                event = self.calls.next() => self.take_last(event, now)?,
                () = self.floor.news.notified() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
    }

    /// Takes in an event while the postman winds up.
    fn take_last(&mut self, event: DeskEvent, now: Duration) -> Result<(), PostmanError> {
        let taken = match event {
            DeskEvent::Asked(asked_at, answer) => {
                self.asking.rest(now);
                let taken = self.take_parcel(asked_at, answer, now);
                // A lease that came too late goes back whole.
                self.leases.release_all();
                self.floor.hand_back_waiting(&self.outlet);
                taken
            }
            event => self.take(event),
        };

        // One that was replaced or forgotten may still report.
        match taken {
            Err(PostmanError::Replaced | PostmanError::Forgotten) => Ok(()),
            taken => taken,
        }
    }
}
