//! Sequin change messages: <https://sequinstream.com/docs/reference/messages>.
//!
//! `changes` holds the old values of the columns that changed, so the row before is `record` with `changes` laid over
//! it. Sequin knows old values only where the table has `REPLICA IDENTITY FULL`; elsewhere it sends empty `changes`
//! with an update, which is also what an update of nothing looks like. Empty changes are therefore no image before:
//! nothing is made up, and a change whose old values are not known still makes an entry.
//!
//! Large values that did not change are the text `unchanged_toast` without full replica identity
//! (<https://sequinstream.com/docs/reference/databases#toast-columns>): they are unknown.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use afterimage_json::{Object, Pointer, Raw};

use crate::actor;
use crate::change::{AsideKind, ChangeEvent, Op, Position, RecordKey, TimeOrigin};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::fields::{Field, Fields};
use crate::limits::{NAME_BYTES_MAX, UNKNOWN_MAX};
use crate::record_id;
use crate::refusal::{Fault, Problem};

/// What Sequin writes in place of a large value that did not change and that it was not told.
const UNCHANGED_TOAST: &str = "\"unchanged_toast\"";

/// Digits kept for `commit_idx` behind `commit_lsn`, so that the two sort as one number. A transaction of `PostgreSQL` has
/// at most 2^32 commands; Sequin counts rows, and ten thousand million of them in one transaction are refused.
const COMMIT_IDX_DIGITS: usize = 10;

/// Reads a Sequin change message. `index` is its number in a list.
pub(crate) fn read<'a>(
    mut fields: Fields<'a>,
    delivery: &Delivery<'a>,
    index: Option<usize>,
) -> Result<ChangeEvent<'a>, Fault> {
    let record = fields.require(&["record"], "the row")?.object()?;
    let op = action(fields.require(&["action"], "an action")?)?;
    let changes = fields.take(&["changes"])?;
    let metadata = fields.require(&["metadata"], "the metadata of the change")?.object()?;
    let mut metadata = Fields::of(metadata, &["metadata"])?;

    let table = table(&mut metadata)?;
    let source = source(&mut metadata, delivery)?;
    let lsn = metadata.take(&["commit_lsn"])?;
    let idx = metadata.take(&["commit_idx"])?;
    let position = lsn.map(|lsn| position(lsn, idx, &source)).transpose()?;
    // The log sequence number is that of the commit, so it names the transaction. A row that was read has none.
    let transaction = lsn.filter(|_| op != Op::Snapshot).map(|lsn| lsn.id_or_number()).transpose()?;
    let id = metadata.take(&["idempotency_key"])?.map(|field| field.id()).transpose()?;
    let own_time = metadata.take(&["commit_timestamp"])?.map(|field| field.time()).transpose()?;
    let (occurred_at, time_origin) = delivery.occurred_at(own_time, TimeOrigin::Commit);
    let (actor, mut context) = annotations(metadata.take(&["transaction_annotations"])?);

    let changes = changes_of(op, changes, &mut context)?;
    let row = Some(Cow::Borrowed(record.as_str()));
    let (before, after, unknown) = match op {
        Op::Delete => (row, None, Vec::new()),
        Op::Update => {
            let old: OldValues<'_> = changes.and_then(Raw::members).into_iter().flatten().collect();
            let before = changes.map(|changes| Cow::Owned(laid_over(record, changes, &old)));
            (before, row, unchanged_toast(record, &old)?)
        }
        _ => (None, row, Vec::new()),
    };
    let record_id = record_id::found(&[("record", record)], delivery.settings.record_keys.pointers(&source, &table))?;

    let left: Vec<_> = metadata.rest().collect();
    if !left.is_empty() {
        // The sink, its consumer, what it was enriched with: another sink says other things of the same change.
        context.keep_aside(AsideKind::Carrier, "metadata", Object::of(&left));
    }
    fields.rest().for_each(|(name, value)| context.keep(name, value.as_str()));
    let (context, asides) = context.into_json()?;

    Ok(ChangeEvent {
        id: delivery.event_id(id, index),
        record: RecordKey { tenant: delivery.settings.tenant.clone(), source, table, record_id },
        op,
        occurred_at,
        time_origin,
        position_is_own: position.is_some(),
        position: position.or_else(|| delivery.position()),
        transaction,
        actor,
        context,
        asides,
        labels: None,
        before,
        after,
        unknown,
        published_at: delivery.published_at(),
    })
}

fn action(field: Field<'_>) -> Result<Op, Fault> {
    const EXPECTED: &str = "one of insert, update, delete, read";
    match &*field.text(EXPECTED)? {
        "insert" => Ok(Op::Insert),
        "update" => Ok(Op::Update),
        "delete" => Ok(Op::Delete),
        "read" => Ok(Op::Snapshot),
        _ => Err(field.fault(Problem::BadValue(EXPECTED))),
    }
}

/// `schema.table`, or the table alone where no schema is named.
fn table(metadata: &mut Fields<'_>) -> Result<String, Fault> {
    let field = metadata.require(&["table_name"], "the name of a table")?;
    let name = field.name()?;
    let Some(schema) = metadata.take(&["table_schema"])? else { return Ok(name) };
    let table = format!("{}.{name}", schema.name()?);
    if table.len() > NAME_BYTES_MAX {
        return Err(field.fault(Problem::TooLong { limit: NAME_BYTES_MAX, unit: "bytes" }));
    }
    Ok(table)
}

/// The database under the name that Sequin has for it. `database_name` is the same name in older versions.
fn source(metadata: &mut Fields<'_>, delivery: &Delivery<'_>) -> Result<String, Fault> {
    if let Some(name) = metadata.take(&["database_name"])? {
        return name.name();
    }
    let database = metadata.peek("database").and_then(|database| database.get("name"));
    match database.and_then(Raw::string) {
        Some(name) if name.len() > NAME_BYTES_MAX => {
            Err(Fault::new(["metadata", "database", "name"], Problem::TooLong { limit: NAME_BYTES_MAX, unit: "bytes" }))
        }
        Some(name) if !name.is_empty() => Ok(name.into_owned()),
        _ => Ok(delivery.settings.source.clone()),
    }
}

/// The place in the log: `commit_lsn`, then `commit_idx` within the transaction, as one number.
fn position(lsn: Field<'_>, idx: Option<Field<'_>>, source: &str) -> Result<Position, Fault> {
    let idx_digits = idx.map(|field| field.digits()).transpose()?.unwrap_or_default();
    let significant = idx_digits.trim_start_matches('0');
    if let Some(field) = idx.filter(|_| significant.len() > COMMIT_IDX_DIGITS) {
        return Err(field.fault(Problem::TooLong { limit: COMMIT_IDX_DIGITS, unit: "digits" }));
    }
    let digits = format!("{}{significant:0>COMMIT_IDX_DIGITS$}", lsn.digits()?);
    let too_long = || lsn.fault(Problem::TooLong { limit: Position::DIGITS_MAX - COMMIT_IDX_DIGITS, unit: "digits" });
    Position::new(format!("lsn:{source}"), &digits).ok_or_else(too_long)
}

/// Who did it, and the other annotations as context.
fn annotations(field: Option<Field<'_>>) -> (Option<crate::Actor>, Context<'_>) {
    let Some(field) = field else { return (None, Context::default()) };
    let Some(members) = field.raw.members() else {
        // Any JSON may be an annotation.
        let mut context = Context::default();
        context.keep(field.name, field.raw.as_str());
        return (None, context);
    };
    let mut left: actor::Left<'_> = members.collect();
    match actor::take_annotated(&mut left) {
        None => (None, Context::sent((!left.is_empty()).then_some(field.raw))),
        actor => (actor, Context::of(left)),
    }
}

/// The old values that an update tells. Those beside another action contradict it and are kept in the context.
fn changes_of<'a>(op: Op, field: Option<Field<'a>>, context: &mut Context<'a>) -> Result<Option<Raw<'a>>, Fault> {
    let Some(field) = field else { return Ok(None) };
    let changes = field.object()?;
    if changes.members().is_none_or(|mut members| members.next().is_none()) {
        return Ok(None);
    }
    if op == Op::Update {
        return Ok(Some(changes));
    }
    context.keep_aside(AsideKind::Image, field.name, changes.as_str());
    Ok(None)
}

/// Values of columns before a change, by name.
type OldValues<'a> = HashMap<Cow<'a, str>, Raw<'a>>;

/// `record` with the values of `changes` in place of its own, in the order of `record`.
fn laid_over(record: Raw<'_>, changes: Raw<'_>, old: &OldValues<'_>) -> String {
    let mut out = Object::with_capacity(record.as_str().len() + changes.as_str().len());
    let mut seen = 0;
    for (name, value) in record.members().into_iter().flatten() {
        let before = old.get(&name);
        seen += usize::from(before.is_some());
        out.member(&name, before.unwrap_or(&value).as_str());
    }
    if seen < old.len() {
        // Columns that the row no longer has, in their own order.
        let present: HashSet<_> = record.members().into_iter().flatten().map(|(name, _)| name).collect();
        for (name, value) in changes.members().into_iter().flatten().filter(|(name, _)| !present.contains(name)) {
            out.member(&name, value.as_str());
        }
    }
    out.finish()
}

/// Columns whose value Sequin was not told. One that changed is known whatever its text.
fn unchanged_toast(record: Raw<'_>, old: &OldValues<'_>) -> Result<Vec<Pointer>, Fault> {
    let columns = record.members().into_iter().flatten();
    let unknown = columns.filter(|(name, value)| value.as_str() == UNCHANGED_TOAST && !old.contains_key(name));
    let pointers: Vec<Pointer> = unknown.map(|(name, _)| Pointer::from_iter([name])).take(UNKNOWN_MAX + 1).collect();
    if pointers.len() > UNKNOWN_MAX {
        return Err(Fault::new(["record"], Problem::TooLong { limit: UNKNOWN_MAX, unit: "unknown values" }));
    }
    Ok(pointers)
}
