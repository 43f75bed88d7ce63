//! Images in, changes out; no I/O

mod arrays;
mod change;
mod compare;
mod delta;
mod digest;
mod edits;
mod keyed;
mod order;
pub mod patch;
mod pattern;
mod ruled;
mod ruler;
mod rules;
mod subsequence;
mod walk;

pub use arrays::{ArrayPolicy, Arrays};
pub use change::{Change, ChangeKind, changed_names};
pub use compare::{CompareError, Image, compare};
pub use delta::{Delta, Mutation, Verdict, delta};
pub use digest::{DigestKey, FullDigest, InputDigest, ShortKeyError};
pub use pattern::{Pattern, PatternError, Progress};
pub use ruled::{RuledChange, Values};
pub use rules::{
    FORMAT_VERSION, Images, ParseImagesError, ParseRedactionError, ParseRetentionError, Redaction, Retention,
    RuleBlock, RuleError, Rules, TableRules, is_secret_name, redact_object, redact_text,
};
