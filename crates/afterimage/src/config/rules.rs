//! `[[rules]]` blocks of the settings file.

use std::collections::BTreeMap;

use afterimage_diff::{DigestKey, RuleBlock, RuleError, Rules};
use afterimage_event::RecordKeys;
use afterimage_json::Pointer;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::DeValue;
use wildmatch::WildMatch;

use super::BadConfig;

/// The key of the blocks.
pub(super) const KEY: &str = "rules";

/// One block as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    /// Glob over sources.
    #[serde(default = "any")]
    source: String,
    /// Glob over tables.
    #[serde(default = "any")]
    table: String,
    /// after, changes or names.
    images: Option<String>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    quiet: Vec<String>,
    /// By pattern: drop, mask or hmac.
    #[serde(default)]
    redact: BTreeMap<String, String>,
    /// By pattern: atomic, index, keyed(/pointer), set or lcs.
    #[serde(default)]
    arrays: BTreeMap<String, String>,
    retention: Option<String>,
    #[serde(alias = "record-id")]
    record_id: Option<Vec<String>>,
    #[serde(default, alias = "allow-secrets")]
    allow_secrets: Vec<String>,
}

fn any() -> String {
    "*".to_owned()
}

/// Reads one block; `place` is `path:line`. An error comes with the byte offset it is at, if that is known.
pub(super) fn read(place: &str, block: Spanned<DeValue<'_>>) -> Result<RuleBlock, (Option<usize>, String)> {
    let start = Some(block.span().start);
    let block = Block::deserialize(block.into_deserializer())
        .map_err(|error| (error.span().map(|span| span.start).or(start), error.message().to_owned()))?;
    block.built(place).map_err(|error| (start, problem(&error)))
}

/// The rules of all tables, with the key of all digests.
pub(super) fn rules(blocks: Vec<RuleBlock>, key: DigestKey) -> Result<Rules, BadConfig> {
    Rules::new(blocks, key).map_err(|error| BadConfig::at(&error.rule, format!("{KEY}: {}", problem(&error))))
}

fn problem(error: &RuleError) -> String {
    format!("{} = {:?}: {}", error.setting, error.text, error.problem)
}

impl Block {
    fn built(&self, place: &str) -> Result<RuleBlock, RuleError> {
        let mut rule = RuleBlock::new(place, &self.source, &self.table);
        if let Some(images) = &self.images {
            rule = rule.images(images)?;
        }
        if let Some(retention) = &self.retention {
            rule = rule.retention(retention)?;
        }
        if let Some(record_id) = &self.record_id {
            rule = rule.record_id(record_id.iter().map(String::as_str))?;
        }
        for pattern in &self.ignore {
            rule = rule.ignore(pattern)?;
        }
        for pattern in &self.quiet {
            rule = rule.quiet(pattern)?;
        }
        for (pattern, redaction) in &self.redact {
            rule = rule.redact(pattern, redaction)?;
        }
        for (pattern, policy) in &self.arrays {
            rule = rule.array(pattern, policy)?;
        }
        for pattern in &self.allow_secrets {
            rule = rule.allow_secrets(pattern)?;
        }
        Ok(rule)
    }
}

/// Where records have their keys, as the blocks say it: of several that match a table, the last that says it holds.
#[derive(Debug)]
pub(super) struct BlockKeys(Vec<(WildMatch, WildMatch, Vec<Pointer>)>);

impl BlockKeys {
    pub(super) fn new(blocks: &[RuleBlock]) -> Self {
        let keys = blocks.iter().rev().filter_map(|block| {
            let pointers = block.record_id.clone()?;
            Some((WildMatch::new(&block.source), WildMatch::new(&block.table), pointers))
        });
        Self(keys.collect())
    }
}

impl RecordKeys for BlockKeys {
    fn pointers(&self, source: &str, table: &str) -> &[Pointer] {
        let found = self.0.iter().find(|(sources, tables, _)| sources.matches(source) && tables.matches(table));
        found.map_or(&[], |(_, _, pointers)| pointers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_blocks_the_last_says_where_a_record_has_its_key() {
        let block = |table: &str, keys: &[&str]| {
            let block = RuleBlock::new("", "*", table);
            if keys.is_empty() { block } else { block.record_id(keys.iter().copied()).unwrap() }
        };
        let keys = BlockKeys::new(&[block("*", &["/key"]), block("orders", &["/org", "/no"]), block("orders", &[])]);
        let texts = |table| keys.pointers("shop", table).iter().map(Pointer::as_str).collect::<Vec<_>>();
        assert_eq!(texts("orders"), ["/org", "/no"]);
        assert_eq!(texts("users"), ["/key"]);
        assert!(BlockKeys::new(&[]).pointers("shop", "users").is_empty());
    }
}
