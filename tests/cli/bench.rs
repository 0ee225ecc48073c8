//! `notty bench`: each benchmark runs to its end and measures something; how much is not asked here.

use serde_json::Value;

use super::run;

/// The record of a benchmark that is run with `--json`.
#[track_caller]
fn record(args: &[&str]) -> Value {
    let ended = run(&[&["bench"], args, &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("one JSON record")
}

/// That figures of a record are above zero.
#[track_caller]
fn measured(record: &Value, figures: &[&str]) {
    for figure in figures {
        let found = record
            .get(figure)
            .and_then(Value::as_f64)
            .unwrap_or_default();
        assert!(found > 0.0, "{figure} was not measured: {record}");
    }
}

#[test]
fn dispatch_is_measured_beside_the_bare_client_on_one_node_and_on_three() {
    for nodes in ["1", "3"] {
        let size = ["--nodes", nodes, "--customers", "3000", "--rounds", "1"];
        let found = record(&[&["dispatch"][..], &size].concat());
        measured(
            &found,
            &["rate", "bare_rate", "ratio", "peak_memory_mb", "disk_mb"],
        );
    }
}

#[test]
fn three_nodes_are_measured_each_by_itself_while_one_sends() {
    let size = ["--customers", "3000", "--rounds", "1"];
    let found = record(&[&["dispatch", "--nodes", "3", "--one-sends"][..], &size].concat());
    measured(&found, &["rate", "ratio"]);
    for node in ["leader", "follower_1", "follower_2"] {
        let figure = found.get(format!("{node}_cpu_micros"));
        assert!(figure.and_then(Value::as_f64).is_some(), "{node}: {found}");
    }
}

#[test]
fn the_post_office_is_measured_with_nothing_sent() {
    let found = record(&["post-office", "--customers", "3000", "--rounds", "1"]);
    measured(&found, &["rate", "peak_memory_mb"]);
    let filter = record(&["filter", "--customers", "3000", "--rounds", "1"]);
    measured(&filter, &["expanded_seconds", "messages"]);
}

#[test]
fn writes_reads_and_imports_are_measured() {
    let found = record(&["import", "--customers", "3000", "--rounds", "1"]);
    measured(&found, &["rows_per_second", "again_rows_per_second"]);
    let found = record(&[
        "write",
        "--clients",
        "1,4",
        "--seconds",
        "1",
        "--rounds",
        "1",
    ]);
    measured(
        &found,
        &["clients_1_rate", "clients_4_rate", "clients_4_p99_ms"],
    );
    let found = record(&["read", "--customers", "3000", "--rounds", "1"]);
    measured(
        &found,
        &[
            "customer_p99_ms",
            "message_p99_ms",
            "messages_p50_ms",
            "rate",
        ],
    );
}

#[test]
fn size_and_restart_are_measured() {
    let found = record(&["size", "--customers", "2000", "--mailings", "2"]);
    assert_eq!(found["messages"], 4_000.0, "{found}");
    measured(
        &found,
        &[
            "memory_mb",
            "overall_p99_ms",
            "by_all_p99_ms",
            "ready_seconds",
        ],
    );
    let found = record(&["churn", "--customers", "2000", "--mailings", "4"]);
    measured(&found, &["first_half_most_mb", "growth"]);
    let found = record(&["restart", "--customers", "3000", "--rounds", "1"]);
    measured(&found, &["ready_seconds", "at_the_gateway"]);
}

#[test]
fn growth_is_measured_size_by_size_with_mailings_at_once() {
    let size = ["--customers", "500", "--mailings", "6", "--rounds", "1"];
    let found = record(&[&["dispatch"][..], &size].concat());
    assert_eq!(found["mailings"], 6, "{found}");
    measured(&found, &["rate", "ratio", "node_cpu_micros"]);
    let found = record(&["growth", "--most", "10000", "--rounds", "1"]);
    measured(
        &found,
        &[
            "cpu_ratio",
            "rate",
            "post_office_rate",
            "import_rows_per_second",
        ],
    );
}

#[test]
fn receipts_are_measured_while_another_mailing_is_sent() {
    let size = ["--customers", "3000", "--clients", "8", "--rounds", "1"];
    let found = record(&[&["receipts"][..], &size].concat());
    measured(&found, &["alone_rate", "meanwhile_rate", "receipts_rate"]);
}
