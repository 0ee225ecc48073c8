//! `notty check-config` and files that systemd gives to the unit alone.

use super::{arg, file, run};
use crate::support::{Ended, notty};

/// A directory of systemd's that no unit has.
const CREDENTIALS: &str = "/run/credentials/notty-of-a-test.service";

/// A node with certificates and words in a directory.
fn config(dir: &str) -> String {
    format!(
        "[moderation]\nwords_file = \"{dir}/words\"\n\
         [cluster]\nlisten = \"127.0.0.1:7080\"\nname = \"a\"\nexpect = 1\n\
         tls = {{ cert = \"{dir}/peer.pem\", key = \"{dir}/peer.key\", ca = \"{dir}/ca.pem\" }}\n\
         [[cluster.nodes]]\nname = \"a\"\npeer = \"127.0.0.1:7080\"\napi = \"http://a\"\n"
    )
}

#[test]
fn files_that_only_the_unit_can_read_are_named_and_no_fault_outside_of_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = file(dir.path(), "config.toml", config(CREDENTIALS));
    let check = ["check-config", "--config", arg(&path)];
    let ended = run(&check);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with("config.toml: valid\n"), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    for (line, part) in lines.iter().zip(["cluster.tls", "moderation.words_file"]) {
        assert!(
            line.contains(&format!("{part} was not checked: ")),
            "{line}"
        );
    }
    for name in ["peer.pem", "peer.key", "ca.pem"] {
        assert!(
            lines[0].contains(&format!("`{CREDENTIALS}/{name}`")),
            "{lines:?}"
        );
    }

    // All else is checked, and in the unit these files too.
    let wrong = config(CREDENTIALS).replace("expect = 1", "expect = 2");
    let wrong = file(dir.path(), "wrong.toml", wrong);
    let ended = run(&["check-config", "--config", arg(&wrong)]);
    assert!(ended.one_line(2).contains("cluster.expect"), "{ended:?}");
    let mut inside = notty();
    inside.args(check).env("CREDENTIALS_DIRECTORY", CREDENTIALS);
    let ended = Ended::of(&mut inside);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("cluster.tls.ca: "), "{ended:?}");
    let ended = run(&[
        "serve",
        "--config",
        arg(&path),
        "--data-dir",
        arg(dir.path()),
    ]);
    assert_eq!(ended.code, Some(2), "a start needs them: {ended:?}");
}

#[test]
fn a_variable_in_a_path_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for variable in ["%d", "$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}"] {
        let path = file(dir.path(), "config.toml", config(variable));
        let ended = run(&["check-config", "--config", arg(&path)]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), 4, "{ended:?}");
        for line in lines {
            assert!(line.contains("has a variable in it"), "{line}");
            assert!(line.contains("/run/credentials/notty.service/"), "{line}");
        }
    }
}
