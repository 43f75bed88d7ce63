//! A list of places in a document that cannot outgrow the document.

use std::collections::BTreeSet;

use afterimage_json::Pointer;

/// Pointers of one entry that are listed one by one. A list that would be longer names their parents instead, and so on:
/// a small document can hold very many places with very long pointers.
const PLACES_BYTES_MAX: usize = 16 * 1024;

/// Places in a document, each once, sorted. Every place added is in the list or lies below one that is.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// As text: most places added are in the list already once it names parents, and need not be copied to be found.
    pointers: BTreeSet<String>,
    bytes: usize,
    depth_max: Option<usize>,
}

impl Places {
    /// Adds a place.
    pub(crate) fn push(&mut self, place: &Pointer) {
        let place = self.depth_max.map_or(place.as_str(), |depth| cut(place.as_str(), depth));
        if !self.pointers.contains(place) {
            self.bytes += size_bytes(place);
            self.pointers.insert(place.to_owned());
        }
        while self.bytes > PLACES_BYTES_MAX {
            self.shrink();
        }
    }

    /// The places, sorted, each once.
    pub(crate) fn into_pointers(self) -> Vec<Pointer> {
        // What is cut between names is a pointer.
        self.pointers.iter().filter_map(|place| place.parse().ok()).collect()
    }

    /// Names the parents of the deepest places; the root is the parent of last resort, and always fits.
    fn shrink(&mut self) {
        let deepest = self.pointers.iter().map(|place| place.matches('/').count()).max().unwrap_or_default();
        let depth = deepest.saturating_sub(1);
        self.depth_max = Some(depth);
        self.pointers = self.pointers.iter().map(|place| cut(place, depth).to_owned()).collect();
        self.bytes = self.pointers.iter().map(|place| size_bytes(place)).sum();
    }
}

/// The first `depth` names of a pointer.
fn cut(pointer: &str, depth: usize) -> &str {
    pointer.match_indices('/').nth(depth).map_or(pointer, |(end, _)| &pointer[..end])
}

fn size_bytes(place: &str) -> usize {
    // Quotes and a comma in the entry, and a little for the list itself, so that the root counts too.
    place.len() + 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_listed_once_in_order() {
        let mut places = Places::default();
        for text in ["/b", "/a", "/b", "/b", "/a/x"] {
            places.push(&text.parse().unwrap());
        }
        assert_eq!(places.into_pointers().iter().map(Pointer::as_str).collect::<Vec<_>>(), ["/a", "/a/x", "/b"]);
    }

    #[test]
    fn too_many_places_are_named_by_what_holds_them() {
        let mut places = Places::default();
        let all: Vec<Pointer> = (0..100_000).map(|n| format!("/items/{n}/token").parse().unwrap()).collect();
        all.iter().for_each(|place| places.push(place));
        let listed = places.into_pointers();
        assert_eq!(listed.iter().map(Pointer::as_str).collect::<Vec<_>>(), ["/items"]);
        assert!(all.iter().all(|place| place.is_within(&listed[0])));
    }

    #[test]
    fn one_place_longer_than_the_list_is_the_whole_document() {
        let mut places = Places::default();
        places.push(&format!("/{}", "x".repeat(PLACES_BYTES_MAX)).parse().unwrap());
        assert_eq!(places.into_pointers(), [Pointer::root()]);
    }
}
