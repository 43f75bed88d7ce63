//! The command line, the environment names and the documented settings file agree.

use clap::CommandFactory;

use super::examples::EXIT_CODES;
use super::file::{self, is_setting};
use super::{Cli, all_args, command, commands, env_name};

/// The documented file, at the repository root.
const DOCUMENTED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../afterimage.toml"));
/// What says, in the comment before a key, that its value is an example.
const NO_DEFAULT: &str = "No default";

#[test]
fn the_command_line_is_well_formed() {
    command(&file::File::default()).debug_assert();
}

#[test]
fn a_flag_of_several_commands_means_one_thing() {
    let command = Cli::command();
    for arg in commands(&command).into_iter().flat_map(clap::Command::get_arguments) {
        let Some(long) = arg.get_long() else { continue };
        let all = all_args();
        let first = all.iter().find(|seen| seen.get_long() == Some(long)).unwrap();
        assert_eq!(first.get_value_parser().type_id(), arg.get_value_parser().type_id(), "--{long}");
        assert_eq!(first.get_default_values(), arg.get_default_values(), "--{long}");
        assert_eq!(first.get_help().map(ToString::to_string), arg.get_help().map(ToString::to_string), "--{long}");
    }
}

/// A line as a shell takes it apart; what stands far to the right says what it is for.
fn words(line: &str) -> Vec<String> {
    let line = line.split("   ").next().and_then(|line| line.split(" > ").next()).unwrap_or_default();
    line.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[test]
fn the_help_of_every_command_has_examples_that_are_read() {
    let root = command(&file::File::default());
    let leaves = commands(&root).into_iter().filter(|command| !command.has_subcommands());
    for leaf in leaves {
        let help = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  afterimage ")).collect();
        assert!(!examples.is_empty(), "{} has none", leaf.get_name());
        for example in examples {
            let argv = std::iter::once("afterimage".to_owned()).chain(words(example));
            let read = command(&file::File::default()).try_get_matches_from(argv);
            assert!(read.is_ok(), "{example}: {}", read.err().unwrap());
            assert!(words(example).iter().any(|word| word == leaf.get_name()), "{example} is not {}", leaf.get_name());
        }
    }
}

#[test]
fn exit_codes_stand_in_the_help_and_in_the_page_alike() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md"));
    let mut codes = 0;
    for line in EXIT_CODES.lines().skip(1).take_while(|line| !line.is_empty()) {
        let (code, meaning) = line.trim_start().split_once(' ').unwrap();
        assert!(page.contains(&format!("| {code} | {} |", meaning.trim())), "{line} is not in docs/cli.md");
        codes += 1;
    }
    assert_eq!(
        codes,
        page.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()).count()
    );
}

#[test]
fn every_flag_has_an_environment_variable() {
    let built = command(&file::File::default());
    for arg in commands(&built).into_iter().flat_map(clap::Command::get_arguments) {
        let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else { continue };
        assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(env_name(long).as_str()));
    }
}

#[test]
fn the_documented_file_lists_every_setting() {
    let file = file::parse("afterimage.toml", &uncommented(), &all_args()).unwrap();
    for arg in all_args().iter().filter(|arg| is_setting(arg)) {
        let long = arg.get_long().unwrap();
        assert!(file.values.contains_key(long), "{long} is not in afterimage.toml");
    }
    assert_eq!(file.rules.len(), 1);
}

#[test]
fn the_documented_file_lists_every_setting_of_a_rule() {
    let refused = file::parse("f", "[[rules]]\nno-such-key = 1", &all_args()).unwrap_err().to_string();
    let (_, keys) = refused.split_once("expected one of ").unwrap();
    let keys = keys.split(", ").map(|key| key.trim_matches('`')).filter(|key| !key.contains('-'));
    for key in keys {
        assert!(DOCUMENTED.contains(&format!("\n#{key} = ")), "{key} is not in afterimage.toml");
    }
}

#[test]
fn the_documented_file_changes_nothing_as_it_stands() {
    let file = file::parse("afterimage.toml", DOCUMENTED, &all_args()).unwrap();
    assert!(file.values.is_empty() && file.rules.is_empty());
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let file = file::parse("afterimage.toml", &uncommented(), &all_args()).unwrap();
    for arg in all_args().iter().filter(|arg| is_setting(arg)) {
        let long = arg.get_long().unwrap();
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        let documented = &file.values[long].texts;
        if !defaults.is_empty() {
            assert_eq!(*documented, defaults, "{long}");
        } else if matches!(arg.get_action(), clap::ArgAction::SetTrue) {
            assert_eq!(*documented, ["false"], "{long}");
        } else {
            assert!(comment_before(long).contains(NO_DEFAULT), "{long} has no default; its comment must say so");
        }
    }
}

/// The documented file with every setting set.
fn uncommented() -> String {
    DOCUMENTED.lines().map(|line| if is_commented_setting(line) { &line[1..] } else { line }).fold(
        String::new(),
        |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        },
    )
}

fn is_commented_setting(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

/// The comment of the group of settings that a key belongs to.
fn comment_before(key: &str) -> String {
    let lines: Vec<_> = DOCUMENTED.lines().collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("#{key} = "))).unwrap();
    let settings_before = lines[..at].iter().rev().take_while(|line| is_commented_setting(line)).count();
    let comment = lines[..at - settings_before].iter().rev().take_while(|line| line.starts_with("# "));
    comment.fold(String::new(), |text, line| format!("{line} {text}"))
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_line() {
    for (text, expected) in [
        ("\nquue_url = \"x\"", "f:2: no setting is called quue_url; did you mean queue-url?"),
        ("queue-url = 5", "f:1: queue-url: expected a string, not an integer"),
        ("pollers-max = \"8\"", "f:1: pollers-max: expected a whole number, not a string"),
        ("pollers-max = 0", "f:1: pollers-max: expected a whole number from 1 to 1024"),
        (
            "grace_period = \"5\"",
            "f:1: grace-period: expected a duration such as 500ms, 5s, 20m or 11h (at most 1000h)",
        ),
        ("store = \"oracle\"", "f:1: store: expected one of sqlite, cassandra, scylla, mongodb"),
        ("allow-topic = [\"arn:aws:sns:eu-west-1:1:t\", 1]", "f:1: allow-topic: expected strings in the list"),
        ("listen = \"a:1\"\nlisten = \"b:1\"", "f:2: duplicate key"),
        ("tenant = \"a\"\nconfig = \"b\"", "f:2: no setting is called config; `afterimage worker --help` lists them"),
        ("[worker]\nstore = \"sqlite\"", "f:1: no setting is called worker; did you mean worker-name?"),
        ("pollers_max = 1\npollers-max = 2", "f:2: pollers-max is set a second time, first at f:1"),
        ("rules = 1", "f:1: rules: expected blocks that begin with [[rules]]"),
        (
            "[[rules]]\n\ntables = \"x\"",
            "f:3: rules: unknown field `tables`, expected one of `source`, `table`, `images`, `ignore`, `quiet`, `redact`, `arrays`, `retention`, `record-id`, `record_id`, `allow-secrets`, `allow_secrets`",
        ),
    ] {
        assert_eq!(file::parse("f", text, &all_args()).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn the_source_of_the_trail_itself_is_no_source_of_a_queue() {
    let argv = ["afterimage", "worker", "--queue-url=http://q/1/a", "--store=sqlite", "--source=afterimage"];
    let refused = super::load(&argv.map(Into::into)).unwrap_err();
    assert!(
        matches!(refused, super::Stop::Bad(bad) if bad.to_string().contains("--source: afterimage is the trail's own"))
    );
}
