//! The node's own postman, which pauses while the node is about to leave the cluster.

use std::sync::Arc;

use notty_raft::Node;
use tokio::sync::watch;

use super::supervision::is_stopped;
use crate::{
    gateway::Gateway,
    postman::{Postman, PostmanError, PostmanOptions, PostmanParts},
};

/// Runs the postman of a node until it is stopped. While the node is about to be removed from the
/// cluster, the postman hands back what it has. It is in order that a newer postman of the same name
/// replaces it: then there is one that sends.
pub(super) async fn run(
    options: PostmanOptions,
    parts: PostmanParts<impl Gateway>,
    node: Arc<Node>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut may_work = node.may_work();
    while !is_stopped(&stop) {
        // A node that is about to be removed waits until this is false again.
        node.set_at_work(true);
        let run = run_once(&options, &parts, &mut stop, &mut may_work).await;
        node.set_at_work(false);

        match run {
            Ok(()) if is_stopped(&stop) => return Ok(()),
            Ok(()) if *may_work.borrow() => return Err("it returned".to_owned()),
            // Stopped for a removal. It runs anew if the node is not removed after all.
            Ok(()) => {}

            Err(error @ PostmanError::Replaced) => {
                tracing::error!("{error}; this node sends nothing more until it is started again");
                return Ok(());
            }
            Err(PostmanError::Forgotten) => {
                tracing::info!(
                    "the cluster has forgotten the postman, because it had nothing to send for \
                     long: it registers anew"
                );
            }
            Err(error) => return Err(error.to_string()),
        }

        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            _ = may_work.wait_for(|may_work| *may_work) => {}
        }
    }
    Ok(())
}

/// Runs the postman until it ends by itself, is stopped, or may not work any more.
async fn run_once(
    options: &PostmanOptions,
    parts: &PostmanParts<impl Gateway>,
    stop: &mut watch::Receiver<bool>,
    may_work: &mut watch::Receiver<bool>,
) -> Result<(), PostmanError> {
    let (stop_run, run_stopped) = watch::channel(false);
    let mut run = std::pin::pin!(Postman::run(options.clone(), parts.clone(), run_stopped));

    tokio::select! {
        ended = &mut run => return ended,
        _ = stop.wait_for(|stop| *stop) => {}
        _ = may_work.wait_for(|may_work| !may_work) => {}
    }

    // Not dropped: it still ends its requests in progress and hands back the rest. Otherwise the rest
    // would wait until the lease expires.
    stop_run.send_replace(true);
    run.await
}
