//! Message attributes, and the MD5s that SDKs check.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Longest name and longest type of an attribute
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;
/// How the MD5 of attributes tells strings and numbers from binary values.
const TRANSPORT_STRING: u8 = 1;
const TRANSPORT_BINARY: u8 = 2;

/// A message attribute on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeValue {
    pub(crate) data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    /// Base64, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// A checked message attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: AttributeValue,
    /// The decoded bytes of a binary value.
    binary: Option<Vec<u8>>,
}

impl Attribute {
    pub(crate) fn check(name: String, value: AttributeValue) -> Result<Self, Error> {
        let invalid = |reason: &str| {
            Error::InvalidParameterValue(format!("the message attribute name or value is invalid: {reason}"))
        };
        let name_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX || !name.bytes().all(name_allowed) {
            return Err(invalid("a name has 1 to 256 letters, digits, underscores, hyphens and dots"));
        }
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("aws.") || lower.starts_with("amazon.") {
            return Err(invalid("names that begin with AWS. or Amazon. are reserved"));
        }
        if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
            return Err(invalid("a name neither begins nor ends with a dot, nor has two in a row"));
        }
        let base_type = value.data_type.split('.').next().unwrap_or_default();
        let binary = match (base_type, &value.string_value, &value.binary_value) {
            ("String", Some(text), None) if !text.is_empty() => None,
            ("Number", Some(text), None) if text.parse::<f64>().is_ok_and(f64::is_finite) => None,
            ("Binary", None, Some(text)) if !text.is_empty() => {
                Some(BASE64.decode(text).map_err(|_| invalid("a binary value is base64"))?)
            }
            _ => return Err(invalid("its type is String, Number or Binary, with a value of that type")),
        };
        if value.data_type.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return Err(invalid("a type has at most 256 bytes"));
        }
        Ok(Self { name, value, binary })
    }

    fn payload(&self) -> &[u8] {
        match (&self.binary, &self.value.string_value) {
            (Some(bytes), _) => bytes,
            (None, Some(text)) => text.as_bytes(),
            (None, None) => &[],
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.name.len() + self.value.data_type.len() + self.payload().len()
    }
}

/// The MD5 over attributes, in the order of their names; none without attributes
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>).
pub(crate) fn attributes_md5<'a>(attributes: impl Iterator<Item = &'a Attribute>) -> Option<Md5Hex> {
    let mut attributes = attributes.peekable();
    attributes.peek()?;
    let mut digest = Md5::new();
    for attribute in attributes {
        digest_part(&mut digest, attribute.name.as_bytes());
        digest_part(&mut digest, attribute.value.data_type.as_bytes());
        digest.update([if attribute.binary.is_some() { TRANSPORT_BINARY } else { TRANSPORT_STRING }]);
        digest_part(&mut digest, attribute.payload());
    }
    Some(Md5Hex(digest.finalize().into()))
}

fn digest_part(digest: &mut Md5, bytes: &[u8]) {
    digest.update((bytes.len() as u32).to_be_bytes());
    digest.update(bytes);
}

/// An MD5, shown in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Md5Hex([u8; 16]);

impl Md5Hex {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Md5::digest(bytes).into())
    }
}

impl Serialize for Md5Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(32);
        for byte in self.0 {
            text.push(DIGITS[usize::from(byte >> 4)].into());
            text.push(DIGITS[usize::from(byte & 15)].into());
        }
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_keep_to_the_rules() {
        let check =
            |name: &str, json: &str| Attribute::check(name.to_owned(), serde_json::from_str(json).unwrap()).is_ok();
        let text = r#"{"DataType":"String","StringValue":"x"}"#;
        for name in ["a", "a.b-c_d", "awsome", &"n".repeat(256)] {
            assert!(check(name, text), "{name}");
        }
        for name in ["", ".a", "a.", "a..b", "AWS.a", "amazon.a", "a b", "\u{fc}", &"n".repeat(257)] {
            assert!(!check(name, text), "{name}");
        }
        for (value, allowed) in [
            (r#"{"DataType":"Number","StringValue":"-1.5e3"}"#, true),
            (r#"{"DataType":"Number.int","StringValue":"7"}"#, true),
            (r#"{"DataType":"Number","StringValue":"seven"}"#, false),
            (r#"{"DataType":"Number","StringValue":"inf"}"#, false),
            (r#"{"DataType":"String","StringValue":""}"#, false),
            (r#"{"DataType":"String","BinaryValue":"AA=="}"#, false),
            (r#"{"DataType":"Binary.png","BinaryValue":"AA=="}"#, true),
            (r#"{"DataType":"Binary","BinaryValue":"?"}"#, false),
            (r#"{"DataType":"Blob","BinaryValue":"AA=="}"#, false),
        ] {
            assert_eq!(check("a", value), allowed, "{value}");
        }
    }
}
