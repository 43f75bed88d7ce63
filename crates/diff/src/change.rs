//! One difference between two documents.

use afterimage_json::{Kind, Pointer, Raw};

/// The smallest thing that differs. A subtree that came or went is one change at its root.
///
/// The changes of one comparison are in an order in which they can be carried out one after the other: what lies inside
/// the elements of an array comes before the elements that went, these (last first) before a new order, and that before
/// the elements that came. Values are slices of the two texts.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Where it is in the document after; for what is gone, where it was in the document before.
    pub path: Pointer,
    /// Where the same place was before, when that differs: inside an element of a keyed array or a sequence that moved. The index of an
    /// element that came is its new one here, too.
    pub old_path: Option<Pointer>,
    /// Keys of the elements of keyed arrays on the way, outermost first; that of the element itself when it came or went.
    pub key: Vec<Raw<'a>>,
    /// What happened.
    pub kind: ChangeKind<'a>,
}

/// What happened at a place.
#[derive(Clone, Debug)]
pub enum ChangeKind<'a> {
    /// It came.
    Added {
        /// The value now.
        new: Raw<'a>,
    },
    /// It went.
    Removed {
        /// The value until now.
        old: Raw<'a>,
    },
    /// It has another value.
    Replaced {
        /// The value until now.
        old: Raw<'a>,
        /// The value now.
        new: Raw<'a>,
    },
    /// The elements of a keyed array or a set that stayed are in another order.
    Order {
        /// Their keys, or in a set the elements themselves, in the order until now.
        old: Vec<Raw<'a>>,
        /// The same in the order now. Of equal ones the first is the first, and so on.
        new: Vec<Raw<'a>>,
    },
}

impl<'a> Change<'a> {
    /// The value before; `None` for what came, and for an order.
    #[must_use]
    pub fn old(&self) -> Option<Raw<'a>> {
        match self.kind {
            ChangeKind::Removed { old } | ChangeKind::Replaced { old, .. } => Some(old),
            ChangeKind::Added { .. } | ChangeKind::Order { .. } => None,
        }
    }

    /// The value after; `None` for what went, and for an order.
    #[must_use]
    #[allow(clippy::new_ret_no_self, reason = "old and new are the words of the contract; nothing is made here")]
    pub fn new(&self) -> Option<Raw<'a>> {
        match self.kind {
            ChangeKind::Added { new } | ChangeKind::Replaced { new, .. } => Some(new),
            ChangeKind::Removed { .. } | ChangeKind::Order { .. } => None,
        }
    }

    /// The path in terms of the document before.
    #[must_use]
    pub fn path_before(&self) -> &Pointer {
        self.old_path.as_ref().unwrap_or(&self.path)
    }
}

/// The top-level members that changes touch, unescaped, each once, in the order of the changes.
///
/// `root` is the kind of the documents (of either, if they differ): one that is no object has no members; what changes in
/// it goes by the name `""`.
#[must_use]
pub fn changed_names(changes: &[Change<'_>], root: Kind) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for change in changes {
        let first = change.path.segments().next().filter(|_| root == Kind::Object);
        let name = first.as_deref().unwrap_or("");
        // Mostly a handful; the changes inside one member come one after the other.
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
    names
}
