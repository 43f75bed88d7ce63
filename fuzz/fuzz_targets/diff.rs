//! A line for the document before and one for that after: the fast differ finds what the slow one does, and its patches
//! lead there and back.

#![no_main]

#[path = "../../crates/diff/tests/oracle/mod.rs"]
mod oracle;
#[path = "../../crates/json/tests/tree/mod.rs"]
mod tree;

use afterimage_diff::{ArrayPolicy, Arrays, Image, compare, patch};
use libfuzzer_sys::fuzz_target;
use tree::Tree;

fuzz_target!(|text: &str| {
    if !tree::is_understood(text) {
        return;
    }
    // One line is compared with itself: what is equal must be validated, too.
    let (before, after) = text.split_once('\n').unwrap_or((text, text));
    let (before_tree, after_tree) = (Tree::parse(before), Tree::parse(after));
    for arrays in policies() {
        let changes = match compare(before, after, &arrays) {
            Ok(changes) => changes,
            Err(error) if error.image == Image::Before => {
                assert!(before_tree.is_none());
                return;
            }
            Err(_) => {
                assert!(after_tree.is_none());
                return;
            }
        };
        let (before_tree, after_tree) = (before_tree.as_ref().unwrap(), after_tree.as_ref().unwrap());
        assert_eq!(oracle::seen(&changes), oracle::differences(before_tree, after_tree, &arrays));
        assert_eq!(patched(before, &patch::forward(&changes)), *after_tree);
        assert_eq!(patched(after, &patch::inverse(&changes)), *before_tree);
    }
});

fn policies() -> [Arrays; 6] {
    let everywhere = |policy| ("/**".parse().unwrap(), policy);
    let keyed = ArrayPolicy::Keyed("/id".parse().unwrap());
    [
        Arrays::atomic(),
        Arrays::new(vec![everywhere(ArrayPolicy::Index)]),
        Arrays::new(vec![("/items".parse().unwrap(), ArrayPolicy::Index), everywhere(keyed)]),
        Arrays::new(vec![everywhere(ArrayPolicy::Set)]),
        Arrays::new(vec![everywhere(ArrayPolicy::Lcs)]),
        Arrays::new(vec![("/*/*".parse().unwrap(), ArrayPolicy::Set), everywhere(ArrayPolicy::Lcs)]),
    ]
}

fn patched(text: &str, patch: &json_patch::Patch) -> Tree {
    let mut value = serde_json::from_str(text).unwrap();
    json_patch::patch(&mut value, patch).unwrap();
    Tree::parse(&value.to_string()).unwrap()
}
