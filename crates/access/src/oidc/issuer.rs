use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use afterimage_event::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::claims::Claims;
use super::fetch::{Fetcher, KeySource, SourceError};
use super::header::Header;
use super::keys::KeySet;
use super::{Algorithm, FetchError};
use crate::{AccessFile, Reader, Refusal};

/// Keys are fetched again when they are older: a key that the issuer took back is good for so long.
const KEYS_FRESH: Duration = Duration::from_secs(10 * 60);
/// While the issuer cannot be reached, keys hold for so long; then nobody of it is let in.
const KEYS_STALE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Between two fetches. A JWT of an unknown key makes one, and anybody can make up key ids: that must not become a flood
/// at the issuer's.
const FETCH_PAUSE: Duration = Duration::from_secs(10);

/// Whose JWTs are good, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The issuer, exactly as its JWTs say (`iss`).
    pub issuer: String,
    /// What its JWTs must be for (`aud`): one of these.
    pub audiences: Vec<String>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// By what its JWTs may be signed.
    pub algorithms: Vec<Algorithm>,
    /// What the names of the claims `role`, `tenants` and `grants` begin with.
    pub claim_prefix: String,
    /// The claim that lists groups.
    pub groups_claim: String,
}

impl IssuerConfig {
    /// What [`IssuerConfig::claim_prefix`] mostly is.
    pub const CLAIM_PREFIX: &str = "afterimage_";
    /// What [`IssuerConfig::groups_claim`] mostly is.
    pub const GROUPS_CLAIM: &str = "groups";
    /// What [`IssuerConfig::algorithms`] mostly are.
    pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    /// An issuer with the usual claims and algorithms, whose keys are where it says.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audiences: Vec<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences,
            keys: KeySource::Discovery,
            algorithms: Self::ALGORITHMS.to_vec(),
            claim_prefix: Self::CLAIM_PREFIX.to_owned(),
            groups_claim: Self::GROUPS_CLAIM.to_owned(),
        }
    }
}

/// The configuration of an issuer makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// JWTs for anybody else would be good here.
    #[error("an audience must be given: a JWT that the issuer made for another service would be good here otherwise")]
    NoAudience,
    /// Nothing could be good.
    #[error("an algorithm must be allowed")]
    NoAlgorithm,
    /// Keys are not fetched from there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The client for fetching cannot be made.
    #[error(transparent)]
    Fetch(FetchError),
}

/// An OpenID Connect issuer whose JWTs are good here.
#[derive(Debug)]
pub struct Issuer {
    config: IssuerConfig,
    fetcher: Fetcher,
    keys: RwLock<Option<Fetched>>,
    /// When a fetch was last begun. Held while one is under way.
    tried: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct Fetched {
    set: Arc<KeySet>,
    at: Instant,
}

impl Issuer {
    /// Checks the configuration, and fetches nothing yet.
    ///
    /// # Errors
    /// What makes no sense.
    pub fn new(config: IssuerConfig) -> Result<Self, ConfigError> {
        if config.audiences.is_empty() {
            return Err(ConfigError::NoAudience);
        }
        if config.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        let fetcher = Fetcher::new(&config.issuer, config.keys.clone()).map_err(|error| match error {
            FetchError::Source(source) => ConfigError::Source(source),
            other => ConfigError::Fetch(other),
        })?;
        Ok(Self { config, fetcher, keys: RwLock::default(), tried: Mutex::default() })
    }

    /// Fetches the keys now, so that a server that starts says what is wrong.
    ///
    /// # Errors
    /// When they cannot be had. Later requests try again.
    pub async fn warm_up(&self) -> Result<(), FetchError> {
        let mut tried = self.tried.lock().await;
        *tried = Some(Instant::now());
        let set = self.fetcher.fetch().await?;
        self.keep(set);
        Ok(())
    }

    /// Who a JWT is of. `file` says what groups may see.
    pub(crate) async fn reader(&self, jwt: &str, file: &AccessFile, now: Timestamp) -> Result<Reader, Refusal> {
        let header = Header::of(jwt)?;
        let algorithm = header.algorithm(&self.config.algorithms)?;
        let keys = self.keys(|set| set.find(header.kid.as_deref(), algorithm).is_ok()).await?;
        let key = keys.find(header.kid.as_deref(), algorithm)?;
        let mut signature = Validation::new(algorithm.native());
        signature.required_spec_claims.clear();
        (signature.validate_exp, signature.validate_nbf, signature.validate_aud) = (false, false, false);
        let claims = decode::<Map<String, Value>>(jwt, key, &signature).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refusal::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => Refusal::Algorithm,
            ErrorKind::Json(_) => Refusal::Claims,
            _ => Refusal::Malformed,
        })?;
        let claims = Claims(&claims.claims);
        claims.check(&self.config, now)?;
        claims.reader(&self.config, file)
    }

    /// The keys, fetched again when they are old or do not have what is needed.
    async fn keys(&self, has_key: impl Fn(&KeySet) -> bool) -> Result<Arc<KeySet>, Refusal> {
        let usable = || self.kept().filter(|kept| kept.at.elapsed() < KEYS_STALE_MAX);
        let good = || usable().filter(|kept| kept.at.elapsed() < KEYS_FRESH && has_key(&kept.set));
        if let Some(kept) = good() {
            return Ok(kept.set);
        }
        let mut tried = match usable().filter(|kept| has_key(&kept.set)) {
            // Old, and does: only one waits for newer ones.
            Some(kept) => match self.tried.try_lock() {
                Ok(tried) => tried,
                Err(_) => return Ok(kept.set),
            },
            None => self.tried.lock().await,
        };
        // Somebody else may have fetched them meanwhile.
        if let Some(kept) = good() {
            return Ok(kept.set);
        }
        if tried.is_none_or(|at| at.elapsed() >= FETCH_PAUSE) {
            *tried = Some(Instant::now());
            match self.fetcher.fetch().await {
                Ok(set) => self.keep(set),
                Err(error) => tracing::warn!(%error, "the issuer's keys cannot be fetched"),
            }
        }
        usable().map(|kept| kept.set).ok_or(Refusal::KeysUnavailable)
    }

    fn kept(&self) -> Option<Fetched> {
        // Exchanged at once: a thread that panicked with the lock has spoilt nothing.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, set: KeySet) {
        let fetched = Fetched { set: Arc::new(set), at: Instant::now() };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
    }
}
