//! Every page there is: the questions under `/v1`, their description, and what says whether the server is well.

use std::future::Future;
use std::sync::Arc;

use afterimage_store::Trail;
use afterimage_telemetry::{Metrics, MetricsError};
use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use crate::call::{Call, Desk, Limits};
use crate::health::{Vitals, health_pages};
use crate::observe::{HttpMetrics, observe};
use crate::operation::Operation;
use crate::{Gate, Problem, ProblemKind, docs, openapi, questions};

/// What the pages stand on.
pub struct Service {
    /// What is asked; each reader gets it narrowed to their grants.
    pub trail: Trail,
    /// Who may ask.
    pub gate: Arc<dyn Gate>,
    /// How much at once.
    pub limits: Limits,
    /// What `/healthz` and `/readyz` say.
    pub vitals: Vitals,
    /// What `/metrics` shows; the durations of requests are registered here.
    pub metrics: Metrics,
}

/// The routes of the questions, and the operations they came from.
struct Questions {
    desk: Arc<Desk>,
    router: Router,
    operations: Vec<&'static Operation>,
}

impl Questions {
    fn add<F, A>(mut self, operation: &'static Operation, handler: F) -> Self
    where
        F: Fn(Call) -> A + Copy + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send,
    {
        let desk = Arc::clone(&self.desk);
        let answer = move |request: Request| {
            let desk = Arc::clone(&desk);
            async move { desk.answer(operation, request, handler).await }
        };
        self.router = self.router.route(operation.path, get(answer));
        self.operations.push(operation);
        self
    }
}

fn questions(desk: Desk) -> Questions {
    use questions as q;
    Questions { desk: Arc::new(desk), router: Router::new(), operations: Vec::new() }
        .add(&q::HISTORY, q::history)
        .add(&q::STATE, q::state)
        .add(&q::STATES, q::states)
        .add(&q::DIFF, q::diff)
        .add(&q::REVERT, q::revert)
        .add(&q::RECORD_GAPS, q::record_gaps)
        .add(&q::GAPS, q::gaps)
        .add(&q::CHANGES, q::changes)
        .add(&q::COUNTS, q::counts)
        .add(&q::BURSTS, q::bursts)
        .add(&q::STATES_AT, q::states_at)
        .add(&q::FEED, q::feed)
        // The same, and never a page.
        .add(&q::EXPORT_ALL, q::changes)
}

/// All pages.
///
/// # Errors
/// When the metrics are registered already.
pub fn router(service: Service) -> Result<Router, MetricsError> {
    let Service { trail, gate, limits, vitals, metrics } = service;
    let observed = HttpMetrics::register(metrics.registry())?;
    let questions = questions(Desk::new(trail, gate, limits));
    let document = openapi::document(&questions.operations);
    Ok(questions
        .router
        .merge(docs::pages(&document))
        .merge(health_pages(vitals, metrics))
        .fallback(no_such_page)
        .method_not_allowed_fallback(only_get)
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(observed, observe)))
}

async fn no_such_page(uri: Uri) -> Response {
    let detail = if uri.path().starts_with("/v1/records/") {
        "a record's questions are /v1/records/{table}/{id}/history, state, states, diff, revert, gaps; a slash that is part of \
         a table or id is written %2F"
    } else {
        "the questions are listed at /docs"
    };
    Problem::new(ProblemKind::NotFound, detail).into_response()
}

async fn only_get() -> Response {
    Problem::new(ProblemKind::MethodNotAllowed, "ask with GET; the API changes nothing").into_response()
}
