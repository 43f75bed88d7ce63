//! Digests of images: where the after of one change is not the before of the next, somebody changed the record past the
//! audit.

use std::borrow::Cow;
use std::ops::Range;

use afterimage_json::{Canonicalizer, Raw, canonical, unescape};

use super::matcher::{Cursor, Matcher, State};
use super::rewrite::without_quiet;
use super::secrets::is_secret_name;
use crate::{DigestKey, FullDigest};

/// How many members of the image before are looked through for the one that the image after has next.
const RESYNC_MEMBERS_MAX: usize = 8;

/// Room made for the members of an image at first: more than most tables have columns.
const MEMBERS_EXPECTED: usize = 48;

/// The digests of the images of one event, of their canonical texts without quiet parts; and what was seen on the way.
pub(crate) struct Digests {
    pub(crate) before: Option<FullDigest>,
    pub(crate) after: Option<FullDigest>,
    /// Does an image have a name of a secret, at any depth?
    pub(crate) has_secrets: bool,
}

impl Digests {
    /// Members that are the same in both images are made canonical once.
    pub(crate) fn new(before: Option<Raw<'_>>, after: Option<Raw<'_>>, matcher: &Matcher, key: &DigestKey) -> Self {
        let mut has_secrets = false;
        let before = before.map(|image| Canonical::new(image, None, matcher, &mut has_secrets));
        let after = after.map(|image| Canonical::new(image, before.as_ref(), matcher, &mut has_secrets));
        let text = |image: Option<Canonical<'_>>| image.map(|image| image.text);
        let (before, after) = match (text(before), text(after)) {
            (Some(before), Some(after)) => {
                let (before, after) = key.image_digests(&before, &after);
                (Some(before), Some(after))
            }
            (before, after) => (before.map(|text| key.image_digest(&text)), after.map(|text| key.image_digest(&text))),
        };
        Self { before, after, has_secrets }
    }
}

/// The canonical text of an image, and how the members of the object were written, if it is one.
struct Canonical<'a> {
    text: Vec<u8>,
    image: &'a str,
    /// The members as they are in `text`, quiet ones too, in the order of the image.
    pieces: Vec<u8>,
    members: Vec<Member<'a>>,
    /// Positions in `members`, in the order of `text`.
    order: Vec<usize>,
}

struct Member<'a> {
    /// The name as it is spelled between the quotes.
    spelled: &'a str,
    /// In the image: from the quote before the name to the end of the value.
    source: Range<usize>,
    /// In the pieces: name, colon and value.
    piece: Range<usize>,
    /// Bytes of the canonical name, without its quotes.
    name_bytes: usize,
    is_quiet: bool,
}

impl<'a> Canonical<'a> {
    fn new(image: Raw<'a>, twin: Option<&Self>, matcher: &Matcher, has_secrets: &mut bool) -> Self {
        let (text, bytes) = (image.as_str(), image.as_str().len());
        let mut this = Self {
            text: Vec::with_capacity(bytes),
            image: text,
            pieces: Vec::new(),
            members: Vec::new(),
            order: Vec::new(),
        };
        let mut cursor = Cursor::new(matcher, false);
        // The scan of keys ends with the first hit: one is as good as many.
        let on_key = |key: &str| *has_secrets = *has_secrets || is_secret_name(key);
        let mut writer = Canonicalizer::new(image, on_key);
        if image.members().is_none() {
            writer.value(&mut this.text);
            let root = cursor.root();
            leave_out_quiet(text, &mut cursor, &root, &mut this.text, 0);
            return this;
        }
        this.pieces.reserve(bytes);
        this.members.reserve(twin.map_or(MEMBERS_EXPECTED, |twin| twin.members.len()));
        let aligned = this.write_pieces(twin, &mut writer, &mut cursor);
        // The twin mostly has the same names in the same order, so what is known of its order holds here.
        this.order = match twin {
            Some(twin) if aligned => twin.order.clone(),
            _ => this.sorted(),
        };
        this.text.push(b'{');
        for member in this.order.iter().map(|&at| &this.members[at]).filter(|member| !member.is_quiet) {
            this.text.extend_from_slice(&this.pieces[member.piece.clone()]);
            this.text.push(b',');
        }
        if this.text.len() > 1 {
            this.text.pop();
        }
        this.text.push(b'}');
        this
    }

    /// Writes each member by itself; says whether their names are those of the twin, in the same order.
    fn write_pieces<F: FnMut(&str)>(
        &mut self,
        twin: Option<&Self>,
        writer: &mut Canonicalizer<'a, F>,
        cursor: &mut Cursor<'_>,
    ) -> bool {
        let mut aligned = true;
        // Where the twin has the member that is expected next.
        let mut next = 0;
        while writer.seek_member() {
            let expected = twin.and_then(|twin| twin.members.get(next).map(|member| (twin, member)));
            if let Some((twin, member)) = expected
                && self.has_member(writer.position(), &twin.image[member.source.clone()])
            {
                self.copy_piece(twin, member, writer);
                next += 1;
                continue;
            }
            let spelled = self.write_piece(writer, cursor);
            let Some(twin) = twin else { continue };
            match twin.members.iter().skip(next).take(RESYNC_MEMBERS_MAX).position(|member| member.spelled == spelled) {
                Some(passed) => {
                    aligned &= passed == 0;
                    next += passed + 1;
                }
                None => aligned = false,
            }
        }
        aligned && twin.is_some_and(|twin| twin.members.len() == self.members.len())
    }

    /// Does this very text of a member stand at `start`, to its end?
    fn has_member(&self, start: usize, text: &str) -> bool {
        let rest = &self.image.as_bytes()[start..];
        rest.starts_with(text.as_bytes())
            && matches!(rest.get(text.len()), Some(b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t'))
    }

    /// Takes over what the twin made of the same member.
    fn copy_piece<F: FnMut(&str)>(&mut self, twin: &Self, member: &Member<'_>, writer: &mut Canonicalizer<'a, F>) {
        let (source, piece) = (writer.position(), self.pieces.len());
        self.pieces.extend_from_slice(&twin.pieces[member.piece.clone()]);
        writer.advance(member.source.len());
        let name = source + 1;
        self.members.push(Member {
            spelled: &self.image[name..name + member.spelled.len()],
            source: source..writer.position(),
            piece: piece..self.pieces.len(),
            name_bytes: member.name_bytes,
            is_quiet: member.is_quiet,
        });
    }

    /// Makes a member canonical; returns how its name is spelled.
    fn write_piece<F: FnMut(&str)>(&mut self, writer: &mut Canonicalizer<'a, F>, cursor: &mut Cursor<'_>) -> &'a str {
        let (source, piece) = (writer.position(), self.pieces.len());
        let spelled = writer.name(&mut self.pieces);
        let name_bytes = self.pieces.len() - piece - 2;
        self.pieces.push(b':');
        let (value_source, value) = (writer.position(), self.pieces.len());
        writer.value(&mut self.pieces);
        let mut is_quiet = false;
        if cursor.has_rules() {
            let name = unescape(spelled).unwrap_or(Cow::Borrowed(spelled));
            let (state, effects) = cursor.enter(&cursor.root(), &name);
            is_quiet = effects.quiet;
            let text = &self.image[value_source..writer.position()];
            leave_out_quiet(text, cursor, &state, &mut self.pieces, value);
            cursor.leave(state);
        }
        let (source, piece) = (source..writer.position(), piece..self.pieces.len());
        self.members.push(Member { spelled, source, piece, name_bytes, is_quiet });
        spelled
    }

    fn sorted(&self) -> Vec<usize> {
        let name = |at: usize| {
            let Member { piece, name_bytes, .. } = &self.members[at];
            &self.pieces[piece.start + 1..piece.start + 1 + name_bytes]
        };
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_unstable_by(|&a, &b| name(a).cmp(name(b)));
        order
    }
}

/// Writes a value anew, from `start` of `out` on, if it has quiet parts. `text` is its text in the image.
fn leave_out_quiet(text: &str, cursor: &mut Cursor<'_>, state: &State, out: &mut Vec<u8>, start: usize) {
    if state.is_empty() {
        return;
    }
    // The text was proven as a part of its image, and what is left of proven text is JSON: neither can fail.
    let Ok(value) = Raw::parse(text) else { return };
    let Cow::Owned(loud) = without_quiet(value, cursor, state) else { return };
    let Ok(loud) = Raw::parse(&loud) else { return };
    out.truncate(start);
    canonical(loud, out);
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Effect;
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text).unwrap()
    }

    #[test]
    fn the_text_digested_is_the_canonical_text() {
        let matcher = Matcher::default();
        let texts = [
            "{}",
            "1.0",
            r#"[{"b":1,"a":[]}]"#,
            r#"{"z":1,"a":{"y":2.0,"b":"\u0041"},"\u0062":[1e1],"a\"":null}"#,
            r#"{"z":1,"a":{"y":2.0,"b":"\u0041"},"\u0062":[1e2],"a\"":null}"#,
            r#"{"a":{"y":2.0,"b":"\u0041"},"z":1,"q":1}"#,
        ];
        for before in texts {
            let twin = Canonical::new(raw(before), None, &matcher, &mut false);
            for after in texts {
                let mut expected = Vec::new();
                canonical(raw(after), &mut expected);
                let text = Canonical::new(raw(after), Some(&twin), &matcher, &mut false).text;
                assert_eq!(String::from_utf8(text), String::from_utf8(expected), "{before} {after}");
            }
        }
    }

    #[test]
    fn quiet_parts_are_left_out_at_every_depth() {
        let mut matcher = Matcher::default();
        for pattern in ["/q", "/a/q", "/list/*/q"] {
            matcher.add(&pattern.parse().unwrap(), Effect::Quiet);
        }
        let text = |text: &str| String::from_utf8(Canonical::new(raw(text), None, &matcher, &mut false).text).unwrap();
        assert_eq!(text(r#"{"q":1}"#), "{}");
        assert_eq!(text(r#"{"z":2,"q":1,"a":{"q":2,"b":0}}"#), r#"{"a":{"b":0},"z":2}"#);
        assert_eq!(text(r#"{"list":[{"q":1},{"x":1.0}],"q":{}}"#), r#"{"list":[{},{"x":1}]}"#);
    }
}
