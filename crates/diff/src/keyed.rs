//! An array whose elements are told apart by a key.

use std::collections::HashMap;

use afterimage_json::{Kind, Pointer, Raw, canonical};

use crate::ArrayPolicy;

/// The elements of an array, each with a scalar that no other has.
pub(crate) struct Keyed<'a> {
    pub(crate) elements: Vec<Raw<'a>>,
    pub(crate) keys: Vec<Raw<'a>>,
    /// Canonical text of the keys: one for all spellings.
    pub(crate) ids: Vec<Vec<u8>>,
    pub(crate) positions: HashMap<Vec<u8>, usize>,
}

impl<'a> Keyed<'a> {
    /// `None` if the array cannot be keyed.
    pub(crate) fn new(elements: Vec<Raw<'a>>, pointer: &Pointer) -> Option<Self> {
        if elements.len() > ArrayPolicy::KEYED_ELEMENTS_MAX {
            return None;
        }
        let mut keyed = Self { keys: Vec::new(), ids: Vec::new(), positions: HashMap::new(), elements };
        for (position, element) in keyed.elements.iter().enumerate() {
            let key = element.at(pointer).filter(|_| element.kind() == Kind::Object)?;
            if !matches!(key.kind(), Kind::String | Kind::Number | Kind::Bool) {
                return None;
            }
            let mut id = Vec::new();
            canonical(key, &mut id);
            if keyed.positions.insert(id.clone(), position).is_some() {
                return None;
            }
            keyed.keys.push(key);
            keyed.ids.push(id);
        }
        Some(keyed)
    }
}
