//! The command line as scripts meet it: exit codes, one line of error, output that can be piped.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use support::{Ended, run};

fn refused(ended: &Ended, expected: &str) {
    assert_eq!(ended.code, 64, "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(expected), "{}\nlacks: {expected}", ended.stderr);
}

#[test]
fn bad_configuration_ends_with_64_and_one_line_that_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let queue = "--queue-url=http://127.0.0.1:1/1/q";
    for (args, expected) in [
        (&["worker"][..], "--queue-url: must be given, or set as AFTERIMAGE_QUEUE_URL"),
        (&[], "no command is given; `afterimage --help`"),
        (&["dlq"], "no command is given; `afterimage dlq --help`"),
        (&["wroker"], "did you mean token or worker?"),
        (&["worker", "--quue-url", "x"], "did you mean --queue-url?"),
        (&["worker", "--queue-url", "q"], "--queue-url: expected a queue URL"),
        (&["worker", queue, "--store", "oracle"], "--store: expected one of sqlite, cassandra, scylla, mongodb"),
        (&["worker", queue, "--store", "mongodb"], "--mongodb-uri: must be given"),
        (&["worker", queue, "--mongodb-uri", "mongodb://a"], "the store is sqlite because --store is not"),
        (&["worker", queue, "--store=mongodb", "--mongodb-uri=http://u:hunter2@a"], "no usable MongoDB URI"),
        (
            &["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a/?w=1"],
            "sets w to something else than majority",
        ),
        (&["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a/?journal=false"], "sets journal"),
        (&["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a", "--mongodb-auth=x509"], "X.509 needs TLS"),
        (&["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a", "--mongodb-auth=gssapi"], "scram or x509"),
        (
            &["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a", "--mongodb-username=u"],
            "--mongodb-password-file",
        ),
        (
            &["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a", "--mongodb-tls-ca=missing.pem"],
            "--mongodb-tls-ca: missing.pem",
        ),
        (
            &["worker", queue, "--store=mongodb", "--mongodb-uri=mongodb://a", "--mongodb-request-timeout=2m"],
            "--visibility-timeout: 1m is too short",
        ),
        (&["worker", queue, "--store", "cassandra"], "--cassandra-nodes"),
        (&["worker", queue, "--cassandra-nodes", "a"], "the store is sqlite because --store is not"),
        (
            &["worker", queue, "--store=cassandra", "--cassandra-nodes=a", "--cassandra-consistency=one"],
            "ONE is too weak",
        ),
        (
            &["worker", queue, "--store=cassandra", "--cassandra-nodes=a", "--cassandra-username=u"],
            "--cassandra-password-file",
        ),
        (
            &["worker", queue, "--store=cassandra", "--cassandra-nodes=a", "--cassandra-tls-cert=x"],
            "--cassandra-tls-key",
        ),
        (
            &["worker", queue, "--store=cassandra", "--cassandra-nodes=a", "--cassandra-tls-ca=missing.pem"],
            "missing.pem",
        ),
        (
            &["worker", queue, "--store=cassandra", "--cassandra-nodes=a", "--cassandra-request-timeout=2m"],
            "--visibility-timeout: 1m is too short",
        ),
        (&["worker", queue, "--visibility-timeout", "13h"], "--visibility-timeout"),
        (&["worker", queue, "--visibility-timeout", "5"], "expected a duration"),
        (&["worker", queue, "--memory-cap", "1MiB"], "--memory-cap"),
        (&["worker", queue, "--dlq-url=http://127.0.0.1:1/1/q"], "--dlq-url: is the queue itself"),
        (&["worker", queue, "--dlq-url=http://127.0.0.1:1/1/d.fifo"], "--dlq-url: is a FIFO queue"),
        (
            &["worker", "--queue-url=http://127.0.0.1:1/1/q.fifo", "--dlq-url=http://127.0.0.1:1/1/d"],
            "--dlq-url: is a standard queue",
        ),
        (&["worker", queue, "--digest-key-file", "missing.key"], "--digest-key-file: missing.key"),
        (&["worker", queue, "--log-level", "loud"], "--log-level"),
        (&["worker", queue, "--config", "missing.toml"], "missing.toml"),
        (&["worker", queue, "--sqlite-path", "missing/a.db"], "there is no folder missing"),
        (&["worker", queue, "--allow-topic", "changes"], "--allow-topic: expected the ARN of a topic"),
        (&["worker", queue, "--tenant", ""], "--tenant"),
        (&["worker", queue, "--sqlite-path", "."], "--sqlite-path: must name a file"),
        (&["history", "users"], "<ID>"),
        (&["history", "users", "u1", "--limit", "0"], "--limit"),
        (&["history", "users", "u%1"], "<ID>"),
        (&["state", "users", "u1", "--at", "tomorrow"], "--at: expected a time"),
    ] {
        refused(&run(folder.path(), args), expected);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was opened");
}

#[test]
fn tls_files_that_are_none_are_found_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(folder.path().join("broken.pem"), broken).unwrap();
    for (file, expected) in [
        ("ca.pem", "--cassandra-tls-ca: ca.pem holds no certificate"),
        ("broken.pem", "--cassandra-tls-ca: broken.pem cannot be trusted: "),
    ] {
        let tls = format!("--cassandra-tls-ca={file}");
        for command in [&["migrate"][..], &["worker", "--queue-url=http://127.0.0.1:1/1/q"], &["history", "t", "1"]] {
            let args = [command, &["--store=cassandra", "--cassandra-nodes=a", &tls]].concat();
            refused(&run(folder.path(), &args), expected);
        }
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("afterimage.toml"), "store = \"sqlite\"\nsqlite_path = \"from-file.db\"\n")
        .unwrap();
    let named = |stderr: &[u8]| {
        let text = String::from_utf8_lossy(stderr);
        ["from-file.db", "from-env.db", "from-flag.db"]
            .into_iter()
            .find(|name| text.contains(name))
            .unwrap_or("none")
            .to_owned()
    };
    let ask = |env: Option<&str>, flags: &[&str]| {
        let mut command = support::afterimage(folder.path());
        command.args(["history", "users", "u1"]).args(flags);
        if let Some(value) = env {
            command.env("AFTERIMAGE_SQLITE_PATH", value);
        }
        named(&command.output().unwrap().stderr)
    };
    assert_eq!(ask(None, &[]), "from-file.db");
    assert_eq!(ask(Some(""), &[]), "from-file.db", "an empty variable counts as not set");
    assert_eq!(ask(Some("from-env.db"), &[]), "from-env.db");
    assert_eq!(ask(Some("from-env.db"), &["--sqlite-path", "from-flag.db"]), "from-flag.db");
}

#[test]
fn the_place_of_a_bad_value_is_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("afterimage.toml");
    std::fs::write(&path, "# comment\nvisibility-timeout = \"soon\"\n").unwrap();
    refused(&run(folder.path(), &["migrate"]), "afterimage.toml:2: visibility-timeout: expected a duration");
    std::fs::write(&path, "[[rules]]\ntable = \"users\"\nretention = \"7 years\"\n").unwrap();
    refused(&run(folder.path(), &["worker", "--queue-url=http://127.0.0.1:1/1/q"]), "afterimage.toml:");
    std::fs::remove_file(&path).unwrap();
    let output = support::afterimage(folder.path()).arg("worker").env("AFTERIMAGE_QUEUE_URL", "q").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("AFTERIMAGE_QUEUE_URL: expected a queue URL"));
}

#[test]
fn help_and_version_are_no_errors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("afterimage.toml"), "no-such-key = 1").unwrap();
    for args in [&["--help"][..], &["--version"], &["worker", "--help"], &["help", "state"]] {
        let ended = run(folder.path(), args);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        assert!(ended.stdout.contains("afterimage"), "{}", ended.stdout);
    }
}

#[test]
fn a_question_leaves_no_file_behind_and_a_migrated_store_answers() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(folder.path(), &["history", "users", "u1"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("--sqlite-path"), "{}", missing.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    assert_eq!(run(folder.path(), &["migrate"]).code, 0);
    assert_eq!(run(folder.path(), &["migrate"]).stdout, "the schema is up to date\n");
    std::fs::write(folder.path().join("afterimage.toml"), "json = true\nlimit = 7\nfrom = \"2026-01-01T00:00:00Z\"")
        .unwrap();
    for question in [&["history", "users", "u1"][..], &["state", "users", "u1", "--json"]] {
        let unknown = run(folder.path(), question);
        assert_eq!((unknown.code, unknown.stdout.as_str()), (4, ""), "{}", unknown.stderr);
    }
}
