//! What a postman by itself may not ask of a node's desk.

use std::sync::Arc;

use notty_raft::{Caller, Service};
use notty_storage::{
    codec,
    command::Report,
    limits,
    model::{Epoch, LeaseId, MailingNumber, Run, SendResult},
};

use super::{
    calls::{Answered, Call},
    node::NodeDesk,
};
use crate::{
    post_office::tests::open,
    postman::desk::{DeskError, Held},
};

/// The messages of a whole lease one by one, and so many runs of nothing.
fn runs(empty: usize) -> Vec<Run> {
    let one = |first: u32| Run { first, len: 1, attempt: 1 };
    let mut runs: Vec<_> = (0..u32::from(limits::LEASE_MESSAGES)).map(one).collect();
    runs.extend(vec![Run { first: 0, len: 0, attempt: 1 }; empty]);
    runs
}

fn report(results: Vec<(SendResult, Vec<Run>)>) -> Call {
    let lease = LeaseId { epoch: Epoch(1), n: 1 };
    Call::Report(Report { lease, mailing: MailingNumber(1), gateway: 1, results })
}

fn look(runs: Vec<Run>) -> Call {
    let lease = LeaseId { epoch: Epoch(1), n: 1 };
    Call::Look(vec![Held { lease, mailing: MailingNumber(1), runs: runs.into() }])
}

/// Why a call is refused.
async fn refusal(desk: &NodeDesk, call: Call) -> String {
    let answer = desk.call(Caller::Postman("p".to_owned()), codec::encode(&call)).await;
    match codec::decode::<Answered<()>>(&answer) {
        Ok(Err(DeskError::Refused(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_a_postman_is_longer_than_a_lease_may_make_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::default()).await;
    let desk = NodeDesk::new(node.clone(), office, "UTC");
    let done = |runs| report(vec![(SendResult::Done, runs)]);
    let groups = |count| report(vec![(SendResult::Done, Vec::new()); count]);
    let too_long = [done(runs(1)), groups(usize::from(limits::LEASE_MESSAGES) + 1), look(runs(1))];
    for call in too_long {
        let why = refusal(&desk, call).await;
        assert!(why.contains("does not understand"), "{why}");
    }
    // As long as one may be, it is for the state to refuse.
    let why = refusal(&desk, done(runs(0))).await;
    assert!(why.contains("no mailing has this id"), "{why}");
    node.stop().await.expect("it stops");
}
