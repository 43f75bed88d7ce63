//! What somebody configures: rules for the tables that a pair of globs matches.

use afterimage_json::Pointer;
use std::fmt;
use std::str::FromStr;

use super::matcher::{INDEX, names, patterns_overlap};
use super::secrets::is_secret_name;
use super::{Images, Redaction, Retention};
use crate::{ArrayPolicy, Pattern};

/// Rules for all tables whose source and name match. Of several blocks that match a table, all hold: lists add up, and a
/// single setting is the one of the last block that has it.
///
/// The methods read text, as a configuration file has it; an error names the block, the setting and the text.
#[derive(Clone, Debug)]
pub struct RuleBlock {
    /// What errors call it: its place in the configuration. Shapes nothing.
    pub name: String,
    /// Glob over source names; `*` stands for any text, `?` for any one character.
    pub source: String,
    /// Glob over table names.
    pub table: String,
    /// Which images entries keep.
    pub images: Option<Images>,
    /// How long entries are kept.
    pub retention: Option<Retention>,
    /// Where a record's id stands in its image, part by part, if the event does not say.
    pub record_id: Option<Vec<Pointer>>,
    /// Places in no change, image, state or digest.
    pub ignore: Vec<Pattern>,
    /// Places whose change alone makes no entry.
    pub quiet: Vec<Pattern>,
    /// Places whose values are kept out of the trail. Of several that match one place the last holds.
    pub redact: Vec<(Pattern, Redaction)>,
    /// Places whose name is that of a secret, and which are kept all the same. Each place by itself: what lies below needs a
    /// pattern of its own, and a redaction of the same place prevails.
    pub allow_secrets: Vec<Pattern>,
    /// How arrays are compared. Of several that match one array, the first in the last block holds.
    pub arrays: Vec<(Pattern, ArrayPolicy)>,
}

/// A setting of a rule block that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {setting} = {text:?}: {problem}")]
pub struct RuleError {
    /// The block's name.
    pub rule: String,
    /// The setting.
    pub setting: &'static str,
    /// What it says.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What is wrong where the text as such is fine.
pub(super) const ROOT_PROBLEM: &str = "names the whole document; use images = \"names\" to keep no values";
const POLICY_PROBLEM: &str = "expected one of atomic, index, keyed(/pointer), set, lcs";
const KEY_PROBLEM: &str = "tells elements apart by something that is ignored, redacted or a secret";
const TOO_MANY_PROBLEM: &str = "is one pattern too many for one table";

impl RuleBlock {
    /// Most patterns that hold for one table: each is tried on the way through each image.
    pub const PATTERNS_MAX: usize = 256;

    /// A block that says nothing yet, for the tables that these globs match.
    #[must_use]
    pub fn new(name: &str, source: &str, table: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            table: table.to_owned(),
            images: None,
            retention: None,
            record_id: None,
            ignore: Vec::new(),
            quiet: Vec::new(),
            redact: Vec::new(),
            allow_secrets: Vec::new(),
            arrays: Vec::new(),
        }
    }

    /// `after`, `changes` or `names`.
    ///
    /// # Errors
    /// Another text.
    pub fn images(mut self, text: &str) -> Result<Self, RuleError> {
        self.images = Some(self.read("images", text)?);
        Ok(self)
    }

    /// `forever`, or hours, days, weeks or years: `36h`, `90d`, `52w`, `10y`.
    ///
    /// # Errors
    /// Another text.
    pub fn retention(mut self, text: &str) -> Result<Self, RuleError> {
        self.retention = Some(self.read("retention", text)?);
        Ok(self)
    }

    /// Pointers to the parts of the record id, in order.
    ///
    /// # Errors
    /// There is none, or one is no pointer to a part of the document.
    pub fn record_id<'t>(mut self, parts: impl IntoIterator<Item = &'t str>) -> Result<Self, RuleError> {
        let pointers = parts
            .into_iter()
            .map(|text| match self.read::<Pointer>("record_id", text)? {
                pointer if pointer.is_root() => Err(self.error("record_id", text, "points to the whole document")),
                pointer => Ok(pointer),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if pointers.is_empty() {
            return Err(self.error("record_id", "", "needs at least one pointer"));
        }
        self.record_id = Some(pointers);
        Ok(self)
    }

    /// Ignores what the pattern matches.
    ///
    /// # Errors
    /// It is no pattern, or matches the whole document.
    pub fn ignore(mut self, pattern: &str) -> Result<Self, RuleError> {
        let pattern = self.pattern("ignore", pattern)?;
        self.ignore.push(pattern);
        Ok(self)
    }

    /// Makes what the pattern matches quiet.
    ///
    /// # Errors
    /// It is no pattern, or matches the whole document.
    pub fn quiet(mut self, pattern: &str) -> Result<Self, RuleError> {
        let pattern = self.pattern("quiet", pattern)?;
        self.quiet.push(pattern);
        Ok(self)
    }

    /// Redacts what the pattern matches: `drop`, `mask` or `hmac`.
    ///
    /// # Errors
    /// It is no pattern, or matches the whole document; or there is no such redaction.
    pub fn redact(mut self, pattern: &str, redaction: &str) -> Result<Self, RuleError> {
        let pattern = self.pattern("redact", pattern)?;
        let redaction = self.read("redact", redaction)?;
        self.redact.push((pattern, redaction));
        Ok(self)
    }

    /// Keeps what the pattern matches, though its name is that of a secret.
    ///
    /// # Errors
    /// It is no pattern, or matches the whole document.
    pub fn allow_secrets(mut self, pattern: &str) -> Result<Self, RuleError> {
        let pattern = self.pattern("allow_secrets", pattern)?;
        self.allow_secrets.push(pattern);
        Ok(self)
    }

    /// Compares the arrays that the pattern matches in this way: `atomic`, `index`, `keyed(/id)`, `set` or `lcs`.
    ///
    /// # Errors
    /// It is no pattern; or there is no such policy.
    pub fn array(mut self, pattern: &str, policy: &str) -> Result<Self, RuleError> {
        // The whole document may be an array.
        let pattern = self.read("arrays", pattern)?;
        let policy = match policy {
            "atomic" => ArrayPolicy::Atomic,
            "index" => ArrayPolicy::Index,
            "set" => ArrayPolicy::Set,
            "lcs" => ArrayPolicy::Lcs,
            keyed => match keyed.strip_prefix("keyed(").and_then(|rest| rest.strip_suffix(')')) {
                Some(pointer) => match self.read::<Pointer>("arrays", pointer)? {
                    pointer if pointer.is_root() => {
                        return Err(self.error(
                            "arrays",
                            policy,
                            "needs a pointer into the elements, as in keyed(/id)",
                        ));
                    }
                    pointer => ArrayPolicy::Keyed(pointer),
                },
                None => return Err(self.error("arrays", policy, POLICY_PROBLEM)),
            },
        };
        self.arrays.push((pattern, policy));
        Ok(self)
    }

    fn pattern(&self, setting: &'static str, text: &str) -> Result<Pattern, RuleError> {
        let pattern: Pattern = self.read(setting, text)?;
        if names(&pattern).is_empty() { Err(self.error(setting, text, ROOT_PROBLEM)) } else { Ok(pattern) }
    }

    fn read<T: FromStr<Err: fmt::Display>>(&self, setting: &'static str, text: &str) -> Result<T, RuleError> {
        text.parse().map_err(|error: T::Err| self.error(setting, text, &error.to_string()))
    }

    pub(super) fn error(&self, setting: &'static str, text: &str, problem: &str) -> RuleError {
        RuleError { rule: self.name.clone(), setting, text: text.to_owned(), problem: problem.to_owned() }
    }

    /// Checks what the types do not say; `others` are the blocks that hold for some of the same tables, itself included.
    pub(super) fn check(&self, others: &[&Self]) -> Result<(), RuleError> {
        let lists = [("ignore", &self.ignore), ("quiet", &self.quiet), ("allow_secrets", &self.allow_secrets)];
        let patterns = lists.into_iter().flat_map(|(setting, list)| list.iter().map(move |pattern| (setting, pattern)));
        for (setting, pattern) in patterns.chain(self.redact.iter().map(|(pattern, _)| ("redact", pattern))) {
            if names(pattern).is_empty() {
                return Err(self.error(setting, &pattern.to_string(), ROOT_PROBLEM));
            }
        }
        for (pattern, policy) in &self.arrays {
            let ArrayPolicy::Keyed(key) = policy else { continue };
            if others.iter().any(|other| other.hides_key(pattern, key)) || hides_key_by_name(key, pattern, others) {
                return Err(self.error("arrays", &format!("{pattern} = keyed({key})"), KEY_PROBLEM));
            }
        }
        if others.iter().map(|other| other.patterns()).sum::<usize>() > Self::PATTERNS_MAX {
            return Err(self.error("table", &self.table, TOO_MANY_PROBLEM));
        }
        Ok(())
    }

    fn patterns(&self) -> usize {
        self.ignore.len() + self.quiet.len() + self.redact.len() + self.allow_secrets.len() + self.arrays.len()
    }

    /// May a rule of this block keep out of the trail what tells the elements of such an array apart? A change of an
    /// element shows its key.
    fn hides_key(&self, array: &Pattern, key: &Pointer) -> bool {
        let hiding = self.ignore.iter().chain(self.redact.iter().map(|(pattern, _)| pattern));
        hiding
            .into_iter()
            .map(names)
            .any(|hidden| key_places(array, key).any(|place| patterns_overlap(&hidden, &place)))
    }
}

/// Is the key a secret by name, and no block keeps it in just this place?
fn hides_key_by_name(key: &Pointer, array: &Pattern, blocks: &[&RuleBlock]) -> bool {
    key_places(array, key).skip(1).any(|place| {
        let secret = place.last().is_some_and(|name| is_secret_name(name));
        let is_allowed = |pattern: &Pattern| {
            let pattern = names(pattern);
            pattern.len() == place.len() && pattern.iter().zip(&place).all(|(a, b)| a == b || (a == "*" && b == INDEX))
        };
        secret && !blocks.iter().any(|block| block.allow_secrets.iter().any(is_allowed))
    })
}

/// The places of an element and of everything on the way to its key, as patterns.
fn key_places(array: &Pattern, key: &Pointer) -> impl Iterator<Item = Vec<String>> {
    let mut place = names(array);
    place.push(INDEX.to_owned());
    let steps: Vec<String> = key.segments().map(String::from).collect();
    (0..=steps.len()).map(move |count| place.iter().chain(&steps[..count]).cloned().collect())
}
