//! An import through a follower while the leader changes, dies, or stays away.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::{Answer, Client, Cluster, Shape, eventually, sample_csv};

/// Rows of the file: enough for many commands before and after the leader changes.
const ROWS: u64 = 40_000;
/// Rows before the leader changes.
const FIRST: u64 = 12_000;
/// Rows of each piece that is sent.
const PIECE: u64 = 1_000;
/// Time limit of most things; far more than they need.
const SOON: Duration = Duration::from_secs(60);

/// An upload whose pieces are sent one by one.
struct Upload {
    pieces: mpsc::Sender<String>,
    answer: JoinHandle<Answer>,
}

impl Upload {
    fn begin(client: &Client) -> Self {
        let (pieces, sent) = mpsc::channel(1);
        let stream = futures_util::stream::unfold(sent, async |mut sent| {
            let piece: String = sent.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), sent))
        });
        let body = reqwest::Body::wrap_stream(Box::pin(stream));
        let client = client.clone();
        let uploading = async move { client.upload("/customers/import", "text/csv", body).await };
        Self {
            pieces,
            answer: tokio::spawn(uploading),
        }
    }

    /// Sends rows; the node takes no more while it waits for a leader. False if it takes none at all.
    async fn send(&self, from: u64, to: u64) -> bool {
        for first in (from..=to).step_by(PIECE as usize) {
            let piece = sample_csv(first, first + PIECE - 1);
            let rows = piece.split_once('\n').expect("a header").1;
            let piece = if first == 1 { &piece } else { rows };
            if self.pieces.send(piece.to_owned()).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn end(self) -> Answer {
        drop(self.pieces);
        self.answer.await.expect("the upload ends")
    }
}

/// Waits until many rows were written: so many that the node knows of the first of them.
async fn many_rows_are_there(client: &Client) {
    let row = format!("/customers/customer-{}", FIRST * 2 / 3);
    eventually("many rows are written", SOON, async || {
        let request = client.request(reqwest::Method::GET, &row);
        (client.send(request).await.status == 200).then_some(())
    })
    .await;
}

/// The number of customers on a node once it has all of them.
async fn all_rows_are_there(client: &Client) {
    let last = format!("/customers/customer-{ROWS}");
    eventually("the last row is there", SOON, async || {
        let request = client.request(reqwest::Method::GET, &last);
        let answer = client.send(request).await;
        answer.json().get("phone").is_some().then_some(())
    })
    .await;

    let mut count = 0;
    let mut after = "0".to_owned();
    loop {
        let path = format!("/customers?limit=1000&after={after}");
        let page = client.get(&path).await.expect(200);
        count += page["items"].as_array().expect("items").len() as u64;
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(count, ROWS);
}

fn all_created() -> Value {
    json!({ "created": ROWS, "updated": 0, "rejected": 0, "errors": [], "live_mailings": [] })
}

#[tokio::test]
async fn an_import_through_a_follower_goes_on_while_leadership_is_transferred() {
    let cluster = Cluster::start(Shape::default()).await;
    let follower = cluster.follower().await.client.clone();
    let upload = Upload::begin(&follower);
    assert!(upload.send(1, FIRST).await);
    many_rows_are_there(&follower).await;

    let before = cluster.leader().await;
    let transfer = eventually("another leads", SOON, async || {
        let leader = &cluster.members[before].client;
        // On a busy machine nobody may be elected in time.
        leader.put("/cluster/leader", &json!({})).await;
        (cluster.leader().await != before).then_some(())
    });
    let (sent, ()) = tokio::join!(upload.send(FIRST + 1, ROWS), transfer);
    assert!(sent);
    assert_eq!(upload.end().await.expect(200), all_created());
    for member in &cluster.members {
        all_rows_are_there(&member.client).await;
    }
}

#[tokio::test]
async fn an_import_through_a_follower_goes_on_when_the_leader_is_killed() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let follower = cluster.follower().await.client.clone();
    let upload = Upload::begin(&follower);
    assert!(upload.send(1, FIRST).await);
    many_rows_are_there(&follower).await;

    let leader = cluster.leader().await;
    cluster.members[leader].kill();
    assert!(upload.send(FIRST + 1, ROWS).await);
    assert_eq!(upload.end().await.expect(200), all_created());
    for (at, member) in cluster.members.iter().enumerate() {
        if at != leader {
            all_rows_are_there(&member.client).await;
        }
    }
}

#[tokio::test]
async fn an_import_that_finds_no_leader_names_the_last_line_that_is_in() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let follower = cluster.follower().await.client.clone();
    let upload = Upload::begin(&follower);
    assert!(upload.send(1, FIRST).await);
    many_rows_are_there(&follower).await;

    let others = [0, 1, 2].into_iter();
    let others = others.filter(|n| cluster.members[*n].client.base() != follower.base());
    let others: Vec<usize> = others.collect();
    for n in &others {
        cluster.members[*n].kill();
    }
    // The node answers before it has taken all, and then takes no more.
    upload.send(FIRST + 1, ROWS).await;
    let answer = upload.end().await;
    let problem = answer.json();
    let code = problem["code"].as_str().expect("a code");
    assert!(matches!(code, "no_leader" | "outcome_unknown"), "{problem}");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.ends_with("the file may be sent again"), "{detail}");

    let (_, named) = detail.split_once("all rows up to line ").expect(detail);
    let line: String = named.chars().take_while(char::is_ascii_digit).collect();
    let line: u64 = line.parse().expect("a line");
    // The header is line 1.
    let last = format!("/customers/customer-{}", line - 1);

    // A majority has that row. The node that was asked may not have learnt yet that it has.
    cluster.members[others[0]].start();
    let read = format!("{last}?consistency=linearizable");
    eventually("the named row is there", SOON, async || {
        let request = follower.request(reqwest::Method::GET, &read);
        let answer = follower.send(request).await;
        assert_ne!(answer.status, 404, "{}", answer.text);
        (answer.status == 200).then_some(())
    })
    .await;
}
