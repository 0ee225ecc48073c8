//! Files of a node: nobody but its user can open them, whatever `umask` it was started with.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::support::{Ended, Gateway, Setup, notty};

/// The same command under a `umask` that takes nothing away.
fn with_open_umask(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());

    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    shell.env_clear().envs(set).stdin(Stdio::null());
    if let Some(dir) = command.get_current_dir() {
        shell.current_dir(dir);
    }
    shell
}

/// All paths of a directory, itself among them. A running node may remove some of them meanwhile.
fn paths(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        // None for a file, and for what has just gone.
        let entries = fs::read_dir(&path).into_iter().flatten();
        all.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    all
}

fn mode(path: &Path) -> u32 {
    mode_if_there(path).expect("it is there")
}

/// None for what a running node has just removed.
fn mode_if_there(path: &Path) -> Option<u32> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(found.permissions().mode() & 0o777)
}

/// The files of a data directory in use that others can open.
fn open_to_others(dir: &Path) -> Vec<(PathBuf, u32)> {
    let all = paths(dir);
    assert!(all.len() > 8, "{all:?}");
    let modes = all.into_iter().filter_map(|path| {
        let mode = mode_if_there(&path)?;
        Some((path, mode))
    });
    modes.filter(|(_, mode)| mode & 0o077 != 0).collect()
}

/// Adds rights to what is there.
fn open_up(path: &Path) {
    let more = fs::Permissions::from_mode(mode(path) | 0o055);
    fs::set_permissions(path, more).expect("set");
}

#[tokio::test]
async fn nothing_in_a_used_data_directory_or_a_backup_is_open_to_other_users() {
    let gateway = Gateway::start();
    let setup = Setup::at(&gateway);
    let node = setup.start_by(&mut with_open_umask(&setup.command())).await;
    node.import(500).await;
    node.mail("m", json!({})).await;
    node.until("m", json!({ "done": 500 })).await;

    let backup = setup.dir().join("backup");
    let mut command = notty();
    command
        .args(["backup", "--api", node.client.base()])
        .arg(&backup);
    let status = with_open_umask(&command).status().expect("it runs");
    assert!(status.success());
    assert_eq!(mode(&backup), 0o600);
    assert_eq!(mode(setup.data()), 0o700);
    assert_eq!(open_to_others(setup.data()), []);
    node.stop().await;

    // As an earlier version left it, or a careless copy.
    paths(setup.data()).iter().for_each(|path| open_up(path));
    let node = setup.start().await;
    assert_eq!(open_to_others(setup.data()), []);
    node.stop().await;

    let restored = setup.dir().join("restored");
    let mut command = notty();
    command
        .arg("restore")
        .arg(&backup)
        .arg("--data-dir")
        .arg(&restored);
    let status = with_open_umask(&command).status().expect("it runs");
    assert!(status.success());
    assert_eq!(open_to_others(&restored), []);
}

#[test]
fn a_directory_that_is_no_data_directory_keeps_its_rights() {
    let setup = Setup::new();
    fs::create_dir(setup.data()).expect("created");
    let file = setup.data().join("mine");
    fs::write(&file, b"x").expect("written");
    for path in [setup.data(), &file] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
    }

    let ended = Ended::of(&mut setup.command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for path in [setup.data(), &file] {
        assert_eq!(mode(path), 0o755, "{path:?}");
    }
}
