use afterimage_event::RecordKey;

/// What somebody may see. Each part that is given narrows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Entries of this tenant.
    pub tenant: Option<String>,
    /// Of this source.
    pub source: Option<String>,
    /// Of this table.
    pub table: Option<String>,
    /// Of this record.
    pub record_id: Option<Vec<String>>,
}

/// What a reader of the trail may see: all that any grant covers. None sees nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Everything: whoever holds the store's own credentials.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec![Grant::default()])
    }

    /// What these grants cover.
    #[must_use]
    pub fn of(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// The grants.
    #[must_use]
    pub fn as_slice(&self) -> &[Grant] {
        &self.0
    }

    /// May entries of this record be seen?
    #[must_use]
    pub fn allow(&self, record: &RecordKey) -> bool {
        self.0.iter().any(|grant| grant.covers(record))
    }
}

impl Grant {
    fn covers(&self, record: &RecordKey) -> bool {
        let fits = |wanted: &Option<String>, is: &String| wanted.as_ref().is_none_or(|wanted| wanted == is);
        fits(&self.tenant, &record.tenant)
            && fits(&self.source, &record.source)
            && fits(&self.table, &record.table)
            && self.record_id.as_ref().is_none_or(|id| *id == record.record_id)
    }
}
