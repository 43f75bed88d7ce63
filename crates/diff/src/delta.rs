//! From the images of one change event to what its entry keeps of them.

use std::borrow::Cow;

use afterimage_json::{Pointer, Raw};

use crate::compare::{Compared, compare_proven};
use crate::ruled::is_loud;
use crate::ruler::Ruler;
use crate::rules::{Cursor, Digests, Matcher, Places, may_be_position, without_ignored};
use crate::{CompareError, DigestKey, FullDigest, Image, Images, RuledChange, TableRules, Values, changed_names};

/// What an event does to its record, as far as images go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// There is a record now: all of the image after is new.
    Insert,
    /// The record has other values.
    Update,
    /// The record is gone: all of the image before is old.
    Delete,
    /// Nothing (snapshot, access) or nothing that images tell (truncate, ddl). Images are kept as they come.
    None,
}

/// Is there anything to keep?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The event changed nothing but what is ignored, unknown or quiet: it makes no entry.
    Unchanged,
    /// It makes an entry.
    Changed,
}

/// What the entry of one change event keeps of its images.
///
/// Nothing in it shows what is ignored, or the value of what is redacted or unknown. Where nothing was redacted, carrying
/// out the changes on the image before gives the image after (both without what is ignored or unknown).
#[derive(Clone, Debug)]
pub struct Delta<'a> {
    /// Is there anything to keep? If not, all else is empty.
    pub verdict: Verdict,
    /// Top-level names touched, quiet and redacted ones included, each once; `""` for a document that is no object.
    /// An insert touches all names after, a delete all names before.
    pub changed: Vec<String>,
    /// What an update changed, in an order in which it can be carried out. Empty for everything else: what an insert or a
    /// delete changed is derived from its image on reading. Empty under [`Images::Names`].
    pub changes: Vec<RuledChange<'a>>,
    /// The image before, ruled: of a delete, of an update without an image after, and of an event that changes nothing.
    pub before: Option<Cow<'a, str>>,
    /// The image after, ruled. Under [`Images::Changes`] the entry keeps it if [`Images::keeps_after`] says so or
    /// `after_is_derivable` is false.
    pub after: Option<Cow<'a, str>>,
    /// Do the changes, carried out on the state before, give the image after? Not for inserts, snapshots, updates without
    /// an image before, and changes that redaction leaves without values.
    pub after_is_derivable: bool,
    /// What the capture could not see: as sent, without what is ignored.
    pub unknown: Vec<Pointer>,
    /// Where a value in the images or changes above is redacted, or holds one that is. In terms of the image after; of the
    /// image before for what went. If there are very many, what they lie in stands for them.
    pub redacted: Vec<Pointer>,
    /// Quiet places of the image kept: later changes of them may have made no entry.
    pub approximate: Vec<Pointer>,
    /// Digest of the image before, without what is ignored, unknown or quiet, and before redaction. Digests of events with
    /// different unknowns cannot be compared.
    pub before_digest: Option<[u8; 16]>,
    /// The same of the image after.
    pub after_digest: Option<[u8; 16]>,
    /// The digest of the image before as it was sent ([`DigestKey::full_digest`]), if it was made on the way: rules took
    /// nothing out.
    pub before_full_digest: Option<FullDigest>,
    /// The same of the image after.
    pub after_full_digest: Option<FullDigest>,
}

/// Works out what the entry of a change event keeps of its images.
///
/// Missing images are not made up: an update that lacks one has no changes and keeps the other. An insert takes the image
/// after or, if there is only that, the one before; a delete the other way round.
///
/// # Errors
/// An image is not one JSON document. Both are checked in full, except one that the mutation has no use for.
pub fn delta<'a>(
    mutation: Mutation,
    before: Option<&'a str>,
    after: Option<&'a str>,
    unknown: &[Pointer],
    rules: &TableRules,
    key: &DigestKey,
) -> Result<Delta<'a>, CompareError> {
    // If not, an image is left out or stands in for the other one.
    let is_as_sent = match mutation {
        Mutation::Insert => before.is_none(),
        Mutation::Delete => after.is_none(),
        Mutation::Update | Mutation::None => true,
    };
    let (before, after) = match mutation {
        Mutation::Insert if after.is_some() => (None, after),
        Mutation::Insert => (None, before),
        Mutation::Delete if before.is_some() => (before, None),
        Mutation::Delete => (after, None),
        Mutation::Update | Mutation::None => (before, after),
    };
    let unknown = &*without_gaps(unknown, rules);
    let maker = Maker { mutation, rules, key, unknown: listed_unknown(unknown, rules) };
    if !rules.matcher.ignores && unknown.is_empty() {
        let delta = maker.make(before, after)?;
        return Ok(if is_as_sent { delta } else { delta.without_full_digests() });
    }
    if unknown.iter().any(Pointer::is_root) {
        return maker.make(None, None);
    }
    let unknown = Matcher::exactly(unknown);
    let seen = |image: Option<&'a str>, side| image.map(|text| without_unseen(text, side, &unknown, rules)).transpose();
    match (seen(before, Image::Before)?, seen(after, Image::After)?) {
        (None | Some(Cow::Borrowed(_)), None | Some(Cow::Borrowed(_))) => {
            Ok(maker.make(before, after)?.without_full_digests())
        }
        (before, after) => Ok(maker.make(before.as_deref(), after.as_deref())?.without_full_digests().into_owned()),
    }
}

/// The image without what is unknown (in terms of the image as sent), then without what is ignored.
fn without_unseen<'a>(
    text: &'a str,
    image: Image,
    unknown: &Matcher,
    rules: &TableRules,
) -> Result<Cow<'a, str>, CompareError> {
    let in_image = |error| CompareError { image, error };
    let document = Raw::parse(text).map_err(in_image)?;
    Ok(match without_ignored(document, unknown) {
        Cow::Borrowed(_) => without_ignored(document, &rules.matcher),
        Cow::Owned(known) => {
            Cow::Owned(without_ignored(Raw::parse(&known).map_err(in_image)?, &rules.matcher).into_owned())
        }
    })
}

/// The unknown places; with rules that name positions, of an unknown element the whole array. Without it what stands behind
/// it would be taken for what stands in its place, and a redacted value shown.
fn without_gaps<'p>(unknown: &'p [Pointer], rules: &TableRules) -> Cow<'p, [Pointer]> {
    let is_gap = |place: &Pointer| place.segments().last().is_some_and(|name| may_be_position(&name));
    if !rules.matcher.hides_positions || !unknown.iter().any(is_gap) {
        return Cow::Borrowed(unknown);
    }
    let wider = |place: &Pointer| {
        let mut place = place.clone();
        if is_gap(&place) {
            place.pop();
        }
        place
    };
    unknown.iter().map(wider).collect()
}

/// The unknown places that may be named: none that is ignored; of one inside something redacted, that.
fn listed_unknown(unknown: &[Pointer], rules: &TableRules) -> Vec<Pointer> {
    let mut cursor = Cursor::new(&rules.matcher, true);
    let mut listed: Vec<Pointer> = Vec::with_capacity(unknown.len());
    for place in unknown {
        if cursor.first_on_the_way(place, |effects| effects.ignore).is_some() {
            continue;
        }
        let place = match cursor.first_on_the_way(place, |effects| effects.redact.is_some()) {
            Some((depth, _)) => place.segments().take(depth).collect(),
            None => place.clone(),
        };
        if !listed.contains(&place) {
            listed.push(place);
        }
    }
    listed
}

impl<'a> Delta<'a> {
    fn empty() -> Self {
        Self {
            verdict: Verdict::Changed,
            changed: Vec::new(),
            changes: Vec::new(),
            before: None,
            after: None,
            after_is_derivable: false,
            unknown: Vec::new(),
            redacted: Vec::new(),
            approximate: Vec::new(),
            before_digest: None,
            after_digest: None,
            before_full_digest: None,
            after_full_digest: None,
        }
    }

    fn unchanged() -> Self {
        Self { verdict: Verdict::Unchanged, ..Self::empty() }
    }

    fn without_full_digests(self) -> Self {
        Self { before_full_digest: None, after_full_digest: None, ..self }
    }

    /// With the digests; those without quiet parts, if there are any, are no full ones.
    fn with_digests(self, digests: &Digests, matcher: &Matcher) -> Self {
        let full = |digest: Option<FullDigest>| digest.filter(|_| !matcher.quiets);
        Self {
            before_digest: digests.before.as_ref().map(FullDigest::half),
            after_digest: digests.after.as_ref().map(FullDigest::half),
            before_full_digest: full(digests.before),
            after_full_digest: full(digests.after),
            ..self
        }
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Delta<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Delta {
            verdict: self.verdict,
            changed: self.changed,
            changes: self.changes.into_iter().map(RuledChange::into_owned).collect(),
            before: self.before.map(owned),
            after: self.after.map(owned),
            after_is_derivable: self.after_is_derivable,
            unknown: self.unknown,
            redacted: self.redacted,
            approximate: self.approximate,
            before_digest: self.before_digest,
            after_digest: self.after_digest,
            before_full_digest: self.before_full_digest,
            after_full_digest: self.after_full_digest,
        }
    }
}

struct Maker<'r> {
    mutation: Mutation,
    rules: &'r TableRules,
    key: &'r DigestKey,
    unknown: Vec<Pointer>,
}

impl Maker<'_> {
    /// From images without anything ignored or unknown.
    fn make<'a>(self, before: Option<&'a str>, after: Option<&'a str>) -> Result<Delta<'a>, CompareError> {
        if let (Mutation::Update, Some(before), Some(after)) = (self.mutation, before, after) {
            let compared = compare_proven(before, after, self.rules.arrays())?;
            return Ok(self.update(compared));
        }
        let proven = |text: Option<&'a str>, image| {
            text.map(|text| Raw::parse(text).map_err(|error| CompareError { image, error })).transpose()
        };
        Ok(self.keep(proven(before, Image::Before)?, proven(after, Image::After)?))
    }

    /// An update with both images.
    fn update<'a>(self, Compared { before, after, changes, gone }: Compared<'a>) -> Delta<'a> {
        let matcher = &self.rules.matcher;
        let mut cursor = Cursor::new(matcher, false);
        let may_be_loud = changes.iter().any(|change| is_loud(change, &mut cursor));
        if !may_be_loud && (changes.is_empty() || !self.rules.arrays().may_move_elements()) {
            return Delta::unchanged();
        }
        let digests = Digests::new(Some(before), Some(after), matcher, self.key);
        // Changes by themselves do not tell all where elements are not told apart by position: an element in which only
        // something quiet differs may have gone and come, and one that goes moves others into or out of a quiet place.
        if matcher.quiets && digests.before == digests.after {
            return Delta::unchanged();
        }
        let mut delta = Delta {
            changed: changed_names(&changes, after.kind()),
            unknown: self.unknown,
            ..Delta::empty().with_digests(&digests, matcher)
        };
        if self.rules.images() == Images::Names {
            return delta;
        }
        let mut ruler = Ruler::new(self.rules, self.key, digests.has_secrets, before, after);
        delta.changes = ruler.rule(changes, gone);
        // An element that moves into or out of a redacted position shows there what it does not elsewhere.
        let may_show_elsewhere = matcher.redacts_positions && self.rules.arrays().may_move_elements();
        delta.after_is_derivable =
            !may_show_elsewhere && !delta.changes.iter().any(|change| matches!(change.values, Values::Redacted { .. }));
        let mut places = ruler.into_places();
        delta.after = Some(self.rules.image(after, digests.has_secrets, self.key, &mut places));
        delta.redacted = places.into_pointers();
        delta.approximate = self.rules.quiet_places(after);
        delta
    }

    /// Everything that is not compared.
    fn keep<'a>(self, before: Option<Raw<'a>>, after: Option<Raw<'a>>) -> Delta<'a> {
        let digests = Digests::new(before, after, &self.rules.matcher, self.key);
        let mut delta = Delta { unknown: self.unknown, ..Delta::empty().with_digests(&digests, &self.rules.matcher) };
        if let (Mutation::Insert | Mutation::Delete, Some(image)) = (self.mutation, after.or(before)) {
            delta.changed = match image.members() {
                Some(members) => members.map(|(name, _)| name.into_owned()).collect(),
                None => vec![String::new()],
            };
        }
        if self.rules.images() == Images::Names {
            return delta;
        }
        let mut places = Places::default();
        let mut kept = |image: Raw<'a>| self.rules.image(image, digests.has_secrets, self.key, &mut places);
        delta.before = before.map(&mut kept);
        delta.after = after.map(&mut kept);
        delta.redacted = places.into_pointers();
        delta.approximate = after.or(before).map(|image| self.rules.quiet_places(image)).unwrap_or_default();
        delta
    }
}
