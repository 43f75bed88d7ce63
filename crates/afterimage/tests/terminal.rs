//! What a person at a terminal meets who asks amiss, or asks nothing that is there.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::path::Path;

use support::{Ended, afterimage, run};

/// The page's example trail.
fn trail() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli-example.ndjson");
    assert_eq!(run(folder.path(), &["replay", example.to_str().unwrap()]).code, 0);
    folder
}

fn ask(folder: &Path, arguments: &str) -> Ended {
    ask_with(folder, arguments, &[])
}

fn ask_with(folder: &Path, arguments: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = afterimage(folder);
    let output = command.args(arguments.split(' ')).envs(variables.iter().copied()).output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn an_empty_answer_says_what_may_be_why_and_leaves_the_pipe_alone() {
    let folder = trail();
    for (question, hint) in [
        ("changes", "only the last 24 hours were looked at"),
        ("counts --until 2020-01-01", "only the 24 hours before --until"),
        ("gaps users", "only the last 24 hours were looked at"),
        ("history users 123 --since 2030-01-01", "nothing found"),
        ("export --since 2030-01-01 --csv", "nothing found"),
    ] {
        let ended = ask(folder.path(), question);
        assert_eq!((ended.code, ended.stderr.lines().count()), (0, 1), "{question}: {}", ended.stderr);
        assert!(
            ended.stderr.starts_with("nothing found") && ended.stderr.contains(hint),
            "{question}: {}",
            ended.stderr
        );
        assert!(!ended.stdout.contains("nothing found"), "{question}: {}", ended.stdout);
    }
    let mut by_name = afterimage(folder.path());
    let by_name = by_name.args(["changes", "--since", "2026-01-01", "--actor", "Sam Support"]).output().unwrap();
    assert_eq!(by_name.stdout, b"");
    assert!(String::from_utf8(by_name.stderr).unwrap().contains("actors are matched by id or address"));
    let access = ask(folder.path(), "changes --since 2026-01-01 --op access");
    assert!(access.stderr.contains("--source afterimage"), "{}", access.stderr);
    // For programs the answer is all.
    for quiet in ["changes --json", "changes --fail-if-any", "gaps users --fail-if-any"] {
        assert_eq!(ask(folder.path(), quiet).stderr, "", "{quiet}");
    }
    let page = ask(folder.path(), "changes --since 2026-01-01 --limit 1");
    assert!(!page.stdout.contains("--cursor") && page.stderr.contains("more: --all, or --cursor"), "{}", page.stderr);
}

#[test]
fn a_field_is_a_name_or_the_pointer_to_it() {
    let folder = trail();
    let named = ask(folder.path(), "changes --table orders --field note --since 2026-01-01");
    assert!(named.stdout.contains("refund"), "{}", named.stdout);
    assert_eq!(ask(folder.path(), "changes --table orders --field /note --since 2026-01-01").stdout, named.stdout);
    let deep = ask(folder.path(), "changes --field /items/0/sku");
    assert_eq!(deep.code, 64);
    assert!(deep.stderr.contains("write items"), "{}", deep.stderr);
}

#[test]
fn a_window_is_what_the_api_takes_for_one() {
    let folder = trail();
    for window in ["1d", "31d", "744h", "500ms"] {
        let ended = ask(folder.path(), &format!("bursts actor --threshold 10 --since 2026-01-01 --window {window}"));
        assert_eq!(ended.code, 0, "{window}: {}", ended.stderr);
    }
    for window in ["32d", "1000h", "0s", "1w"] {
        let ended = ask(folder.path(), &format!("bursts --window {window}"));
        assert_eq!(ended.code, 64, "{window}");
        assert!(ended.stderr.contains("at most 31d"), "{}", ended.stderr);
    }
}

#[test]
fn what_was_meant_is_said_to_whom_writes_it_otherwise() {
    let folder = trail();
    for (arguments, said) in [
        ("history users -x7", "behind `-- `"),
        ("state users --x7", "behind `-- `"),
        ("counts --by day", "without a flag: afterimage counts table,op"),
        ("bursts --by actor", "without a flag: afterimage bursts"),
        ("counts --group-by actor", "without a flag: afterimage counts"),
        ("changes --csv", "write --as csv"),
        ("history users 123 --format csv", "--as csv"),
        ("export --as csv", "CSV with --csv"),
        ("history --table users", "named without a flag: afterimage history TABLE ID"),
        ("history users 123 --sinse 1h", "did you mean --since?"),
        ("token", "`afterimage token --help`"),
        ("history users ", "<ID>: expected the id of a record"),
        ("history users 123 --asc --order desc", "--asc: is given beside --order desc"),
        ("export --asc --csv --order desc", "unexpected argument '--order'"),
    ] {
        let ended = ask(folder.path(), arguments);
        assert_eq!((ended.code, ended.stderr.lines().count()), (64, 1), "{arguments}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
    }
    // There is no such record, which is another thing than that it cannot be said.
    for arguments in ["history users -- -x7", "history users -7", "gaps users -7 --asc"] {
        assert_eq!(ask(folder.path(), arguments).code, 4, "{arguments}");
    }
    assert_eq!(ask(folder.path(), "history users 123 --asc --order asc").code, 0);
}

#[test]
fn times_are_in_a_zone_that_is_known_or_somebody_is_told() {
    let folder = trail();
    let in_zone = |zone, arguments| ask_with(folder.path(), arguments, &[("TZ", zone)]);
    let days = in_zone("Asia/Kolkata", "counts day --since 2026-01-09 --until 2026-01-10");
    assert!(days.stdout.starts_with("DAY (UTC)"), "{}", days.stdout);
    assert!(days.stdout.contains("+05:30"), "{}", days.stdout);
    let unknown = in_zone("Mars/Olympus", "history users 123");
    assert_eq!(unknown.code, 0);
    assert_eq!(unknown.stderr.lines().count(), 1, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("no time zone \"Mars/Olympus\" is known"), "{}", unknown.stderr);
    assert!(unknown.stdout.contains("2026-01-09 12:00:00.000Z"), "{}", unknown.stdout);
    for silent in ["history users 123 --utc", "completions bash"] {
        assert_eq!(in_zone("Mars/Olympus", silent).stderr, "", "{silent}");
    }
    // UTC by any name is written as one.
    for zone in ["UTC", "Etc/GMT", "Africa/Abidjan", ""] {
        let shown = in_zone(zone, "history users 123");
        assert!(shown.stdout.contains("2026-01-09 12:00:00.000Z"), "{zone}: {}", shown.stdout);
    }
}

#[test]
fn a_pipe_is_as_wide_as_columns_says_and_has_no_colours() {
    let folder = trail();
    let wide = ask(folder.path(), "history users 123");
    assert!(wide.stdout.lines().any(|line| line.len() > 100), "{}", wide.stdout);
    let narrow = ask_with(folder.path(), "history users 123", &[("COLUMNS", "70")]);
    assert!(narrow.stdout.lines().all(|line| line.chars().count() <= 70), "{}", narrow.stdout);
    for (name, value) in [("COLUMNS", "0"), ("COLUMNS", "wide"), ("TERM", "dumb"), ("NO_COLOR", "1")] {
        assert_eq!(
            ask_with(folder.path(), "history users 123", &[(name, value)]).stdout,
            wide.stdout,
            "{name}={value}"
        );
    }
    let zoned = ask_with(folder.path(), "counts --since 2026-01-01", &[("COLUMNS", "70"), ("TZ", "Europe/Berlin")]);
    for line in zoned.stdout.lines() {
        assert_eq!(line.matches("+01:00").count(), line.matches("2026-").count(), "{}", zoned.stdout);
    }
}

#[test]
fn errors_name_the_file_that_was_asked_for() {
    let folder = trail();
    for output in ["nowhere/all.ndjson", "there"] {
        std::fs::create_dir(folder.path().join("there")).ok();
        let ended = ask(folder.path(), &format!("export --since 2026-01-01 --output {output}"));
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains(output) && !ended.stderr.contains(".part"), "{}", ended.stderr);
    }
    std::fs::remove_dir(folder.path().join("there")).unwrap();
}

#[test]
fn a_token_is_granted_what_can_be_and_ends_when_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let made = ask(folder.path(), "token new ada reader table=members,record=o1,u%2C1 --expires 2999-01-01T00:00:00Z");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains(r#"{ table = "members", record_id = ["o1", "u,1"] }"#), "{}", made.stdout);
    assert!(made.stdout.contains("expires = 2999-01-01T00:00:00Z"), "{}", made.stdout);
    let auditor = ask(folder.path(), "token new all auditor --tenant acme --tenant globex --expires never");
    assert!(auditor.stdout.contains(r#"tenants = ["acme", "globex"]"#), "{}", auditor.stdout);
    assert!(!auditor.stdout.contains("expires ="), "{}", auditor.stdout);
    for (arguments, said) in [
        ("token new a reader table=*", "leave table= out"),
        ("token new a reader", "a reader without grants sees nothing"),
        ("token new a auditor table=orders", "an auditor sees everything"),
        ("token new a auditor --expires 2020-01-01", "--expires: is past"),
        ("token new a auditor --expires soon", "--expires: expected a time"),
    ] {
        let ended = ask(folder.path(), arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{arguments}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
    }
}
