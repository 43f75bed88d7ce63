//! `afterimage completions`: what makes a shell complete commands and flags.

use super::Outcome;
use crate::config::Shell;
use crate::output;

pub(super) fn run(shell: Shell, mut command: clap::Command) -> anyhow::Result<Outcome> {
    use clap_complete::Shell as Known;
    let shell = match shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "afterimage", &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
