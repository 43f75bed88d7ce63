//! Rules: what of a table's records the trail keeps, and how.

mod block;
mod continuity;
mod matcher;
mod places;
mod redaction;
mod rewrite;
mod secrets;
mod settings;
mod table;
mod text;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use wildmatch::WildMatch;

use crate::digest::{DigestKey, hex};
use matcher::globs_overlap;

pub use block::{RuleBlock, RuleError};
pub(crate) use continuity::Digests;
pub(crate) use matcher::{Cursor, Effects, Matcher, may_be_position};
pub(crate) use places::Places;
pub use redaction::{ParseRedactionError, Redaction};
pub(crate) use rewrite::{redacted, stand_in, without_ignored, without_quiet};
pub(crate) use secrets::has_secret_key;
pub use secrets::is_secret_name;
pub use settings::{Images, ParseImagesError, ParseRetentionError, Retention};
pub use table::TableRules;
pub use text::{redact_object, redact_text};

/// Version of what an entry's content is made of: raised when the same event and rules begin to make other content.
pub const FORMAT_VERSION: u32 = 1;

/// Tables whose rules are kept ready; with more of them than this, the lot is made anew now and then.
const TABLES_READY_MAX: usize = 4_096;

/// The rules of all tables, and the key of all digests.
#[derive(Debug)]
pub struct Rules {
    blocks: Vec<(WildMatch, WildMatch, RuleBlock)>,
    key: DigestKey,
    digest: String,
    ready: RwLock<Ready>,
}

/// By source, then by table.
#[derive(Debug, Default)]
struct Ready {
    tables: HashMap<Box<str>, HashMap<Box<str>, Arc<TableRules>>>,
    count: usize,
}

impl Rules {
    /// Takes the blocks in the order of the configuration.
    ///
    /// # Errors
    /// The first block that says something which cannot be, alone or together with those that hold for the same tables.
    pub fn new(blocks: Vec<RuleBlock>, key: DigestKey) -> Result<Self, RuleError> {
        for block in &blocks {
            let meet = |other: &&RuleBlock| {
                globs_overlap(&other.source, &block.source) && globs_overlap(&other.table, &block.table)
            };
            block.check(&blocks.iter().filter(meet).collect::<Vec<_>>())?;
        }
        let digest = rules_digest(&blocks, &key);
        let globs = |block: RuleBlock| (WildMatch::new(&block.source), WildMatch::new(&block.table), block);
        Ok(Self { blocks: blocks.into_iter().map(globs).collect(), key, digest, ready: RwLock::default() })
    }

    /// The rules of one table.
    #[must_use]
    pub fn table(&self, source: &str, table: &str) -> Arc<TableRules> {
        // What is kept ready can be made anew, so a thread that panicked with the lock has spoilt nothing.
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = ready.tables.get(source).and_then(|tables| tables.get(table)) {
            return Arc::clone(rules);
        }
        drop(ready);
        let matching =
            self.blocks.iter().filter(|(sources, tables, _)| sources.matches(source) && tables.matches(table));
        let rules = Arc::new(TableRules::merge(&matching.map(|(_, _, block)| block).collect::<Vec<_>>()));
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        if ready.count >= TABLES_READY_MAX {
            *ready = Ready::default();
        }
        let tables = ready.tables.entry(source.into()).or_default();
        if tables.insert(table.into(), Arc::clone(&rules)).is_none() {
            ready.count += 1;
        }
        rules
    }

    /// The key of all digests.
    #[must_use]
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// Sixteen hexadecimal digits that change whenever something does that shapes entries: a rule, the key, the format.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Do the rules promise something that the published key cannot keep? An `hmac` made with a key that everybody has
    /// hides no value that can be guessed.
    #[must_use]
    pub fn needs_secret_key(&self) -> bool {
        let hmac = |block: &RuleBlock| block.redact.iter().any(|(_, redaction)| *redaction == Redaction::Hmac);
        self.key.is_published() && self.blocks.iter().any(|(_, _, block)| hmac(block))
    }
}

impl Default for Rules {
    /// No blocks, and the published key.
    fn default() -> Self {
        let key = DigestKey::published();
        let digest = rules_digest(&[], &key);
        Self { blocks: Vec::new(), key, digest, ready: RwLock::default() }
    }
}

/// A digest of everything in the blocks but their names. Texts are framed, so that none can pass for several.
fn rules_digest(blocks: &[RuleBlock], key: &DigestKey) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    add(&FORMAT_VERSION.to_string());
    add(&hex(&key.fingerprint()));
    for block in blocks {
        for text in [&block.source, &block.table] {
            add(text);
        }
        add(block.images.map_or("", Images::as_str));
        add(&block.retention.map(|retention| retention.to_string()).unwrap_or_default());
        let mut list = |name: &str, texts: Vec<String>| {
            add(name);
            add(&texts.len().to_string());
            texts.iter().for_each(|text| add(text));
        };
        let texts = |patterns: &[crate::Pattern]| patterns.iter().map(ToString::to_string).collect();
        let record_id = block.record_id.iter().flatten();
        list("record_id", record_id.map(ToString::to_string).collect());
        list("ignore", texts(&block.ignore));
        list("quiet", texts(&block.quiet));
        list("allow_secrets", texts(&block.allow_secrets));
        list("redact", block.redact.iter().flat_map(|(one, how)| [one.to_string(), how.to_string()]).collect());
        list("arrays", block.arrays.iter().flat_map(|(one, how)| [one.to_string(), format!("{how:?}")]).collect());
    }
    hex(&hasher.finalize().as_bytes()[..8])
}
