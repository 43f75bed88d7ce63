//! Keyed digests: of images for continuity, of events for identity, of values for `hmac` redactions.

use std::fmt;

use afterimage_json::{Raw, canonical};

use crate::compare::common_prefix;

/// The key used where none is configured. Public, so digests made with it prove nothing against somebody who guesses
/// values; see [`DigestKey::published`].
const PUBLISHED_SECRET: &[u8] = b"afterimage published digest key, no secret";
/// What the key of a deployment is derived for (BLAKE3 `derive_key` context).
const KEY_CONTEXT: &str = "afterimage 2026 digest key v1";

/// The key that all digests are made with, with one key of its own for each use, so that a digest made for one use
/// never equals one made for another.
///
/// BLAKE3 in keyed mode. With the published default everybody who holds an entry can guess values and check the guess
/// against its digests; with a secret key (`--digest-key-file`) only who holds the key can. A change of key breaks the
/// comparison of digests across it: continuity is then unknown at that point.
#[derive(Clone)]
pub struct DigestKey {
    image: [u8; 32],
    input: [u8; 32],
    value: [u8; 32],
    fingerprint: [u8; 8],
    is_published: bool,
}

/// The secret is too short to be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the digest key has {bytes} bytes; it needs at least {} random ones", DigestKey::SECRET_BYTES_MIN)]
pub struct ShortKeyError {
    /// How many bytes it has.
    pub bytes: usize,
}

impl DigestKey {
    /// Shortest secret taken: 128 bits, if they are random.
    pub const SECRET_BYTES_MIN: usize = 16;

    /// A key from secret bytes, such as the content of a file; white space around them does not count.
    ///
    /// # Errors
    /// [`ShortKeyError`] for fewer than [`SECRET_BYTES_MIN`](Self::SECRET_BYTES_MIN) bytes.
    pub fn new(secret: &[u8]) -> Result<Self, ShortKeyError> {
        let secret = secret.trim_ascii();
        if secret.len() < Self::SECRET_BYTES_MIN {
            return Err(ShortKeyError { bytes: secret.len() });
        }
        Ok(Self::derive(secret))
    }

    /// The key used where none is configured: the same everywhere, so digests find gaps but hide nothing.
    #[must_use]
    pub fn published() -> Self {
        Self { is_published: true, ..Self::derive(PUBLISHED_SECRET) }
    }

    fn derive(secret: &[u8]) -> Self {
        let root = blake3::derive_key(KEY_CONTEXT, secret);
        let part = |purpose: &[u8]| *blake3::keyed_hash(&root, purpose).as_bytes();
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&part(b"fingerprint")[..8]);
        Self { image: part(b"image"), input: part(b"input"), value: part(b"value"), fingerprint, is_published: false }
    }

    /// Is this the key that everybody has?
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.is_published
    }

    /// Tells keys apart without telling anything about them.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        self.fingerprint
    }

    /// The digest of an image whose canonical text this is.
    pub(crate) fn image_digest(&self, canonical: &[u8]) -> FullDigest {
        FullDigest(blake3::keyed_hash(&self.image, canonical))
    }

    /// [`image_digest`](Self::image_digest) of two images; what their texts begin with alike is hashed once.
    pub(crate) fn image_digests(&self, before: &[u8], after: &[u8]) -> (FullDigest, FullDigest) {
        let (shared, _) = before.split_at(common_prefix(before, after));
        let mut first = blake3::Hasher::new_keyed(&self.image);
        first.update(shared);
        let mut second = first.clone();
        first.update(&before[shared.len()..]);
        second.update(&after[shared.len()..]);
        (FullDigest(first.finalize()), FullDigest(second.finalize()))
    }

    /// The digest of an image as it was sent.
    #[must_use]
    pub fn full_digest(&self, image: Raw<'_>) -> FullDigest {
        let mut bytes = Vec::with_capacity(image.as_str().len());
        canonical(image, &mut bytes);
        self.image_digest(&bytes)
    }

    /// The JSON string that stands for a value under an `hmac` redaction: equal values, equal strings.
    pub(crate) fn hmac_text(&self, value: Raw<'_>) -> String {
        let mut bytes = Vec::with_capacity(value.as_str().len());
        canonical(value, &mut bytes);
        format!("\"hmac:{}\"", hex(&first_half(&blake3::keyed_hash(&self.value, &bytes))))
    }

    /// Starts the digest of an event's data, which knows no rules.
    #[must_use]
    pub fn input_digest(&self) -> InputDigest<'_> {
        InputDigest { key: &self.input, bytes: Vec::with_capacity(PARTS_BYTES_EXPECTED) }
    }
}

impl fmt::Debug for DigestKey {
    /// Shows the fingerprint only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestKey({})", hex(&self.fingerprint))
    }
}

/// All of the digest of an image, of which entries show half: the part of an event's digest that stands for the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullDigest(blake3::Hash);

impl FullDigest {
    /// As entries show it.
    #[must_use]
    pub fn half(&self) -> [u8; 16] {
        first_half(&self.0)
    }
}

/// The digest of an event's data as it was sent: part after part, each framed, so that no two lists of parts meet in
/// the same bytes. Values count by data, not by spelling.
#[derive(Debug)]
pub struct InputDigest<'k> {
    key: &'k [u8; 32],
    /// All parts so far: hashing them at once is cheaper than one by one.
    bytes: Vec<u8>,
}

/// Room made for the parts of an event at first.
const PARTS_BYTES_EXPECTED: usize = 512;

impl InputDigest<'_> {
    /// Adds text, or says that there is none.
    pub fn text(&mut self, part: Option<&str>) -> &mut Self {
        self.part(b't', part.map(str::as_bytes))
    }

    /// Adds a JSON value, or says that there is none.
    pub fn json(&mut self, part: Option<Raw<'_>>) -> &mut Self {
        let canonical = part.map(|value| {
            let mut bytes = Vec::with_capacity(value.as_str().len());
            canonical(value, &mut bytes);
            bytes
        });
        self.part(b'j', canonical.as_deref())
    }

    /// Adds a whole number, or says that there is none.
    pub fn number(&mut self, part: Option<i64>) -> &mut Self {
        self.part(b'n', part.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice))
    }

    /// Adds an image by its digest, or says that there is none.
    pub fn image(&mut self, part: Option<FullDigest>) -> &mut Self {
        self.part(b'i', part.as_ref().map(|digest| digest.0.as_bytes().as_slice()))
    }

    fn part(&mut self, kind: u8, part: Option<&[u8]>) -> &mut Self {
        match part {
            None => self.bytes.push(b'-'),
            Some(part) => {
                self.bytes.push(kind);
                self.bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                self.bytes.extend_from_slice(part);
            }
        }
        self
    }

    /// Sixteen bytes of digest over all parts so far.
    #[must_use]
    pub fn finish(&self) -> [u8; 16] {
        first_half(&blake3::keyed_hash(self.key, &self.bytes))
    }
}

/// Half of BLAKE3's output: 128 bits are plenty to tell a record's states apart, and these are stored with every row.
fn first_half(hash: &blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text).unwrap()
    }

    #[test]
    fn each_use_and_each_key_has_digests_of_its_own() {
        let ours = DigestKey::new(b"0123456789abcdef").unwrap();
        let theirs = DigestKey::new(b"0123456789abcdeg").unwrap();
        let image = |key: &DigestKey| key.image_digest(b"1");
        assert_ne!(image(&ours), image(&theirs));
        assert_ne!(image(&ours), image(&DigestKey::published()));
        assert_ne!(ours.fingerprint(), theirs.fingerprint());
        assert_ne!(ours.hmac_text(raw("1")), format!("\"hmac:{}\"", hex(&image(&ours).half())));
        assert_ne!(ours.input_digest().json(Some(raw("1"))).finish(), image(&ours).half());
    }

    #[test]
    fn a_key_is_read_without_the_newline_of_its_file_and_never_shown() {
        let key = DigestKey::new(b"0123456789abcdef\n").unwrap();
        assert_eq!(key.fingerprint(), DigestKey::new(b"0123456789abcdef").unwrap().fingerprint());
        assert_eq!(DigestKey::new(b"too short \n").unwrap_err(), ShortKeyError { bytes: 9 });
        assert_eq!(format!("{key:?}"), format!("DigestKey({})", hex(&key.fingerprint())));
        assert!(DigestKey::published().is_published() && !key.is_published());
    }

    #[test]
    fn two_images_have_the_digests_that_each_has_by_itself() {
        let key = DigestKey::published();
        for length in [0, 1, 63, 64, 1_023, 1_024, 1_025, 5_000] {
            let text: Vec<u8> = (0..length).map(|at| at as u8).collect();
            for other in [&text[..length / 2], &text, b"x"] {
                assert_eq!(key.image_digests(&text, other), (key.image_digest(&text), key.image_digest(other)));
            }
        }
    }

    #[test]
    fn parts_of_an_input_digest_are_framed_and_count_by_data() {
        let key = DigestKey::published();
        let texts = |a, b| key.input_digest().text(a).text(b).finish();
        assert_ne!(texts(Some("ab"), Some("c")), texts(Some("a"), Some("bc")));
        assert_ne!(texts(Some(""), None), texts(None, Some("")));
        assert_ne!(key.input_digest().text(Some("1")).finish(), key.input_digest().json(Some(raw("1"))).finish());
        let json = |text| key.input_digest().json(Some(raw(text))).finish();
        assert_eq!(json(r#"{"a":1.0,"b":"x"}"#), json(r#"{ "b":"\u0078", "a":1 }"#));
        assert_ne!(json(r#"{"a":1}"#), json(r#"{"a":2}"#));
    }
}
