//! Grants as they are written: in the access file, and in the claims of a JWT.

use afterimage_event::{DEFAULT_NAME, OWN_SOURCE};
use afterimage_store::{Grant, Grants};
use serde::Deserialize;

use crate::Role;

/// Stands for every tenant.
const ALL_TENANTS: &str = "*";

/// One grant: each part that is given narrows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantText {
    tenant: Option<String>,
    source: Option<String>,
    table: Option<String>,
    record_id: Option<Vec<String>>,
}

/// What a role comes to, where it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Is any of it an auditor's?
    pub(crate) is_auditor: bool,
    pub(crate) grants: Vec<Grant>,
}

/// What is written makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("an auditor sees everything of their tenants: say tenants, and leave grants out")]
    AuditorWithGrants,
    #[error("a reader without grants sees nothing: name tables, sources or records in grants")]
    ReaderWithoutGrants,
    #[error("a grant must name a source, a table, or a table and a record; for everything there is the role auditor")]
    Empty,
    #[error("a grant with record_id needs table beside it")]
    RecordWithoutTable,
    #[error("a name in grants or tenants is empty")]
    EmptyName,
    #[error("tenants must name one at least; \"*\" stands for all")]
    NoTenants,
}

impl Granted {
    /// What a role with these grants may see of these tenants. Without `tenants`: of the tenant `default` alone, so that
    /// nobody is let into another tenant by a line that was left out.
    pub(crate) fn new(
        role: Role,
        tenants: Option<&[String]>,
        grants: Option<&[GrantText]>,
    ) -> Result<Self, GrantError> {
        let by_default = [DEFAULT_NAME.to_owned()];
        let tenants = tenants.unwrap_or(&by_default);
        if tenants.is_empty() {
            return Err(GrantError::NoTenants);
        }
        if tenants.iter().any(String::is_empty) {
            return Err(GrantError::EmptyName);
        }
        let grants = grants.unwrap_or_default();
        let of_tenants = |grant: Grant| {
            tenants.iter().map(move |tenant| {
                let tenant = (tenant != ALL_TENANTS).then(|| tenant.clone());
                Grant { tenant: grant.tenant.clone().or(tenant), ..grant.clone() }
            })
        };
        match role {
            Role::Auditor if !grants.is_empty() => Err(GrantError::AuditorWithGrants),
            // What is granted without a source leaves out the trail's own, so it is named beside.
            Role::Auditor => {
                let own = Grant { source: Some(OWN_SOURCE.to_owned()), ..Grant::default() };
                let grants = [Grant::default(), own].into_iter().flat_map(of_tenants).collect();
                Ok(Self { is_auditor: true, grants })
            }
            Role::Reader if grants.is_empty() => Err(GrantError::ReaderWithoutGrants),
            Role::Reader => {
                let grants: Vec<Grant> = grants.iter().map(GrantText::read).collect::<Result<_, _>>()?;
                Ok(Self { is_auditor: false, grants: grants.into_iter().flat_map(of_tenants).collect() })
            }
        }
    }

    /// Both.
    pub(crate) fn join(&mut self, other: &Self) {
        self.is_auditor |= other.is_auditor;
        self.grants
            .extend(other.grants.iter().filter(|grant| !self.grants.contains(grant)).cloned().collect::<Vec<_>>());
    }

    pub(crate) fn role(&self) -> Role {
        if self.is_auditor { Role::Auditor } else { Role::Reader }
    }

    pub(crate) fn into_grants(self) -> Grants {
        Grants::of(self.grants)
    }
}

impl GrantText {
    fn read(&self) -> Result<Grant, GrantError> {
        let Self { tenant, source, table, record_id } = self.clone();
        if [&tenant, &source, &table].into_iter().flatten().any(String::is_empty) {
            return Err(GrantError::EmptyName);
        }
        match (&source, &table, &record_id) {
            (None, None, None) => Err(GrantError::Empty),
            (_, None, Some(_)) => Err(GrantError::RecordWithoutTable),
            _ => Ok(Grant { tenant, source, table, record_id }),
        }
    }
}
