use afterimage_json::push_quoted;

/// Writes one JSON object, key by key, in the order of the calls.
///
/// By hand, not by a serializer: images are kept as the text they came as, which is proven JSON already and must not be
/// parsed again on the hot path.
pub(crate) struct Writer {
    out: String,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut out = String::with_capacity(bytes);
        out.push('{');
        Self { out }
    }

    fn key(&mut self, key: &'static str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    /// A value that is JSON text already.
    pub(crate) fn json(&mut self, key: &'static str, json: &str) {
        self.key(key);
        self.out.push_str(json);
    }

    pub(crate) fn text(&mut self, key: &'static str, text: &str) {
        self.key(key);
        push_quoted(text, &mut self.out);
    }

    pub(crate) fn shown(&mut self, key: &'static str, value: impl std::fmt::Display) {
        self.key(key);
        self.out.push('"');
        self.push_shown(value);
        self.out.push('"');
    }

    pub(crate) fn number(&mut self, key: &'static str, value: u32) {
        self.key(key);
        self.push_shown(value);
    }

    pub(crate) fn texts<'t>(&mut self, key: &'static str, texts: impl IntoIterator<Item = &'t str>) {
        self.key(key);
        self.out.push('[');
        for (index, text) in texts.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            push_quoted(text, &mut self.out);
        }
        self.out.push(']');
    }

    /// An object of texts; parts that are absent are left out.
    pub(crate) fn object(&mut self, key: &'static str, parts: &[(&'static str, Option<&str>)]) {
        let mut inner = Self::with_capacity(64);
        for (name, value) in parts {
            if let Some(value) = value {
                inner.text(name, value);
            }
        }
        self.json(key, &inner.finish());
    }

    pub(crate) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }

    fn push_shown(&mut self, value: impl std::fmt::Display) {
        use std::fmt::Write as _;
        // Writing to a `String` cannot fail, and no `Display` of ours does.
        let _infallible = write!(self.out, "{value}");
    }
}
