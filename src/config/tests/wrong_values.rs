//! Values that were once taken and meant nothing, or something else than they say.

use super::*;

/// Three nodes that are right; `a` is this one.
const CLUSTER: &str = "[cluster]\nlisten = \"10.0.0.1:7080\"\nsecret = \"sixteen letters.\"\n\
    name = \"a\"\nexpect = 3\n\
    [[cluster.nodes]]\nname = \"a\"\npeer = \"10.0.0.1:7080\"\napi = \"http://10.0.0.1:8080\"\n\
    [[cluster.nodes]]\nname = \"b\"\npeer = \"10.0.0.2:7080\"\napi = \"http://10.0.0.2:8080\"\n\
    [[cluster.nodes]]\nname = \"c\"\npeer = \"10.0.0.3:7080\"\napi = \"http://10.0.0.3:8080\"\n";

/// Addresses that no peer can be reached at, and a part of the fault.
const PEERS: [(&str, &str); 15] = [
    ("", "is empty"),
    (
        "http://10.0.0.1:7080",
        "is a URL; a host and a port without `http://`",
    ),
    (" 10.0.0.2:7080", "has a space or a line end"),
    ("10.0.0.2:7080 ", "has a space or a line end"),
    ("10.0.0.2", "has no port"),
    (":7080", "has no host"),
    (
        "10.0.0.2:0",
        "has the port `0`, which is not a number from 1 to 65535",
    ),
    ("10.0.0.2:+7080", "has the port `+7080`"),
    ("10.0.0.2:65536", "has the port `65536`"),
    (
        "10.0.0.256:7080",
        "has the host `10.0.0.256`, which is not an IPv4 address",
    ),
    ("0.0.0.0:7080", "stands for all addresses of a machine"),
    ("[::]:7080", "stands for all addresses of a machine"),
    ("fd00::1:7080", "has an IPv6 address without brackets"),
    ("[fd00::g]:7080", "which is not an IPv6 address"),
    ("no name:7080", "has a space or a line end"),
];

/// URLs that cannot be taken as they are written.
const URLS: [(&str, &str); 13] = [
    ("", "is empty"),
    (
        "10.0.0.2:8080",
        "is no URL that starts with http:// or https://",
    ),
    ("ftp://h/", "is no URL that starts with http:// or https://"),
    ("http://", "has no host"),
    ("http:///v1", "has no host"),
    ("http://user:hush@h/", "has a user name or password"),
    ("http://h/#part", "has a fragment"),
    ("http://h/?key=1", "has a query"),
    ("http://h:0/", "has the port `0`"),
    ("http://h:99999/", "has the port `99999`"),
    ("http://h:/", "has the port ``"),
    (" http://h/", "has a space or a line end"),
    ("http://::1/", "has an IPv6 address without brackets"),
];

/// Files with a number, a name or a list that is out of its range.
const RANGES: [(&str, &str); 19] = [
    (
        "[lease]\nsize = 1001",
        "lease.size: 1001 is not between 1 and 1000",
    ),
    (
        "[lease]\nsize = -1",
        "lease.size: -1 is not a whole number from 0 to 65535",
    ),
    (
        "[lease]\nsize = 1.5",
        "lease.size: `1.5` is not a whole number",
    ),
    (
        "[lease]\nttl_ms = 11999\n",
        "lease.ttl_ms: 11999 is too short",
    ),
    (
        "[gateway]\ntimeout_ms = 30000\n",
        "lease.ttl_ms: 30000 is too short",
    ),
    (
        "[gateway]\ntimeout_ms = 99999999999999999999\n",
        "gateway.timeout_ms: ",
    ),
    (
        "[gateway]\nrate_limit = -1\n",
        "gateway.rate_limit: -1 is not a whole number",
    ),
    (
        "[gateway]\nunsure_statuses = [502, 99]\n",
        "gateway.unsure_statuses[1]: 99 is not an HTTP status",
    ),
    (
        "[gateway]\nunsure_statuses = [600]\n",
        "gateway.unsure_statuses[0]: 600 is not",
    ),
    (
        "[gateway]\nunsure_statuses = [65536]\n",
        "gateway.unsure_statuses[0]: 65536 is not",
    ),
    (
        "[gateway]\nunsure_statuses = \"502\"\n",
        "`\"502\"` is not a list in brackets",
    ),
    (
        "[retry]\ninitial_ms = 9\nmax_ms = 8\n",
        "retry.max_ms: 8 is not between 9 and",
    ),
    (
        "[retention]\nfinished_days = nan\n",
        "retention.finished_days: NaN is not",
    ),
    (
        "[postman]\nenabled = \"yes\"\n",
        "postman.enabled: `\"yes\"` is not `true` or `false`",
    ),
    (
        "[node]\ncompact_log_mb = 0\n",
        "node.compact_log_mb: 0 is not between",
    ),
    (
        "[node]\ndata_dir = \"\"\n",
        "node.data_dir: must name a directory",
    ),
    (
        "[node]\npublic_url = \"sms.example\"\n",
        "node.public_url: `sms.example` ",
    ),
    ("node = 5\n", "node: `5` is not a table with the keys"),
    ("[postman]\nname = \"a b\"\n", "postman.name: "),
];

/// The second of two tokens, where the first is `a` with `first-token`.
const TOKENS: [(&str, &str); 7] = [
    (
        "name = \"b\", token = \"\"",
        "api.tokens[1].token: it is empty",
    ),
    (
        "name = \"b\", token = \"first-token\"",
        "api.tokens[1].token: an earlier entry has the same token",
    ),
    (
        "name = \"b\", token = \"other token\"",
        "api.tokens[1].token: it has a space",
    ),
    (
        "name = \"b\", token = \"other-token\\n\"",
        "api.tokens[1].token: it has a space, a line end",
    ),
    (
        "name = \"b\", token = \"replace-me-too\"",
        "api.tokens[1].token: it begins with `replace-me`",
    ),
    (
        "name = \"a\", token = \"other-token\"",
        "api.tokens[1].name: an earlier entry has the name `a`",
    ),
    (
        "name = \" \", token = \"other-token\"",
        "api.tokens[1].name: it is empty",
    ),
];

#[track_caller]
fn wrong(text: &str, wanted: &str) {
    let fault = fault(text);
    assert!(fault.contains(wanted), "{wanted}: {fault}");
}

#[test]
fn a_peer_has_a_host_and_a_port_that_can_be_connected_to() {
    assert!(load(CLUSTER, &[]).is_ok());
    for (peer, wanted) in PEERS {
        let quoted = format!("\"{peer}\"");
        wrong(&CLUSTER.replace("\"10.0.0.2:7080\"", &quoted), wanted);
        let node = format!("[postman]\npeers = [\"h:1\", \"{peer}\"]\n");
        wrong(&node, &format!("postman.peers[1]: `{peer}`"));
    }
}

#[test]
fn each_node_has_an_address_of_its_own() {
    let peer = |text: &str| format!("peer = \"{text}\"");
    let twice = CLUSTER.replace(&peer("10.0.0.3:7080"), &peer("10.0.0.2:7080"));
    let wanted = "cluster.nodes[2].peer: `10.0.0.2:7080` is the address of cluster.nodes[1] too";
    wrong(&twice, wanted);

    let listen = CLUSTER.replacen("10.0.0.1:7080", "10.0.0.2:7080", 1);
    wrong(
        &listen,
        "cluster.listen: 10.0.0.2:7080 is the address of `b`, but this is `a`",
    );
    let mixed = CLUSTER.replace("http://10.0.0.2:8080", "http://10.0.0.2:7080");
    let wanted = "cluster.nodes[1].api: `http://10.0.0.2:7080` has the address for peers";
    wrong(&mixed, wanted);

    let peers = "[postman]\npeers = [\"H:1\", \"g:1\", \"h:1\"]\n";
    wrong(
        peers,
        "postman.peers[2]: `h:1` is postman.peers[0] once more",
    );
    let name = format!("[postman]\nname = \"b\"\n{CLUSTER}");
    wrong(&name, "postman.name: `b` is the name of a node");
    assert!(load(&name.replacen("\"b\"", "\"a\"", 1), &[]).is_ok());
}

#[test]
fn a_node_listens_at_an_address_of_its_machine() {
    for listen in [
        "",
        "localhost:7080",
        "10.0.0.1",
        "10.0.0.1:+1",
        "10.0.0.1:007080",
        "::1:7080",
        " 10.0.0.1:1",
    ] {
        let cluster = CLUSTER.replacen("10.0.0.1:7080", listen, 1);
        wrong(
            &cluster,
            &format!("cluster.listen: `{listen}` is not an IP address and port"),
        );
        let api = format!("[api]\nlisten = \"{listen}\"\n");
        wrong(&api, &format!("api.listen: `{listen}` is not"));
    }
    let zero = CLUSTER.replacen("10.0.0.1:7080", "10.0.0.1:0", 1);
    wrong(&zero, "cluster.listen: `10.0.0.1:0` has port 0");
    assert!(load("[api]\nlisten = \"[::1]:8080\"\n", &[]).is_ok());
}

#[test]
fn a_url_is_taken_whole_or_not() {
    for (url, wanted) in URLS {
        let text = format!("[gateway]\nurl = \"{url}\"\n");
        wrong(&text, wanted);
        assert!(!fault(&text).contains("hush"), "a password is shown");
        wrong(&CLUSTER.replace("http://10.0.0.2:8080", url), wanted);
    }
}

#[test]
fn a_token_can_be_sent_and_belongs_to_one_caller() {
    let with = |other: &str| {
        format!(
            "[api]\ntokens = [{{ name = \"a\", token = \"first-token\", role = \"reader\" }}, \
             {{ {other}, role = \"admin\" }}]\n"
        )
    };
    assert!(load(&with("name = \"b\", token = \"other-token\""), &[]).is_ok());
    for (other, wanted) in TOKENS {
        wrong(&with(other), wanted);
    }
    wrong(
        "[gateway]\ntoken = \"t\\n\"\n",
        "gateway.token: it has a space, a line end",
    );
    let secret = CLUSTER.replace("sixteen letters.", "sixteen letters.\\n");
    wrong(
        &secret,
        "cluster.secret: it begins or ends with a space or a line end",
    );
}

#[test]
fn numbers_and_names_are_in_their_ranges() {
    for (text, wanted) in RANGES {
        wrong(text, wanted);
    }
    for zone in [
        "",
        " UTC",
        "Mars/Base",
        "Europe/Moskau",
        "+03:00",
        "Europe/Moscow ",
    ] {
        let text = format!("[node]\ntimezone = \"{zone}\"\n");
        wrong(
            &text,
            &format!("node.timezone: `{zone}` is not an IANA time zone"),
        );
    }
}

#[test]
fn timeouts_that_are_too_large_are_no_measure_for_others() {
    let most = i64::MAX;
    let text = format!("[gateway]\nconnect_timeout_ms = {most}\ntimeout_ms = {most}\n");
    let faults = load(&text, &[]).expect_err("refused");
    for key in ["gateway.connect_timeout_ms: ", "gateway.timeout_ms: "] {
        assert!(faults.contains(key), "{faults}");
    }
    assert!(!faults.contains("lease.ttl_ms: "), "{faults}");
}
