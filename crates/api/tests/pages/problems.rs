//! What goes wrong, and what a caller is told about it.

use std::sync::Arc;

use afterimage_api::{Asked, Gate, Limits, Noted, Problem, ProblemKind, Reader, Role};
use afterimage_store::{Grant, Grants};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};

use crate::document::promised;
use crate::schema::faults;
use crate::support::Pages;

#[tokio::test]
async fn what_cannot_be_asked_is_named_with_what_to_do() {
    let pages = Pages::new().await;
    let document = pages.get("/v1/openapi.json").await.json();
    let history = "/v1/records/{table}/{id}/history";
    let long = format!("/v1/changes?actor={}", "x".repeat(1025));
    let many = format!("/v1/states?{}", "record=t/r&".repeat(101));
    for (path, url, status, kind, parameter, says) in [
        (history, "/v1/records/t/r/history?limit=0", 400, "bad-parameter", "limit", "from 1 to 1000"),
        (history, "/v1/records/t/r/history?limit=+5", 400, "bad-parameter", "limit", "from 1 to 1000"),
        (history, "/v1/records/t/r/history?limit=1001", 400, "bad-parameter", "limit", "from 1 to 1000"),
        (history, "/v1/records/t/r/history?limit=1&limit=2", 400, "bad-parameter", "limit", "more than once"),
        (history, "/v1/records/t/r/history?order=up", 400, "bad-parameter", "order", "desc, asc"),
        (history, "/v1/records/t/r/history?from=yesterday", 400, "bad-parameter", "from", "RFC 3339"),
        (history, "/v1/records/t/r/history?from=2026-13-01", 400, "bad-parameter", "from", "RFC 3339"),
        (history, "/v1/records/t/r/history?from=2026-01-02&to=2026-01-01", 400, "bad-parameter", "to", "before from"),
        (history, "/v1/records/t/r/history?form=2026", 400, "bad-parameter", "form", "it takes tenant, source, from"),
        (history, "/v1/records/t/r/history?source=", 400, "bad-parameter", "source", "leave it out"),
        (history, "/v1/records/t/r/history?source=%FF", 400, "bad-parameter", "source", "UTF-8"),
        (history, "/v1/records/t/r/history?source=a%00b", 400, "bad-parameter", "source", "NUL"),
        (history, "/v1/records/t/r%2/history", 400, "bad-parameter", "id", "%25"),
        (history, "/v1/records/%FF/r/history", 400, "bad-parameter", "table", "UTF-8"),
        (history, "/v1/records/t/r/history?cursor=x", 400, "bad-cursor", "cursor", "start again"),
        (history, "/v1/records/t/nobody/history", 404, "no-such-record", "", "no entry"),
        (history, "/v1/records/t/nobody/history?source=s", 404, "no-such-record", "", "no entry"),
        ("/v1/gaps", "/v1/gaps?source=s&table=nothing", 404, "no-such-record", "", "no entry"),
        (
            "/v1/records/{table}/{id}/diff",
            "/v1/records/t/r/diff?from=2026-01-02&to=2026-01-01",
            400,
            "bad-parameter",
            "",
            "swap the two",
        ),
        (history, "/v1/records/t/both/history", 409, "several-sources", "source", "source="),
        (
            "/v1/records/{table}/{id}/diff",
            "/v1/records/t/r/diff?from=2026-01-01",
            400,
            "bad-parameter",
            "to",
            "must be given",
        ),
        ("/v1/changes", "/v1/changes?op=insert,upsert", 400, "bad-parameter", "op", "insert, update"),
        ("/v1/changes", "/v1/changes?op=", 400, "bad-parameter", "op", "insert, update"),
        ("/v1/changes", &long, 400, "bad-parameter", "actor", "1024 bytes"),
        ("/v1/counts", "/v1/counts?by=colour", 400, "bad-parameter", "by", "source, table"),
        ("/v1/bursts", "/v1/bursts?window=1", 400, "bad-parameter", "window", "1h"),
        ("/v1/bursts", "/v1/bursts?window=32d", 400, "bad-parameter", "window", "31d"),
        ("/v1/bursts", "/v1/bursts?threshold=0", 400, "bad-parameter", "threshold", "from 1"),
        ("/v1/states", "/v1/states", 400, "bad-parameter", "record", "must be given"),
        ("/v1/states", "/v1/states?record=r", 400, "bad-parameter", "record", "source/table/id"),
        ("/v1/states", &many, 400, "bad-parameter", "record", "more than 100"),
        ("/v1/gaps", "/v1/gaps", 400, "bad-parameter", "table", "must be given"),
        ("/v1/export", "/v1/export?format=xlsx", 400, "bad-parameter", "format", "ndjson, csv"),
    ] {
        let answer = pages.get(url).await;
        let body = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{url}: {body}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{url}");
        assert_eq!(answer.header("cache-control"), "no-store", "{url}");
        assert_eq!((&body["type"], &body["status"]), (&format!("/docs#{kind}").into(), &status.into()), "{url}");
        assert_eq!(body["parameter"].as_str().unwrap_or_default(), parameter, "{url}");
        assert!(body["detail"].as_str().unwrap().contains(says), "{url}: {body}");
        let schema = promised(&document, path, answer.status, "application/problem+json").unwrap();
        assert_eq!(faults(&document, schema, &body), [""; 0], "{url}");
    }
    let several = pages.get("/v1/records/t/both/history").await.json();
    assert_eq!(several["sources"], serde_json::json!(["other", "s"]));
    let page = pages.get("/docs").await.text;
    for kind in ProblemKind::ALL {
        assert!(page.contains(&format!("id=\"{}\"", kind.name())), "{kind:?} is described where its type points");
    }
}

#[tokio::test]
async fn a_cursor_of_other_filters_is_refused() {
    let pages = Pages::new().await;
    let next = |page: &serde_json::Value| page["next"].as_str().unwrap().to_owned();
    let cursor = next(&pages.get("/v1/records/t/r/history?limit=1").await.json());
    for other in ["r/history?order=asc", "r/history?from=1970-01-01", "other/history?source=s", "r/history?source=s"] {
        let url = format!("/v1/records/t/{other}&cursor={cursor}");
        let answer = pages.get(&url).await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (StatusCode::BAD_REQUEST, &"/docs#bad-cursor".into()),
            "{url}"
        );
    }
}

#[tokio::test]
async fn pages_that_are_not_there_and_methods_that_change_things_are_problems_too() {
    let pages = Pages::new().await;
    for url in ["/", "/v1", "/v2/changes", "/v1/records/t/r", "/v1/records/t/a/b/history", "/v1/changes/"] {
        let answer = pages.get(url).await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (StatusCode::NOT_FOUND, &"/docs#not-found".into()),
            "{url}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"] {
        let answer = pages.ask(Request::builder().method(method).uri("/v1/changes").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header("allow"), "GET,HEAD", "{method}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method}");
    }
    let head = pages.ask(Request::head("/v1/records/t/r/history").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_503_that_keeps_its_secrets() {
    let pages = Pages::new().await;
    pages.store.set_outage(Some("10.1.2.3:9042 refused"));
    let answer = pages.get("/v1/records/t/r/history").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "2");
    assert!(!answer.text.contains("10.1.2.3"), "{}", answer.text);
    pages.store.set_outage(None);
    assert_eq!(pages.get("/v1/records/t/r/history").await.status, StatusCode::OK);
}

/// Lets in who says a name, to see table `t` of source `s`; keeps nothing where the request id says so.
struct Doorman;

#[async_trait]
impl Gate for Doorman {
    async fn admit(&self, headers: &HeaderMap) -> Result<Reader, Problem> {
        let name = headers.get("authorization").and_then(|value| value.to_str().ok());
        let name = name.ok_or_else(|| Problem::new(ProblemKind::Unauthorized, "send a token"))?.to_owned();
        let grant = Grant { source: Some("s".into()), table: Some("t".into()), ..Grant::default() };
        Ok(Reader { id: name, role: Role::Reader, grants: Grants::of(vec![grant]), ..Reader::anonymous() })
    }

    async fn note(&self, reader: &Reader, asked: &Asked<'_>) -> Result<Noted, Problem> {
        assert_eq!((reader.id.as_str(), asked.operation), ("ann", "history"));
        assert!(asked.uri.path().starts_with("/v1/records/"));
        if asked.request_id == "unkept" {
            return Err(Problem::new(ProblemKind::Unavailable, "cannot be kept now"));
        }
        Ok(Noted::unrecorded())
    }
}

#[tokio::test]
async fn nobody_gets_past_the_gate() {
    let pages = Pages::with(Arc::new(Doorman), Limits::default()).await;
    let document = pages.get("/v1/openapi.json").await.json();
    for path in document["paths"].as_object().unwrap().keys() {
        let answer = pages.get(&path.replace("{table}", "t").replace("{id}", "r")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
    }
    let asked = async |url: &str, id: &str| {
        let request = Request::get(url).header("authorization", "ann").header("x-request-id", id);
        pages.ask(request.body(Body::empty()).unwrap()).await.status
    };
    assert_eq!(asked("/v1/records/t/r/history", "1").await, StatusCode::OK);
    assert_eq!(asked("/v1/records/t/r/history?source=s", "1").await, StatusCode::OK);
    assert_eq!(asked("/v1/records/t/both/history?source=other", "1").await, StatusCode::FORBIDDEN);
    assert_eq!(asked("/v1/records/t/r/history", "unkept").await, StatusCode::SERVICE_UNAVAILABLE);
}
