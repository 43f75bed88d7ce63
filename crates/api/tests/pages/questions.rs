//! Every question, answered in the shape that is documented.

use std::collections::BTreeSet;

use afterimage_event::Op;
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{Arrival, LIMIT_MAX, Store};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::document::promised;
use crate::schema::faults;
use crate::support::Pages;

const DAY: &str = "from=2026-01-01&to=2026-01-02";

/// The route and a question of it that has an answer.
fn asked() -> Vec<(&'static str, String)> {
    let record = |rest: &str| format!("/v1/records/t/r/{rest}");
    vec![
        ("/v1/records/{table}/{id}/history", record("history")),
        ("/v1/records/{table}/{id}/state", record("state?at=2026-01-01T00:00:25Z")),
        ("/v1/records/{table}/{id}/states", record("states")),
        ("/v1/records/{table}/{id}/diff", record("diff?from=2026-01-01T00:00:10Z&to=2026-01-01T00:00:30Z")),
        ("/v1/records/{table}/{id}/revert", record("revert?to=2026-01-01T00:00:10Z")),
        ("/v1/records/{table}/{id}/gaps", record("gaps")),
        ("/v1/gaps", format!("/v1/gaps?source=s&table=t&{DAY}")),
        ("/v1/changes", format!("/v1/changes?op=insert,update&op=delete&{DAY}")),
        ("/v1/counts", format!("/v1/counts?by=table,op&by=actor&{DAY}")),
        ("/v1/bursts", format!("/v1/bursts?window=1h&threshold=2&{DAY}")),
        (
            "/v1/states",
            "/v1/states?record=s/t/r&record=t/both&record=t%252F%25C3%25BC/a%252Cb,50%2525&at=2026-01-02".into(),
        ),
        ("/v1/feed", format!("/v1/feed?{DAY}")),
        ("/v1/export", format!("/v1/export?{DAY}")),
    ]
}

#[tokio::test]
async fn every_route_of_the_document_answers_in_its_documented_shape() {
    let pages = Pages::new().await;
    let document = pages.get("/v1/openapi.json").await.json();
    let documented: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(documented, asked().iter().map(|(path, _)| *path).collect());
    for (path, url) in asked() {
        let answer = pages.get(&url).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.text);
        let media_type = answer.header("content-type").to_owned();
        let schema =
            promised(&document, path, answer.status, &media_type).unwrap_or_else(|| panic!("{path} {media_type}"));
        if media_type == "application/json" {
            assert_eq!(faults(&document, schema, &answer.json()), [""; 0], "{url}: {}", answer.text);
        }
        assert_eq!(answer.header("cache-control"), "no-store", "{url}");
    }
}

#[tokio::test]
async fn a_history_is_asked_in_parts_and_either_way_round() {
    let pages = Pages::new().await;
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let asked = async |query: &str| pages.get(&format!("/v1/records/t/r/history?{query}")).await.json();
    assert_eq!(ids(&asked("").await), ["e4", "e3", "e2", "e1"]);
    assert_eq!(ids(&asked("order=asc").await), ["e1", "e2", "e3", "e4"]);
    let from_to = "from=2026-01-01T00:00:20Z&to=2026-01-01T01:00:40%2B01:00";
    assert_eq!(ids(&asked(from_to).await), ["e3", "e2"]);

    let first = asked("limit=3").await;
    assert_eq!(ids(&first), ["e4", "e3", "e2"]);
    let rest = asked(&format!("limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((ids(&rest), &rest["next"]), (vec!["e1".to_owned()], &Value::Null));
}

#[tokio::test]
async fn a_date_is_its_first_moment_and_at_includes_what_happened_then() {
    let pages = Pages::new().await;
    let state = async |at: &str| pages.get(&format!("/v1/records/t/r/state?at={at}")).await.json();
    assert_eq!(state("2026-01-01").await["exists"], false);
    assert_eq!(state("2026-01-01T00:00:10Z").await["state"], json!({ "status": "new", "n": 1 }));
    assert_eq!(state("2026-01-01T00:00:09.999999Z").await["exists"], false);
    let dead = state("2026-01-02").await;
    assert_eq!((&dead["exists"], &dead["state"]["status"]), (&json!(false), &json!("sent")));
}

#[tokio::test]
async fn ids_of_several_odd_parts_are_found() {
    let pages = Pages::new().await;
    for url in ["/v1/records/t%2F%C3%BC/a%2Cb,50%25/history", "/v1/records/t%2fü/a%2cb,50%25/history?source=s"] {
        let url = url.replace('ü', "%C3%BC");
        let answer = pages.get(&url).await.json();
        assert_eq!(answer["items"][0]["record_id"], json!(["a,b", "50%"]), "{url}");
    }
}

#[tokio::test]
async fn an_export_of_nothing_is_whole_also_when_compressed() {
    let request = Request::get("/v1/export?from=2000-01-01&to=2000-01-01").header("accept-encoding", "gzip");
    let export = Pages::new().await.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!((export.status, export.header("content-encoding")), (StatusCode::OK, "gzip"));
    assert!(!export.text.is_empty());
}

#[tokio::test]
async fn an_export_as_csv_has_a_header_and_an_end() {
    let export = Pages::new().await.get(&format!("/v1/export?format=csv&{DAY}")).await;
    assert!(export.header("content-type").starts_with("text/csv"));
    let lines: Vec<_> = export.text.lines().collect();
    assert_eq!(lines.len(), 1 + 7 + 1, "{}", export.text);
    assert!(lines[0].starts_with("id,tenant,source,") && lines[8].starts_with("#end,7,"), "{}", export.text);
}

#[tokio::test]
async fn an_export_ends_with_the_number_of_its_entries() {
    let pages = Pages::new().await;
    let export = pages.get(&format!("/v1/export?order=asc&{DAY}")).await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, entries) = lines.split_last().unwrap();
    assert_eq!(*end, json!({ "end": true, "items": 7 }));
    let changes = pages.get(&format!("/v1/changes?order=asc&{DAY}")).await.json();
    assert_eq!(json!(entries), changes["items"]);
}

#[tokio::test]
async fn every_list_is_written_out_with_its_end() {
    let pages = Pages::new().await;
    let document = pages.get("/v1/openapi.json").await.json();
    let mut lists = 0;
    for (path, url) in asked() {
        let params = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let Some(format) = params.iter().find(|param| param["name"] == "format") else { continue };
        if format["schema"]["enum"][0] != "json" {
            continue;
        }
        lists += 1;
        let and = |rest: &str| format!("{url}{}{rest}", if url.contains('?') { '&' } else { '?' });
        let page = pages.get(&url).await.json();
        let items = page["items"].as_array().unwrap();

        let ndjson = pages.get(&and("format=ndjson")).await;
        assert_eq!(ndjson.header("content-type"), "application/x-ndjson", "{url}");
        let lines: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (end, written) = lines.split_last().unwrap();
        assert_eq!((end, written), (&json!({ "end": true, "items": items.len() }), items.as_slice()), "{url}");

        let csv = pages.get(&and("format=csv")).await;
        assert!(csv.header("content-type").starts_with("text/csv"), "{url}");
        assert!(csv.text.lines().last().unwrap().starts_with(&format!("#end,{},", items.len())), "{}", csv.text);
        let columns = csv.text.lines().next().unwrap().split(',').count();
        assert_eq!(csv.text.lines().last().unwrap().split(',').count(), columns, "{}", csv.text);

        if params.iter().any(|param| param["name"] == "cursor") {
            for part in ["limit=1", "cursor=x"] {
                let answer = pages.get(&and(&format!("format=csv&{part}"))).await;
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
            }
        }
    }
    assert_eq!(lists, 9);
}

#[tokio::test]
async fn what_cannot_be_asked_is_a_problem_in_every_format() {
    let pages = Pages::new().await;
    for format in ["json", "ndjson", "csv"] {
        let answer = pages.get(&format!("/v1/records/t/nobody/history?format={format}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn a_list_of_several_pages_is_written_out_as_one() {
    let pages = Pages::new().await;
    let count = 2 * LIMIT_MAX + 1;
    let told = |n: usize| Telling::new("default", &format!("many-{n}"), Op::Update, 1_000 + n as i64);
    let entries: Vec<_> =
        (0..count).map(|n| told(n).record("t", ["many"]).images(r#"{"n":0}"#, r#"{"n":1}"#).entry()).collect();
    for result in pages.store.append(&entries, &Arrival { worker: "w".into(), at: moment(90) }).await {
        result.unwrap();
    }
    for (list, items) in [("history", count), ("states", count), ("gaps", count - 1)] {
        let text = pages.get(&format!("/v1/records/t/many/{list}?format=ndjson&order=asc")).await.text;
        assert_eq!(text.lines().count(), items + 1, "{list}");
        assert_eq!(text.lines().last(), Some(format!(r#"{{"end":true,"items":{items}}}"#).as_str()), "{list}");
        let lines: std::collections::HashSet<&str> = text.lines().collect();
        assert_eq!(lines.len(), items + 1, "{list}: none twice");
    }
}
