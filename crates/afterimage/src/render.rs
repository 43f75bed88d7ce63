//! Answers as tables for people: they fit the terminal, and nothing in them can steer it.

mod findings;
mod history;
mod letters;
mod state;
mod style;

pub(crate) use findings::findings;
pub(crate) use history::history;
pub(crate) use letters::{letter, letters, redriven};
pub(crate) use state::state;
pub(crate) use style::Screen;
