//! Limits, ids, health, metrics: what is the same for every request.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use afterimage_api::{Anonymous, Asked, Gate, Limits, Noted, Problem, ProblemKind, Reader};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};

use crate::support::Pages;

#[tokio::test]
async fn a_request_brings_no_body_and_no_endless_url() {
    let pages = Pages::new().await;
    let with_body = Request::get("/v1/records/t/r/history").body(Body::from("{}")).unwrap();
    let answer = pages.ask(with_body).await;
    assert_eq!(
        (answer.status, &answer.json()["type"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &"/docs#body-not-expected".into())
    );
    let url = format!("/v1/changes?actor={}", "x".repeat(20_000));
    let answer = pages.get(&url).await;
    assert_eq!((answer.status, &answer.json()["type"]), (StatusCode::URI_TOO_LONG, &"/docs#url-too-long".into()));
    let url = format!("/v1/changes?{}", "op=insert&".repeat(129));
    assert_eq!(pages.get(&url).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn no_more_is_answered_at_once_than_may_be() {
    let pages = Pages::with(Arc::new(Anonymous::Anywhere), Limits { requests_max: 0, ..Limits::default() }).await;
    let answer = pages.get("/v1/records/t/r/history").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "2"));
    assert_eq!(pages.get("/healthz").await.status, StatusCode::OK, "a server that is busy is well");
}

#[tokio::test]
async fn who_is_not_let_in_takes_nobodys_place() {
    let pages = Pages::with(Arc::new(Closed), Limits { requests_max: 0, exports_max: 0, ..Limits::default() }).await;
    for url in ["/v1/records/t/r/history", "/v1/records/t/r/history?format=csv", "/v1/export"] {
        assert_eq!(pages.get(url).await.status, StatusCode::UNAUTHORIZED, "{url}");
    }
}

/// Lets nobody in.
struct Closed;

#[async_trait]
impl Gate for Closed {
    async fn admit(&self, _headers: &HeaderMap) -> Result<Reader, Problem> {
        Err(Problem::new(ProblemKind::Unauthorized, "send a token"))
    }

    async fn note(&self, _reader: &Reader, _asked: &Asked<'_>) -> Result<Noted, Problem> {
        Ok(Noted::unrecorded())
    }
}

/// Never comes to an end.
struct Stuck;

#[async_trait]
impl Gate for Stuck {
    async fn admit(&self, headers: &HeaderMap) -> Result<Reader, Problem> {
        Anonymous::Anywhere.admit(headers).await
    }

    async fn note(&self, _reader: &Reader, _asked: &Asked<'_>) -> Result<Noted, Problem> {
        pending().await
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let limits = Limits { request_timeout: Duration::from_millis(20), requests_max: 1, ..Limits::default() };
    let pages = Pages::with(Arc::new(Stuck), limits).await;
    for _ in 0..2 {
        let answer = pages.get("/v1/records/t/r/history").await;
        assert_eq!((answer.status, &answer.json()["type"]), (StatusCode::GATEWAY_TIMEOUT, &"/docs#timeout".into()));
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let pages = Pages::new().await;
    let asked = async |id: &str| {
        let request =
            Request::get("/v1/records/t/nobody/history").header("x-request-id", id).body(Body::empty()).unwrap();
        pages.ask(request).await.header("x-request-id").to_owned()
    };
    assert_eq!(asked("req-1").await, "req-1");
    let made = asked("has a space").await;
    assert!(made.len() == 36 && made != asked("has a space").await, "{made}");
}

#[tokio::test]
async fn a_name_of_elsewhere_does_not_read_the_trail_of_this_machine() {
    let pages = Pages::with(Arc::new(Anonymous::OnLoopback), Limits::default()).await;
    let asked = async |host: &str| {
        let request = Request::get("/v1/records/t/r/history").header("host", host).body(Body::empty()).unwrap();
        pages.ask(request).await.status
    };
    assert_eq!(asked("127.0.0.1:8080").await, StatusCode::OK);
    assert_eq!(asked("evil.example:8080").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_can_read_it() {
    let pages = Pages::new().await;
    let request =
        Request::get("/v1/records/t/r/history").header("accept-encoding", "br, gzip").body(Body::empty()).unwrap();
    let answer = pages.ask(request).await;
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("gzip", "accept-encoding"));
    assert_eq!(pages.get("/v1/records/t/r/history").await.header("content-encoding"), "");
}

#[tokio::test]
async fn requests_are_measured_by_route_and_nobody_makes_series_up() {
    let pages = Pages::new().await;
    for url in ["/v1/records/t/r/history", "/v1/records/t/nobody/history", "/nowhere/1", "/nowhere/2"] {
        pages.get(url).await;
    }
    pages.ask(Request::builder().method("BREW").uri("/docs").body(Body::empty()).unwrap()).await;
    let text = pages.get("/metrics").await.text;
    let count = |labels: &str| {
        let line = format!("afterimage_http_request_duration_seconds_count{{{labels}}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).map(str::to_owned)
    };
    let history = r#"method="GET",route="/v1/records/{table}/{id}/history""#;
    assert_eq!(count(&format!(r#"{history},status="200""#)).as_deref(), Some("1"), "{text}");
    assert_eq!(count(&format!(r#"{history},status="404""#)).as_deref(), Some("1"), "{text}");
    assert_eq!(count(r#"method="GET",route="other",status="404""#).as_deref(), Some("2"), "{text}");
    assert_eq!(count(r#"method="other",route="/docs",status="405""#).as_deref(), Some("1"), "{text}");
    assert!(!text.contains("nowhere") && !text.contains("BREW"), "{text}");
}

#[tokio::test]
async fn health_is_told_apart_from_readiness() {
    let pages = Pages::new().await;
    let healthy = pages.get("/healthz").await;
    assert_eq!((healthy.status, healthy.text.as_str()), (StatusCode::OK, "ok\n"));
    let ready = pages.get("/readyz").await;
    assert_eq!((ready.status, ready.text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "store: does not answer\n"));
}
