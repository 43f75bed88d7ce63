//! A list of events that is JSON as RFC 8259 has it, but holds an event that is refused: the others are as good as ever.

use afterimage_json::{Error, ErrorKind, Raw};

/// An element of a list: its text, proven, or why it is refused.
pub(crate) type Element<'a> = Result<Raw<'a>, Box<Flaw>>;

/// What is wrong with one element.
#[derive(Debug)]
pub(crate) struct Flaw {
    /// Byte offset in the text of the list.
    pub(crate) offset: usize,
    pub(crate) error: Error,
}

/// The elements of the list in `text`, each read by itself, when what is wrong in it leaves no doubt where they begin and
/// end: a key told twice, half a surrogate pair, too deep a nesting. `None` when the text is broken otherwise, or holds
/// more than `limit` elements: then it cannot be told what its producer meant.
pub(crate) fn split(text: &str, limit: usize, depth_max: usize) -> Option<Vec<Element<'_>>> {
    let inner = text.trim_matches([' ', '\t', '\n', '\r']).strip_prefix('[')?;
    let mut rest = inner;
    let mut elements = Vec::new();
    loop {
        let end = element_end(rest)?;
        let (element, tail) = rest.split_at(end);
        if elements.len() == limit {
            return None;
        }
        elements.push(match Raw::parse_within(element, depth_max) {
            Ok(raw) => Ok(raw),
            Err(error) if is_contained(error.kind()) => {
                let start = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len() + 1;
                let offset = start + inner.len() - rest.len() + error.offset();
                Err(Box::new(Flaw { offset, error }))
            }
            Err(_) => return None,
        });
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (tail == "]").then_some(elements),
        }
    }
}

/// Whether the grammar of RFC 8259 allows it, so that brackets and quotes still tell where the element ends.
const fn is_contained(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DuplicateKey | ErrorKind::LoneSurrogate | ErrorKind::TooDeep)
}

/// Where the first element ends: at the comma or bracket behind it. Without recursion, however deep it is.
fn element_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next()?.1 {
                    b'\\' => bytes.next()?,
                    b'"' => break,
                    _ => continue,
                };
            },
            b'[' | b'{' => depth += 1,
            b',' | b']' if depth == 0 => return Some(at),
            b']' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Option<Vec<Result<&str, usize>>> {
        let elements = split(text, 4, 8)?;
        Some(elements.into_iter().map(|element| element.map(Raw::as_str).map_err(|flaw| flaw.offset)).collect())
    }

    #[test]
    fn elements_beside_a_refused_one_are_read() {
        let text = r#" [ {"a":"],\"{"} , {"b":1,"b":2},3] "#;
        let twice = text.rfind(r#""b""#);
        assert_eq!(shape(text), Some(vec![Ok(r#"{"a":"],\"{"}"#), Err(twice.unwrap()), Ok("3")]));
        assert_eq!(shape(r#"[1,"\ud800",[]]"#).map(|elements| elements.len()), Some(3));
        let deep = format!("[1,{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(shape(&deep).as_deref(), Some([Ok("1"), Err(_)])));
    }

    #[test]
    fn a_text_that_is_no_json_is_no_list() {
        for text in [
            "",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1}",
            "[1]]",
            "[1] 2",
            "[1 2]",
            "[tru]",
            r#"["\x"]"#,
            r#"[""#,
            r#"["\"#,
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
        assert_eq!(shape("[1,2,3,4,5]"), None, "more than the limit");
    }
}
