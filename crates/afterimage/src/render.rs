//! Answers as tables for people: they fit the terminal, and nothing in them can steer it.

mod edit;
mod entries;
mod findings;
mod letters;
mod line;
mod lists;
mod name;
mod patch;
mod replayed;
mod state;
mod style;
mod table;

use serde_json::value::RawValue;

pub(crate) use findings::findings;
pub(crate) use letters::{letter, letters, redriven};
pub(crate) use replayed::replayed;
pub(crate) use style::{Screen, safe};

use crate::ask::Question;

/// An answer that is no list.
pub(crate) fn answer(question: &Question, body: &str, screen: &Screen) -> Result<String, serde_json::Error> {
    match question {
        Question::Diff(..) | Question::Revert(..) => patch::patch(body, screen),
        _ => state::state(body, screen),
    }
}

/// The items of a list, of which there are some.
pub(crate) fn items(question: &Question, items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    match question {
        Question::States(..) => state::states(items, screen),
        Question::StatesAt(..) => state::states_at(items, screen),
        Question::Gaps(..) | Question::TableGaps(..) => lists::gaps(items, screen),
        Question::Changes(..) => entries::changes(items, screen),
        Question::Feed(..) => lists::feed(items, screen),
        Question::Counts(_, _, by) => lists::counts(items, by, screen),
        Question::Bursts(_, _, rule) => lists::counts(items, &rule.by, screen),
        _ => entries::history(items, screen),
    }
}
