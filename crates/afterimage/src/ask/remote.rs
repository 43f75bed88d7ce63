//! The query API, asked over HTTP.

use std::io;
use std::time::Duration;

use afterimage_store::ExportFormat;
use anyhow::Context;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::time::timeout;

use super::error::several_sources;
use super::{AskError, Export, Question, Sink};
use crate::config::ApiConfig;
use crate::render::safe;

/// Largest answer that is read: a page holds 16 MiB of contents, and shows them in several forms.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Largest problem that is read.
const PROBLEM_BYTES_MAX: usize = 64 << 10;
/// Longest wait for an answer to begin or go on: above what the server grants a question.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than the last line of an export.
const END_BYTES_MAX: usize = 128;

/// Calls to one API.
pub(crate) struct Remote {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: String,
    authorization: Option<HeaderValue>,
}

/// A problem (RFC 9457), as far as it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    /// A URI; its last part names the kind.
    #[serde(rename = "type")]
    kind: String,
    title: Option<String>,
    detail: Option<String>,
    sources: Vec<String>,
}

impl Remote {
    pub(super) fn new(config: &ApiConfig) -> anyhow::Result<Self> {
        let builder = HttpsConnectorBuilder::new();
        let trusting = |authorities| ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
        let builder = match &config.authorities {
            Some(authorities) => builder.with_tls_config(trusting(authorities.clone())),
            // A machine that knows no authorities can ask without TLS.
            None if config.url.starts_with("http://") => builder.with_tls_config(trusting(RootCertStore::empty())),
            None => builder
                .with_native_roots()
                .context("the authorities of this machine cannot be read; --ca-file or SSL_CERT_FILE can name them")?,
        };
        let connector = builder.https_or_http().enable_http1().build();
        let authorization = config.token.as_ref().map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        let mut authorization = authorization.transpose().context("the token")?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url: config.url.clone(),
            authorization,
        })
    }

    pub(super) async fn ask(&self, question: &Question) -> Result<String, AskError> {
        let answer = self.get(&question.place()).await?;
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
        let body = timeout(PATIENCE, body).await.map_err(|_| self.silent())?;
        let body = body.map_err(|error| self.broken(&*error))?.to_bytes();
        String::from_utf8(body.into()).map_err(|_| AskError::Failed(format!("{} answered what is no text", self.url)))
    }

    pub(super) async fn export(&self, export: &Export, sink: &mut dyn Sink) -> Result<(), AskError> {
        let mut body = self.get(&export.place()).await?.into_body();
        let mut tail = Vec::new();
        while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| self.silent())? {
            let Ok(bytes) = frame.map_err(|error| self.broken(&error))?.into_data() else { continue };
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            tail.extend_from_slice(&bytes[bytes.len().saturating_sub(END_BYTES_MAX)..]);
            tail.drain(..tail.len().saturating_sub(END_BYTES_MAX));
            if !sink.take(&bytes, lines)? {
                return Ok(());
            }
        }
        // A body that was cut off is an error above; one that ends too early, this.
        let end = match export.format {
            ExportFormat::Ndjson => "{\"end\":true",
            ExportFormat::Csv => "#end,",
        };
        if String::from_utf8_lossy(&tail).lines().last().is_none_or(|line| !line.starts_with(end)) {
            return Err(AskError::Failed("the export ends too early: its last line is missing".to_owned()));
        }
        Ok(())
    }

    async fn get(&self, place: &str) -> Result<Response<hyper::body::Incoming>, AskError> {
        let uri: Uri = format!("{}{place}", self.url)
            .parse()
            .map_err(|error| AskError::Question(format!("the question makes no URL: {error}")))?;
        let mut request = Request::get(uri).header(header::ACCEPT, "application/json, application/problem+json, */*");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        let request = request.body(Empty::new()).map_err(|error| AskError::Question(error.to_string()))?;
        let answer = timeout(PATIENCE, self.client.request(request)).await.map_err(|_| self.silent())?;
        let answer = answer.map_err(|error| self.broken(&error))?;
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(self.refused(answer).await) }
    }

    async fn refused(&self, answer: Response<hyper::body::Incoming>) -> AskError {
        let status = answer.status();
        let body = timeout(PATIENCE, Limited::new(answer.into_body(), PROBLEM_BYTES_MAX).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        judge(status, &body, &self.url)
    }

    fn silent(&self) -> AskError {
        AskError::Failed(format!("{} does not answer within {} s", self.url, PATIENCE.as_secs()))
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> AskError {
        // The first that says why is the last of the chain.
        let mut cause = error;
        loop {
            if let Some(problem) = certificate_problem(cause) {
                return AskError::Failed(format!("{}: {problem}", self.url));
            }
            match cause.source() {
                Some(source) => cause = source,
                None => return AskError::Failed(format!("{}: {cause}", self.url)),
            }
        }
    }
}

/// What is wrong with the certificate that the other side showed.
fn certificate_problem(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    // The connection's errors hold that of TLS inside of each other, not as their source.
    let mut error = error;
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    Some(match error.downcast_ref::<rustls::Error>()? {
        // Of another authority, or of another that has the same name.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is signed by no authority that is trusted; --ca-file names others".to_owned()
        }
        rustls::Error::InvalidCertificate(problem) => format!("its certificate is not good: {problem}"),
        _ => return None,
    })
}

/// What a refusal means for whoever asked.
fn judge(status: StatusCode, body: &[u8], url: &str) -> AskError {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    if status == StatusCode::CONFLICT && !problem.sources.is_empty() {
        return AskError::Failed(safe(&several_sources(&problem.sources)).into_owned());
    }
    let told = match (problem.title, problem.detail) {
        (_, Some(detail)) => detail,
        (Some(title), None) => title,
        (None, None) => format!("{url} answered {status} and no problem (RFC 9457): is it the query API?"),
    };
    let told = safe(&told).into_owned();
    match status {
        StatusCode::NOT_FOUND if problem.kind.ends_with("no-such-record") => AskError::NoSuchRecord(told),
        StatusCode::BAD_REQUEST => AskError::Question(told),
        StatusCode::UNAUTHORIZED => AskError::Failed(format!("{told} (--token-file names the token)")),
        _ => AskError::Failed(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> AskError {
        judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), "http://api")
    }

    #[test]
    fn a_problem_ends_the_command_as_the_same_one_of_a_store_does() {
        let no_record = judged(404, r#"{"type":"/problems/no-such-record","detail":"no entry of this record"}"#);
        assert!(matches!(no_record, AskError::NoSuchRecord(told) if told == "no entry of this record"));
        let bad = judged(400, r#"{"type":"x/bad-cursor","title":"The cursor does not belong to this question"}"#);
        assert!(matches!(bad, AskError::Question(told) if told == "The cursor does not belong to this question"));
        let several = judged(409, r#"{"type":"x","detail":"add source=","sources":["billing","shop"]}"#);
        assert!(matches!(several, AskError::Failed(told) if told.ends_with("--source with one of: billing, shop")));
        let forbidden = judged(401, r#"{"detail":"no token"}"#);
        assert!(matches!(forbidden, AskError::Failed(told) if told.contains("--token-file")));
        // Some other server is no trail without this record.
        let other = judged(404, "<html>");
        assert!(matches!(other, AskError::Failed(told) if told.contains("is it the query API?")));
    }
}
