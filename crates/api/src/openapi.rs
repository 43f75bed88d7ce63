//! The OpenAPI 3.1 document, made from the operations that the router is made from.
//!
//! Shapes of answers stand in `schemas.json`: OpenAPI 3.1 takes JSON Schema as it is. The tests hold them against answers.

use std::collections::BTreeMap;

use afterimage_event::NAME_BYTES_MAX;
use afterimage_store::ExportFormat;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, Kind, Operation, Param, RECORD_ID_BYTES_MAX};
use crate::{PROBLEM_JSON, ProblemKind};

const SCHEMAS: &str = include_str!("schemas.json");

const INTRODUCTION: &str = "\
Questions to the audit trail: who changed this, when, from what to what; what did this record look like then. Every \
question is a GET and changes nothing. Times are RFC 3339, or a date, which is its first moment in UTC. Lists are \
`{items, next}`: only `next: null` is the end. A record's id of several parts is joined by commas, each part \
percent-encoded by itself. Unknown parameters are refused. Errors are RFC 9457 problems.";

/// The document of these operations.
pub(crate) fn document(operations: &[&'static Operation]) -> Value {
    let paths: Map<String, Value> = operations
        .iter()
        .map(|operation| (operation.path.to_owned(), json!({ "get": described(operation) })))
        .collect();
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_else(|_| unreachable!("a test reads it"));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "afterimage",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        // Either, as the server is configured: nobody (on loopback), or a bearer of a token.
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// The document as text that is worth comparing.
pub(crate) fn text(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

fn described(operation: &Operation) -> Value {
    let mut parameters = Vec::new();
    if operation.is_of_record() {
        parameters.push(json!({
            "name": "table", "in": "path", "required": true, "description": "The table.",
            "schema": { "type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX }, "example": "users",
        }));
        parameters.push(json!({
            "name": "id", "in": "path", "required": true,
            "description": "The record's id; of several parts, joined by commas, each part percent-encoded by itself.",
            "schema": { "type": "string", "minLength": 1, "maxLength": RECORD_ID_BYTES_MAX }, "example": "u1",
        }));
    }
    parameters.extend(operation.query().map(parameter));
    json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": parameters,
        "responses": responses(operation),
    })
}

fn parameter(param: &Param) -> Value {
    let mut described = json!({
        "name": param.name, "in": "query", "required": param.required, "description": param.help, "schema": schema(param.kind),
    });
    if param.repeats() {
        // `op=insert&op=update`; joined by commas works as well.
        described["style"] = json!("form");
        described["explode"] = json!(true);
    }
    described
}

fn schema(kind: Kind) -> Value {
    match kind {
        // Bytes cannot be said in JSON Schema; so many characters are at least so many bytes.
        Kind::Text { bytes_max } => {
            json!({ "type": "string", "minLength": 1, "maxLength": bytes_max, "pattern": "^[^\\u0000]+$" })
        }
        Kind::Time => json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "format": "date" }] }),
        Kind::Count { min, max, default } => {
            json!({ "type": "integer", "minimum": min, "maximum": max, "default": default })
        }
        Kind::Duration { default } => {
            json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "default": default })
        }
        Kind::Choice { names, default } => json!({ "type": "string", "enum": names, "default": default }),
        Kind::Choices { names, default } => {
            let mut list = json!({ "type": "array", "items": { "type": "string", "enum": names } });
            if !default.is_empty() {
                list["default"] = json!(default);
            }
            list
        }
        Kind::Records { items_max } => json!({
            "type": "array", "minItems": 1, "maxItems": items_max,
            "items": { "type": "string", "pattern": "^[^/]+/[^/]+(/[^/]+)?$" },
        }),
    }
}

/// One answer for each status; where several kinds of problem share one, all are named.
fn responses(operation: &Operation) -> Value {
    let as_json = |name| [("application/json".to_owned(), json!({ "schema": reference(name) }))];
    let line = |format: ExportFormat| (format.media_type().to_owned(), json!({ "schema": { "type": "string" } }));
    let lines = [ExportFormat::Ndjson, ExportFormat::Csv].map(line);
    let good: Map<String, Value> = match operation.answer {
        Answer::Json(name) => as_json(name).into_iter().collect(),
        Answer::List(name) => as_json(name).into_iter().chain(lines).collect(),
        Answer::Lines => lines.into_iter().collect(),
    };
    let mut responses = Map::from_iter([("200".to_owned(), json!({ "description": "The answer.", "content": good }))]);
    let mut by_status: BTreeMap<u16, Vec<ProblemKind>> = BTreeMap::new();
    for kind in operation.problems() {
        by_status.entry(kind.status().as_u16()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        let described: Vec<_> = kinds.iter().map(|kind| format!("{}: {}.", kind.name(), kind.title())).collect();
        let problem = json!({
            "description": described.join(" "),
            "content": { PROBLEM_JSON: { "schema": reference("Problem") } },
        });
        responses.insert(status.to_string(), problem);
    }
    Value::Object(responses)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_a_schema() {
        let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
        let names = SCHEMAS
            .match_indices("#/components/schemas/")
            .map(|(at, prefix)| SCHEMAS[at + prefix.len()..].split('"').next().unwrap());
        for name in names {
            assert!(schemas.get(name).is_some(), "{name}");
        }
    }
}
