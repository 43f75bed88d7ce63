//! What happened in a run, told line by line.

use std::fmt::Write as _;

use afterimage_consumer::Time;

/// The time line of a run. Telling costs more than running: only a run that is told again has one.
#[derive(Debug, Default)]
pub struct Story {
    lines: Option<Vec<(Time, String)>>,
}

impl Story {
    /// Nothing is told.
    pub(crate) fn silent() -> Self {
        Self::default()
    }

    /// Everything is told.
    pub(crate) fn told() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    pub(crate) fn tell(&mut self, at: Time, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((at, what()));
        }
    }

    /// The whole story, a line for each thing that happened: seconds of virtual time, then who did what.
    #[must_use]
    pub fn all(&self) -> String {
        self.lines_with(|_| true)
    }

    /// What concerns one message, and what happened to the fleet.
    #[must_use]
    pub fn of_message(&self, number: u32) -> String {
        let is_of = |word: &str| word.strip_prefix('m').and_then(|rest| rest.parse::<u32>().ok()) == Some(number);
        // Words end with anything that is no letter or digit; lines that name no message are about the fleet.
        let words = |line: &str| -> Vec<String> {
            line.split(|letter: char| !letter.is_ascii_alphanumeric()).map(str::to_owned).collect()
        };
        let names_message = |words: &[String]| {
            words.iter().any(|word| word.strip_prefix('m').is_some_and(|rest| rest.parse::<u32>().is_ok()))
        };
        let event = format!("e-{number}-");
        self.lines_with(|line| {
            let words = words(line);
            words.iter().any(|word| is_of(word))
                || line.contains(&event)
                || (!names_message(&words) && !line.contains("e-") && line.split(' ').nth(1) != Some(">"))
        })
    }

    fn lines_with(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        for (at, line) in self.lines.iter().flatten().filter(|(_, line)| wanted(line)) {
            writeln!(text, "{:>12.6}  {line}", at.as_secs_f64()).unwrap_or_else(|_| unreachable!("text takes text"));
        }
        text
    }
}
