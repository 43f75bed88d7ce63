//! The members of an event: each is taken once, by any of its spellings; what is left over is nobody's and is kept.

use std::borrow::Cow;

use afterimage_json::{After, Raw, Scanner, equal, unescape};

use crate::limits::{ID_BYTES_MAX, MEMBERS_MAX, NAME_BYTES_MAX};
use crate::refusal::{Fault, Problem};
use crate::{Timestamp, TimestampError};

/// The members of an object, in order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    /// Names that lead from the event to this object.
    base: &'static [&'static str],
    /// Members; `None` once taken.
    members: Vec<(Cow<'a, str>, Option<Raw<'a>>)>,
}

impl<'a> Fields<'a> {
    /// The members of `object`, which stands at `base` in the event.
    pub(crate) fn of(object: Raw<'a>, base: &'static [&'static str]) -> Result<Self, Fault> {
        let Some(members) = object.members() else {
            return Err(Fault::new(base, Problem::WrongType("an object")));
        };
        let members = members.take(MEMBERS_MAX + 1).map(|(name, value)| (name, Some(value))).collect();
        Self { base, members }.checked()
    }

    /// The members of the object under a scanner's cursor: in one walk with the check of all its text.
    pub(crate) fn scan(scanner: &mut Scanner<'a>) -> Result<Result<Self, Fault>, afterimage_json::Error> {
        let mut members = Vec::with_capacity(16);
        let mut object = scanner.open_object()?;
        scanner.skip_whitespace();
        let mut after = if scanner.peek() == Some(b'}') { After::End } else { After::More };
        while after == After::More {
            let name = scanner.key(&mut object)?;
            scanner.colon()?;
            let value = scanner.skip_value()?;
            if members.len() <= MEMBERS_MAX {
                members.push((unescape(name)?, Some(value)));
            }
            after = scanner.comma()?;
        }
        scanner.close_object(&object)?;
        Ok(Self { base: &[], members }.checked())
    }

    fn checked(self) -> Result<Self, Fault> {
        if self.members.len() > MEMBERS_MAX {
            return Err(Fault::new(self.base, Problem::TooManyMembers));
        }
        Ok(self)
    }

    /// A member, without taking it. `null` counts as there.
    pub(crate) fn peek(&self, name: &str) -> Option<Raw<'a>> {
        self.members.iter().find(|(known, _)| known == name).and_then(|(_, value)| *value)
    }

    /// Takes the member that has one of these spellings; a member that is null is as good as absent.
    pub(crate) fn take(&mut self, spellings: &[&'static str]) -> Result<Option<Field<'a>>, Fault> {
        let mut found: Option<Field<'a>> = None;
        for (known, slot) in &mut self.members {
            let Some(name) = spellings.iter().find(|name| *known == **name) else { continue };
            let Some(raw) = slot.take().filter(|raw| !raw.is_null()) else { continue };
            let field = Field { base: self.base, name, raw };
            match &found {
                Some(first) if !equal(first.raw, raw) => return Err(field.fault(Problem::Contradiction)),
                Some(_) => {}
                None => found = Some(field),
            }
        }
        Ok(found)
    }

    /// Takes the member that has one of these spellings, which must be there.
    pub(crate) fn require(&mut self, spellings: &[&'static str], expected: &'static str) -> Result<Field<'a>, Fault> {
        let first = spellings.first().copied().unwrap_or_default();
        self.take(spellings)?.ok_or_else(|| Fault::new(self.path(first), Problem::Missing(expected)))
    }

    /// What nobody took, in order.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, Raw<'a>)> {
        self.members.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    fn path(&self, name: &'static str) -> impl Iterator<Item = &'static str> + use<> {
        self.base.iter().copied().chain([name])
    }
}

/// A member that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    base: &'static [&'static str],
    /// As it was spelled.
    pub(crate) name: &'static str,
    /// Its value, which is not null.
    pub(crate) raw: Raw<'a>,
}

impl<'a> Field<'a> {
    /// What is wrong with it.
    pub(crate) fn fault(&self, problem: Problem) -> Fault {
        Fault::new(self.base.iter().chain([&self.name]), problem)
    }

    /// What is wrong with one of its elements.
    pub(crate) fn element_fault(&self, index: usize, problem: Problem) -> Fault {
        let mut fault = self.fault(problem);
        fault.at.push_index(index);
        fault
    }

    /// A string.
    pub(crate) fn text(&self, expected: &'static str) -> Result<Cow<'a, str>, Fault> {
        self.raw.string().ok_or_else(|| self.fault(Problem::WrongType(expected)))
    }

    /// A string that names a tenant, a source or a table.
    pub(crate) fn name(&self) -> Result<String, Fault> {
        self.bounded(self.text("a string")?, NAME_BYTES_MAX)
    }

    /// A string that identifies something.
    pub(crate) fn id(&self) -> Result<String, Fault> {
        self.bounded(self.text("a string")?, ID_BYTES_MAX)
    }

    /// A string, or a number by its literal text, that identifies something.
    pub(crate) fn id_or_number(&self) -> Result<String, Fault> {
        let text = self.raw.string().or_else(|| self.raw.number().map(Cow::Borrowed));
        self.bounded(text.ok_or_else(|| self.fault(Problem::WrongType("a string or a number")))?, ID_BYTES_MAX)
    }

    /// An object.
    pub(crate) fn object(&self) -> Result<Raw<'a>, Fault> {
        match self.raw.members() {
            Some(_) => Ok(self.raw),
            None => Err(self.fault(Problem::WrongType("an object"))),
        }
    }

    /// A moment. Bare numbers are refused: seconds, milliseconds and microseconds cannot be told apart for certain, and
    /// a wrong guess moves a change by decades.
    pub(crate) fn time(&self) -> Result<Timestamp, Fault> {
        const EXPECTED: &str =
            "an RFC 3339 string with an offset, such as 2026-01-09T10:00:05.120Z (a number has no unit)";
        let text = self.text(EXPECTED)?;
        text.parse().map_err(|TimestampError| self.fault(Problem::BadValue(EXPECTED)))
    }

    /// A whole number of zero or more, as a number or as a string of digits.
    pub(crate) fn digits(&self) -> Result<Cow<'a, str>, Fault> {
        const EXPECTED: &str = "a whole number from 0 on, of at most 64 digits, as a number or a string";
        let text = self.raw.number().map(Cow::Borrowed).or_else(|| self.raw.string());
        let text = text.ok_or_else(|| self.fault(Problem::WrongType(EXPECTED)))?;
        let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if valid { Ok(text) } else { Err(self.fault(Problem::BadValue(EXPECTED))) }
    }

    fn bounded(&self, text: Cow<'_, str>, bytes_max: usize) -> Result<String, Fault> {
        if text.is_empty() {
            return Err(self.fault(Problem::Empty));
        }
        if text.len() > bytes_max {
            return Err(self.fault(Problem::TooLong { limit: bytes_max, unit: "bytes" }));
        }
        Ok(text.into_owned())
    }
}
