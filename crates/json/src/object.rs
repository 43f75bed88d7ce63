use crate::{Raw, push_quoted};

/// A JSON object being written, member by member, from text that is JSON already.
#[derive(Debug, Default)]
pub struct Object(String);

impl Object {
    /// An object with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// The object of these members.
    #[must_use]
    pub fn of<N: AsRef<str>>(members: &[(N, Raw<'_>)]) -> String {
        let mut object = Self::default();
        members.iter().for_each(|(name, value)| object.member(name.as_ref(), value.as_str()));
        object.finish()
    }

    /// Adds a member: its name, not quoted yet, and its value as JSON. The caller sees to it that no name comes twice.
    pub fn member(&mut self, name: &str, json: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_quoted(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(json);
    }

    /// Its text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}
