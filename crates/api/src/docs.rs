//! `/docs` and `/v1/openapi.json`: the API described, for people and for programs, without a request to elsewhere.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use serde_json::Value;

use crate::{ProblemKind, openapi};

/// The page loads nothing and runs nothing; its style is in itself.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The same for everybody, and new with each release.
const CACHE_CONTROL: &str = "public, max-age=300";

const STYLE: &str = include_str!("docs.css");

/// A page that is made once.
#[derive(Clone)]
struct Fixed {
    content_type: &'static str,
    etag: HeaderValue,
    text: Bytes,
}

impl Fixed {
    fn new(content_type: &'static str, text: String) -> Self {
        let etag = format!("\"{}\"", &blake3::hash(text.as_bytes()).to_hex()[..32]);
        let etag = HeaderValue::from_str(&etag).unwrap_or_else(|_| unreachable!("hexadecimal digits"));
        Self { content_type, etag, text: text.into() }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A proxy that compressed it may have made the tag a weak one (RFC 9110, section 8.8.3).
        let is_known = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag);
        let mut response = Response::new(if is_known { Body::empty() } else { Body::from(self.text.clone()) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        response
    }
}

/// The two pages.
pub(crate) fn pages(document: &Value) -> Router {
    let json = Fixed::new("application/json", openapi::text(document));
    let html = Fixed::new("text/html; charset=utf-8", page(document));
    Router::new()
        .route("/v1/openapi.json", get(async move |headers: HeaderMap| json.answer(&headers)))
        .route("/docs", get(async move |headers: HeaderMap| html.answer(&headers)))
}

/// The document as a page to read.
fn page(document: &Value) -> String {
    let mut html = String::new();
    // Writing to a text cannot fail.
    write_page(&mut html, document).ok();
    html
}

fn write_page(html: &mut String, document: &Value) -> std::fmt::Result {
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let info = &document["info"];
    write!(html, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    write!(html, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    write!(html, "<title>afterimage API</title><style>{STYLE}</style></head><body><main>")?;
    write!(html, "<h1>afterimage API <small>{}</small></h1>", text(&info["version"]))?;
    write!(html, "<p>{}</p>", marked(&text(&info["description"])))?;
    write!(html, "<p>For programs: <a href=\"/v1/openapi.json\">/v1/openapi.json</a> (OpenAPI 3.1).</p><nav><ul>")?;
    let operations = || document["paths"].as_object().into_iter().flatten().map(|(path, item)| (path, &item["get"]));
    for (path, operation) in operations() {
        let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
        write!(html, "<li><a href=\"#{id}\"><code>{}</code></a> {summary}</li>", escaped(path))?;
    }
    write!(html, "<li><a href=\"#problems\">Problems</a></li><li><a href=\"#shapes\">Shapes</a></li></ul></nav>")?;
    for (path, operation) in operations() {
        let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
        write!(html, "<section id=\"{id}\"><h2><code>GET {}</code></h2>", escaped(path))?;
        write!(html, "<p><strong>{summary}.</strong> {}</p>", marked(&text(&operation["description"])))?;
        write!(html, "<table><tr><th>parameter</th><th>value</th><th>meaning</th></tr>")?;
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let required = if parameter["required"] == true { " (required)" } else { "" };
            let (name, help) = (text(&parameter["name"]), marked(&text(&parameter["description"])));
            let value = escaped(&values(&parameter["schema"]));
            write!(html, "<tr><td><code>{name}</code>{required}</td><td>{value}</td><td>{help}</td></tr>")?;
        }
        write!(html, "</table><table><tr><th>status</th><th>answer</th></tr>")?;
        for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
            let shape = answer.pointer("/content/application~1json/schema/$ref").and_then(Value::as_str);
            let shape = shape.and_then(|shape| shape.rsplit('/').next());
            let link = shape.map_or_else(String::new, |name| format!(" <a href=\"#shape-{name}\">{name}</a>"));
            write!(html, "<tr><td>{status}</td><td>{}{link}</td></tr>", text(&answer["description"]))?;
        }
        write!(html, "</table></section>")?;
    }
    write!(
        html,
        "<section id=\"problems\"><h2>Problems</h2><table><tr><th>type</th><th>status</th><th>title</th></tr>"
    )?;
    for kind in ProblemKind::ALL {
        let (name, status, title) = (kind.name(), kind.status().as_u16(), kind.title());
        write!(html, "<tr id=\"{name}\"><td><code>/docs#{name}</code></td><td>{status}</td><td>{title}</td></tr>")?;
    }
    write!(html, "</table></section><section id=\"shapes\"><h2>Shapes</h2>")?;
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let shown = escaped(&serde_json::to_string_pretty(schema).unwrap_or_default());
        write!(html, "<h3 id=\"shape-{name}\">{name}</h3><pre>{shown}</pre>")?;
    }
    write!(html, "</section></main></body></html>")
}

/// What a parameter may say, in words.
fn values(schema: &Value) -> String {
    let list = |names: &Value| {
        let names: Vec<_> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        names.join(", ")
    };
    let mut text = match (&schema["type"], &schema["enum"], &schema["items"]["enum"]) {
        (_, names @ Value::Array(_), _) => list(names),
        (_, _, names @ Value::Array(_)) => format!("some of {}", list(names)),
        (kind, ..) if kind == "integer" => format!("{} to {}", schema["minimum"], schema["maximum"]),
        (kind, ..) if kind == "array" => format!("up to {} texts", schema["maxItems"]),
        _ if schema["anyOf"].is_array() => "time or date".to_owned(),
        _ => "text".to_owned(),
    };
    match &schema["default"] {
        Value::Null => {}
        Value::Array(_) => text = format!("{text}; default {}", list(&schema["default"])),
        Value::String(default) => text = format!("{text}; default {default}"),
        default => text = format!("{text}; default {default}"),
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text in back-quotes as code.
fn marked(escaped: &str) -> String {
    escaped
        .split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}
