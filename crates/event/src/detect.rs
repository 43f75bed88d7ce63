//! Telling formats apart by shape.

use afterimage_json::{Kind, Raw};

use crate::Format;
use crate::fields::Fields;

/// The pointer that an Extended Client sends in place of a large message: `["…S3Pointer", {…}]`
/// (`JsonDataConverter` of awslabs/payload-offloading-java-common-lib-for-aws).
pub(crate) fn is_s3_pointer(list: &[Raw<'_>]) -> bool {
    match list {
        [class, _] => class.string().is_some_and(|class| class.ends_with("S3Pointer")),
        _ => false,
    }
}

/// The format of an object, by the members it has. Envelopes that are read (SNS) were opened before.
///
/// Those that say what they are come first. An object that then has both members every native event must have is one:
/// no foreign format spells them so, and a native event may carry any other member as well.
pub(crate) fn format(fields: &Fields<'_>) -> Option<Format> {
    let has = |name| fields.peek(name).is_some();
    let text = |name| fields.peek(name).and_then(Raw::string);
    let within = |name: &str, inner: &str| fields.peek(name).and_then(|value| value.get(inner));
    let table = has("tableName") || has("table_name");
    let operation = has("operation");

    if text("Type").is_some() && has("TopicArn") {
        return Some(Format::Sns);
    }
    if has("detail-type") && has("source") && has("detail") {
        return Some(Format::EventBridge);
    }
    if text("specversion").is_some_and(|version| version.starts_with("1."))
        && ["id", "source", "type"].into_iter().all(has)
    {
        return Some(Format::CloudEvents);
    }
    if table && operation {
        return Some(Format::Native);
    }
    if within("payload", "op").is_some()
        || (has("schema") && has("payload"))
        || (has("op") && within("source", "connector").is_some())
    {
        return Some(Format::Debezium);
    }
    if has("record") && has("action") && within("metadata", "table_name").is_some() {
        return Some(Format::Sequin);
    }
    if within("metadata", "record-type").is_some() {
        return Some(Format::Dms);
    }
    if is_dynamo_db(fields) {
        return Some(Format::DynamoDb);
    }
    if has("operationType") && (has("ns") || has("documentKey") || has("clusterTime")) {
        return Some(Format::MongoDb);
    }
    if ["database", "table", "type", "ts"].into_iter().all(has) {
        return Some(Format::Maxwell);
    }
    if text("action").is_some_and(|action| matches!(&*action, "I" | "U" | "D" | "T" | "B" | "C" | "M")) {
        return Some(Format::Wal2JsonV2);
    }
    if fields.peek("change").is_some_and(|change| change.kind() == Kind::Array) {
        return Some(Format::Wal2JsonV1);
    }
    // One of the two that a native event must have: it is refused for want of the other, which says more than
    // "unrecognised" would.
    (table || operation).then_some(Format::Native)
}

/// A record of `DynamoDB` Streams, several of them as Lambda gets them, or the Kinesis form.
fn is_dynamo_db(fields: &Fields<'_>) -> bool {
    let has = |name| fields.peek(name).is_some();
    let from_dynamo_db = |record: Raw<'_>| {
        record.get("eventSource").and_then(Raw::string).is_some_and(|source| source == "aws:dynamodb")
    };
    fields.peek("eventSource").and_then(Raw::string).is_some_and(|source| source == "aws:dynamodb")
        || (has("dynamodb") && has("eventName"))
        || (has("recordFormat") && has("tableName"))
        || fields.peek("Records").and_then(|records| records.element(0)).is_some_and(from_dynamo_db)
}
