//! Speed of [`compare`]. `bench/diff.sh` sets it against a baseline.
#![allow(clippy::print_stdout, missing_docs, reason = "a program; its output is the result")]

#[path = "../../../bench/baseline/src/measure.rs"]
mod measure;
#[path = "../../../bench/baseline/src/pairs.rs"]
mod pairs;

use afterimage_diff::{Arrays, compare};

fn main() {
    let arrays = Arrays::atomic();
    measure::run("afterimage", |before, after| compare(before, after, &arrays).map(|changes| changes.len()));
}
