//! The seam for gateways, held by a gateway unlike the one over HTTP: one connection for all couriers,
//! a window of messages under way, and answers in any order, as in SMPP.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::join_all;
use notty_storage::model::{MessageId, Phone};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::{JoinHandle, yield_now},
};

use super::{Courier, Envelope, Gateway, GatewayOutcome, PreparedCourier};

/// Messages under way at once.
const WINDOW: usize = 3;
/// The answer by which the far end takes a message; any other refuses it for good.
const TAKEN: u8 = 0;

/// A message on its way to the connection.
struct Submission {
    sequence: u64,
    outcome: oneshot::Sender<GatewayOutcome>,
}

/// A gateway with one connection and a window.
struct Windowed {
    window: Arc<Semaphore>,
    submissions: mpsc::UnboundedSender<Submission>,
}

/// One of several that share the connection.
struct WindowedCourier(Arc<Windowed>);

/// A place in the window.
struct WindowPlace<'c> {
    gateway: &'c Windowed,
    _place: OwnedSemaphorePermit,
}

impl Windowed {
    /// A gateway whose far end is the stream that is returned.
    fn connect() -> (Arc<Self>, DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(1_024);
        let (submissions, submitted) = mpsc::unbounded_channel();
        let window = Arc::new(Semaphore::new(WINDOW));
        let (reader, writer) = split(near);
        let driver = tokio::spawn(drive(reader, writer, submitted, window.clone()));

        let gateway = Self {
            window,
            submissions,
        };
        (Arc::new(gateway), far, driver)
    }
}

/// Writes what is submitted, and gives each answer to the message that it belongs to.
async fn drive(
    mut reader: ReadHalf<DuplexStream>,
    mut writer: WriteHalf<DuplexStream>,
    mut submitted: mpsc::UnboundedReceiver<Submission>,
    window: Arc<Semaphore>,
) {
    let mut written = HashMap::new();
    let mut frame = [0; 9];
    let mut filled = 0;
    loop {
        tokio::select! {
            Some(submission) = submitted.recv() => {
                // From here on the far end may have it.
                written.insert(submission.sequence, submission.outcome);
                if writer.write_u64(submission.sequence).await.is_err() {
                    break;
                }
            }
            read = reader.read(&mut frame[filled..]) => {
                match read {
                    Ok(bytes @ 1..) => filled += bytes,
                    _ => break,
                }
                if filled < frame.len() {
                    continue;
                }
                filled = 0;
                let (sequence, code) = frame.split_first_chunk().expect("nine bytes");
                let answer = if code == [TAKEN] { GatewayOutcome::Done } else { GatewayOutcome::Invalid };
                if let Some(outcome) = written.remove(&u64::from_be_bytes(*sequence)) {
                    let _ = outcome.send(answer);
                }
            }
        }
    }

    // Nobody begins any more; what was written is in doubt, what was not is dropped, and not sent.
    window.close();
    for outcome in written.into_values() {
        let _ = outcome.send(GatewayOutcome::Unsure);
    }
}

impl Gateway for Windowed {
    type Courier = WindowedCourier;

    fn identity(&self, cluster: &str) -> u64 {
        cluster.len() as u64
    }

    fn courier(self: &Arc<Self>) -> WindowedCourier {
        WindowedCourier(self.clone())
    }
}

impl Courier for WindowedCourier {
    type PreparedCourier<'c> = WindowPlace<'c>;

    async fn prepare(&mut self) -> Option<WindowPlace<'_>> {
        let place = self.0.window.clone().acquire_owned().await.ok()?;
        Some(WindowPlace {
            gateway: &self.0,
            _place: place,
        })
    }
}

impl PreparedCourier for WindowPlace<'_> {
    async fn send(self, envelope: Envelope<'_>) -> GatewayOutcome {
        let (outcome, answered) = oneshot::channel();
        let submission = Submission {
            sequence: envelope.id.as_u64(),
            outcome,
        };
        // A submission that is dropped was never written.
        match self.gateway.submissions.send(submission) {
            Ok(()) => answered.await.unwrap_or(GatewayOutcome::NotSent),
            Err(_) => GatewayOutcome::NotSent,
        }
    }
}

fn envelope(n: u64) -> Envelope<'static> {
    Envelope {
        id: MessageId::from_u64((1 << 32) + n).expect("an id"),
        phone: Phone::parse("+79161112233").expect("a phone number"),
        text: "Hello",
        receipt_url: "",
    }
}

/// The steps of a postman's slot, over any gateway.
async fn hand_over<G: Gateway>(gateway: &Arc<G>, n: u64) -> Option<GatewayOutcome> {
    let mut courier = gateway.courier();
    let prepared = courier.prepare().await?;
    Some(prepared.send(envelope(n)).await)
}

/// Reads so many messages at the far end, and makes sure that no more are there.
async fn received(far: &mut DuplexStream, count: usize) -> Vec<u64> {
    let mut sequences = Vec::new();
    for _ in 0..count {
        sequences.push(far.read_u64().await.expect("a message"));
    }
    for _ in 0..100 {
        yield_now().await;
    }
    let more = futures_util::FutureExt::now_or_never(far.read_u64());
    assert!(more.is_none(), "the window holds {count}");
    sequences
}

async fn answer(far: &mut DuplexStream, sequence: u64, code: u8) {
    far.write_u64(sequence).await.expect("it is read");
    far.write_u8(code).await.expect("it is read");
}

#[tokio::test]
async fn many_messages_share_a_connection_and_are_answered_in_any_order() {
    let (gateway, mut far, _driver) = Windowed::connect();
    let sending = tokio::spawn({
        let gateway = gateway.clone();
        async move { join_all((0..5).map(|n| hand_over(&gateway, n))).await }
    });

    let first = received(&mut far, WINDOW).await;
    // The last one first; one refusal makes room for one more message.
    answer(&mut far, first[2], 7).await;
    let fourth = received(&mut far, 1).await;
    answer(&mut far, fourth[0], TAKEN).await;
    let fifth = received(&mut far, 1).await;
    for sequence in [fifth[0], first[0], first[1]] {
        answer(&mut far, sequence, TAKEN).await;
    }

    let outcomes = sending.await.expect("no panic");
    let refused = (first[2] - (1 << 32)) as usize;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let wanted = if n == refused {
            GatewayOutcome::Invalid
        } else {
            GatewayOutcome::Done
        };
        assert_eq!(outcome, Some(wanted), "message {n}");
    }
}

#[tokio::test]
async fn a_lost_connection_leaves_in_doubt_what_was_written_and_nothing_else() {
    let (gateway, mut far, driver) = Windowed::connect();
    let sending = tokio::spawn({
        let gateway = gateway.clone();
        async move { join_all((0..5).map(|n| hand_over(&gateway, n))).await }
    });
    let written = received(&mut far, WINDOW).await;
    drop(far);
    driver.await.expect("no panic");

    let outcomes = sending.await.expect("no panic");
    for (n, outcome) in (0..5).zip(outcomes) {
        let was_written = written.contains(&((1 << 32) + n));
        assert_eq!(
            outcome,
            was_written.then_some(GatewayOutcome::Unsure),
            "message {n}"
        );
    }
}

#[tokio::test]
async fn a_handover_that_is_not_used_gives_its_place_back() {
    let (gateway, _far, _driver) = Windowed::connect();
    let mut courier = gateway.courier();
    for _ in 0..2 * WINDOW {
        // A postman drops it when a second look finds that the message may not be sent any more.
        assert!(courier.prepare().await.is_some());
    }
    assert_eq!(gateway.window.available_permits(), WINDOW);
}
