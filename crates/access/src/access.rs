//! From the header of a request to a reader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::log::now;
use crate::metrics::Metrics;
use crate::oidc::Issuer;
use crate::{LiveFile, Reader, Refusal, Token};

/// Longest `Authorization` header that is read, in bytes. JWTs of many groups have a few KiB.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Between two log lines about refusals of one kind.
const QUIET: Duration = Duration::from_secs(10);

/// Knows readers by their credentials: tokens of a file, JWTs of an issuer, or both.
#[derive(Debug)]
pub struct Access {
    file: Option<Arc<LiveFile>>,
    issuer: Option<Issuer>,
    metrics: Metrics,
    /// When refusals of a kind were logged, and how many came since.
    told: Mutex<HashMap<Refusal, (Option<Instant>, u64)>>,
}

impl Access {
    /// Whoever is known by either. With neither, nobody is.
    #[must_use]
    pub fn new(file: Option<Arc<LiveFile>>, issuer: Option<Issuer>, metrics: Metrics) -> Self {
        Self { file, issuer, metrics, told: Mutex::default() }
    }

    /// Who asks, by the value of `Authorization` ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    /// A refusal, which is counted and logged here: at most one line for each kind in ten seconds, and never what was
    /// sent.
    pub async fn reader(&self, authorization: Option<&[u8]>) -> Result<Reader, Refusal> {
        let outcome = self.known(authorization).await;
        if let Err(refusal) = outcome {
            self.refused(refusal);
        }
        outcome
    }

    async fn known(&self, authorization: Option<&[u8]>) -> Result<Reader, Refusal> {
        let bearer = bearer(authorization.ok_or(Refusal::Missing)?)?;
        let file = self.file.as_ref().map(|file| file.now()).unwrap_or_default();
        if Token::is_claimed_by(bearer) {
            let token: Token = bearer.parse().map_err(|_| Refusal::Malformed)?;
            return file.reader(&token, now());
        }
        match &self.issuer {
            Some(issuer) => issuer.reader(bearer, &file, now()).await,
            None => Err(Refusal::Malformed),
        }
    }

    fn refused(&self, refusal: Refusal) {
        self.metrics.refused(refusal);
        // Browsers and probes come without: no sign of anything.
        if refusal == Refusal::Missing {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, since) = told.entry(refusal).or_default();
        *since += 1;
        if at.is_none_or(|at| at.elapsed() >= QUIET) {
            tracing::warn!(reason = refusal.as_str(), times = *since, "credentials were refused: {refusal}");
            (*at, *since) = (Some(Instant::now()), 0);
        }
    }
}

/// The token of `Bearer token`. The name of the scheme is read in any letter case (RFC 9110, section 11.1).
fn bearer(authorization: &[u8]) -> Result<&str, Refusal> {
    if authorization.len() > HEADER_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(authorization).map_err(|_| Refusal::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refusal::Malformed)?;
    let token = token.trim_matches(' ');
    // RFC 6750, section 2.1: b64token.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(is_token) {
        return Err(Refusal::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_and_nothing_else() {
        for (header, token) in [("Bearer a.b-c_d~+/==", "a.b-c_d~+/=="), ("bearer x", "x"), ("BEARER  x ", "x")] {
            assert_eq!(bearer(header.as_bytes()), Ok(token));
        }
        let long = format!("Bearer {}", "x".repeat(HEADER_BYTES_MAX));
        for header in ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a b", "Bearer ä", "Bearer a,b", "token x", &long]
        {
            assert_eq!(bearer(header.as_bytes()), Err(Refusal::Malformed), "{header}");
        }
        assert_eq!(bearer(b"Bearer \xff"), Err(Refusal::Malformed));
    }
}
