//! Who asks, and who lets them: the boundary to whatever authenticates.

use std::net::IpAddr;

use afterimage_access::{Reader, Subject};
use async_trait::async_trait;
use axum::http::{HeaderMap, Uri, header};

use crate::{Noted, Problem, ProblemKind};

/// A question before it is put to the trail.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// Which one: the operation's id in the OpenAPI document, such as `history`.
    pub operation: &'static str,
    /// Of what: path and query as they were sent.
    pub uri: &'r Uri,
    /// The same, read: the tenant,
    pub tenant: &'r str,
    /// the records or the table that it names; none where it names neither,
    pub subjects: &'r [Subject],
    /// and the parameters of its query.
    pub parameters: &'r [(String, String)],
    /// Is what it names granted to its reader? If not, it will be refused.
    pub is_granted: bool,
    /// What came beside it.
    pub headers: &'r HeaderMap,
    /// Where it came from, as far as this machine knows: the last proxy, where there is one.
    pub peer: Option<IpAddr>,
    /// The id of the request: as sent with `X-Request-Id`, or made here.
    pub request_id: &'r str,
}

/// Decides who may ask, and keeps what they asked.
///
/// Every request under `/v1` passes it: first [`Gate::admit`], then, when its parameters can be read, [`Gate::note`], and
/// only then is the trail asked. A problem from either is the answer, and the trail is not asked.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Who asks, by the headers of the request.
    ///
    /// # Errors
    /// [`ProblemKind::Unauthorized`] without good credentials, [`ProblemKind::Forbidden`] where they do not suffice.
    async fn admit(&self, headers: &HeaderMap) -> Result<Reader, Problem>;

    /// Keeps that this was asked, durably: the first byte of the answer waits for it.
    ///
    /// # Errors
    /// [`ProblemKind::Unavailable`] when it cannot be kept now.
    async fn note(&self, reader: &Reader, asked: &Asked<'_>) -> Result<Noted, Problem>;
}

/// Lets everybody see everything and keeps nothing: for a server that only this machine reaches, or whose way is guarded
/// by something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Whoever names this machine by its own name. A web page that made its host name point to 127.0.0.1 could read the
    /// trail through a browser on this machine otherwise (DNS rebinding).
    OnLoopback,
    /// Whoever reaches it, by any name.
    Anywhere,
}

#[async_trait]
impl Gate for Anonymous {
    async fn admit(&self, headers: &HeaderMap) -> Result<Reader, Problem> {
        if *self == Self::OnLoopback && !is_for_loopback(headers) {
            return Err(Problem::new(
                ProblemKind::Forbidden,
                "anonymous readers must call this machine localhost, 127.0.0.1 or [::1] in the Host header",
            ));
        }
        Ok(Reader::anonymous())
    }

    async fn note(&self, _reader: &Reader, _asked: &Asked<'_>) -> Result<Noted, Problem> {
        Ok(Noted::unrecorded())
    }
}

fn is_for_loopback(headers: &HeaderMap) -> bool {
    // A request without a Host was not made by a browser.
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(uri) = Uri::try_from(host.as_bytes()) else { return false };
    let name = uri.host().unwrap_or_default();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        let is_loopback = |host: &str| is_for_loopback(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]));
        for host in ["localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "[::2]:1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(is_for_loopback(&HeaderMap::new()));
    }
}
