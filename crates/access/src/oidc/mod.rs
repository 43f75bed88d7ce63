//! JWTs of an OpenID Connect issuer, checked against its published keys
//! ([RFC 8725](https://www.rfc-editor.org/rfc/rfc8725) says what to mind).

mod claims;
mod fetch;
mod header;
mod issuer;
mod keys;

pub use fetch::{FetchError, KeySource, SourceError};
pub use issuer::{ConfigError, Issuer, IssuerConfig};
pub use keys::{Algorithm, KEYS_MAX, ParseAlgorithmError};
