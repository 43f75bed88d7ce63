//! What a JWT says (RFC 7519, section 4), and what somebody may see by it.

use afterimage_event::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::IssuerConfig;
use crate::file::{GRANTS_MAX, NAME_BYTES_MAX};
use crate::grant::{GrantText, Granted};
use crate::{AccessFile, Credential, Reader, Refusal, Role};

/// How far clocks may be apart.
const LEEWAY_S: f64 = 60.0;
/// Most groups of a JWT that are looked up.
const GROUPS_MAX: usize = 1_000;
/// Longest subject, in bytes (OpenID Connect Core 1.0, section 2: 255 ASCII characters).
const SUBJECT_BYTES_MAX: usize = 255;

/// The claims of a JWT whose signature is good.
///
/// They are checked here and not by `jsonwebtoken`: the workspace keeps every digit of a number, which that crate's
/// reading of `exp` does not expect, and its clock cannot be set.
pub(super) struct Claims<'c>(pub(super) &'c Map<String, Value>);

impl Claims<'_> {
    /// Checks the registered claims: for us, of the right issuer, now.
    pub(super) fn check(&self, config: &IssuerConfig, now: Timestamp) -> Result<(), Refusal> {
        if self.text("iss") != Some(&config.issuer) {
            return Err(Refusal::Issuer);
        }
        let is_ours = |audience: &str| config.audiences.iter().any(|ours| ours == audience);
        let is_for_us = match self.0.get("aud") {
            Some(Value::String(audience)) => is_ours(audience),
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).any(is_ours),
            _ => false,
        };
        if !is_for_us {
            return Err(Refusal::Audience);
        }
        let now = now.as_micros() as f64 / 1e6;
        // A JWT without an end is refused: nothing would ever take it back.
        if self.time("exp")?.ok_or(Refusal::Claims)? + LEEWAY_S <= now {
            return Err(Refusal::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.time(name)?.is_some_and(|time| time - LEEWAY_S > now) {
                return Err(Refusal::NotYetValid);
            }
        }
        Ok(())
    }

    /// Who it is, and what is granted: by claims of its own, and by groups that the access file knows.
    pub(super) fn reader(&self, config: &IssuerConfig, file: &AccessFile) -> Result<Reader, Refusal> {
        let subject = self.text("sub").filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()));
        let subject = subject.ok_or(Refusal::Subject)?;
        let mut granted = Granted::default();
        if let Some(own) = self.own_grants(config)? {
            granted.join(&own);
        }
        for group in self.groups(config)? {
            if let Some(of_group) = file.group(group) {
                granted.join(of_group);
            }
        }
        if granted.grants.is_empty() {
            return Err(Refusal::NoGrants);
        }
        if granted.grants.len() > GRANTS_MAX {
            return Err(Refusal::Claims);
        }
        let said = |name| self.text(name).filter(|text| text.len() <= NAME_BYTES_MAX).map(str::to_owned);
        Ok(Reader {
            credential: Credential::Oidc,
            id: subject.to_owned(),
            name: said("name").or_else(|| said("preferred_username")),
            email: said("email"),
            role: granted.role(),
            grants: granted.into_grants(),
        })
    }

    /// The claims `…role`, `…grants` and `…tenants`, written as in the access file.
    fn own_grants(&self, config: &IssuerConfig) -> Result<Option<Granted>, Refusal> {
        let claim = |name: &str| self.0.get(&format!("{}{name}", config.claim_prefix)).filter(|value| !value.is_null());
        let Some(role) = claim("role") else { return Ok(None) };
        let role: Role = role.as_str().and_then(|role| role.parse().ok()).ok_or(Refusal::Claims)?;
        let (tenants, grants) = (claim("tenants"), claim("grants"));
        let tenants: Option<Vec<String>> = tenants.map(read).transpose()?;
        let grants: Option<Vec<GrantText>> = grants.map(read).transpose()?;
        Granted::new(role, tenants.as_deref(), grants.as_deref()).map(Some).map_err(|_| Refusal::Claims)
    }

    fn groups(&self, config: &IssuerConfig) -> Result<Vec<&str>, Refusal> {
        match self.0.get(&config.groups_claim) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(group)) => Ok(vec![group]),
            Some(Value::Array(groups)) if groups.len() <= GROUPS_MAX => {
                Ok(groups.iter().filter_map(Value::as_str).collect())
            }
            Some(_) => Err(Refusal::Claims),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Seconds since 1970 (`NumericDate`), with a fraction perhaps.
    fn time(&self, name: &str) -> Result<Option<f64>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().filter(|time| time.is_finite()).map(Some).ok_or(Refusal::Claims),
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<Vec<T>, Refusal> {
    Vec::deserialize(value).map_err(|_| Refusal::Claims)
}
