//! The operator: changes the cluster as a person would, by asking any node, again and again until it
//! is done.

use std::{sync::Arc, time::Duration};

use hyper::{Method, StatusCode};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::sync::mpsc;

use super::http::{Ask, ask};
use crate::{plan::TOKEN, stage::Stage};

/// What the operator is to see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A node is taken into the cluster.
    Add(usize),
    /// A node is taken out.
    Remove(usize),
}

/// The operator, and how the world gives tasks to it.
#[derive(Clone)]
pub struct Operator {
    stage: Arc<Stage>,
    /// Tasks that are not done yet.
    open: Arc<Mutex<usize>>,
    tasks: mpsc::UnboundedSender<Task>,
    inbox: Arc<Mutex<Option<mpsc::UnboundedReceiver<Task>>>>,
}

impl Operator {
    /// One with nothing to do.
    pub fn new(stage: Arc<Stage>) -> Self {
        let (tasks, inbox) = mpsc::unbounded_channel();
        Self {
            stage,
            open: Arc::default(),
            tasks,
            inbox: Arc::new(Mutex::new(Some(inbox))),
        }
    }

    /// Gives it one more thing to do.
    pub fn give(&self, task: Task) {
        *self.open.lock() += 1;
        let _ = self.tasks.send(task);
    }

    /// Whether it has done all that it was told.
    pub fn is_done(&self) -> bool {
        *self.open.lock() == 0
    }

    /// Works for ever, one task after the other.
    pub async fn run(self) -> turmoil::Result {
        let Some(mut inbox) = self.inbox.lock().take() else {
            return Ok(());
        };
        let mut rng = StdRng::seed_from_u64(self.stage.plan.seed ^ 0x6f70_6572);
        while let Some(task) = inbox.recv().await {
            while !self.try_once(task, &mut rng).await {
                let pause = rng.random_range(200..1_500);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            *self.open.lock() -= 1;
        }
        Ok(())
    }

    async fn try_once(&self, task: Task, rng: &mut StdRng) -> bool {
        let plan = &self.stage.plan;
        let (Task::Add(machine) | Task::Remove(machine)) = task;
        let name = plan.host(machine);
        let path = format!("/cluster/nodes/{name}");
        let what = match task {
            Task::Add(_) => {
                let (peer, api) = (format!("{name}:7080"), format!("http://{name}:8080"));
                let body = serde_json::json!({ "peer": peer, "api": api }).to_string();
                let body = Some(("application/json", body));
                Ask {
                    method: Method::PUT,
                    path,
                    body,
                    key: None,
                }
            }
            Task::Remove(_) => Ask {
                method: Method::DELETE,
                path,
                body: None,
                key: None,
            },
        };
        let asked = plan.host(rng.random_range(0..plan.nodes + plan.spares));
        let Ok(got) = ask(&asked, TOKEN, &what).await else {
            return false;
        };
        let was_out = got.status == StatusCode::NOT_FOUND && matches!(task, Task::Remove(_));
        let done = got.status.is_success() || was_out;
        let status = got.status.as_u16();
        let why = if done { "" } else { got.body.as_str() };
        self.stage
            .remark(&format!("operator: {task:?} by {asked}: {status} {why}"));
        done
    }
}
