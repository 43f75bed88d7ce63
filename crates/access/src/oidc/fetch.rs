//! Where an issuer's keys come from: its own address, an address that is given, or a file.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Uri;
use hyper::header::{ACCEPT, USER_AGENT};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::keys::KeySet;

/// Longest key set or discovery document, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;
/// How long a fetch may take, discovery included.
const FETCH_PATIENCE: Duration = Duration::from_secs(5);
/// Where an issuer says where its keys are: [OpenID Connect Discovery
/// 1.0](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Where the issuer says they are.
    Discovery,
    /// At this address: `https`, or `http` on this machine.
    Url(String),
    /// In this file, for machines that reach no issuer.
    File(PathBuf),
}

/// An address that keys are not fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected https://…, or http:// of this machine: whoever stands between could give out keys of their own")]
pub struct SourceError;

/// The keys could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address is none that keys are fetched from.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Nothing was answered, or nothing in time.
    #[error("{url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// Something else was answered.
    #[error("{url}: expected {expected}")]
    Answer {
        /// Where.
        url: String,
        /// What should have been there.
        expected: &'static str,
    },
}

/// Gets them.
pub(super) struct Fetcher {
    issuer: String,
    source: KeySource,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("source", &self.source).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    /// Checks addresses, and opens nothing. The authorities that are trusted are this machine's.
    pub(super) fn new(issuer: &str, source: KeySource) -> Result<Self, FetchError> {
        match &source {
            KeySource::Discovery => check(issuer).map(drop)?,
            KeySource::Url(url) => check(url).map(drop)?,
            KeySource::File(_) => {}
        }
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| FetchError::Unreachable { url: issuer.to_owned(), reason: error.to_string() })?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { issuer: issuer.to_owned(), source, client })
    }

    /// The keys as they are now.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let place = match &self.source {
            KeySource::Discovery => self.issuer.clone(),
            KeySource::Url(url) => url.clone(),
            KeySource::File(path) => path.display().to_string(),
        };
        let late = || FetchError::Unreachable { url: place, reason: format!("no answer within {FETCH_PATIENCE:?}") };
        tokio::time::timeout(FETCH_PATIENCE, self.fetch_patiently()).await.map_err(|_| late())?
    }

    async fn fetch_patiently(&self) -> Result<KeySet, FetchError> {
        let (place, text) = match &self.source {
            KeySource::File(path) => {
                let place = path.display().to_string();
                match tokio::fs::read(path).await {
                    Ok(text) => (place, Bytes::from(text)),
                    Err(error) => return Err(FetchError::Unreachable { url: place, reason: error.to_string() }),
                }
            }
            KeySource::Url(url) => (url.clone(), self.get(url).await?),
            KeySource::Discovery => {
                let url = self.discovered().await?;
                let text = self.get(&url).await?;
                (url, text)
            }
        };
        let set = KeySet::parse(&text).ok().filter(|set| set.len() > 0);
        set.ok_or(FetchError::Answer {
            url: place,
            expected: "a JWK set with a public key for RS256, PS256, ES256 or EdDSA",
        })
    }

    async fn discovered(&self) -> Result<String, FetchError> {
        let url = format!("{}{WELL_KNOWN}", self.issuer.trim_end_matches('/'));
        let fail = |expected| FetchError::Answer { url: url.clone(), expected };
        let text = self.get(&url).await?;
        let found: Discovered =
            serde_json::from_slice(&text).map_err(|_| fail("a document with issuer and jwks_uri"))?;
        // Section 4.3: it must be the issuer that was asked.
        if found.issuer != self.issuer {
            return Err(fail("the issuer to name itself exactly as it is configured here"));
        }
        Ok(found.jwks_uri)
    }

    /// What is at an address. Redirections are not followed: they could lead anywhere.
    async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let unreachable = |reason: String| FetchError::Unreachable { url: url.to_owned(), reason };
        let request = hyper::Request::get(check(url)?)
            .header(ACCEPT, "application/json, application/jwk-set+json")
            .header(USER_AGENT, concat!("afterimage/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| unreachable(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| unreachable(causes(&error)))?;
        if !response.status().is_success() {
            return Err(unreachable(format!("answered {}", response.status())));
        }
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| unreachable(error.to_string()))
    }
}

/// The address, if keys may be fetched from it.
fn check(url: &str) -> Result<Uri, SourceError> {
    let uri: Uri = url.parse().map_err(|_| SourceError)?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Ok(uri),
        Some("http") if is_here => Ok(uri),
        _ => Err(SourceError),
    }
}

/// An error and what it came from: the client's own text is "client error" alone.
fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_a_way_on_which_nobody_can_exchange_them() {
        for url in ["https://id.example.com/keys", "http://127.0.0.1:8080/keys", "http://localhost/", "http://[::1]:1/"]
        {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in
            ["http://id.example.com/keys", "http://127.0.0.1.example.com/", "ftp://localhost/", "/keys", "", "https:"]
        {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
