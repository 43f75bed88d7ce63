//! Errors as RFC 9457 problems: what is wrong, where, and what to do about it.

use std::time::Duration;

use afterimage_store::{StoreError, TrailError};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The media type of problems (RFC 9457, section 3).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// When to try again after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The kinds of problems there are. Each is an entry of the documentation, where its `type` points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A parameter cannot be read, is not known, or is missing.
    BadParameter,
    /// The cursor is damaged, or was made for other filters.
    BadCursor,
    /// Nobody was recognised by the credentials.
    Unauthorized,
    /// The reader may not see or do that.
    Forbidden,
    /// There is no such page.
    NotFound,
    /// The trail has no entry of this record.
    NoSuchRecord,
    /// The page answers GET only.
    MethodNotAllowed,
    /// Several sources have this record.
    SeveralSources,
    /// The record existed, and the trail does not hold what it looked like.
    StateUnknown,
    /// A patch would touch what is redacted or unknown.
    PatchRefused,
    /// A request came with a body.
    BodyNotExpected,
    /// The URL is too long.
    UrlTooLong,
    /// Something is wrong on this side that asking again does not mend.
    Internal,
    /// The store does not answer, or too much is asked at once.
    Unavailable,
    /// The answer took too long.
    Timeout,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::BadParameter,
        Self::BadCursor,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::NoSuchRecord,
        Self::MethodNotAllowed,
        Self::SeveralSources,
        Self::StateUnknown,
        Self::PatchRefused,
        Self::BodyNotExpected,
        Self::UrlTooLong,
        Self::Internal,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// Its status, its name in `type`, and its title.
    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadParameter => (StatusCode::BAD_REQUEST, "bad-parameter", "A parameter cannot be used"),
            Self::BadCursor => (StatusCode::BAD_REQUEST, "bad-cursor", "The cursor does not belong to this question"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Nobody is known by these credentials"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This reader may not see or do that"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such page"),
            Self::NoSuchRecord => (StatusCode::NOT_FOUND, "no-such-record", "No entry of this record"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Questions are asked with GET")
            }
            Self::SeveralSources => (StatusCode::CONFLICT, "several-sources", "Several sources have this record"),
            Self::StateUnknown => (StatusCode::CONFLICT, "state-unknown", "The trail does not hold this state"),
            Self::PatchRefused => (StatusCode::CONFLICT, "patch-refused", "No patch can be made"),
            Self::BodyNotExpected => (StatusCode::PAYLOAD_TOO_LARGE, "body-not-expected", "Questions have no body"),
            Self::UrlTooLong => (StatusCode::URI_TOO_LONG, "url-too-long", "The URL is too long"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong on this side"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "The answer took too long"),
        }
    }

    /// The status it is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.facts().0
    }

    /// Its name, the last part of `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().1
    }

    /// What it is, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.facts().2
    }
}

/// One occurrence of a problem; never holds a value out of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    parameter: Option<String>,
    sources: Vec<String>,
    /// Of a 401: were credentials sent?
    is_token_refused: bool,
}

/// The members of a problem, as they are sent.
#[derive(Serialize)]
struct Body9457<'p> {
    /// Points into the documentation, which this server has at `/docs`.
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'p str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'p [String],
}

impl Problem {
    /// A problem; `detail` says what is wrong this time, and what to do.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), parameter: None, sources: Vec::new(), is_token_refused: false }
    }

    /// A parameter that cannot be used, by its name.
    #[must_use]
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self { parameter: Some(name.to_owned()), ..Self::new(ProblemKind::BadParameter, detail) }
    }

    /// Nobody is known by the credentials that were sent.
    #[must_use]
    pub fn invalid_token(detail: impl Into<String>) -> Self {
        Self { is_token_refused: true, ..Self::new(ProblemKind::Unauthorized, detail) }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What is wrong this time.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<TrailError> for Problem {
    fn from(error: TrailError) -> Self {
        let kind = match &error {
            TrailError::NoSuchRecord => ProblemKind::NoSuchRecord,
            TrailError::SeveralSources { sources } => {
                let detail = "several sources have it: add source= with one of those listed";
                let sources = sources.clone();
                return Self {
                    sources,
                    parameter: Some("source".to_owned()),
                    ..Self::new(ProblemKind::SeveralSources, detail)
                };
            }
            TrailError::Limit { .. } => return Self::parameter("limit", error.to_string()),
            TrailError::Cursor(_) => {
                return Self {
                    parameter: Some("cursor".to_owned()),
                    ..Self::new(ProblemKind::BadCursor, error.to_string())
                };
            }
            TrailError::NotGranted => ProblemKind::Forbidden,
            TrailError::Question { .. } => ProblemKind::BadParameter,
            TrailError::PatchRefused { .. } => ProblemKind::PatchRefused,
            TrailError::StateUnknown { .. } => ProblemKind::StateUnknown,
            TrailError::Store(StoreError::Unavailable { .. }) => {
                // What the driver said names machines of the inside: it is for the log.
                tracing::warn!(%error, "the store does not answer");
                return Self::new(ProblemKind::Unavailable, "the store did not answer; try again");
            }
            _ => {
                tracing::error!(%error, "a question cannot be answered");
                let detail = "the server's log says what is wrong, under the request id of this answer";
                return Self::new(ProblemKind::Internal, detail);
            }
        };
        Self::new(kind, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let body = Body9457 {
            r#type: format!("/docs#{}", self.kind.name()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter.as_deref(),
            sources: &self.sources,
        };
        // Text, numbers and lists of texts: it cannot fail.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.kind {
            ProblemKind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
            }
            // RFC 9110, section 11.6.1: a 401 says how to authenticate. RFC 6750, section 3.1: and what was wrong, where it
            // was tried.
            ProblemKind::Unauthorized => {
                let challenge = match self.is_token_refused {
                    true => "Bearer realm=\"afterimage\", error=\"invalid_token\"",
                    false => "Bearer realm=\"afterimage\"",
                };
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: HashSet<_> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ProblemKind::ALL.len());
    }

    #[test]
    fn what_a_driver_said_stays_inside() {
        let reason = "10.1.2.3:9042 refused".to_owned();
        let problem = Problem::from(TrailError::Store(StoreError::Unavailable { reason }));
        assert_eq!(problem.kind(), ProblemKind::Unavailable);
        assert!(!problem.detail().contains("10.1.2.3"));
        let response = problem.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
