//! The native event, v0 and v1 (design §2): every key in camelCase or `snake_case`.

use std::borrow::Cow;

use afterimage_json::{Pointer, Raw};

use crate::actor;
use crate::change::{AsideKind, ChangeEvent, Op, ParseOpError, Position, RecordKey, TimeOrigin};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::fields::{Field, Fields};
use crate::limits::UNKNOWN_MAX;
use crate::record_id;
use crate::refusal::{Fault, Problem};

/// Reads a native event. `index` is its number in a list.
pub(crate) fn read<'a>(
    mut fields: Fields<'a>,
    delivery: &Delivery<'a>,
    index: Option<usize>,
) -> Result<ChangeEvent<'a>, Fault> {
    check_version(fields.take(&["v"])?)?;
    let table = fields.require(&["tableName", "table_name"], "the name of a table")?.name()?;
    let op = operation(fields.require(&["operation"], "an operation")?)?;
    let source = or_configured(fields.take(&["source"])?, &delivery.settings.source)?;
    let tenant = or_configured(fields.take(&["tenant"])?, &delivery.settings.tenant)?;

    let mut context = Context::sent(fields.take(&["context"])?.map(|field| field.object()).transpose()?);
    let (before, after) = images(op, fields.take(&["before"])?, fields.take(&["after"])?, &mut context)?;
    let record_id = match fields.take(&["recordId", "record_id"])? {
        // It concerns the whole table.
        sent if matches!(op, Op::Truncate | Op::Ddl) => {
            sent.into_iter().for_each(|field| context.keep(field.name, field.raw.as_str()));
            Vec::new()
        }
        Some(field) => record_id::sent(field)?,
        None => {
            let images: Vec<_> =
                after.map(|image| ("after", image)).into_iter().chain(before.map(|image| ("before", image))).collect();
            record_id::found(&images, delivery.settings.record_keys.pointers(&source, &table))?
        }
    };

    let actor = fields.take(&["by"])?.and_then(|field| {
        let (actor, left) = actor::read(field.raw);
        left.into_iter().for_each(|left| context.keep(field.name, left));
        actor
    });
    let seq = fields.take(&["seq"])?.map(|field| position(field, &source)).transpose()?;
    let own_time = fields.take(&["occurredAt", "occurred_at"])?.map(|field| field.time()).transpose()?;
    let (occurred_at, time_origin) = delivery.occurred_at(own_time, TimeOrigin::Event);
    let id = fields.take(&["eventId", "event_id"])?.map(|field| field.id()).transpose()?;
    let transaction = fields.take(&["transaction"])?.map(|field| field.id_or_number()).transpose()?;
    let labels = fields.take(&["labels"])?.map(|field| field.object()).transpose()?;
    let unknown = fields.take(&["unknown"])?.map(unknown).transpose()?.unwrap_or_default();
    fields.rest().for_each(|(name, value)| context.keep(name, value.as_str()));
    let (context, asides) = context.into_json()?;

    Ok(ChangeEvent {
        id: delivery.event_id(id, index),
        record: RecordKey { tenant, source, table, record_id },
        op,
        occurred_at,
        time_origin,
        position_is_own: seq.is_some(),
        position: seq.or_else(|| delivery.position()),
        transaction,
        actor,
        context,
        asides,
        labels,
        before: before.map(|image| Cow::Borrowed(image.as_str())),
        after: after.map(|image| Cow::Borrowed(image.as_str())),
        unknown,
        published_at: delivery.published_at(),
    })
}

fn check_version(version: Option<Field<'_>>) -> Result<(), Fault> {
    const EXPECTED: &str = "version 1 (a later one needs a newer afterimage)";
    let Some(field) = version else { return Ok(()) };
    match field.raw.number() {
        Some("0" | "1") => Ok(()),
        Some(_) => Err(field.fault(Problem::BadValue(EXPECTED))),
        None => Err(field.fault(Problem::WrongType("the number 1"))),
    }
}

fn operation(field: Field<'_>) -> Result<Op, Fault> {
    const EXPECTED: &str = "one of insert, create, update, delete, truncate, snapshot, read, access, ddl";
    field.text(EXPECTED)?.parse().map_err(|ParseOpError| field.fault(Problem::BadValue(EXPECTED)))
}

fn or_configured(field: Option<Field<'_>>, configured: &str) -> Result<String, Fault> {
    field.map_or_else(|| Ok(configured.to_owned()), |field| field.name())
}

fn position(field: Field<'_>, source: &str) -> Result<Position, Fault> {
    let too_long = || field.fault(Problem::TooLong { limit: Position::DIGITS_MAX, unit: "digits" });
    Position::new(format!("seq:{source}"), &field.digits()?).ok_or_else(too_long)
}

/// The images an operation has, before and after. One that contradicts it is no image of it, but is kept.
fn images<'a>(
    op: Op,
    before: Option<Field<'a>>,
    after: Option<Field<'a>>,
    context: &mut Context<'a>,
) -> Result<(Option<Raw<'a>>, Option<Raw<'a>>), Fault> {
    let mut keep = |field: Option<Field<'a>>| {
        field.into_iter().for_each(|field| context.keep_aside(AsideKind::Image, field.name, field.raw.as_str()));
    };
    let raw = |field: Option<Field<'a>>| field.map(|field| field.raw);
    let missing = |at: &[&str], expected| Err(Fault::new(at, Problem::MissingImage(expected)));
    match op {
        Op::Insert | Op::Snapshot => {
            if after.is_none() {
                return missing(&["after"], "the image after, which an insert or snapshot has");
            }
            keep(before);
            Ok((None, raw(after)))
        }
        Op::Delete => {
            if before.is_none() {
                return missing(&["before"], "the image before, which a delete has");
            }
            keep(after);
            Ok((raw(before), None))
        }
        Op::Update if before.is_none() && after.is_none() => {
            missing(&[], "the image before, the image after, or better both, in an update")
        }
        Op::Update | Op::Access => Ok((raw(before), raw(after))),
        Op::Truncate | Op::Ddl => {
            keep(before);
            keep(after);
            Ok((None, None))
        }
    }
}

fn unknown(field: Field<'_>) -> Result<Vec<Pointer>, Fault> {
    const EXPECTED: &str = "a JSON pointer such as /bio (RFC 6901)";
    let elements = field.raw.elements();
    let elements = elements.ok_or_else(|| field.fault(Problem::WrongType("a list of JSON pointers")))?;
    let mut pointers = Vec::new();
    for (index, element) in elements.enumerate() {
        if index == UNKNOWN_MAX {
            return Err(field.fault(Problem::TooLong { limit: UNKNOWN_MAX, unit: "pointers" }));
        }
        let text = element.string().ok_or_else(|| field.element_fault(index, Problem::WrongType(EXPECTED)))?;
        pointers.push(text.parse().map_err(|_| field.element_fault(index, Problem::BadValue(EXPECTED)))?);
    }
    Ok(pointers)
}
