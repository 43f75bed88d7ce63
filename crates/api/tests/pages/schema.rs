//! Does an answer have the shape that the document gives it? As much of JSON Schema as `schemas.json` uses, and stricter
//! in one thing: a member that no schema names is a defect of the document.

use serde_json::Value;

/// Everything that does not fit, each with its place.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(document, schema, value, "", &mut found);
    found
}

fn look(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return look(document, target.unwrap_or_else(|| panic!("no schema {reference}")), value, place, found);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        if !choices.iter().any(|choice| faults(document, choice, value).is_empty()) {
            found.push(format!("{place}: fits none of its schemas"));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = match &schema["type"] {
        Value::String(name) => name == kind,
        Value::Array(names) => names.iter().any(|name| name == kind),
        _ => true,
    };
    if !fits {
        found.push(format!("{place}: {kind} instead of {}", schema["type"]));
    }
    if let Some(names) = schema["enum"].as_array()
        && !names.contains(value)
    {
        found.push(format!("{place}: {value} is none of {names:?}"));
    }
    if schema["format"] == "date-time"
        && value.as_str().is_some_and(|text| text.parse::<afterimage_event::Timestamp>().is_err())
    {
        found.push(format!("{place}: {value} is no time"));
    }
    for item in value.as_array().into_iter().flatten() {
        look(document, &schema["items"], item, &format!("{place}/*"), found);
    }
    if let (Some(properties), Some(members)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, member) in members {
            match properties.get(name) {
                Some(schema) => look(document, schema, member, &format!("{place}/{name}"), found),
                None => found.push(format!("{place}/{name}: is not documented")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                found.push(format!("{place}/{name}: is missing"));
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a"],
        "properties": { "a": { "type": ["integer", "null"] }, "b": { "enum": ["x"] }, "c": { "items": { "type": "string" } } },
    });
    let faults = |text: &str| faults(&Value::Null, &schema, &serde_json::from_str(text).unwrap()).len();
    assert_eq!(faults(r#"{"a":1,"b":"x","c":["y"]}"#), 0);
    for (text, count) in [("[]", 1), ("{}", 1), (r#"{"a":""}"#, 1), (r#"{"a":null,"b":"y","c":[1],"d":0}"#, 3)] {
        assert_eq!(faults(text), count, "{text}");
    }
}
