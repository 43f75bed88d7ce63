use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::Algorithm;
use crate::Refusal;

/// Longest key id that is looked up, in bytes.
const KID_BYTES_MAX: usize = 256;

/// The header of a JWT (RFC 7515, section 4.1): what nobody has vouched for yet.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    alg: String,
    pub(super) kid: Option<String>,
    /// Extensions that must be understood. None is, so any is a reason to refuse.
    crit: Option<serde_json::Value>,
}

impl Header {
    pub(super) fn of(jwt: &str) -> Result<Self, Refusal> {
        let (header, rest) = jwt.split_once('.').ok_or(Refusal::Malformed)?;
        if rest.split('.').count() != 2 {
            return Err(Refusal::Malformed);
        }
        let text = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refusal::Malformed)?;
        let header: Self = serde_json::from_slice(&text).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() || header.kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(Refusal::Malformed);
        }
        Ok(header)
    }

    /// Its algorithm, if that is allowed.
    pub(super) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, Refusal> {
        self.alg.parse().ok().filter(|algorithm| allowed.contains(algorithm)).ok_or(Refusal::Algorithm)
    }
}
