//! The entry that says who asked.

use afterimage_access::{AccessLog, Question, Reader, RecordError, Recorded};
use axum::http::header;

use crate::{Asked, Problem, ProblemKind};

/// Leave to ask the trail. Handlers get their trail for one of these only, and a [`crate::Gate`] that records makes them of
/// its proof that the question is durable.
#[derive(Debug)]
#[must_use = "leave that nobody takes allows nothing"]
pub struct Noted(Option<Recorded>);

impl From<Recorded> for Noted {
    fn from(recorded: Recorded) -> Self {
        Self(Some(recorded))
    }
}

impl Noted {
    /// Leave without an entry. For gates that keep nothing, which `afterimage serve` has none of.
    pub const fn unrecorded() -> Self {
        Self(None)
    }

    /// Is there an entry of the question?
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.0.is_some()
    }
}

/// Makes durable that this was asked.
pub(super) async fn record(log: &AccessLog, reader: &Reader, asked: &Asked<'_>) -> Result<Noted, Problem> {
    let user_agent = asked.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let question = Question {
        name: asked.operation,
        subjects: asked.subjects,
        tenant: asked.tenant,
        parameters: asked.parameters,
        is_granted: asked.is_granted,
        request_id: asked.request_id,
        ip: asked.peer,
        user_agent,
    };
    log.record(reader, &question).await.map(Noted::from).map_err(|error| match error {
        RecordError::Unavailable { .. } => Problem::new(
            ProblemKind::Unavailable,
            "no question is answered while the trail cannot keep that it was asked; try again",
        ),
        RecordError::Refused { .. } => Problem::new(
            ProblemKind::Internal,
            "that this was asked cannot be kept; the server's log says why, under the request id of this answer",
        ),
    })
}
