//! Gaps, sentences, counts and bulk operations, for people.

use std::collections::HashMap;

use afterimage_store::Dimension;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::line::Line;
use super::name::record_name;
use super::style::{Look, Screen, safe};
use super::table::Table;

#[derive(Deserialize)]
struct Gap {
    source: String,
    table: String,
    record_id: Vec<String>,
    after_id: Option<String>,
    after_at: Option<String>,
    before_id: String,
    before_at: String,
    #[serde(default)]
    certain: Option<bool>,
    reason: String,
}

/// Gaps: between which two entries, and what does not fit.
pub(super) fn gaps(items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    let mut table = Table::new(&["RECORD", "BETWEEN", "AND", "REASON"]).whole([1, 2]);
    for item in items {
        let gap: Gap = serde_json::from_str(item.get())?;
        let place = |at: &Option<String>, id: &Option<String>| match at {
            Some(at) => {
                vec![Line::plain(screen.time(at)), Line::of(Look::Dim, safe(id.as_deref().unwrap_or_default()))]
            }
            None => vec![Line::of(Look::Dim, "the beginning of the trail")],
        };
        let doubt = if gap.certain == Some(false) { "perhaps: " } else { "" };
        table.row(vec![
            vec![Line::plain(record_name(Some(&gap.source), &gap.table, &gap.record_id))],
            place(&gap.after_at, &gap.after_id),
            place(&Some(gap.before_at), &Some(gap.before_id)),
            vec![Line::of(Look::Yellow, format!("{doubt}{}", safe(&gap.reason)))],
        ]);
    }
    let mut out = String::new();
    table.print(screen, &mut out);
    Ok(out)
}

#[derive(Deserialize)]
struct Sentence {
    occurred_at: String,
    text: String,
}

/// Changes in sentences.
pub(super) fn feed(items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for item in items {
        let sentence: Sentence = serde_json::from_str(item.get())?;
        let time = screen.time(&sentence.occurred_at);
        screen.wrapped(&mut out, &Line::of(Look::Dim, time).text("  ").hanging().text(&safe(&sentence.text)));
    }
    Ok(out)
}

/// One combination of dimensions, or one bulk operation.
#[derive(Deserialize)]
struct Count {
    count: u64,
    first: String,
    last: String,
    #[serde(flatten)]
    keys: HashMap<String, Option<String>>,
}

/// How many by each combination, the most first.
pub(super) fn counts(
    items: &[&RawValue],
    dimensions: &[Dimension],
    screen: &Screen,
) -> Result<String, serde_json::Error> {
    let title = |dimension: &Dimension| match dimension {
        // Days are those of UTC: shown in another zone they would begin in the middle.
        Dimension::Day => "DAY (UTC)".to_owned(),
        other => other.as_str().to_uppercase(),
    };
    let titles: Vec<String> = dimensions.iter().map(title).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).chain(["COUNT", "FIRST", "LAST"]).collect();
    let keys = dimensions.len();
    let times = (0..keys).filter(|key| matches!(dimensions[*key], Dimension::Hour | Dimension::Day));
    let mut table = Table::new(&titles).number(keys).whole(times.chain([keys + 1, keys + 2]));
    for item in items {
        let count: Count = serde_json::from_str(item.get())?;
        let key = |dimension: &Dimension| match count.keys.get(dimension.as_str()) {
            Some(Some(key)) if *dimension == Dimension::Hour => vec![Line::plain(screen.time(key))],
            Some(Some(key)) if *dimension == Dimension::Day => {
                vec![Line::plain(key.chars().take(10).collect::<String>())]
            }
            Some(Some(key)) => vec![Line::plain(safe(key))],
            _ => vec![Line::of(Look::Dim, "-")],
        };
        let mut cells: Vec<_> = dimensions.iter().map(key).collect();
        cells.push(vec![Line::of(Look::Bold, count.count.to_string())]);
        cells.extend([&count.first, &count.last].map(|time| vec![Line::plain(screen.time(time))]));
        table.row(cells);
    }
    let mut out = String::new();
    table.print(screen, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(body: &str) -> Vec<&RawValue> {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn counts_stand_at_the_right_and_what_is_not_said_is_a_dash() {
        let body = r#"[{"table":"users","actor":"u1","count":1200,"first":"2026-01-09T10:00:00.000000Z","last":"2026-01-09T11:00:00.000000Z"},
            {"table":"orders","actor":null,"count":7,"first":"2026-01-09T10:00:00.000000Z","last":"2026-01-09T10:00:00.000000Z"}]"#;
        let expected = "\
TABLE   ACTOR  COUNT  FIRST                     LAST
users   u1      1200  2026-01-09 10:00:00.000Z  2026-01-09 11:00:00.000Z
orders  -          7  2026-01-09 10:00:00.000Z  2026-01-09 10:00:00.000Z
";
        let by = [Dimension::Table, Dimension::Actor];
        assert_eq!(counts(&items(body), &by, &Screen::plain(None)).unwrap(), expected);
    }

    #[test]
    fn a_day_says_that_it_is_one_of_utc_and_an_hour_is_told_in_the_zone() {
        let body = r#"[{"day":"2026-01-09T00:00:00.000000Z","hour":"2026-01-09T10:00:00.000000Z","count":2,
            "first":"2026-01-09T10:10:00.000000Z","last":"2026-01-09T10:20:00.000000Z"}]"#;
        let expected = "\
DAY (UTC)   HOUR                           COUNT  FIRST                          LAST
2026-01-09  2026-01-09 11:00:00.000+01:00      2  2026-01-09 11:10:00.000+01:00  2026-01-09 11:20:00.000+01:00
";
        let berlin = Screen::plain(None).of_zone(crate::zone::Zone::named("Europe/Berlin"));
        assert_eq!(counts(&items(body), &[Dimension::Day, Dimension::Hour], &berlin).unwrap(), expected);
    }

    #[test]
    fn a_gap_names_the_entries_on_both_sides() {
        let body = r#"[{"source":"shop","table":"users","record_id":["u,1"],"after_id":"e1","after_at":"2026-01-09T10:00:00.000000Z",
            "before_id":"e2","before_at":"2026-01-09T11:00:00.000000Z","reason":"the image before is another"}]"#;
        let expected = "\
RECORD            BETWEEN                   AND                       REASON
shop/users/u%2C1  2026-01-09 10:00:00.000Z  2026-01-09 11:00:00.000Z  the image before is another
                  e1                        e2
";
        assert_eq!(gaps(&items(body), &Screen::plain(None)).unwrap(), expected);
    }

    #[test]
    fn a_sentence_is_one_line() {
        let body = r#"[{"id":"e","occurred_at":"2026-01-09T10:00:00.000000Z","text":"agent\u001b 42 changed it"}]"#;
        let expected = "2026-01-09 10:00:00.000Z  agent\\u{1b} 42 changed it\n";
        assert_eq!(feed(&items(body), &Screen::plain(None)).unwrap(), expected);
    }
}
