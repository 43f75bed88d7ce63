//! Why a question may have found nothing: for the person who asked.

use afterimage_event::Op;
use afterimage_store::{Filter, OWN_SOURCE, Period};

use super::Question;

/// What to know of a question that was answered with an empty list, in one line.
pub(crate) fn of_nothing(question: &Question) -> String {
    let mut hints = vec!["nothing found"];
    let (filter, period) = match question {
        Question::Changes(filter, listing) | Question::Feed(filter, listing) => {
            (Some(filter), Some(Period { from: listing.from, to: listing.to }))
        }
        Question::Counts(filter, period, _) | Question::Bursts(filter, period, _) => (Some(filter), Some(*period)),
        Question::TableGaps(_, listing) => (None, Some(Period { from: listing.from, to: listing.to })),
        _ => (None, None),
    };
    hints.extend(match period {
        Some(Period { from: None, to: None }) => Some("only the last 24 hours were looked at, --since looks further"),
        Some(Period { from: None, to: Some(_) }) => Some("only the 24 hours before --until, --since looks further"),
        _ => None,
    });
    hints.extend(filter.into_iter().flat_map(of_filter));
    hints.join("; ")
}

fn of_filter(filter: &Filter) -> impl Iterator<Item = &'static str> {
    let is_own = filter.source.as_deref() == Some(OWN_SOURCE);
    [
        (filter.table.is_some() && !is_own, "`afterimage counts table` lists the tables by their whole names"),
        (filter.actor.is_some(), "actors are matched by id or address, by name only where they have neither"),
        (filter.field.is_some(), "a field is a top-level name of the record"),
        (filter.ops.contains(&Op::Access) && !is_own, "who asked what is found with --source afterimage"),
    ]
    .into_iter()
    .filter_map(|(applies, hint)| applies.then_some(hint))
}

#[cfg(test)]
mod tests {
    use afterimage_store::Listing;

    use super::*;

    #[test]
    fn a_hint_is_given_where_it_may_help_and_nowhere_else() {
        let from = "2026-01-09T10:00:00Z".parse().ok();
        let dated = Listing { from, ..Listing::default() };
        let asked = |filter: Filter| of_nothing(&Question::Changes(filter, dated.clone()));
        assert_eq!(asked(Filter::default()), "nothing found");
        assert!(of_nothing(&Question::Changes(Filter::default(), Listing::default())).contains("the last 24 hours"));
        assert!(asked(Filter { actor: Some("Sam".into()), ..Filter::default() }).contains("matched by id or address"));
        let table = Filter { table: Some("users".into()), ..Filter::default() };
        assert!(asked(table).contains("counts table"));
        let access = Filter { ops: vec![Op::Access], ..Filter::default() };
        assert!(asked(access.clone()).contains("--source afterimage"));
        assert_eq!(asked(Filter { source: Some(OWN_SOURCE.into()), ..access }), "nothing found");
    }
}
