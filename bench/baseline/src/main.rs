//! The baseline: parse both documents into trees, compare the trees.

mod measure;
mod pairs;

use serde_json::Value;

fn main() {
    measure::run("baseline", |before, after| {
        let before: Value = serde_json::from_str(before).expect("a JSON document");
        let after: Value = serde_json::from_str(after).expect("a JSON document");
        json_patch::diff(&before, &after)
    });
}
