//! Record ids as one text: parts percent-encoded, joined by commas (as in the URLs of the query API).

use std::fmt;
use std::str::FromStr;

/// The text is no record id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a percent sign in a record id must be followed by two hexadecimal digits of UTF-8 text; write %25 for itself")]
pub struct RecordIdError;

/// The parts of an id; none for what concerns a whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordId(pub Vec<String>);

impl FromStr for RecordId {
    type Err = RecordIdError;

    fn from_str(text: &str) -> Result<Self, RecordIdError> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(decode).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for RecordId {
    /// The text that reads back as these parts, safe as one segment of a URL's path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for byte in part.bytes() {
                // What RFC 3986 calls unreserved, and the colon, which a path may hold and ids often do.
                if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
                    write!(f, "{}", char::from(byte))?;
                } else {
                    write!(f, "%{byte:02X}")?;
                }
            }
        }
        Ok(())
    }
}

fn decode(part: &str) -> Result<String, RecordIdError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(RecordIdError)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(RecordIdError);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8); // two digits fit
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| RecordIdError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_commas_and_percent_signs() {
        let parts = |text: &str| text.parse::<RecordId>().unwrap().0;
        assert_eq!(parts("1001"), ["1001"]);
        assert_eq!(parts("org1,u1"), ["org1", "u1"]);
        assert_eq!(parts("a%2Cb,c%25d,%E6%9D%B1"), ["a,b", "c%d", "東"]);
        assert_eq!(parts(",x"), ["", "x"]);
        assert!(parts("").is_empty());
    }

    #[test]
    fn what_is_written_reads_back() {
        for parts in [&["1001"][..], &["a,b", "c%d/", "東", ""], &["", "x"], &["urn:a:1", "50 %"]] {
            let id = RecordId(parts.iter().map(|&part| part.to_owned()).collect());
            let text = id.to_string();
            assert!(!text.contains(['/', '?', '#', ' ']), "{text}");
            assert_eq!(text.parse::<RecordId>(), Ok(id));
        }
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "%4", "%zz", "a%", "%ff"] {
            assert_eq!(text.parse::<RecordId>(), Err(RecordIdError), "{text}");
        }
    }
}
