//! The key of a record.

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The key of a record: one part or several.
///
/// Numbers are taken by their digits, as the trail does with keys it finds in images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordId(Vec<String>);

impl RecordId {
    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [part] => part.serialize(serializer),
            parts => parts.serialize(serializer),
        }
    }
}

macro_rules! record_id_from {
    ($($single:ty),*) => {
        $(impl From<$single> for RecordId {
            fn from(part: $single) -> Self {
                Self(vec![part.to_string()])
            }
        })*
    };
}

record_id_from!(&str, &String, String, Uuid, i32, u32, i64, u64);

impl<T: ToString, const N: usize> From<[T; N]> for RecordId {
    fn from(parts: [T; N]) -> Self {
        Self(parts.iter().map(ToString::to_string).collect())
    }
}

impl From<Vec<String>> for RecordId {
    fn from(parts: Vec<String>) -> Self {
        Self(parts)
    }
}
