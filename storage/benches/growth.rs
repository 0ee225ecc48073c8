//! What a message costs as a node grows: customers, mailings, messages. No log, no HTTP.
//!
//! `cargo bench -p notty-storage --bench growth -- 1000000 10` plants 1,000,000 customers and ten
//! mailings to all of them; without arguments, several sizes. `-- churn 400` sends mailing after
//! mailing and keeps none. `-- receipts` takes receipts in groups of a thousand. All times are CPU of the one thread that works, so that what else runs on
//! the machine matters little. `STUCK=1` leaves a message in each lease that failed and waits;
//! `TAGS=1000` is how many tags the customers have.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

#[path = "../tests/plant/mod.rs"]
mod plant;

use std::{fs, path::Path};

use notty_storage::{
    Store, StoreOptions,
    command::TakeReceipts,
    model::{ErrorCode, Filter, MailingNumber, MessageId, ReceiptNote, ReceiptState, Seq},
    query::{self, filtered::StatsFilter},
    records::position,
};
use plant::{DAY_MS, World};

fn main() {
    if std::env::args().any(|arg| arg == "churn") {
        return churn();
    }
    if std::env::args().any(|arg| arg == "receipts") {
        return receipts();
    }
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let sizes = match numbers[..] {
        [customers, mailings, ..] => vec![(customers, mailings)],
        _ => vec![
            (10_000, 1),
            (10_000, 100),
            (100_000, 10),
            (1_000_000, 1),
            (1_000_000, 10),
        ],
    };
    for (customers, mailings) in sizes {
        row(customers, mailings);
    }
}

/// Tags that the customers have.
fn tags() -> u32 {
    std::env::var("TAGS")
        .ok()
        .and_then(|tags| tags.parse().ok())
        .unwrap_or(20)
}

/// CPU of this thread, in microseconds.
fn cpu_us() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// What something takes in microseconds of CPU.
fn cost<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let before = cpu_us();
    let done = run();
    (cpu_us() - before, done)
}

/// What something takes in milliseconds of CPU.
fn cost_ms<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let (us, done) = cost(run);
    (us / 1e3, done)
}

/// The median and the 99th of 100 of the costs of asking many times.
fn quantiles(mut ask: impl FnMut(u32)) -> (f64, f64) {
    let mut costs: Vec<f64> = (0..200).map(|n| cost_ms(|| ask(n)).0).collect();
    costs.sort_by(f64::total_cmp);
    (costs[100], costs[198])
}

fn disk_mb(dir: &Path) -> f64 {
    let mut bytes = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(data) if data.is_dir() => dirs.push(entry.path()),
                Ok(data) => bytes += std::os::unix::fs::MetadataExt::blocks(&data) * 512,
                Err(_) => {}
            }
        }
    }
    bytes as f64 / 1e6
}

fn rss_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    let kb = line
        .split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or_default() / 1e3
}

fn print(what: &str, value: impl std::fmt::Display) {
    println!("  {what:<44} {value}");
}

/// Plants a state of one size and prints what it costs.
fn row(customers: u32, mailings: u32) {
    println!("{customers} customers, {mailings} mailings to each");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut world = World::open(dir.path());
    let (us, ()) = cost(|| world.put_customers(0..customers, tags()));
    print(
        "import, µs a customer",
        format!("{:.2}", us / f64::from(customers)),
    );
    send(&mut world, mailings);
    ask(&world, customers);
    sparse(&mut world, mailings);
    finish(&mut world, mailings);
    ask_finished(&world, customers);
    world.store.flush().expect("flushes");
    print("disk, MB", format!("{:.0}", disk_mb(dir.path())));
    print("RSS, MB", format!("{:.0}", rss_mb()));
    print_open(world, dir.path());
}

fn print_open(world: World, dir: &Path) {
    drop(world);
    for _ in 0..2 {
        let (ms, store) = cost_ms(|| Store::open(dir, StoreOptions::default()));
        drop(store.expect("a state opens"));
        print("open, ms", format!("{ms:.0}"));
    }
}

fn send(world: &mut World, mailings: u32) {
    let stuck = std::env::var_os("STUCK").is_some();
    let open: Vec<MailingNumber> = (1..=mailings)
        .map(|n| world.start_mailing(n, "%"))
        .collect();
    for (name, chosen) in [("first", &open[..1]), ("others", &open[1..])] {
        let (mut us, mut bytes, mut sent) = (0.0, 0, 0);
        for mailing in chosen {
            let part = cost(|| world.bytes_of(|world| world.send(*mailing, stuck).messages));
            (us, bytes, sent) = (us + part.0, bytes + part.1.0, sent + part.1.1);
            world.flush_if_due();
        }
        if sent > 0 {
            let (us, bytes) = (us / sent as f64, bytes / sent);
            let name = format!("expand, grant, report, a message, {name}");
            print(&name, format!("{us:.3} µs, {bytes} bytes"));
        }
    }
}

fn ask(world: &World, customers: u32) {
    let view = world.store.view();
    let (p50, p99) = quantiles(|_| {
        let reader = view.read();
        for mailing in query::work::open_mailings(&reader) {
            query::work::ready(&reader, mailing, None, world.at, 1_000).expect("reads");
        }
    });
    print(
        "look at open mailings, ms p50 p99",
        format!("{p50:.3} {p99:.3}"),
    );
    let (p50, p99) = quantiles(|_| {
        query::stats::overall(&view.read()).expect("reads");
    });
    print("stats, ms of CPU p50 p99", format!("{p50:.4} {p99:.4}"));
    let (p50, p99) = quantiles(|n| {
        let seq = Seq(n.wrapping_mul(7_919) % customers);
        query::stats::of_customer(&view.read(), seq).expect("reads");
    });
    print(
        "stats by customer, all open, ms p50 p99",
        format!("{p50:.3} {p99:.3}"),
    );
    filtered(world, "all open");
}

fn filtered(world: &World, name: &str) {
    let view = world.store.view();
    let filter = StatsFilter {
        tag: Filter::parse("tag-1%").expect("a filter"),
        operator: Filter::parse("operator-1").expect("a filter"),
        from_day: 0,
        to_day: i32::MAX,
    };
    let mut costs = Vec::new();
    for _ in 0..10 {
        let (ms, counts) = cost_ms(|| query::filtered::filtered(&view.read(), &filter));
        assert!(counts.expect("reads").total() > 0);
        costs.push(format!("{ms:.2}"));
    }
    print(&format!("stats filtered, {name}, ms"), costs.join(" "));
}

fn sparse(world: &mut World, mailings: u32) {
    let mailing = world.start_mailing(mailings + 1, "rare");
    let (mut entries, mut found) = (0, 0);
    let (ms, ()) = cost_ms(|| {
        while let Some(messages) = world.expand(mailing) {
            (entries, found) = (entries + 1, found + messages);
        }
    });
    print(
        "filter of 0.1 %, ms",
        format!("{ms:.0} for {found} messages in {entries} entries"),
    );
}

fn finish(world: &mut World, mailings: u32) {
    world.at = world.at.plus_millis(DAY_MS);
    let total = query::stats::overall(&world.store.view().read())
        .expect("reads")
        .total();
    let (us, ()) = cost(|| (1..=mailings).for_each(|n| world.finish(MailingNumber(n), n)));
    print(
        "sweep and fold, µs a message",
        format!("{:.3}", us / total as f64),
    );
}

fn ask_finished(world: &World, customers: u32) {
    let view = world.store.view();
    let (p50, p99) = quantiles(|n| {
        let seq = Seq(n.wrapping_mul(7_919) % customers);
        query::stats::of_customer(&view.read(), seq).expect("reads");
    });
    print(
        "stats by customer, finished, ms p50 p99",
        format!("{p50:.3} {p99:.3}"),
    );
    filtered(world, "finished");
}

/// Mailing after mailing whose messages go at once: nothing may pile up.
fn churn() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut world = World::open(dir.path());
    world.put_customers(0..100_000, tags());
    println!("100000 customers, mailing after mailing to each, none kept");
    let mailings = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next()
        .unwrap_or(400);
    for number in 1..=mailings {
        let mailing = world.start_mailing(number, "%");
        let (us, sent) = cost(|| world.send(mailing, false).messages);
        world.finish(mailing, number);
        world.at = world.at.plus_millis(DAY_MS / 10);
        world.purge(mailing);
        if number % (mailings / 10).max(1) == 0 {
            world.store.flush().expect("flushes");
            let (per, disk, rss) = (us / sent as f64, disk_mb(dir.path()), rss_mb());
            let what = format!("{per:.3} µs a message, {disk:.0} MB of disk, {rss:.0} MB of RSS");
            print(&format!("after {number} mailings"), what);
        }
    }
    print_open(world, dir.path());
}

/// A thousand receipts a command, about ever more batches.
fn receipts() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut world = World::open(dir.path());
    world.put_customers(0..100_000, tags());
    let mailing = world.start_mailing(1, "%");
    world.send(mailing, false);

    for batches in [1, 2, 5, 10, 20, 50] {
        let each = 1_000 / batches;
        let message = |n: u32| MessageId {
            mailing,
            position: position(n / each, (n % each) as usize),
        };
        let receipts = |state| TakeReceipts {
            receipts: (0..1_000)
                .map(|n| ReceiptNote {
                    message: message(n),
                    state,
                    error: ErrorCode::default(),
                })
                .collect(),
        };
        // What was undelivered is delivered in the end, so that each command changes all of its messages.
        let first = cost(|| world.act(receipts(ReceiptState::Undelivered).into())).0;
        let second = cost(|| world.act(receipts(ReceiptState::Delivered).into())).0;
        println!(
            "{batches} batches: {:.2} and {:.2} us of CPU a receipt",
            first / 1e3,
            second / 1e3
        );
    }
}
