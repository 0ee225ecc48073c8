//! What `deploy/` has: manifests that Kubernetes takes, and configuration that notty takes.

use std::{path::PathBuf, process::Command};

use serde_norway::{Value, from_str};

use crate::support::{Ended, notty};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("it is there")
}

/// Documents of a file, references to other places put in.
fn documents(name: &str) -> Vec<Value> {
    let text = read(name);
    let documents = text.split("\n---\n").map(|document| {
        let mut value: Value = from_str(document).expect("YAML");
        // Twice: what is merged in may have something merged in itself.
        for _ in 0..2 {
            value.apply_merge().expect("what is merged is a mapping");
        }
        value
    });
    documents.collect()
}

fn texts(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    value
        .as_mapping()
        .expect("a mapping")
        .iter()
        .map(|(k, v)| (text(k), text(v)))
        .collect()
}

/// The environment that a container gets, by name; what comes from elsewhere by its key there.
fn environment(container: &Value) -> Vec<(String, String)> {
    let list = container["env"].as_sequence().expect("a list");
    let one = |entry: &Value| {
        let from = &entry["valueFrom"];
        let sources = [
            &entry["value"],
            &from["secretKeyRef"]["key"],
            &from["fieldRef"]["fieldPath"],
        ];
        let value = sources
            .iter()
            .find_map(|source| source.as_str())
            .expect("a source");
        (
            entry["name"].as_str().expect("a name").to_owned(),
            value.to_owned(),
        )
    };
    list.iter().map(one).collect()
}

/// The beginning of texts that stand in the place of one's own.
const PLACEHOLDER: &str = "replace-me";

/// A text of one's own in the place of each that everybody knows.
fn generated((name, value): (String, String)) -> (String, String) {
    let own = format!("generated-for-{name}");
    let value = value.replace(PLACEHOLDER, &own);
    (name, value)
}

/// Each text that everybody knows is refused under its key, if all others are one's own.
fn refuses_placeholders(config: &str, environment: &[(String, String)], keys: &[(&str, &str)]) {
    let own = config.replace(PLACEHOLDER, "own");
    for (variable, key) in keys {
        let other = |(name, value): &(String, String)| match name == variable {
            true => (name.clone(), value.clone()),
            false => generated((name.clone(), value.clone())),
        };
        let environment: Vec<_> = environment.iter().map(other).collect();
        let line = check(&own, &environment).one_line(2).to_owned();
        assert!(line.contains(key) && line.contains(PLACEHOLDER), "{line}");
    }

    let environment: Vec<_> = environment.iter().cloned().map(generated).collect();
    let line = check(config, &environment).one_line(2).to_owned();
    assert!(
        line.contains("gateway.url: ") && line.contains(PLACEHOLDER),
        "{line}"
    );
}

/// Whether notty takes this configuration.
fn check(file: &str, environment: &[(String, String)]) -> Ended {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = dir.path().join("config.toml");
    std::fs::write(&config, file).expect("written");
    let mut command = notty();
    command.args(["check-config", "--config"]).arg(&config);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Ended::of(&mut command)
}

#[test]
fn kubernetes_takes_the_manifests() {
    let files = std::fs::read_dir(path("k8s")).expect("a directory");
    let files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    let mut command = Command::new("kubernetes-validate");
    match command.arg("--strict").args(&files).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => println!(
            "SKIPPED: the manifests were not checked against the schemas of Kubernetes: \
             kubernetes-validate: {error} (pip install kubernetes-validate)"
        ),
    }
}

#[test]
fn each_pod_of_kubernetes_gets_a_configuration_that_is_right() {
    let config = &documents("k8s/config.yaml")[0]["data"]["config.toml"];
    let config = config.as_str().expect("a text");
    let secrets = texts(&documents("k8s/secret.yaml")[0]["stringData"]);
    let set = &documents("k8s/statefulset.yaml")[0];
    let name = set["metadata"]["name"].as_str().expect("a name");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    for n in 0..set["spec"]["replicas"].as_u64().expect("a number") {
        let pod = format!("{name}-{n}");
        let filled = environment(container).into_iter().map(|(name, source)| {
            let secret = secrets.iter().find(|(key, _)| *key == source);
            let value = match source.as_str() {
                "metadata.name" => pod.clone(),
                _ => secret.map_or(source.clone(), |(_, secret)| secret.clone()),
            };
            (name, value)
        });
        let filled: Vec<_> = filled.collect();
        // As they are in the repository, everybody knows them.
        let keys = [
            ("NOTTY_CLUSTER__SECRET", "cluster.secret: "),
            ("NOTTY_CLUSTER__POSTMAN_SECRET", "cluster.postman_secret: "),
            ("NOTTY_API__TOKENS", "api.tokens[0].token: "),
        ];
        refuses_placeholders(config, &filled, &keys);
        let filled: Vec<_> = filled.into_iter().map(generated).collect();
        let ended = check(&config.replace(PLACEHOLDER, "own"), &filled);
        assert_eq!(ended.code, Some(0), "{pod}: {ended:?}");
        // Each pod is one of those that the configuration names, at the address that it has.
        let service = set["spec"]["serviceName"].as_str().expect("a name");
        assert!(
            config.contains(&format!("peer = \"{pod}.{service}:7080\"")),
            "{pod}"
        );
    }
}

#[test]
fn pods_get_longer_to_stop_than_a_stop_takes() {
    for name in ["k8s/statefulset.yaml", "k8s/postmen.yaml"] {
        let spec = &documents(name)[0]["spec"]["template"]["spec"];
        assert!(
            spec["terminationGracePeriodSeconds"].as_u64() >= Some(20),
            "{name}"
        );
    }
}

/// The units of systemd.
const UNITS: [&str; 2] = ["notty.service", "notty-postman.service"];

#[test]
fn the_units_of_systemd_wait_for_the_right_time() {
    for unit in UNITS.map(read) {
        for key in ["After=", "Wants="] {
            let mut lines = unit.lines().filter_map(|line| line.strip_prefix(key));
            let waits = lines.any(|line| line.split(' ').any(|name| name == "time-sync.target"));
            assert!(waits, "{key}");
        }
    }
}

#[test]
fn pods_get_no_variables_of_services_that_look_like_settings() {
    for name in ["k8s/statefulset.yaml", "k8s/postmen.yaml"] {
        let spec = &documents(name)[0]["spec"]["template"]["spec"];
        assert_eq!(spec["enableServiceLinks"].as_bool(), Some(false), "{name}");
    }
}

/// A node asks the kernel whether its clock is kept right, which the set of a usual service lacks. A call
/// that is not in the filter ends the process.
#[test]
fn the_unit_of_a_node_permits_the_look_at_the_clock() {
    let unit = read("notty.service");
    let filter = unit
        .lines()
        .find(|line| line.starts_with("SystemCallFilter="));
    let filter = filter.expect("a filter of system calls");
    for call in ["@system-service", "adjtimex", "clock_adjtime"] {
        assert!(filter.contains(call), "no {call} in {filter}");
    }
}

#[test]
fn systemd_takes_the_units() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in UNITS {
        // The program is where the test has it.
        let program = env!("CARGO_BIN_EXE_notty");
        let unit = read(name).replace("/usr/local/bin/notty", program);
        let path = dir.path().join(name);
        std::fs::write(&path, unit).expect("written");
        let verified = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&path)
            .output();
        match verified {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let ours: Vec<_> = said.lines().filter(|line| line.contains(name)).collect();
                assert!(output.status.success() && ours.is_empty(), "{output:?}");
            }
            Err(error) => println!("SKIPPED: {name} was not checked: systemd-analyze: {error}"),
        }
    }
}

#[test]
fn each_unit_starts_a_command_with_flags_that_it_has() {
    for name in UNITS {
        let unit = read(name);
        let mut lines = unit
            .lines()
            .filter_map(|line| line.strip_prefix("ExecStart="));
        let words: Vec<_> = lines.next().expect("a command").split(' ').collect();
        let help = Ended::of(notty().args([words[1], "--help"])).stdout;
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{name}: {flag}");
        }
    }
}

/// A value of the compose file as it is where the secrets are set, and nothing else.
fn substituted(value: &str) -> String {
    const SECRET: &str = "a-secret-of-this-test";
    let Some((before, rest)) = value.split_once("${") else {
        return value.to_owned();
    };

    let (variable, after) = rest.split_once('}').expect("its end");
    let default = variable.split_once(":-").map(|(name, default)| match name {
        "NOTTY_CLUSTER_SECRET" => SECRET,
        _ => default,
    });
    let set = default.unwrap_or(SECRET);
    format!("{before}{set}{}", substituted(after))
}

#[test]
fn each_service_of_compose_gets_a_configuration_that_is_right() {
    let compose = &documents("compose.yaml")[0];
    let services = compose["services"].as_mapping().expect("services");
    let mut nodes = 0;
    for (name, service) in services {
        let name = name.as_str().expect("a name");
        if name == "gateway" {
            continue;
        }
        let environment = texts(&service["environment"])
            .into_iter()
            .map(|(key, value)| (key, substituted(&value)));
        let environment: Vec<_> = environment.collect();
        let ended = check("api.listen = \"0.0.0.0:8080\"\n", &environment);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        nodes += usize::from(environment.iter().any(|(_, value)| value == name));
    }
    assert_eq!(nodes, 3, "three services are nodes of a cluster");
}

#[test]
fn the_units_read_only_credentials_that_systemd_gives_them() {
    for name in UNITS {
        let unit = read(name);
        let given = |sign: &str| -> Vec<String> {
            let lines = unit.lines().filter_map(|line| line.strip_prefix(sign));
            let names = lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
            names.collect()
        };
        let start = unit
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        let mut config = start.expect("a command").split(' ');
        let config = config.find_map(|word| word.strip_prefix("${CREDENTIALS_DIRECTORY}/"));
        assert_eq!(
            given("LoadCredential="),
            [config.expect("a file")],
            "{name}"
        );

        // The lines for certificates name the paths at which they will be.
        assert_eq!(
            given("#LoadCredential="),
            ["peer.pem", "peer.key", "ca.pem"]
        );
        let place = format!("cert = \"/run/credentials/{name}/peer.pem\"");
        assert!(unit.contains(&place), "{name}: {place}");
        assert!(unit.contains("DynamicUser=yes"), "{name}");
    }
}

#[test]
fn the_image_builds_its_dependencies_before_the_sources_are_there() {
    let dockerfile = std::fs::read_to_string(path("../Dockerfile")).expect("it is there");
    let (_, build) = dockerfile.split_once(" AS build\n").expect("the stage");
    let dependencies = build.find("cargo build").expect("the dependencies");
    let sources = build.find("COPY . .").expect("the sources");
    assert!(
        dependencies < sources,
        "each change of a source builds all anew"
    );

    // The commit is different each time.
    let commit = build.find("ARG NOTTY_COMMIT").expect("the commit");
    assert!(dependencies < commit, "each commit builds all anew");
    let check = "CMD [\"/notty\", \"healthcheck\"]";
    assert!(build.contains(check), "no health check");
}

#[test]
fn a_restore_on_kubernetes_makes_the_volume_of_the_first_pod() {
    let set = &documents("k8s/statefulset.yaml")[0];
    let [claim, pod] = &documents("k8s-restore.yaml")[..] else {
        panic!("a claim and a pod");
    };
    let template = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["spec"], template["spec"]);
    assert_eq!(claim["metadata"]["name"], "data-notty-0");

    let of_set = &set["spec"]["template"]["spec"];
    let of_pod = &pod["spec"];
    let (node, restore) = (&of_set["containers"][0], &of_pod["containers"][0]);
    assert_eq!(restore["image"], node["image"]);
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert_eq!(
            of_pod["securityContext"][key],
            of_set["securityContext"][key]
        );
    }
    let volume = &of_pod["volumes"][1]["persistentVolumeClaim"];
    assert_eq!(volume["claimName"], claim["metadata"]["name"]);

    // The command is one that notty has, and only the file is missing here.
    let args = restore["args"].as_sequence().expect("a list");
    let args: Vec<_> = args
        .iter()
        .map(|arg| arg.as_str().expect("a text"))
        .collect();
    let ended = Ended::of(notty().args(&args[..2]).args(["--data-dir", "/nowhere"]));
    let line = ended.one_line(1);
    assert_eq!(args[2..], ["--data-dir", "/data"]);
    assert!(line.contains("/backup/file"), "{line}");
}
