//! The SMS gateway: takes messages, or does one of the things that gateways do on bad days.

use std::{collections::BTreeSet, io, net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{AUTHORIZATION, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use turmoil::net::{TcpListener, TcpStream};

use super::receipts::{self, Reporter};
use crate::{
    clock,
    event::Event,
    plan::{GatewayMix, Mood},
    stage::Stage,
};

/// The status of its answers while it takes nothing.
pub const NO_MONEY: u16 = 402;
/// The status of its answer to a text that it forbids.
pub const FORBIDDEN: u16 = 451;

/// The gateway, over all of its connections.
pub struct SimGateway {
    stage: Arc<Stage>,
    reporter: Arc<Reporter>,
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    mix: GatewayMix,
    /// Messages that it took, by account: each has a memory of its own.
    taken: BTreeSet<(String, u64)>,
}

impl SimGateway {
    /// Well, for now.
    pub fn new(stage: Arc<Stage>) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(stage.plan.seed ^ 0x6761_7465);
        let state = State {
            rng,
            mix: stage.plan.gateway,
            taken: BTreeSet::new(),
        };
        Arc::new(Self {
            reporter: Reporter::new(stage.clone()),
            stage,
            state: Mutex::new(state),
        })
    }

    /// From now on it behaves like this.
    pub fn behave(&self, mix: GatewayMix) {
        self.state.lock().mix = mix;
    }

    /// True if each of its receipts had an answer.
    pub fn has_reported(&self) -> bool {
        self.reporter.has_reported()
    }

    /// Takes connections for ever.
    pub async fn run(self: Arc<Self>) -> turmoil::Result {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 9090)).await?;
        loop {
            let (stream, from) = listener.accept().await?;
            if self.draw(Mood::Closes) {
                continue;
            }
            let host = turmoil::reverse_lookup(from.ip()).unwrap_or_default();
            tokio::spawn(self.clone().serve(stream, host));
        }
    }

    fn draw(&self, mood: Mood) -> bool {
        let mut state = self.state.lock();
        let per_mille = state.mix.of(mood);
        state.rng.random_ratio(per_mille.min(1_000), 1_000)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, host: String) {
        let service = service_fn(|request| self.clone().answer(request, &host));
        // A reset is the end of the connection; which kind does not matter here.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        host: &str,
    ) -> io::Result<Response<Full<Bytes>>> {
        let id = request
            .uri()
            .path()
            .strip_prefix("/v1/send/")
            .and_then(|id| id.parse().ok());
        let id: u64 = id.ok_or(io::ErrorKind::InvalidData)?;
        let account = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let account = account.unwrap_or_default().to_owned();
        let in_head = receipts::path_of(request.headers());
        let whole = request.into_body().collect().await;
        let whole = whole.map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let body = serde_json::from_slice(&whole.to_bytes()).unwrap_or(Value::Null);
        let halts = self.halting_mood(host, body["text"].as_str().unwrap_or_default());
        let (mood, pause) = self.decide(account, id, halts);
        let receipts = in_head.or_else(|| receipts::path_in(&body));
        if let Some(path) = receipts.filter(|_| mood.takes()) {
            self.reporter.report(id, &path);
        }
        tokio::time::sleep(pause).await;
        let (status, body) = match mood {
            Mood::Takes => (200, r#"{"code": 0, "message": "OK"}"#),
            Mood::TakesAndHangs | Mood::Hangs => std::future::pending().await,
            Mood::TakesAndResets | Mood::Resets | Mood::Closes => {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Mood::TakesAndSays502 | Mood::Says502 => (502, "bad gateway"),
            Mood::TakesAndRaves => (200, "\u{1}\u{2} no JSON"),
            Mood::TakesAndDoubts => (200, r#"{"code": 17, "message": "hm"}"#),
            Mood::Says429 => (429, "slow down"),
            Mood::Says503 | Mood::TakesAndSays503 => (503, "not now"),
            Mood::AsksToWait => (429, "wait"),
            Mood::HasNoMoney => (NO_MONEY, r#"{"code": 2, "message": "no money"}"#),
            Mood::ForbidsText => (FORBIDDEN, r#"{"code": 3, "message": "not this text"}"#),
            Mood::Refuses => (400, r#"{"code": 1, "message": "no such phone"}"#),
        };
        self.stage.tell(&Event::Answered { id, status });
        let mut response = Response::builder().status(status);
        if mood == Mood::AsksToWait {
            response = response.header(RETRY_AFTER, self.stage.plan.wait_s);
        }
        let response = response.body(Full::new(Bytes::from_static(body.as_bytes())));
        Ok(response.expect("all of its parts are valid"))
    }

    /// The mood in which it halts, where the plan says so for now.
    fn halting_mood(&self, host: &str, text: &str) -> Option<Mood> {
        let now_ms = clock::now().as_millis() as u64;
        let span = self.stage.plan.halt_of(now_ms, host, text)?;
        let forbids = span.mailing.map(|_| Mood::ForbidsText);
        Some(forbids.unwrap_or(Mood::HasNoMoney))
    }

    /// What becomes of a request, decided at once; the answer takes its time.
    fn decide(&self, account: String, id: u64, halts: Option<Mood>) -> (Mood, Duration) {
        let mut state = self.state.lock();
        let key = (account, id);
        let known = state.taken.contains(&key);
        let drawn = {
            let State { rng, mix, .. } = &mut *state;
            halts.unwrap_or_else(|| mix.draw(rng))
        };
        // A repeat may be declined too, which says nothing of the try before it.
        let dropped = known && self.stage.plan.idempotent && !drawn.declines();
        let mood = if dropped { Mood::Takes } else { drawn };
        let taken = mood.takes() && !dropped;
        if taken {
            state.taken.insert(key);
        }
        let (least, most) = state.mix.latency_ms;
        let pause = Duration::from_millis(state.rng.random_range(least..=most));
        drop(state);
        let how = format!("{mood:?}");
        self.stage.tell(&Event::Received {
            id,
            taken,
            dropped,
            halts: mood.halts(),
            how: &how,
        });
        (mood, pause)
    }
}
