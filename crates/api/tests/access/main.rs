//! Who is let in, what they see by every route, and that they asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use afterimage_access::{Access, AccessLog, LiveFile, Metrics as AccessMetrics, Token};
use afterimage_api::{Anonymous, Guard, Limits, Service, Verdict, Vitals, Who, router};
use afterimage_diff::Rules;
use afterimage_event::{Actor, Op};
use afterimage_store::conformance::Telling;
use afterimage_store::{AppendError, Arrival, Lookup, MemoryStore, Store, Trail};
use afterimage_telemetry::{Build, Metrics};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// What nobody but the auditor may read, in any answer.
const SECRET: &str = "s3cr3t";
/// The records that say it: table, id, source.
const HIDDEN: [(&str, &str, &str); 3] = [("hidden", "r", "s"), ("t", "r2", "elsewhere"), ("t", "r3", "s")];

struct Server {
    store: Arc<MemoryStore>,
    router: Router,
    auditor: Token,
    /// May see table `t` of source `s`.
    reader: Token,
    /// May see record `r` of table `t` alone.
    subject: Token,
    /// May see everything of the tenant `acme`.
    elsewhere: Token,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn new() -> Self {
        let [auditor, reader, subject, elsewhere] = [(); 4].map(|()| Token::generate().unwrap());
        let entry = |name: &str, token: &Token, rest: &str| {
            format!("[[token]]\nname = {name:?}\nhash = \"{}\"\n{rest}\n", token.hash())
        };
        let text = [
            entry("auditing", &auditor, r#"role = "auditor""#),
            entry("support", &reader, "role = \"reader\"\ngrants = [{ source = \"s\", table = \"t\" }]"),
            entry("acme", &elsewhere, "role = \"reader\"\ntenants = [\"acme\"]\ngrants = [{ source = \"s\" }]"),
            entry("u1", &subject, "role = \"reader\"\ngrants = [{ table = \"t\", record_id = [\"r\"] }]"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, text.concat()).unwrap();
        let file = LiveFile::open(path).await.unwrap();
        let (store, router) = serve(|metrics| Who::Known(Box::new(Access::new(Some(file), None, metrics)))).await;
        Self { store, router, auditor, reader, subject, elsewhere, _folder: folder }
    }

    async fn get(&self, url: &str, token: Option<&Token>) -> (StatusCode, String) {
        let authorization = token.map(|token| format!("Bearer {}", token.reveal()));
        let answer = get(&self.router, url, authorization.as_deref()).await;
        (answer.0, answer.2)
    }

    /// What the auditor finds of what was asked.
    async fn asked(&self, url: &str) -> Vec<Value> {
        let (status, text) = self.get(url, Some(&self.auditor)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let page: Value = serde_json::from_str(&text).unwrap();
        page["items"].as_array().unwrap().clone()
    }
}

async fn serve(who: impl FnOnce(AccessMetrics) -> Who) -> (Arc<MemoryStore>, Router) {
    let store = Arc::new(MemoryStore::new());
    let told = |id: &str, table: &str, record: &str, source: &str, image: &str| {
        Telling::new("default", id, Op::Insert, 10).source(source).record(table, [record]).images("", image)
    };
    let mut entries = vec![
        told("e1", "t", "r", "s", r#"{"v":"shown"}"#).entry(),
        told("e2", "t", "other", "s", r#"{"v":"shown to readers of t"}"#).entry(),
        told("e5", "t", "other", "s", r#"{"v":"shown to readers of t again"}"#).entry(),
    ];
    // Whatever is asked of these records shows the secret: images, ids of events, and who did it. The second change did
    // not start where the first one ended; the third can be undone.
    for (table, record, source) in HIDDEN {
        let image = |n: u8| format!(r#"{{"v":"{SECRET} {n}"}}"#);
        let actor = Actor { id: Some(format!("{SECRET}-actor")), ..Actor::default() };
        let step = |n: u8, op, before: &str| {
            let id = format!("{SECRET}-{table}-{record}-{n}");
            let told = Telling::new("default", &id, op, i64::from(n) * 10).source(source).record(table, [record]);
            told.images(before, &image(n)).actor(actor.clone()).entry()
        };
        entries.push(step(1, Op::Insert, ""));
        entries.push(step(2, Op::Update, r#"{"v":"past the audit"}"#));
        entries.push(step(3, Op::Update, &image(2)));
    }
    let arrival = Arrival { worker: "w".into(), at: "2026-01-01T00:00:00Z".parse().unwrap() };
    for result in store.append(&entries, &arrival).await {
        result.unwrap();
    }
    let metrics = Metrics::new(Build { version: "0", revision: "r" }).unwrap();
    let access = AccessMetrics::register(metrics.registry()).unwrap();
    let rules = Arc::new(Rules::default());
    let log = AccessLog::new(Arc::clone(&store) as Arc<dyn Store>, rules, "server-1".into(), access.clone());
    let healthy: fn() -> Verdict = || Ok(());
    let service = Service {
        trail: Trail::new(Arc::clone(&store) as Arc<dyn Lookup>),
        gate: Arc::new(Guard::new(who(access), log)),
        limits: Limits::default(),
        vitals: Vitals::new(healthy, healthy),
        metrics,
    };
    (store, router(service).unwrap())
}

async fn get(router: &Router, url: &str, authorization: Option<&str>) -> (StatusCode, axum::http::HeaderMap, String) {
    let mut request = Request::get(url);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    // A stream that breaks off has said what it said.
    let text = body
        .collect()
        .await
        .map_or_else(|error| error.to_string(), |body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    (parts.status, parts.headers, text)
}

/// Every question there is, over all time and in each form that it has, by the document of the server itself: what names
/// this record, or this table where the question names none, with the path of its operation.
async fn questions(router: &Router, table: &str, id: &str, source: &str) -> Vec<(String, String)> {
    let (_, _, document) = get(router, "/v1/openapi.json", None).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let list = format!("from=1970-01-01&to=2100-01-01&source={source}&table={table}");
    let mut questions = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let query = match path.rsplit_once('/').unwrap() {
            ("/v1/records/{table}/{id}", "history" | "states" | "gaps") => format!("source={source}"),
            ("/v1/records/{table}/{id}", "state") => format!("source={source}&at=2100-01-01"),
            ("/v1/records/{table}/{id}", "diff") => {
                format!("source={source}&from=2026-01-01T00:00:25Z&to=2100-01-01")
            }
            ("/v1/records/{table}/{id}", "revert") => format!("source={source}&to=2026-01-01T00:00:25Z"),
            ("/v1", "gaps" | "changes" | "feed" | "export") => list.clone(),
            ("/v1", "counts") => format!("by=actor&{list}"),
            ("/v1", "bursts") => format!("by=actor&threshold=1&{list}"),
            ("/v1", "states") => format!("at=2100-01-01&record=s/t/r&record={source}/{table}/{id}"),
            _ => panic!("{path} is new: say how it is asked for what is not granted"),
        };
        let params = item["get"]["parameters"].as_array().unwrap();
        let format = params.iter().find(|param| param["name"] == "format");
        let formats = format.map_or_else(Vec::new, |param| param["schema"]["enum"].as_array().unwrap().clone());
        let place = path.replace("{table}", table).replace("{id}", id);
        let whole = format!("{place}?{query}");
        let each = formats.iter().map(|format| format!("{whole}&format={}", format.as_str().unwrap()));
        let urls: Vec<String> = if formats.is_empty() { vec![whole.clone()] } else { each.collect() };
        questions.extend(urls.into_iter().map(|url| (path.clone(), url)));
    }
    questions
}

async fn routes(router: &Router) -> Vec<String> {
    questions(router, "t", "r", "s").await.into_iter().map(|(_, url)| url).collect()
}

/// Is the record itself named, not only its table?
fn names_record(path: &str) -> bool {
    path.starts_with("/v1/records/") || path == "/v1/states"
}

#[tokio::test]
async fn nobody_is_let_in_without_credentials_and_all_are_told_the_same() {
    let server = Server::new().await;
    let before = server.store.len();
    let unknown = format!("Bearer {}", Token::generate().unwrap().reveal());
    let cut = format!("Bearer {}", &server.reader.reveal()[..60]);
    let mut told = Vec::new();
    for url in routes(&server.router).await {
        let (status, headers, _) = get(&server.router, &url, None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{url}");
        // RFC 6750, section 3.1: nothing was wrong with a token that was not sent.
        assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer realm=\"afterimage\"");
        for authorization in [unknown.as_str(), &cut, "Basic dTpw", "Bearer x.y.z"] {
            let (status, headers, text) = get(&server.router, &url, Some(authorization)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{url}");
            told.push((headers[header::WWW_AUTHENTICATE].clone(), text));
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "Bearer realm=\"afterimage\", error=\"invalid_token\"");
    assert_eq!(server.store.len(), before, "nobody asked");
    // Two at once are none.
    let two = Request::get("/v1/records/t/r/history?source=s")
        .header(header::AUTHORIZATION, format!("Bearer {}", server.reader.reveal()))
        .header(header::AUTHORIZATION, unknown);
    let response = server.router.clone().oneshot(two.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_reads_past_a_grant_by_any_route() {
    let server = Server::new().await;
    for (table, id, source) in HIDDEN {
        for (path, url) in questions(&server.router, table, id, source).await {
            let (status, text) = server.get(&url, Some(&server.auditor)).await;
            assert_eq!(status, StatusCode::OK, "{url}: {text}");
            assert!(text.contains(SECRET), "whoever may see it is shown it: {url}: {text}");
            // A table of which something may be seen is no secret; its lists leave out what may not be seen.
            let is_granted = |token: &Token| token.hash() == server.reader.hash() && (table, source) == ("t", "s");
            let is_in_part = |token: &Token| token.hash() == server.subject.hash() && table == "t";
            for token in [&server.reader, &server.subject, &server.elsewhere] {
                if is_granted(token) {
                    continue;
                }
                let (status, text) = server.get(&url, Some(token)).await;
                let expected =
                    if is_in_part(token) && !names_record(&path) { StatusCode::OK } else { StatusCode::FORBIDDEN };
                assert_eq!(status, expected, "{url}: {text}");
                assert!(!text.contains(SECRET), "{url}: {text}");
            }
        }
    }
    // Another tenant is another trail, also for who may see all of one.
    for (_, url) in questions(&server.router, "t", "r3", "s").await {
        for token in [&server.auditor, &server.reader, &server.subject] {
            let (status, text) = server.get(&format!("{url}&tenant=acme"), Some(token)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{url}: {text}");
        }
    }
}

#[tokio::test]
async fn lists_that_name_no_table_leave_out_what_is_not_granted() {
    let server = Server::new().await;
    for (path, url) in questions(&server.router, "t", "r", "s").await {
        if names_record(&path) || path == "/v1/gaps" {
            continue;
        }
        let url = url.replace("&source=s", "").replace("&table=t", "");
        let (status, text) = server.get(&url, Some(&server.auditor)).await;
        assert!(status.is_success() && text.contains(&format!("{SECRET}-")), "{url}: {text}");
        let (status, text) = server.get(&url, Some(&server.subject)).await;
        assert_eq!(status, StatusCode::OK, "{url}: {text}");
        assert!(!text.contains(SECRET) && !text.contains("readers of t"), "{url}: {text}");
        let (status, text) = server.get(&url, Some(&server.reader)).await;
        assert_eq!(status, StatusCode::OK, "{url}: {text}");
        assert!(!text.contains("hidden") && !text.contains("elsewhere"), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_cursor_of_an_auditors_shows_a_reader_nothing_more() {
    let server = Server::new().await;
    let url = "/v1/records/t/other/history?source=s&limit=1";
    let (status, text) = server.get(url, Some(&server.auditor)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    let cursor = page["next"].as_str().unwrap();
    let (status, text) = server.get(&format!("{url}&cursor={cursor}"), Some(&server.subject)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    let elsewhere = format!("/v1/records/t/r/history?source=s&limit=1&cursor={cursor}");
    let (status, text) = server.get(&elsewhere, Some(&server.subject)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    // Whoever may see the record may go on from there.
    let (status, text) = server.get(&format!("{url}&cursor={cursor}"), Some(&server.reader)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
}

#[tokio::test]
async fn a_walk_that_an_auditor_began_shows_a_reader_no_more_than_one_of_their_own() {
    let server = Server::new().await;
    let url = "/v1/changes?from=1970-01-01&to=2100-01-01&limit=1";
    let (mut next, mut pages, mut shown) = (String::new(), 0, false);
    loop {
        let (status, text) = server.get(&format!("{url}{next}"), Some(&server.auditor)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        shown |= text.contains(SECRET);
        let page: Value = serde_json::from_str(&text).unwrap();
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
        for (token, unseen) in [(&server.subject, SECRET), (&server.reader, "elsewhere"), (&server.reader, "hidden")] {
            let (_, text) = server.get(&format!("{url}{next}"), Some(token)).await;
            assert!(!text.contains(unseen), "{text}");
        }
        pages += 1;
    }
    assert!(pages > 1 && shown);
}

#[tokio::test]
async fn who_looked_at_a_record_is_an_entry_that_auditors_find_and_readers_do_not() {
    let server = Server::new().await;
    let (status, _) = server.get("/v1/records/t/r/history?source=s&limit=5", Some(&server.reader)).await;
    assert_eq!(status, StatusCode::OK);
    let (_, _) = server.get("/v1/states?at=2026-01-01&record=s/t/r&record=s/hidden/r", Some(&server.subject)).await;
    let looked = server.asked("/v1/records/t/r/history?source=afterimage&order=asc").await;
    let who = looked.iter().map(|entry| (entry["actor"]["id"].clone(), entry["context"]["question"].clone()));
    assert_eq!(looked[0]["context"]["parameters"]["limit"], "5");
    assert_eq!(&who.collect::<Vec<_>>()[..2], [("support".into(), "history".into()), ("u1".into(), "statesAt".into())]);
    assert!(looked.iter().all(|entry| entry["op"] == "access" && entry["source"] == "afterimage"));
    let tried = server.asked("/v1/records/hidden/r/history?source=afterimage").await;
    assert!(tried.iter().any(|entry| entry["actor"]["id"] == "u1"), "what was refused was asked, too");
    for token in [&server.reader, &server.subject] {
        let (status, text) = server.get("/v1/records/t/r/history?source=afterimage", Some(token)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
        let (_, text) = server.get("/v1/changes?source=afterimage&from=1970-01-01", Some(token)).await;
        assert!(!text.contains("support") && !text.contains("\"access\""), "{text}");
    }
    // Not among the record's own entries.
    let own = server.asked("/v1/records/t/r/history?source=s").await;
    assert!(own.iter().all(|entry| entry["op"] == "insert"));
}

#[tokio::test]
async fn what_was_refused_is_told_from_what_was_answered_by_every_route() {
    let server = Server::new().await;
    for (table, id, source) in [("t", "r", "s"), ("t", "r2", "elsewhere"), ("hidden", "r", "s")] {
        for (_, url) in questions(&server.router, table, id, source).await {
            for token in [&server.auditor, &server.reader, &server.subject, &server.elsewhere] {
                let (status, _) = server.get(&url, Some(token)).await;
                // The newest is the one that asks for it.
                let asked = server.asked("/v1/changes?source=afterimage&limit=2").await;
                let refused = asked[1]["context"].get("refused").is_some();
                assert_eq!(refused, status == StatusCode::FORBIDDEN, "{url}: {}", asked[1]);
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_answered_that_cannot_be_recorded() {
    let server = Server::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    server.store.fail_appends(move |_| {
        let gone = || AppendError::Unavailable { reason: "10.1.2.3 gone".to_owned() };
        down.load(Ordering::SeqCst).then(gone)
    });
    let before = server.store.len();
    for url in routes(&server.router).await {
        let (status, text) = server.get(&url, Some(&server.auditor)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{url}");
        assert!(!text.contains("shown") && !text.contains("10.1.2.3"), "{text}");
    }
    assert_eq!(server.store.len(), before);
    is_down.store(false, Ordering::SeqCst);
    for (asked, url) in routes(&server.router).await.iter().enumerate() {
        let _answer = server.get(url, Some(&server.auditor)).await;
        assert!(server.store.len() > before + asked, "{url} left no entry");
    }
}

#[tokio::test]
async fn anonymous_readers_are_recorded_too() {
    let (store, router) = serve(|_| Who::Anybody(Anonymous::Anywhere)).await;
    let before = store.len();
    let (status, ..) = get(&router, "/v1/records/t/r/history?source=s", None).await;
    assert_eq!((status, store.len()), (StatusCode::OK, before + 1));
}
