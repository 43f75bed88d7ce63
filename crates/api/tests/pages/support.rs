//! A small trail, and a way to ask for pages of it.

use std::sync::Arc;

use afterimage_api::{Anonymous, Gate, Limits, Service, Verdict, Vitals, router};
use afterimage_event::{Actor, Op};
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{Arrival, Lookup, MemoryStore, Store, Trail};
use afterimage_telemetry::{Build, Metrics};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// The pages, and the store behind them.
pub(crate) struct Pages {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) router: Router,
}

/// What a page answered.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Pages {
    /// On a store with some entries, for everybody, within the usual limits.
    pub(crate) async fn new() -> Self {
        Self::with(Arc::new(Anonymous::Anywhere), Limits::default()).await
    }

    pub(crate) async fn with(gate: Arc<dyn Gate>, limits: Limits) -> Self {
        let store = Arc::new(MemoryStore::new());
        let arrival = Arrival { worker: "w".into(), at: moment(90) };
        for result in store.append(&entries(), &arrival).await {
            result.unwrap();
        }
        let trail = Trail::with_clock(Arc::clone(&store) as Arc<dyn Lookup>, || moment(100));
        let healthy: fn() -> Verdict = || Ok(());
        let service = Service {
            trail,
            gate,
            limits,
            vitals: Vitals::new(healthy, || Err("store: does not answer".to_owned())),
            metrics: Metrics::new(Build { version: "0", revision: "r" }).unwrap(),
        };
        Self { store, router: router(service).unwrap() }
    }

    pub(crate) async fn get(&self, url: &str) -> Answered {
        self.ask(Request::get(url).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answered { status: parts.status, headers: parts.headers, text }
    }
}

/// Record `r` of table `t` lives and dies in source `s`; `both` stands in two sources; a record of two odd parts.
fn entries() -> Vec<Arc<afterimage_store::Entry>> {
    let actor = Actor { id: Some("42".into()), name: Some("Ann".into()), ..Actor::default() };
    let told = |id: &str, op, second| Telling::new("default", id, op, second).actor(actor.clone());
    let context = r#"{"requestId":"req-1"}"#;
    [
        told("e1", Op::Insert, 10).images("", r#"{"status":"new","n":1}"#).context(context).transaction("tx-1"),
        told("e2", Op::Update, 20)
            .images("", r#"{"status":"paid","n":1}"#)
            .changes(r#"[{"path":"/status","old":"new","new":"paid"}]"#),
        told("e3", Op::Update, 30)
            .images("", r#"{"status":"sent","n":1}"#)
            .changes(r#"[{"path":"/status","old":"paid","new":"sent"}]"#),
        told("e4", Op::Delete, 40).images(r#"{"status":"sent","n":1}"#, ""),
        told("e5", Op::Insert, 50).record("t", ["both"]).images("", "{}"),
        told("e6", Op::Insert, 50).record("t", ["both"]).source("other").images("", "{}"),
        told("e7", Op::Insert, 60).record("t/ü", ["a,b", "50%"]).images("", r#"{"x":null}"#),
    ]
    .iter()
    .map(Telling::entry)
    .collect()
}
