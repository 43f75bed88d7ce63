//! The rules of one table, made ready.

use std::borrow::Cow;

use afterimage_json::{Pointer, Raw};

use super::matcher::{Cursor, Effect, Matcher, at_any_position, takes_out_elements};
use super::rewrite::{list_quiet, redacted, without_ignored};
use super::{Images, Places, Redaction, Retention, RuleBlock};
use crate::{Arrays, DigestKey};

/// What holds for one table: all blocks that match it, taken together. The default is what holds without any block.
#[derive(Clone, Debug, Default)]
pub struct TableRules {
    images: Images,
    retention: Retention,
    record_id: Vec<Pointer>,
    arrays: Arrays,
    pub(crate) matcher: Matcher,
}

impl TableRules {
    /// Takes the blocks together, in order.
    pub(super) fn merge(blocks: &[&RuleBlock]) -> Self {
        let mut rules = Self::default();
        // Behind an element that is ignored others move up, past the positions that rules name.
        let move_up = blocks.iter().flat_map(|block| &block.ignore).any(takes_out_elements);
        for block in blocks {
            rules.images = block.images.unwrap_or(rules.images);
            rules.retention = block.retention.unwrap_or(rules.retention);
            if let Some(record_id) = &block.record_id {
                rules.record_id.clone_from(record_id);
            }
            let effects = [
                (&block.ignore, Effect::Ignore),
                (&block.quiet, Effect::Quiet),
                (&block.allow_secrets, Effect::AllowSecret),
            ];
            for (pattern, effect) in
                effects.iter().flat_map(|(list, effect)| list.iter().map(move |one| (one, *effect)))
            {
                let names_other = move_up && effect == Effect::AllowSecret && at_any_position(pattern).is_some();
                if !names_other {
                    rules.matcher.add(pattern, effect);
                }
            }
            for (pattern, redaction) in &block.redact {
                match at_any_position(pattern).filter(|_| move_up) {
                    // The strictest: it also holds for what another rule may hide better.
                    Some(wider) => rules.matcher.add(&wider, Effect::Redact(Redaction::Drop)),
                    None => rules.matcher.add(pattern, Effect::Redact(*redaction)),
                }
            }
        }
        rules.arrays = Arrays::new(blocks.iter().rev().flat_map(|block| block.arrays.iter().cloned()).collect());
        rules
    }

    /// Which images entries keep.
    #[must_use]
    pub fn images(&self) -> Images {
        self.images
    }

    /// How long entries are kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Where a record's id stands in its image, part by part, if the event does not say; empty for the default places.
    #[must_use]
    pub fn record_id(&self) -> &[Pointer] {
        &self.record_id
    }

    /// How arrays are compared.
    #[must_use]
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }

    /// Values of a record that stand beside its images, in the same shape, as the trail may show them: without what is
    /// ignored, and redacted. `None` under [`Images::Names`], which shows no value.
    #[must_use]
    pub fn beside<'a>(&self, values: Raw<'a>, key: &DigestKey) -> Option<Cow<'a, str>> {
        if self.images == Images::Names {
            return None;
        }
        let mut places = Places::default();
        match without_ignored(values, &self.matcher) {
            Cow::Borrowed(_) => Some(self.image(values, true, key, &mut places)),
            Cow::Owned(seen) => {
                Some(Cow::Owned(self.image(Raw::parse(&seen).ok()?, true, key, &mut places).into_owned()))
            }
        }
    }

    /// The image as the trail keeps it; as it is, if nothing in it is redacted. Adds to `places` what is.
    pub(crate) fn image<'a>(
        &self,
        image: Raw<'a>,
        has_secrets: bool,
        key: &DigestKey,
        places: &mut Places,
    ) -> Cow<'a, str> {
        if !self.matcher.redacts && !has_secrets {
            return Cow::Borrowed(image.as_str());
        }
        let mut cursor = Cursor::new(&self.matcher, has_secrets);
        redacted(image, &Pointer::root(), &mut cursor, key, places).0
    }

    /// The quiet places of an image, but for those that redaction hides.
    pub(crate) fn quiet_places(&self, image: Raw<'_>) -> Vec<Pointer> {
        let mut places = Places::default();
        if self.matcher.quiets {
            let mut cursor = Cursor::new(&self.matcher, true);
            let root = cursor.root();
            list_quiet(image, &mut Pointer::root(), &mut cursor, &root, &mut places);
        }
        places.into_pointers()
    }
}
