use afterimage_event::Op;
use afterimage_json::{Pointer, Raw};
use serde::Serialize;

use super::EntryView;
use super::answer::shown;

/// Most characters of a value that a sentence shows.
const VALUE_CHARS_MAX: usize = 60;
/// Most changes that a sentence tells one by one.
const CHANGES_TOLD_MAX: usize = 3;

/// An entry in words.
///
/// Nothing in it is made up: where nobody is named as the actor it says so, and what is redacted is said to be hidden. Ids
/// that the event has labels for are shown with them. Long values are shortened, line breaks in them become spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedItem {
    /// The event id.
    pub id: String,
    /// When it happened.
    pub occurred_at: String,
    /// A sentence: "support agent 42 changed the status of order 7 from pending to shipped".
    pub text: String,
    /// Who, as in the sentence.
    pub actor: String,
    /// Did what: "changed".
    pub verb: String,
    /// To what, as in the sentence: "order 7".
    pub object: String,
    /// What was done.
    #[serde(serialize_with = "shown")]
    pub op: Op,
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// What an update changed, as in the sentence, but all of it.
    pub changes: Vec<FeedChange>,
}

/// One change of an update, as a sentence shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedChange {
    /// What: names joined by dots.
    pub field: String,
    /// From what; absent where it was not there, or is hidden.
    pub old: Option<String>,
    /// To what; absent where it is not there, or is hidden.
    pub new: Option<String>,
    /// Rules took the values away.
    pub hidden: bool,
    /// Only the order of its elements changed.
    pub reordered: bool,
}

impl FeedItem {
    /// Says what an entry tells.
    #[must_use]
    pub fn of(entry: &EntryView) -> Self {
        let labels = Labels(Raw::parse(entry.labels.get()).ok());
        let actor = actor(entry, &labels);
        let object = object(entry, &labels);
        let changes = if entry.op == Op::Update { changes(entry, &labels) } else { Vec::new() };
        let (verb, rest) = match entry.op {
            Op::Insert => ("created", object.clone()),
            Op::Update => predicate(entry, &object, &changes),
            Op::Delete => ("deleted", object.clone()),
            Op::Truncate => ("emptied", object.clone()),
            Op::Snapshot => ("recorded", format!("{object} as it stood")),
            Op::Access => ("looked at", object.clone()),
            Op::Ddl => ("changed", format!("the schema of {object}")),
        };
        Self {
            id: entry.id.clone(),
            occurred_at: entry.occurred_at.to_string(),
            text: format!("{actor} {verb} {rest}"),
            actor,
            verb: verb.to_owned(),
            object,
            op: entry.op,
            source: entry.source.clone(),
            table: entry.table.clone(),
            record_id: entry.record_id.clone(),
            changes,
        }
    }
}

/// Human names that an event brought for ids: by the id alone, or by field and id.
struct Labels<'e>(Option<Raw<'e>>);

impl Labels<'_> {
    fn of(&self, id: &str) -> Option<String> {
        let text = self.0?.get(id)?.string()?;
        (!text.is_empty()).then(|| short(&text))
    }

    fn of_value(&self, field: &str, value: &str) -> Option<String> {
        let by_field = self.0.and_then(|labels| labels.get(field)?.get(value)?.string().map(|text| short(&text)));
        by_field.or_else(|| self.of(value))
    }
}

fn actor(entry: &EntryView, labels: &Labels<'_>) -> String {
    let Some(actor) = &entry.actor else { return "somebody unknown".to_owned() };
    let said = |part: &Option<String>| part.as_deref().filter(|text| !text.is_empty()).map(short);
    let kind = said(&actor.kind).map(|kind| kind.replace(['_', '-'], " "));
    let id = said(&actor.id);
    let named = said(&actor.name).or_else(|| labels.of(actor.id.as_deref()?));
    let mut text = match (named, kind, id.or_else(|| said(&actor.email))) {
        (Some(name), ..) => name,
        (None, Some(kind), Some(id)) => format!("{kind} {id}"),
        (None, None, Some(id)) => id,
        (None, Some(kind), None) => format!("an unnamed {kind}"),
        (None, None, None) => "somebody unknown".to_owned(),
    };
    if let Some(principal) = said(&actor.on_behalf_of) {
        let name = actor.on_behalf_of.as_deref().and_then(|id| labels.of(id)).unwrap_or(principal);
        text = format!("{text}, on behalf of {name},");
    }
    text
}

fn object(entry: &EntryView, labels: &Labels<'_>) -> String {
    if entry.record_id.is_empty() {
        return format!("table {}", short(&entry.table));
    }
    let id = entry.record_id.join(",");
    let label = labels.of(&id).map(|label| format!(" ({label})")).unwrap_or_default();
    // An id of several parts is told from one that has a comma, as everywhere.
    let parts = entry.record_id.iter().map(|part| part.replace('%', "%25").replace(',', "%2C"));
    let shown = parts.collect::<Vec<_>>().join(",");
    format!("{} {}{label}", singular(&entry.table), short(&shown))
}

/// `public.orders` → `order`. Only endings that are safe in English; any other name stays as it is.
fn singular(table: &str) -> String {
    let name = table.rsplit('.').next().filter(|name| !name.is_empty()).unwrap_or(table);
    let name = short(name.replace('_', " "));
    if let Some(stem) = name.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if name.ends_with(ending) {
            return name[..name.len() - 2].to_owned();
        }
    }
    let keeps = ["ss", "us", "is", "as"].iter().any(|ending| name.ends_with(ending));
    match name.strip_suffix('s') {
        Some(stem) if !keeps && stem.len() > 1 => stem.to_owned(),
        _ => name,
    }
}

fn changes(entry: &EntryView, labels: &Labels<'_>) -> Vec<FeedChange> {
    let Some(list) = Raw::parse(entry.changes.get()).ok().and_then(Raw::elements) else { return Vec::new() };
    list.filter_map(|change| {
        let path: Pointer = change.get("path")?.string()?.parse().ok()?;
        let field = path.segments().map(|name| short(&name)).collect::<Vec<_>>().join(".");
        let hidden = change.get("redacted").is_some();
        let value = |side| change.get(side).filter(|_| !hidden).map(|value| told(value, &field, labels));
        let (old, new) = (value("old"), value("new"));
        Some(FeedChange { old, new, hidden, reordered: change.get("order").is_some(), field })
    })
    .collect()
}

fn told(value: Raw<'_>, field: &str, labels: &Labels<'_>) -> String {
    let text = value.string().unwrap_or_else(|| value.as_str().into());
    match labels.of_value(field, &text) {
        Some(label) => format!("{label} ({})", short(&text)),
        None if text.is_empty() => "an empty text".to_owned(),
        None => short(&text),
    }
}

/// What an update did.
fn predicate(entry: &EntryView, object: &str, changes: &[FeedChange]) -> (&'static str, String) {
    match changes {
        [] if entry.changed.is_empty() => ("changed", object.to_owned()),
        [] => {
            let names: Vec<String> = entry.changed.iter().take(CHANGES_TOLD_MAX).map(short).collect();
            let names = and_more(names, entry.changed.len(), " and ");
            ("changed", format!("the {names} of {object}; to what was not kept"))
        }
        [one] => {
            let what = if one.field.is_empty() { object.to_owned() } else { format!("the {} of {object}", one.field) };
            match one {
                FeedChange { hidden: true, .. } => ("changed", format!("{what}; its value is hidden")),
                FeedChange { reordered: true, .. } => ("reordered", what),
                FeedChange { old: Some(old), new: Some(new), .. } => ("changed", format!("{what} from {old} to {new}")),
                FeedChange { new: Some(new), .. } => ("set", format!("{what} to {new}")),
                FeedChange { old: Some(old), .. } => ("removed", format!("{what}, which was {old}")),
                _ => ("changed", what),
            }
        }
        several => {
            let told: Vec<String> = several.iter().take(CHANGES_TOLD_MAX).map(clause).collect();
            ("changed", format!("{object}: {}", and_more(told, several.len(), ", ")))
        }
    }
}

fn clause(change: &FeedChange) -> String {
    let field = &change.field;
    match change {
        FeedChange { hidden: true, .. } => format!("{field} (hidden)"),
        FeedChange { reordered: true, .. } => format!("{field} reordered"),
        FeedChange { old: Some(old), new: Some(new), .. } => format!("{field} from {old} to {new}"),
        FeedChange { new: Some(new), .. } => format!("{field} set to {new}"),
        FeedChange { old: Some(old), .. } => format!("{field} removed, which was {old}"),
        _ => field.clone(),
    }
}

fn and_more(told: Vec<String>, all: usize, joint: &str) -> String {
    let more = all - told.len();
    let told = told.join(joint);
    match more {
        0 => told,
        1 => format!("{told}, and 1 more"),
        _ => format!("{told}, and {more} more"),
    }
}

/// The beginning of a text, on one line.
fn short(text: impl AsRef<str>) -> String {
    let mut chars = text.as_ref().chars().map(|c| if c.is_control() || is_break(c) { ' ' } else { c });
    let mut out: String = chars.by_ref().take(VALUE_CHARS_MAX).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// Line and paragraph separators, and what turns the direction of text round: it would let a value rewrite its sentence.
fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use afterimage_event::Timestamp;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;
    use crate::content::ActorParts;

    fn raw(value: &serde_json::Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    fn entry(op: Op, changes: &serde_json::Value, labels: &serde_json::Value) -> EntryView {
        let moment = Timestamp::from_micros(0).unwrap();
        EntryView {
            id: "e".into(),
            tenant: "t".into(),
            source: "s".into(),
            table: "public.orders".into(),
            record_id: vec!["7".into()],
            op,
            occurred_at: moment,
            position: None,
            transaction: None,
            actor: Some(ActorParts {
                kind: Some("support_agent".into()),
                id: Some("42".into()),
                name: None,
                email: None,
                on_behalf_of: None,
            }),
            context: raw(&json!({})),
            labels: raw(labels),
            changed: vec![],
            changes: raw(changes),
            after: None,
            unknown: vec![],
            before_digest: None,
            after_digest: None,
            published_at: moment,
            stored_at: moment,
            expires_at: None,
            revision: 0,
            flags: vec![],
        }
    }

    fn text(op: Op, changes: &serde_json::Value, labels: &serde_json::Value) -> String {
        FeedItem::of(&entry(op, changes, labels)).text
    }

    #[test]
    fn one_change_is_told_from_what_to_what() {
        let none = json!({});
        for (change, said) in [
            (
                json!({"path":"/status","old":"pending","new":"shipped"}),
                "changed the status of order 7 from pending to shipped",
            ),
            (json!({"path":"/address/city","new":"Oslo"}), "set the address.city of order 7 to Oslo"),
            (json!({"path":"/note","old":""}), "removed the note of order 7, which was an empty text"),
            (json!({"path":"/due","old":"x","new":null}), "changed the due of order 7 from x to null"),
            (json!({"path":"/token","redacted":"drop"}), "changed the token of order 7; its value is hidden"),
            (
                json!({"path":"/mail","old":"hmac:1","new":"hmac:2","redacted":"hmac"}),
                "changed the mail of order 7; its value is hidden",
            ),
            (json!({"path":"/items","order":{"old":[1,2],"new":[2,1]}}), "reordered the items of order 7"),
            (json!({"path":"","old":1,"new":[2]}), "changed order 7 from 1 to [2]"),
        ] {
            assert_eq!(text(Op::Update, &json!([change]), &none), format!("support agent 42 {said}"));
        }
    }

    #[test]
    fn several_changes_are_told_and_many_are_counted() {
        let change = |name: &str| json!({"path":format!("/{name}"),"old":1,"new":2});
        assert_eq!(
            text(Op::Update, &json!([change("a"), {"path":"/pin","redacted":"mask"}]), &json!({})),
            "support agent 42 changed order 7: a from 1 to 2, pin (hidden)"
        );
        let many = json!(["a", "b", "c", "d", "e"].map(change));
        assert!(text(Op::Update, &many, &json!({})).ends_with("c from 1 to 2, and 2 more"));
        assert_eq!(FeedItem::of(&entry(Op::Update, &many, &json!({}))).changes.len(), 5);
        let mut named = entry(Op::Update, &json!([]), &json!({}));
        named.changed = vec!["a".into(), "b".into()];
        assert_eq!(FeedItem::of(&named).text, "support agent 42 changed the a and b of order 7; to what was not kept");
    }

    #[test]
    fn an_id_of_several_parts_is_not_one_with_a_comma() {
        let of = |parts: &[&str]| {
            let mut told = entry(Op::Insert, &json!([]), &json!({"a,b":"both"}));
            told.record_id = parts.iter().map(|&part| part.to_owned()).collect();
            FeedItem::of(&told).object
        };
        assert_eq!(of(&["a", "b"]), "order a,b (both)");
        assert_eq!(of(&["a,b"]), "order a%2Cb (both)");
        assert_eq!(of(&["a%2Cb"]), "order a%252Cb");
    }

    #[test]
    fn every_operation_has_its_words() {
        let said = |op| text(op, &json!([{"path":"/a","new":1}]), &json!({}));
        assert_eq!(said(Op::Insert), "support agent 42 created order 7");
        assert_eq!(said(Op::Delete), "support agent 42 deleted order 7");
        assert_eq!(said(Op::Snapshot), "support agent 42 recorded order 7 as it stood");
        assert_eq!(said(Op::Access), "support agent 42 looked at order 7");
        let mut whole = entry(Op::Truncate, &json!([]), &json!({}));
        whole.record_id = vec![];
        assert_eq!(FeedItem::of(&whole).text, "support agent 42 emptied table public.orders");
        whole.op = Op::Ddl;
        assert_eq!(FeedItem::of(&whole).text, "support agent 42 changed the schema of table public.orders");
    }

    #[test]
    fn labels_name_ids_beside_them_and_nobody_is_made_up() {
        let labels = json!({"42":"Ann","7":"the big one","u9":"Bo","state":{"2":"shipped"}});
        let mut told = entry(Op::Update, &json!([{"path":"/state","old":1,"new":2}]), &labels);
        told.actor.as_mut().unwrap().on_behalf_of = Some("u9".into());
        assert_eq!(
            FeedItem::of(&told).text,
            "Ann, on behalf of Bo, changed the state of order 7 (the big one) from 1 to shipped (2)"
        );
        told.actor = None;
        assert!(FeedItem::of(&told).text.starts_with("somebody unknown changed "));
        let part = |kind: &str, email: &str| {
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let parts = ActorParts { kind: said(kind), id: None, name: None, email: said(email), on_behalf_of: None };
            let mut told = told.clone();
            told.actor = Some(parts);
            FeedItem::of(&told).actor
        };
        assert_eq!(part("", "a@example.com"), "a@example.com");
        assert_eq!(part("migration", ""), "an unnamed migration");
    }

    #[test]
    fn a_value_stays_on_its_line_and_in_its_place() {
        let long = format!("one\ntwo\u{202e}{}", "x".repeat(200));
        let told = text(Op::Update, &json!([{"path":"/note","old":"a","new":long}]), &json!({}));
        assert!(told.contains("one two xxx") && told.ends_with('…') && told.chars().count() < 150, "{told}");
    }

    #[test]
    fn tables_are_spoken_of_in_the_singular_where_that_is_safe() {
        for (table, one) in [
            ("users", "user"),
            ("categories", "category"),
            ("app.order_items", "order item"),
            ("boxes", "box"),
            ("address", "address"),
            ("status", "status"),
            ("addresses", "address"),
            ("s", "s"),
        ] {
            assert_eq!(singular(table), one);
        }
    }
}
