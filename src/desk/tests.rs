//! What a postman by itself may not ask of a node's desk.

use std::sync::Arc;

use notty_raft::{Caller, Service};
use notty_storage::{
    codec,
    command::Report,
    limits,
    model::{Epoch, LeaseId, MailingNumber, PostmanName, Run, SendResult},
};

use super::{
    calls::{Answered, Call},
    node::NodeDesk,
};
use crate::{
    post_office::tests::open,
    postman::desk::{Desk, DeskError, Held},
};

/// The messages of a whole lease one by one, and so many runs of nothing.
fn runs(empty: usize) -> Vec<Run> {
    let one = |first: u32| Run {
        first,
        len: 1,
        attempt: 1,
    };
    let mut runs: Vec<_> = (0..u32::from(limits::LEASE_MESSAGES)).map(one).collect();
    runs.extend(vec![
        Run {
            first: 0,
            len: 0,
            attempt: 1
        };
        empty
    ]);
    runs
}

fn report(results: Vec<(SendResult, Vec<Run>)>) -> Call {
    let lease = LeaseId {
        epoch: Epoch(1),
        n: 1,
    };
    Call::Report(Report {
        lease,
        mailing: MailingNumber(1),
        gateway: 1,
        results,
    })
}

fn look(runs: Vec<Run>) -> Call {
    let lease = LeaseId {
        epoch: Epoch(1),
        n: 1,
    };
    Call::Look(vec![Held {
        lease,
        mailing: MailingNumber(1),
        runs: runs.into(),
    }])
}

/// Why a call is refused.
async fn refusal(desk: &NodeDesk, call: Call) -> String {
    refusal_of("p", desk, call).await
}

/// Why a call of a postman is refused.
async fn refusal_of(name: &str, desk: &NodeDesk, call: Call) -> String {
    let answer = desk
        .call(Caller::Postman(name.to_owned()), codec::encode(&call))
        .await;
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
    let too_long = [
        done(runs(1)),
        groups(usize::from(limits::LEASE_MESSAGES) + 1),
        look(runs(1)),
    ];
    for call in too_long {
        let why = refusal(&desk, call).await;
        assert!(why.contains("does not understand"), "{why}");
    }
    // As long as one may be, it is for the state to refuse.
    let why = refusal(&desk, done(runs(0))).await;
    assert!(why.contains("no mailing has this id"), "{why}");
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_postman_speaks_of_what_another_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::default()).await;
    let desk = NodeDesk::new(node.clone(), office, "UTC");
    // That of a node, as it may be, and its restart.
    let name = PostmanName::parse("q").expect("a name");
    let first = desk.register(name.clone(), 1).await.expect("registered");
    let second = desk.register(name, 2).await.expect("registered");
    for epoch in [first, second] {
        let lease = LeaseId { epoch, n: 1 };
        let mailing = MailingNumber(1);
        let report = Report {
            lease,
            mailing,
            gateway: 1,
            results: Vec::new(),
        };
        let held = Held {
            lease,
            mailing,
            runs: Vec::new().into(),
        };
        for call in [
            Call::Ask {
                lease,
                room: 1,
                gateway: 1,
                again: false,
            },
            Call::Report(report),
            Call::Look(vec![held]),
            Call::Left(epoch),
            Call::Declare {
                postman: epoch,
                gateway: 1,
                repeat_ms: None,
            },
        ] {
            let why = refusal(&desk, call).await;
            assert!(
                why.contains("speaks of a lease of the postman `q`"),
                "{why}"
            );
        }
    }
    // Under its name, that one would end.
    let name = PostmanName::parse("q").expect("a name");
    let why = refusal(&desk, Call::Register { name, nonce: 3 }).await;
    assert!(why.contains("`p` cannot register as `q`"), "{why}");
    // Its own are for the state to judge.
    let lease = LeaseId {
        epoch: second,
        n: 1,
    };
    let report = Report {
        lease,
        mailing: MailingNumber(1),
        gateway: 1,
        results: Vec::new(),
    };
    let why = refusal_of("q", &desk, Call::Report(report)).await;
    assert!(!why.contains("speaks of"), "{why}");
    node.stop().await.expect("it stops");
}
