//! docs/cli.md shows what comes out. `AFTERIMAGE_REWRITE_DOCS=1` makes it so.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::path::{Path, PathBuf};

use support::afterimage;

/// What introduces a command.
const PROMPT: &str = "$ afterimage ";

/// When the page is read.
const NOW: &str = "2026-02-01 09:00:00.000Z";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// What a command prints; behind it the exit code, where that is not 0.
fn shown(folder: &Path, arguments: &str) -> String {
    let output = afterimage(folder).args(arguments.split(' ')).env("TZ", "UTC").output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    match output.status.code().unwrap() {
        0 => {}
        code => text.push_str(&format!("(exit code {code})\n")),
    }
    if arguments.starts_with("revert ")
        && let Some((_, rest)) = text.split_once(" to ")
    {
        // It starts from the record as it is now.
        text = format!("from {NOW} to {rest}");
    }
    text
}

#[test]
fn the_page_shows_what_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(docs().join("cli-example.ndjson"), folder.path().join("cli-example.ndjson")).unwrap();
    let page = std::fs::read_to_string(docs().join("cli.md")).unwrap();
    let (mut made, mut in_block, mut commands) = (String::new(), false, 0);
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if in_block {
            // What stood there is made anew.
            let Some(arguments) = line.strip_prefix(PROMPT) else { continue };
            commands += 1;
            made.push_str(&format!("{line}\n{}", shown(folder.path(), arguments)));
            continue;
        }
        made.push_str(line);
        made.push('\n');
    }
    assert!(commands > 20, "only {commands} commands were found");
    if std::env::var_os("AFTERIMAGE_REWRITE_DOCS").is_some() {
        std::fs::write(docs().join("cli.md"), made).unwrap();
        return;
    }
    for (is, should) in page.lines().zip(made.lines()) {
        assert_eq!(is, should, "docs/cli.md; AFTERIMAGE_REWRITE_DOCS=1 rewrites it");
    }
    assert_eq!(page.lines().count(), made.lines().count(), "docs/cli.md; AFTERIMAGE_REWRITE_DOCS=1 rewrites it");
}

#[test]
fn every_command_of_the_page_names_its_question() {
    let page = std::fs::read_to_string(docs().join("cli.md")).unwrap();
    let commands = "history state states at diff revert gaps changes feed counts bursts export replay";
    for command in commands.split(' ') {
        let prompt = format!("{PROMPT}{command} ");
        assert!(page.lines().any(|line| line.starts_with(&prompt)), "{command} is not in docs/cli.md");
    }
}
