//! The bound of requests in flight while slots wait, as they do whenever messages do.

use std::{
    pin::{Pin, pin},
    task::{Context, Waker},
};

use super::super::outlet::Outlet;
use super::{
    connecting::{job, lease_of},
    *,
};
use crate::gateway::GatewayOutcome;

const NOW: Duration = Duration::from_secs(100);

fn is_ready(future: &mut Pin<&mut impl Future>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    future.as_mut().poll(&mut context).is_ready()
}

#[test]
fn a_request_in_doubt_leaves_its_place_to_no_slot_that_waits() {
    let outlet = Outlet::new(outlet_options(100));
    let job = job(&lease_of(MAILING, Epoch(1)), 0);
    let mut passes = Vec::new();
    while let Ok(permit) = outlet.free.try_acquire() {
        permit.forget();
        passes.push(outlet.may_begin(&job, NOW).expect("the breaker is closed"));
    }
    assert_eq!(passes.len(), 64);
    let mut waiting = pin!(outlet.free.acquire());
    assert!(!is_ready(&mut waiting));

    // A few: many in a row would open the breaker.
    let mut end = |count, outcome| {
        for pass in passes.drain(..count) {
            outlet.note(pass, outcome, NOW);
            outlet.release(|| NOW);
        }
    };
    end(10, GatewayOutcome::Unsure);
    assert!(!is_ready(&mut waiting), "each of the 54 may be lost too");

    // From here on places are free: 54 may be in flight, and 53 are.
    end(1, GatewayOutcome::Done);
    assert!(is_ready(&mut waiting));
}
