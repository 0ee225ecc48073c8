//! A client: owns some customers and mailings, writes and reads them through any node, and tells
//! what it was told.

use std::{sync::Arc, time::Duration};

use hyper::{Method, StatusCode};
use jiff::Timestamp as Instant;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::http::{Ask, Got, Lost, ask};
use crate::{
    clock,
    event::{Event, Outcome, Told},
    plan::{Fate, MailingPlan, TOKEN},
    stage::Stage,
};

/// Customers of one upload.
const ROWS: u32 = 100;
/// Tries of a write that can be repeated.
const TRIES: u32 = 40;
/// Customers that a client writes one by one.
const OWN: u32 = 12;
/// Phones that each client's own customers have in turns.
const PHONES: u64 = 8;

/// A client.
pub struct Client {
    number: usize,
    stage: Arc<Stage>,
    rng: Mutex<StdRng>,
    done: Arc<Mutex<usize>>,
}

/// What came of one try.
enum Tried {
    Got(Got),
    /// It was certainly not executed.
    Not,
    /// It may have been.
    Unknown,
}

/// The tag of a customer that was imported, by its number.
pub fn imported_tag(number: u32) -> &'static str {
    ["a-new", "a-old", "b-new", "b-old"][number as usize % 4]
}

fn judge(answer: Result<Got, Lost>) -> Tried {
    match answer {
        Err(Lost::NotSent) => Tried::Not,
        Err(Lost::Unanswered) => Tried::Unknown,
        Ok(got) if got.status == StatusCode::SERVICE_UNAVAILABLE => Tried::Not,
        Ok(got) if got.status.is_server_error() => Tried::Unknown,
        Ok(got) => Tried::Got(got),
    }
}

impl Client {
    /// One of the plan's; counts itself in `done` when it has ended.
    pub fn new(number: usize, stage: Arc<Stage>, done: Arc<Mutex<usize>>) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(stage.plan.seed ^ (0x636c_0000 + number as u64));
        Arc::new(Self {
            number,
            stage,
            rng: Mutex::new(rng),
            done,
        })
    }

    /// Works until it is quiet, then looks at all it wrote.
    pub async fn run(self: Arc<Self>) -> turmoil::Result {
        self.import().await;
        let plan = &self.stage.plan;
        let mine = (0..)
            .zip(&plan.mailings)
            .filter(|(n, _)| n % plan.clients == self.number);
        let keep =
            |(_, mailing): (usize, &MailingPlan)| tokio::spawn(self.clone().keep(mailing.clone()));
        let kept: Vec<_> = mine.map(keep).collect();
        while self.elapsed_ms() < plan.quiet_ms {
            self.write_some().await;
            let pause = self.draw(50..900);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        // What it still asks for may be there before its answer is.
        for kept in kept {
            kept.await?;
        }
        self.look_again().await;
        *self.done.lock() += 1;
        std::future::pending().await
    }

    fn elapsed_ms(&self) -> u64 {
        clock::now().as_millis() as u64
    }

    fn draw(&self, range: std::ops::Range<u64>) -> u64 {
        self.rng.lock().random_range(range)
    }

    async fn until(&self, ms: u64) {
        let left = ms.saturating_sub(self.elapsed_ms());
        tokio::time::sleep(Duration::from_millis(left)).await;
    }

    /// Asks any node.
    async fn ask(&self, what: &Ask) -> Result<Got, Lost> {
        let machine = self.draw(0..self.stage.plan.nodes as u64) as usize;
        let floor = self
            .stage
            .ask(|facts| facts.served.get(&machine).copied().unwrap_or_default());
        let answer = ask(&format!("notty-{machine}"), TOKEN, what).await;
        let reads = |got: &Got| got.status.is_success() && what.method == Method::GET;
        if let Ok(got) = &answer
            && let Some(index) = got.index.filter(|_| reads(got))
        {
            self.stage.tell(&Event::Told(Told::Position {
                machine,
                index,
                floor,
            }));
        }
        if answer == Err(Lost::Unanswered) {
            self.stage.count("lost reply to a client", 1);
        }
        answer
    }

    /// Asks again and again until it is clear what came of it; the request can be repeated.
    async fn insist(&self, what: &Ask) -> Option<Got> {
        for _ in 0..TRIES {
            match judge(self.ask(what).await) {
                Tried::Got(got) => return Some(got),
                Tried::Not | Tried::Unknown => {}
            }
            let pause = self.draw(100..1_500);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        None
    }

    fn told(&self, key: &str, value: Option<&str>, outcome: Outcome) {
        self.stage.tell(&Event::Told(Told::Write {
            key,
            value,
            outcome,
        }));
    }

    /// The customers that everything begins with; each client brings its share.
    async fn import(&self) {
        let plan = &self.stage.plan;
        let share = plan.customers / plan.clients as u32;
        for from in (0..share).step_by(ROWS as usize) {
            let mut rows = "id,name,phone,operator,tag\n".to_owned();
            for n in from..(from + ROWS).min(share) {
                let n = self.number as u32 * 100_000 + n;
                let tag = imported_tag(n);
                rows.push_str(&format!("i{n},Somebody,+7916{n:07},МТС,{tag}\n"));
            }
            let body = Some(("text/csv", rows));
            let what = Ask {
                method: Method::POST,
                path: "/customers/import".into(),
                body,
                key: None,
            };
            let answer = self.insist(&what).await;
            if answer.is_some_and(|got| got.status.is_success()) {
                let first = self.number as u32 * 100_000 + from;
                let count = ROWS.min(share - from);
                self.stage
                    .tell(&Event::Told(Told::Imported { first, count }));
            } else {
                self.stage
                    .remark(&format!("client {} gives up an import", self.number));
            }
        }
    }

    /// Creates a mailing and does to it what is planned.
    async fn keep(self: Arc<Self>, mailing: MailingPlan) {
        self.until(mailing.at_ms).await;
        let id = &mailing.id;
        let key = format!("mailing/{id}");
        let created = self
            .post("/mailings", Some(self.mailing(&mailing, mailing.end_ms)))
            .await;
        self.tell_created(&key, "kept", created);
        match mailing.fate {
            Fate::Kept => {}
            Fate::Cancelled(at) => {
                self.until(at).await;
                let outcome = self.post(&format!("/mailings/{id}/cancel"), None).await;
                self.tell_created(&key, "cancelled", outcome);
            }
            Fate::Deleted(at) => {
                self.until(at).await;
                self.change(Method::DELETE, &format!("/mailings/{id}"), None, &key, None)
                    .await;
            }
            Fate::Paused(from, to) => {
                self.until(from).await;
                self.post(&format!("/mailings/{id}/pause"), None).await;
                self.until(to).await;
                self.post(&format!("/mailings/{id}/resume"), None).await;
            }
            Fate::Shortened(at, end) => {
                self.until(at).await;
                let body = Some(("application/json", self.mailing(&mailing, end)));
                let path = format!("/mailings/{id}");
                self.change(Method::PUT, &path, body, &key, Some("kept"))
                    .await;
            }
        }
    }

    fn mailing(&self, mailing: &MailingPlan, end_ms: u64) -> String {
        let time = |ms: u64| {
            let at = Instant::from_millisecond(self.stage.plan.base_ms + ms as i64);
            at.map(|at| at.to_string()).unwrap_or_default()
        };
        let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let window = mailing
            .window
            .map(|(from, to)| serde_json::json!({ "from": clock(from), "to": clock(to) }));
        let mut body = serde_json::json!({
            "id": mailing.id,
            "desc": "simulated",
            "text": self.stage.plan.text(mailing),
            "start": time(mailing.start_ms),
            "end": time(end_ms),
            "tag_filter": mailing.tag_filter,
        });
        if let Some(window) = window {
            body["send_window"] = window;
        }
        body.to_string()
    }

    /// A POST that is repeated under its key until it is clear what came of it.
    async fn post(self: &Arc<Self>, path: &str, body: Option<String>) -> Option<Got> {
        let key = Some(format!(
            "{}-{}",
            self.number,
            self.rng.lock().random::<u64>()
        ));
        let body = body.map(|body| ("application/json", body));
        let what = Ask {
            method: Method::POST,
            path: path.into(),
            body,
            key,
        };
        let first = self.insist(&what).await?;
        // Some ask once more, as clients do that lost the answer on their side.
        match self.draw(0..6) {
            0 => self.repeat(&what, &first).await,
            1 => {
                let (this, first) = (self.clone(), first.clone());
                tokio::spawn(async move {
                    let later = this.draw(2_000..12_000);
                    tokio::time::sleep(Duration::from_millis(later)).await;
                    this.repeat(&what, &first).await;
                });
            }
            _ => {}
        }
        Some(first)
    }

    /// A repeat under the same key gets the first answer, whatever has become of it since.
    async fn repeat(&self, what: &Ask, first: &Got) {
        if let Some(again) = self.insist(what).await {
            let same = (again.status, &again.body) == (first.status, &first.body);
            self.stage.tell(&Event::Told(Told::Repeated {
                what: &what.path,
                same,
            }));
        }
    }

    fn tell_created(&self, key: &str, value: &str, answer: Option<Got>) {
        let outcome = match answer {
            None => Outcome::Unknown,
            Some(got) if got.status.is_success() => Outcome::Done,
            Some(_) => Outcome::Refused,
        };
        self.told(key, Some(value), outcome);
    }

    /// A write without a key: tried once, and perhaps never known.
    async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, String)>,
        key: &str,
        value: Option<&str>,
    ) {
        let what = Ask {
            method,
            path: path.into(),
            body,
            key: None,
        };
        let outcome = match judge(self.ask(&what).await) {
            Tried::Not => Outcome::Refused,
            Tried::Unknown => Outcome::Unknown,
            Tried::Got(got) if got.status.is_success() => Outcome::Done,
            Tried::Got(_) => Outcome::Refused,
        };
        self.told(key, value, outcome);
    }

    /// Writes or reads one of the own customers.
    async fn write_some(self: &Arc<Self>) {
        let n = self.draw(0..u64::from(OWN));
        let id = format!("c{}-{n}", self.number);
        let key = format!("customer/{id}");
        let tag = self.tag();
        let path = format!("/customers/{id}");
        // They share phones, and each write may give one to another.
        let number = self.number as u64 * 100_000 + 50_000 + self.draw(0..PHONES);
        let body = serde_json::json!({
            "id": id, "name": "Own", "phone": format!("+7916{number:07}"), "tag": tag,
        });
        match self.draw(0..10) {
            0..=2 => {
                let created = self.post("/customers", Some(body.to_string())).await;
                self.tell_created(&key, &tag, created);
            }
            3 | 4 => {
                let body = Some(("application/json", body.to_string()));
                self.change(Method::PUT, &path, body, &key, Some(&tag))
                    .await;
            }
            5 => self.change(Method::DELETE, &path, None, &key, None).await,
            6 | 7 => self.read(&path, &key).await,
            8 => self.peek("/stats").await,
            _ => {
                // An imported customer goes; nobody writes it again.
                let n = self.number as u64 * 100_000 + self.draw(0..100);
                let path = format!("/customers/i{n}");
                self.change(Method::DELETE, &path, None, &format!("gone/i{n}"), None)
                    .await;
            }
        }
    }

    fn tag(&self) -> String {
        let mut rng = self.rng.lock();
        let kind = ["a-new", "b-new"]
            .choose(&mut *rng)
            .expect("it is not empty");
        format!("{kind}-{}", rng.random_range(0..1_000_000))
    }

    /// Reads what the leader knows.
    async fn read(&self, path: &str, key: &str) {
        let path = format!("{path}?consistency=linearizable");
        let what = Ask {
            method: Method::GET,
            path,
            body: None,
            key: None,
        };
        let Ok(got) = self.ask(&what).await else {
            return;
        };
        let body: serde_json::Value = serde_json::from_str(&got.body).unwrap_or_default();
        let field = if key.starts_with("mailing/") {
            "status"
        } else {
            "tag"
        };
        let value = match got.status {
            StatusCode::OK => body[field].as_str(),
            StatusCode::NOT_FOUND => None,
            _ => return,
        };
        self.stage.tell(&Event::Told(Told::Read { key, value }));
    }

    /// Reads what any node knows.
    async fn peek(&self, path: &str) {
        let what = Ask {
            method: Method::GET,
            path: path.into(),
            body: None,
            key: None,
        };
        let _ = self.ask(&what).await;
    }

    /// Reads everything that it wrote, once it is quiet.
    async fn look_again(&self) {
        tokio::time::sleep(Duration::from_secs(8)).await;
        for n in 0..OWN {
            let id = format!("c{}-{n}", self.number);
            self.read(&format!("/customers/{id}"), &format!("customer/{id}"))
                .await;
        }
        let plan = &self.stage.plan;
        let mine = (0..)
            .zip(&plan.mailings)
            .filter(|(n, _)| n % plan.clients == self.number);
        for (_, mailing) in mine {
            let id = &mailing.id;
            self.read(&format!("/mailings/{id}"), &format!("mailing/{id}"))
                .await;
        }
    }
}
