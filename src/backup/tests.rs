//! Backups that a node makes by itself, without the rest of the service.

use std::{fs, io::Read, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use notty_raft::{Node, SystemClock, backup::beside::copy_beside};
use tokio::sync::watch;

use super::automatic::{AutomaticBackups, name_good_one};
use crate::{
    config::BackupConfig,
    metrics::{BackupMetrics, Metrics, MetricsForm},
    post_office::tests::{SOON, customers, open},
};

/// Figures of a node's own backups, as the metrics have them.
struct Figures(Metrics, Arc<Node>);

impl Figures {
    fn of(node: &Arc<Node>) -> (Self, BackupMetrics) {
        let mut metrics = Metrics::of_node(Path::new("/"));
        let counters = metrics.register_backups();
        (Self(metrics, node.clone()), counters)
    }

    fn value(&self, name: &str) -> f64 {
        let figures = crate::metrics::NodeFigures {
            node: self.1.status(),
            seen: Vec::new(),
            state: Default::default(),
        };
        let text = self.0.text(&figures, MetricsForm::Plain);
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        let value = values.find_map(|rest| rest.strip_prefix(' '));
        value.expect("it is there").parse().expect("a number")
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("in time");
}

fn config(dir: &Path, every: &str, keep: u32) -> BackupConfig {
    BackupConfig {
        every: every.to_owned().try_into().expect("a duration"),
        dir: dir.to_owned(),
        keep,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_good_private_and_no_more_than_are_kept() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("a/backups");
    let data = tempfile::tempdir().expect("a directory");
    let (node, _office) = open(&data, Arc::default()).await;
    node.act(customers(5)).await.expect("written");
    let (figures, counters) = Figures::of(&node);
    assert_eq!(
        figures.value("notty_backup_last_success_timestamp_seconds"),
        0.0
    );

    // What a node that was killed in the middle left, and what somebody else put there.
    fs::create_dir_all(&dir).expect("created");
    fs::write(dir.join(".notty-notty-0-20200101T000000Z.new"), b"half").expect("written");
    fs::write(dir.join("notty-notty-1-20200101T000000Z"), b"another's").expect("written");
    fs::write(dir.join("notty-notty-0-20200101T000000Z"), b"old").expect("written");

    let (stop, stopped) = watch::channel(false);
    let clock = Arc::new(SystemClock);
    let backups = AutomaticBackups::new(&config(&dir, "1s", 2), node.clone(), clock, counters);
    let running = tokio::spawn(backups.run(stopped));
    let old = dir.join("notty-notty-0-20200101T000000Z");
    until(|| !old.exists() && names(&dir).len() == 3).await;
    stop.send_replace(true);
    running.await.expect("it ends");

    let own: Vec<_> = names(&dir)
        .into_iter()
        .filter(|name| name.starts_with("notty-notty-0-"))
        .collect();
    assert!((1..=3).contains(&own.len()), "{own:?}");
    for name in &own {
        let path = dir.join(name);
        let good = super::check(&path).expect("it is a good backup");
        assert_eq!(good.contents.customers, 5);
        assert_eq!(
            fs::metadata(&path)
                .expect("it is there")
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    assert!(figures.value("notty_backup_last_success_timestamp_seconds") > 1.7e9);
    assert!(figures.value("notty_backup_size_bytes") > 0.0);
    assert_eq!(figures.value("notty_backup_failures_total"), 0.0);
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_fails_is_counted_and_removes_no_older_one() {
    let home = tempfile::tempdir().expect("a directory");
    let data = tempfile::tempdir().expect("a directory");
    let (node, _office) = open(&data, Arc::default()).await;
    let (figures, counters) = Figures::of(&node);

    // Without this directory no copy of the state can be made.
    let snapshots = data.path().join("snapshots");
    let away = data.path().join("away");
    fs::rename(&snapshots, &away).expect("renamed");
    let dir = home.path().join("backups");
    let old = dir.join("notty-notty-0-20200101T000000Z");
    fs::create_dir(&dir).expect("created");
    fs::write(&old, b"old").expect("written");

    let (stop, stopped) = watch::channel(false);
    let clock = Arc::new(SystemClock);
    let backups = AutomaticBackups::new(&config(&dir, "1s", 1), node.clone(), clock, counters);
    let running = tokio::spawn(backups.run(stopped));
    until(|| figures.value("notty_backup_failures_total") >= 2.0).await;
    let names_after = names(&dir);
    assert_eq!(names_after, ["notty-notty-0-20200101T000000Z"]);

    // Once that is mended, it goes on by itself, and only then the old one goes.
    fs::rename(&away, &snapshots).expect("renamed");
    let newest = "notty_backup_last_success_timestamp_seconds";
    until(|| figures.value(newest) > 1.7e9 && !old.exists()).await;
    stop.send_replace(true);
    running.await.expect("it ends");
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_gets_its_name_only_if_it_reads_back_as_it_was_written() {
    let data = tempfile::tempdir().expect("a directory");
    let (node, _office) = open(&data, Arc::default()).await;
    let mut copy = node.back_up("0.0.0").expect("a copy");
    let mut good = copy.header.clone();
    copy.snapshot.read_to_end(&mut good).expect("read");
    let written = (copy.index, copy.bytes);

    let (aside, path) = (data.path().join("aside"), data.path().join("named"));
    let mut flipped = good.clone();
    let middle = flipped.len() - 9;
    flipped[middle] ^= 1;
    let cut = good[..good.len() - 1].to_vec();
    for bad in [flipped, cut] {
        fs::write(&aside, bad).expect("written");
        name_good_one(&aside, &path, written).expect_err("it is damaged");
        assert!(!path.exists());
    }

    // A whole backup of another moment is not the one that was written.
    fs::write(&aside, &good).expect("written");
    let other = (written.0 + 1, written.1);
    name_good_one(&aside, &path, other).expect_err("it is another");
    assert!(!path.exists());
    name_good_one(&aside, &path, written).expect("it is good");
    assert!(path.exists() && !aside.exists());
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_before_a_migration_opens_as_the_data_directory_that_it_was() {
    let data = tempfile::tempdir().expect("a directory");
    assert_eq!(copy_beside(data.path(), "9.0.0").expect("empty"), None);
    let (node, _office) = open(&data, Arc::default()).await;
    node.act(customers(5)).await.expect("written");
    // So that the log alone is not enough.
    node.snapshot().await.expect("written");
    node.act(customers(7)).await.expect("written");
    let busy = copy_beside(data.path(), "9.0.0").expect_err("it is in use");
    assert!(busy.to_string().contains("in use"), "{busy}");
    node.stop().await.expect("it stops");
    drop((node, _office));

    // What a start that was killed in the middle left.
    fs::create_dir_all(data.path().join("before-9.0.0.new/log")).expect("created");
    // The last tasks of the node that was stopped may hold the lock for a moment longer.
    until(|| copy_beside(data.path(), "9.0.0").is_ok()).await;
    let copy = copy_beside(data.path(), "9.0.0")
        .expect("copied")
        .expect("there is a node");
    assert_eq!(copy, data.path().join("before-9.0.0"));
    assert_eq!(names(&copy), ["clock", "identity", "log", "snapshots"]);
    let again = copy_beside(data.path(), "9.0.0").expect("it is there");
    assert_eq!(again, Some(copy.clone()));

    // The migration went wrong: the copy takes the place of what it was made of.
    let back = tempfile::tempdir().expect("a directory");
    for name in names(&copy) {
        fs::rename(copy.join(&name), back.path().join(&name)).expect("moved");
    }
    let (node, _office) = open(&back, Arc::default()).await;
    let view = node.view();
    let count = notty_storage::query::customers::count(&view.read()).expect("counted");
    assert_eq!(count, 7);
    node.stop().await.expect("it stops");
}
