//! The keys an issuer publishes (RFC 7517).

use std::fmt;
use std::str::FromStr;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;

use crate::Refusal;

/// Most keys of an issuer that are kept. Issuers publish two or three.
pub const KEYS_MAX: usize = 100;

/// An algorithm by which JWTs may be signed: those with a public key. There is no name here for `none`, nor for the HMACs
/// of RFC 7518, so no configuration can allow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what every issuer has.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// Its name in the header of a JWT (RFC 7518, section 3.1; RFC 8037).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) const fn native(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    /// Is the key one for this algorithm? The key decides, not the header: a public key is never a secret of an HMAC.
    fn fits(self, key: &Jwk) -> bool {
        let is_kind = match (&key.algorithm, self) {
            (AlgorithmParameters::RSA(_), Self::Rs256 | Self::Ps256) => true,
            (AlgorithmParameters::EllipticCurve(key), Self::Es256) => key.curve == EllipticCurve::P256,
            (AlgorithmParameters::OctetKeyPair(key), Self::EdDsa) => key.curve == EllipticCurve::Ed25519,
            _ => false,
        };
        is_kind && key.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(self.native()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no algorithm that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of RS256, PS256, ES256, EdDSA")]
pub struct ParseAlgorithmError;

impl FromStr for Algorithm {
    type Err = ParseAlgorithmError;

    fn from_str(text: &str) -> Result<Self, ParseAlgorithmError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(ParseAlgorithmError)
    }
}

/// The keys that JWTs may be signed with.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct SetText {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds, and those for encryption, are passed over; so are symmetric ones, which
    /// nobody should publish.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let SetText { keys } = serde_json::from_slice(text)?;
        let keys = keys.into_iter().filter_map(|key| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            if key.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
                return None;
            }
            let algorithms: Vec<_> = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.fits(&key)).collect();
            let decoding = DecodingKey::from_jwk(&key).ok().filter(|_| !algorithms.is_empty())?;
            Some(Key { id: key.common.key_id, algorithms, key: decoding })
        });
        Ok(Self { keys: keys.take(KEYS_MAX).collect() })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of a JWT: that of the id it names, or where it names none the only one of its algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, Refusal> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let Some(id) = id else {
            let mut fitting = self.keys.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(&only.key),
                _ => Err(Refusal::UnknownKey),
            };
        };
        let mut named = self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).peekable();
        if named.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        named.find(fits).map(|key| &key.key).ok_or(Refusal::Algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_sign_in_public_are_taken() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let set = format!(
            r#"{{"keys":[
                {{"kty":"oct","kid":"hmac","k":"c2VjcmV0","alg":"HS256"}},
                {{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"{x}","exp":1999999999,"x5c":[]}},
                {{"kty":"OKP","crv":"Ed25519","kid":"enc","x":"{x}","use":"enc"}},
                {{"kty":"OKP","crv":"X25519","kid":"x","x":"{x}"}},
                {{"kty":"EC","crv":"P-521","kid":"p521","x":"AA","y":"AA"}},
                {{"kty":"RSA","kid":"rs","n":"{x}","e":"AQAB","alg":"RS256"}},
                {{"kty":"RSA","kid":"any","n":"{x}","e":"AQAB","use":"sig"}},
                {{"kid":"nothing"}}, 7]}}"#
        );
        let set = KeySet::parse(set.as_bytes()).unwrap();
        let ids: Vec<_> = set.keys.iter().map(|key| (key.id.as_deref().unwrap(), key.algorithms.clone())).collect();
        let expected = [
            ("ed", vec![Algorithm::EdDsa]),
            ("rs", vec![Algorithm::Rs256]),
            ("any", vec![Algorithm::Rs256, Algorithm::Ps256]),
        ];
        assert_eq!(ids, expected);
        assert!(set.find(Some("ed"), Algorithm::EdDsa).is_ok());
        assert_eq!(set.find(Some("ed"), Algorithm::Rs256).unwrap_err(), Refusal::Algorithm);
        assert_eq!(set.find(Some("hmac"), Algorithm::Rs256).unwrap_err(), Refusal::UnknownKey);
        assert!(set.find(None, Algorithm::EdDsa).is_ok(), "the only one of its kind");
        assert_eq!(set.find(None, Algorithm::Rs256).unwrap_err(), Refusal::UnknownKey, "one of two");
        assert!(KeySet::parse(b"{}").is_err());
        for name in ["none", "None", "HS256", "HS384", "HS512", "rs256", ""] {
            assert_eq!(name.parse::<Algorithm>(), Err(ParseAlgorithmError));
        }
    }
}
