//! Tests of supervised parts, and of a node's own postman.

mod receipts;

use std::time::Duration;

use notty_raft::Fatal;
use notty_storage::{
    command::RegisterPostman,
    limits,
    model::{Epoch, PostmanName, Status},
    query,
};

use super::{options::ALONE, supervision::Supervisor, *};
use crate::post_office::tests::{SOON, customers, mailing};

/// The line that ended the process, if one did, after a part ended.
async fn line_of(
    part: impl Future<Output = Result<(), String>> + Send + 'static,
    told: bool,
) -> Option<String> {
    let said = Arc::new(std::sync::Mutex::new(None));
    let heard = said.clone();
    let fatal: Fatal =
        Arc::new(move |line| *heard.lock().expect("no panic") = Some(line.to_owned()));
    let (stop, stopped) = watch::channel(told);
    Supervisor::new(stopped, fatal)
        .spawn("the postman", part)
        .await
        .expect("no panic");
    drop(stop);
    said.lock().expect("no panic").take()
}

#[tokio::test]
async fn a_part_that_dies_ends_the_process_and_says_why() {
    let panics = async {
        assert!(std::hint::black_box(false), "a bad day");
        Ok(())
    };
    let line = line_of(panics, false).await.expect("a line");
    assert!(
        line.contains("the postman") && line.contains("a bad day"),
        "{line}"
    );
    let line = line_of(async { Err("no disk".to_owned()) }, false)
        .await
        .expect("a line");
    assert!(line.contains("no disk"), "{line}");
}

#[tokio::test]
async fn a_part_that_was_told_to_end_or_was_replaced_ends_nothing_else() {
    assert_eq!(
        line_of(async { Err("it returned".to_owned()) }, true).await,
        None
    );
    assert_eq!(line_of(async { Ok(()) }, false).await, None);
}

/// The epoch of the node's own postman, if the state knows it.
fn own_epoch(server: &Server) -> Option<Epoch> {
    let postmen = query::leases::postmen(&server.node.view().read()).expect("reads");
    let own = postmen
        .iter()
        .find(|postman| postman.name.as_str() == ALONE);
    own.map(|own| own.epoch)
}

async fn until<T>(what: impl Fn() -> Option<T>) -> T {
    let waiting = async {
        loop {
            match what() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("in time")
}

#[test]
fn a_message_is_repeated_for_half_of_the_time_that_its_gateway_remembers_it_if_that_takes_repeats()
{
    let repeat_ms = |config: &Config| options::postman(config, "c", 1, 1).outlet.retry.repeat_ms;
    let mut config = Config::default();
    assert_eq!(repeat_ms(&config), None);

    config.gateway.idempotent = true;
    assert_eq!(repeat_ms(&config), Some(12 * 3_600_000));
    config.gateway.idempotent_hours = 1;
    assert_eq!(repeat_ms(&config), Some(1_800_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_own_postman_that_was_forgotten_registers_anew_and_sends() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = Config::default();
    config.node.data_dir = dir.path().join("data");
    config.postman.journal_dir = dir.path().join("journal");
    config.api.listen = "127.0.0.1:0".to_owned();
    let server = Server::start(&config, Surroundings::real())
        .await
        .expect("it starts");
    let before = until(|| own_epoch(&server)).await;
    let register = |n: usize| {
        let name = PostmanName::parse(&format!("another-{n}")).expect("a name");
        server.node.act(RegisterPostman { name, nonce: 1 })
    };
    let others = futures_util::future::join_all((0..limits::POSTMEN).map(register)).await;
    assert!(others.iter().all(Result::is_ok));
    assert_eq!(own_epoch(&server), None);
    server.node.act(customers(10)).await.expect("written");
    server.node.act(mailing()).await.expect("created");
    let again = until(|| own_epoch(&server)).await;
    assert!(again > before);
    // A lease may be over before anybody looks; that a message was tried stays.
    let tried = || {
        let counts = query::stats::overall(&server.node.view().read()).expect("reads");
        (counts.total() > counts.of(Status::Created)).then_some(())
    };
    until(tried).await;
    server.stop().await.expect("it stops");
}
