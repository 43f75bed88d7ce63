//! The demo's story, told while it happens.

use std::path::Path;

use super::shop::{Change, SHOWN_ORDER};

/// Changes of one step that are told one by one; a bulk operation is summed up.
const TOLD_MAX: usize = 2;

/// What to type into another terminal to ask this demo's trail.
pub(crate) struct Asking {
    program: String,
    database: String,
}

impl Asking {
    /// The program as it was called, and the file of the trail.
    pub(crate) fn new(program: &str, database: &Path) -> Self {
        Self { program: quoted(program), database: quoted(&database.to_string_lossy()) }
    }

    /// What goes on with the demo in this folder.
    pub(crate) fn again(&self, folder: &Path) -> String {
        format!("{} demo --path {}", self.program, quoted(&folder.to_string_lossy()))
    }

    /// What to ask about a record that a bulk operation took away.
    pub(crate) fn about(&self, table: &str, id: &str) -> String {
        format!(
            "          # what became of one of them\n          {}\n",
            self.question(&format!("history {table} {id}"))
        )
    }

    fn question(&self, words: &str) -> String {
        format!("{} {words} --store sqlite --sqlite-path {}", self.program, self.database)
    }

    /// The questions worth asking. `moment` lies within the story of the shown order.
    pub(crate) fn examples(&self, moment: &str) -> String {
        let questions = [
            ("who changed this order, when, from what to what", format!("history orders {SHOWN_ORDER}")),
            ("the order as it stood at that moment", format!("state orders {SHOWN_ORDER} --at {moment}")),
            ("a customer: the password's hash never got into the trail", "history users u1".to_owned()),
            ("the same answers for programs", format!("history orders {SHOWN_ORDER} --json --limit 1")),
        ];
        questions.iter().map(|(what, words)| format!("  # {what}\n  {}\n", self.question(words))).collect()
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The changes of one step, as lines.
pub(crate) fn told(changes: &[Change], time: &str) -> String {
    let time = time.get(11..19).unwrap_or(time);
    let mut out: String = changes.iter().take(TOLD_MAX).map(|change| line(change, time)).collect();
    if is_bulk(changes) {
        out.push_str(&format!("{time}  … and {} more in one transaction\n", changes.len() - TOLD_MAX));
    }
    out
}

/// Too many changes to be told one by one?
pub(crate) fn is_bulk(changes: &[Change]) -> bool {
    changes.len() > TOLD_MAX
}

fn line(change: &Change, time: &str) -> String {
    let actor = &change.actor;
    let who = actor.name.as_deref().or(actor.id.as_deref()).unwrap_or("somebody");
    let context = &change.context;
    let why = match (&context.reason, &context.migration, &context.request_id) {
        (Some(reason), _, _) => reason.clone(),
        (None, Some(migration), _) => format!("migration {migration}"),
        (None, None, Some(request)) => format!("request {request}"),
        (None, None, None) => String::new(),
    };
    let (op, table, id, source) = (change.op().as_str(), change.table, change.record_id(), change.source);
    let record = format!("{table} {id}");
    format!("{time}  {source:<8}  {op:<6}  {record:<13}  by {who:<14}  {why}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted_whatever_the_folder_is_called() {
        let asking = Asking::new("target/release/afterimage", Path::new("/tmp/it's here/a.db"));
        let examples = asking.examples("2026-01-09T10:00:05Z");
        let expected =
            r"target/release/afterimage history orders 1001 --store sqlite --sqlite-path '/tmp/it'\''s here/a.db'";
        assert!(examples.contains(expected), "{examples}");
    }
}
