//! Tests of how receipts are gathered, with a proposer that notes its commands.

use notty_storage::model::{ErrorCode, MailingNumber, MessageId, ReceiptState};
use parking_lot::Mutex;

use super::*;

/// Notes commands; refuses what is about an odd position.
#[derive(Default)]
struct Noting(Mutex<Vec<TakeReceipts>>);

impl Propose for Noting {
    async fn propose(&self, take: TakeReceipts) -> Result<(u64, ReceiptsTaken), ProposeError> {
        let receipts = (0..).zip(&take.receipts);
        let odd = receipts.filter(|(_, receipt)| receipt.message.position % 2 == 1);
        let refused = odd.map(|(index, _)| (index, ReceiptRefusal::NeverSent));
        let reply = ReceiptsTaken {
            refused: refused.collect(),
            ..ReceiptsTaken::default()
        };
        self.0.lock().push(take);
        Ok((7, reply))
    }
}

fn receipt(batch: u32, index: u32) -> ReceiptNote {
    ReceiptNote {
        message: MessageId {
            mailing: MailingNumber(1),
            position: (batch << BATCH_STRIDE_BITS) | index,
        },
        state: ReceiptState::Delivered,
        error: ErrorCode::default(),
    }
}

fn waiting(receipt: ReceiptNote) -> WaitingReceipt {
    let (answer, _) = oneshot::channel();
    WaitingReceipt { receipt, answer }
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_one_command_and_each_gets_its_own_answer() {
    let (gatherer, gathered) = ReceiptGatherer::new();
    let noting = Arc::new(Noting::default());
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(gathered.propose_to(noting.clone(), stopped));

    let answers = (0..10).map(|index| gatherer.take(receipt(0, 9 - index)));
    let answers = futures_util::future::join_all(answers).await;
    for (index, answer) in answers.into_iter().enumerate() {
        let refused = Err(ReceiptFault::Refused(ReceiptRefusal::NeverSent));
        assert_eq!(
            answer,
            if index % 2 == 0 { refused } else { Ok(7) },
            "{index}"
        );
    }
    assert_eq!(noting.0.lock().len(), 1, "one command for all");

    stop.send_replace(true);
    running.await.expect("it ends");
    assert_eq!(gatherer.take(receipt(0, 0)).await, Err(super::stopped()));
}

#[test]
fn a_command_is_about_few_batches_and_has_each_of_them_whole() {
    let many = (0..120).flat_map(|batch| [receipt(batch, 3), receipt(batch, 2)]);
    let groups = groups(many.rev().map(waiting).collect());
    let sizes: Vec<_> = groups.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 40]);
    for group in groups {
        let receipts = group.into_iter().map(|waiting| waiting.receipt).collect();
        let take = notty_storage::Command::new(TakeReceipts { receipts }.into());
        assert!(take.cost().batches as usize <= RECEIPT_BATCHES);
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_what_may_wait_a_gateway_is_asked_to_come_again() {
    let (gatherer, gathered) = ReceiptGatherer::new();
    let mut taken: Vec<_> = (0..=WAITING as u32)
        .map(|index| Box::pin(gatherer.take(receipt(0, index % 1_000))))
        .collect();
    // The last finds no place at once; the others wait for nobody.
    let last = taken.pop().expect("the last");
    let waits = futures_util::future::join_all(taken);
    tokio::pin!(waits);
    assert!(futures_util::poll!(&mut waits).is_pending());
    assert_eq!(last.await, Err(ReceiptFault::TooMany));
    drop(gathered);
}
