//! The OpenAPI document, and the page made of it.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use crate::support::Pages;

/// Write the document instead of comparing it.
const UPDATE: &str = "AFTERIMAGE_UPDATE_OPENAPI";

#[tokio::test]
async fn the_document_that_is_checked_in_is_the_one_that_is_served() {
    let served = Pages::new().await.get("/v1/openapi.json").await;
    assert_eq!((served.status, served.header("content-type")), (StatusCode::OK, "application/json"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &served.text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == served.text, "docs/openapi.json is not current: {UPDATE}=1 cargo test -p afterimage-api document");
}

#[tokio::test]
async fn every_operation_has_an_id_of_its_own_and_says_what_can_go_wrong() {
    let document = Pages::new().await.get("/v1/openapi.json").await.json();
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = &item["get"];
        ids.push(operation["operationId"].as_str().unwrap().to_owned());
        for status in ["200", "400", "401", "403", "413", "414", "500", "503", "504"] {
            assert!(operation["responses"][status].is_object(), "{path} {status}");
        }
        let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|param| &param["name"]).collect();
        assert!(names.iter().all(|name| names.iter().filter(|other| other == &name).count() == 1), "{path} {names:?}");
    }
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn the_page_to_read_names_everything_and_asks_nobody_else() {
    let pages = Pages::new().await;
    let page = pages.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let document = pages.get("/v1/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(page.text.contains(path), "{path}");
        for param in item["get"]["parameters"].as_array().unwrap() {
            assert!(page.text.contains(&format!("<code>{}</code>", param["name"].as_str().unwrap())), "{param}");
        }
    }
    for elsewhere in ["src=", "url(", "@import", "<script", "<link", "href=\"http", "href=\"//"] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
}

#[tokio::test]
async fn what_a_caller_has_already_is_not_sent_again() {
    let pages = Pages::new().await;
    for path in ["/docs", "/v1/openapi.json"] {
        let first = pages.get(path).await;
        let tag = first.header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let again = pages.ask(Request::get(path).header("if-none-match", known).body(Body::empty()).unwrap()).await;
            assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
            assert_eq!(again.header("etag"), tag);
        }
        let other = pages.ask(Request::get(path).header("if-none-match", "\"x\"").body(Body::empty()).unwrap()).await;
        assert_eq!(other.status, StatusCode::OK);
    }
}

/// The answer that the document promises for a path, status and media type.
pub(crate) fn promised<'d>(document: &'d Value, path: &str, status: StatusCode, media_type: &str) -> Option<&'d Value> {
    let answer = &document["paths"][path]["get"]["responses"][status.as_str()];
    let schema = &answer["content"][media_type]["schema"];
    (!schema.is_null()).then_some(schema)
}
