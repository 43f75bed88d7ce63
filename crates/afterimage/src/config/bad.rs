//! What is wrong with a configuration, in one line.

use std::fmt;

/// The configuration cannot be used: exit code 64 and this one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadConfig(String);

impl BadConfig {
    /// What is wrong at a place: a flag, a variable, or a file and line. Line ends within become spaces.
    pub(crate) fn at(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::new(format!("{place}: {problem}"))
    }

    /// What is wrong, the place being part of it.
    pub(crate) fn new(problem: impl fmt::Display) -> Self {
        Self(problem.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadConfig {}
