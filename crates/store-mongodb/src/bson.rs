//! Writing BSON (<https://bsonspec.org/spec.html>) into one buffer.
//!
//! By hand, because the document of an entry is written for every event: nested documents of the library's raw writer
//! are buffers of their own, which each level copies into the one above.

use mongodb::bson::spec::ElementType;

/// Name of the member that holds JSON text where BSON has no safe place for what the text says.
pub(crate) const JSON: &str = "%json";

/// A BSON document being written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

/// A document or an array that is open: where its length goes.
#[must_use]
pub(crate) struct Open(usize);

impl Writer {
    /// A document, opened.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut writer = Self { out: Vec::with_capacity(bytes) };
        writer.out.extend_from_slice(&[0; 4]);
        writer
    }

    /// Closes the document.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.close(Open(0));
        self.out
    }

    /// What is written so far, without what closing adds.
    pub(crate) fn written(&self) -> &[u8] {
        &self.out
    }

    fn key(&mut self, kind: ElementType, key: &str) {
        self.out.push(kind as u8);
        // A key ends at its first NUL: names with one are escaped before they come here.
        debug_assert!(!key.as_bytes().contains(&0));
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(0);
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(ElementType::Null, key);
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.key(ElementType::Boolean, key);
        self.out.push(u8::from(value));
    }

    pub(crate) fn int64(&mut self, key: &str, value: i64) {
        self.key(ElementType::Int64, key);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A text. One with a NUL in it, which not every server takes, stands as JSON: `{"%json": "\"a\\u0000b\""}`.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        if text.as_bytes().contains(&0) {
            let mut json = String::new();
            afterimage_json::push_quoted(text, &mut json);
            self.tagged(key, JSON, &json);
        } else {
            self.string(key, text);
        }
    }

    /// A document of one text.
    pub(crate) fn tagged(&mut self, key: &str, tag: &str, text: &str) {
        let open = self.document(key);
        self.string(tag, text);
        self.close(open);
    }

    pub(crate) fn texts<'t>(&mut self, key: &str, texts: impl IntoIterator<Item = &'t str>) {
        let open = self.array(key);
        for (index, text) in texts.into_iter().enumerate() {
            self.text(Index::new(index).as_str(), text);
        }
        self.close(open);
    }

    fn string(&mut self, key: &str, text: &str) {
        self.key(ElementType::String, key);
        self.length(text.len() + 1);
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
    }

    pub(crate) fn document(&mut self, key: &str) -> Open {
        self.open(ElementType::EmbeddedDocument, key)
    }

    pub(crate) fn array(&mut self, key: &str) -> Open {
        self.open(ElementType::Array, key)
    }

    fn open(&mut self, kind: ElementType, key: &str) -> Open {
        self.key(kind, key);
        let open = Open(self.out.len());
        self.out.extend_from_slice(&[0; 4]);
        open
    }

    pub(crate) fn close(&mut self, open: Open) {
        self.out.push(0);
        // What is longer than 2 GiB is far above what a server takes and is refused by its size before it is sent.
        let bytes = i32::try_from(self.out.len() - open.0).unwrap_or(i32::MAX);
        self.out[open.0..open.0 + 4].copy_from_slice(&bytes.to_le_bytes());
    }

    fn length(&mut self, bytes: usize) {
        self.out.extend_from_slice(&i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes());
    }
}

/// The key of an array's element: its position in decimal digits.
pub(crate) struct Index {
    digits: [u8; 20],
    start: usize,
}

impl Index {
    pub(crate) fn new(mut index: usize) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (index % 10) as u8;
            index /= 10;
            if index == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        // Digits are ASCII.
        std::str::from_utf8(&self.digits[self.start..]).unwrap_or("0")
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, doc};

    use super::*;

    #[test]
    fn the_library_reads_what_is_written() {
        let mut writer = Writer::with_capacity(16);
        writer.text("a", "é");
        let inner = writer.document("b");
        writer.int64("", -1);
        let array = writer.array("c");
        writer.null("0");
        writer.bool("1", true);
        writer.close(array);
        writer.close(inner);
        writer.texts("d", (0..12).map(|n| if n == 11 { "\0" } else { "x" }));
        let read = Document::from_reader(&writer.finish()[..]).unwrap();
        assert_eq!(read.get_str("a").unwrap(), "é");
        assert_eq!(*read.get_document("b").unwrap(), (doc! { "": -1_i64, "c": [null, true] }));
        let texts = read.get_array("d").unwrap();
        assert_eq!(texts.len(), 12);
        assert_eq!(texts[11].as_document().unwrap(), &doc! { "%json": r#""\u0000""# });
    }
}
