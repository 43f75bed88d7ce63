//! The name of a request in logs, answers and the trail's own entries.

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that brings it and takes it back.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest one that is taken over from a caller.
const LENGTH_MAX: usize = 128;

/// An id that stands in logs as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// That of the caller, when it is short and of letters, digits and `-._:/+=@`; else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let fits = |id: &&str| (1..=LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_harmless);
        Self(given.filter(fits).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header. What is harmless is a header value, too.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:/+=@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_when_it_can_stand_in_a_log() {
        let of = |id: &str| RequestId::of(&HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(id).unwrap())]));
        assert_eq!(of("Root=1-5759e988-bd862e3fe1be46a994272793").as_str(), "Root=1-5759e988-bd862e3fe1be46a994272793");
        for id in ["", "a b", "a\"b", "<x>", &"x".repeat(LENGTH_MAX + 1)] {
            assert_ne!(of(id).as_str(), id);
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
