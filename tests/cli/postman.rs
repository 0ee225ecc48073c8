//! `notty postman` without what it needs: one line says what that is.

use crate::support::{Ended, notty};

const WHOLE: &str = "[postman]\nname = \"p\"\npeers = [\"127.0.0.1:9\"]\n\
                     [cluster]\nsecret = \"sixteen letters.\"\n";

fn ended(command: &str, text: &str) -> Ended {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = super::file(dir.path(), "config.toml", text);
    Ended::of(
        notty()
            .current_dir(dir.path())
            .args([command, "--config"])
            .arg(path),
    )
}

#[test]
fn what_is_missing_is_said_in_one_line() {
    for (from, to, wanted) in [
        (
            WHOLE,
            "",
            "a node without a [cluster] section has no peer address",
        ),
        ("peers = [\"127.0.0.1:9\"]\n", "", "postman.peers: "),
        (
            "name = \"p\"\n",
            "",
            "postman.name: `notty postman` needs a name",
        ),
        ("name = \"p\"", "name = \"p q\"", "postman.name: "),
        ("sixteen", "six", "cluster.secret: it has 12 characters"),
        (
            "[cluster]\nsecret = \"sixteen letters.\"\n",
            "",
            "cluster.secret: ",
        ),
        (
            "[cluster]",
            "[gateway]\nurl = \"x\"\n[cluster]",
            "gateway.url: ",
        ),
        ("[cluster]", "[lease]\nsize = 0\n[cluster]", "lease.size: "),
    ] {
        let ended = ended("postman", &WHOLE.replace(from, to));
        let line = ended.one_line(2);
        assert!(line.contains(wanted), "{wanted}: {line}");
    }
}

#[test]
fn a_file_for_a_postman_is_right_but_not_for_a_node() {
    assert_eq!(ended("check-config", WHOLE).code, Some(0));
    let line = ended("serve", WHOLE);
    assert!(line.one_line(2).contains("cluster.listen: "), "{line:?}");
}
