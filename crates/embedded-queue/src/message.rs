//! A message as it was sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::clock::Millis;
use crate::error::Error;

/// Most attributes a message may have
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
const ATTRIBUTES_MAX: usize = 10;
/// Longest name and longest type of an attribute (same page).
const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;
/// How the MD5 of attributes tells strings and numbers from binary values.
const TRANSPORT_STRING: u8 = 1;
const TRANSPORT_BINARY: u8 = 2;
/// What a held message costs beside its texts, roughly: its own fields and its places in the queue.
const OVERHEAD_BYTES: usize = 512;

/// An immutable message; queues share it by reference count.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    /// The JSON string as it came: unescaped once, for its MD5, and sent on as it is.
    pub(crate) body: Box<RawValue>,
    pub(crate) body_md5: Md5Hex,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) attributes_md5: Option<Md5Hex>,
    pub(crate) trace_header: Option<String>,
    pub(crate) group_id: Option<String>,
    pub(crate) sent_at: Millis,
    /// Gives the bytes back when the last reference goes.
    _weight: Weight,
}

/// What is sent: a whole `SendMessage`, or an entry of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Draft<'a> {
    /// Of a `SendMessage`.
    #[serde(default)]
    pub(crate) queue_url: String,
    /// Of a batch entry.
    #[serde(default)]
    pub(crate) id: String,
    #[serde(borrow)]
    message_body: Option<&'a RawValue>,
    #[serde(default)]
    message_attributes: Option<BTreeMap<String, AttributeValue>>,
    #[serde(default)]
    message_system_attributes: Option<BTreeMap<String, AttributeValue>>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
    pub(crate) delay_seconds: Option<i64>,
}

/// A draft that passed every check.
pub(crate) struct Checked<'a> {
    body: &'a RawValue,
    body_md5: Md5Hex,
    attributes: Vec<Attribute>,
    trace_header: Option<String>,
    group_id: Option<String>,
    /// Bytes as SQS counts them: the body, and name, type and value of every attribute.
    pub(crate) size_bytes: usize,
}

impl<'a> Draft<'a> {
    /// Checks everything that does not depend on the queue's state.
    pub(crate) fn check(&mut self, size_bytes_max: usize) -> Result<Checked<'a>, Error> {
        let body = self.message_body.ok_or(Error::MissingParameter("MessageBody"))?;
        let text = Text::read(body)?;
        let body_bytes = text.len();
        if body_bytes == 0 {
            return Err(Error::MissingParameter("MessageBody"));
        }
        if self.message_deduplication_id.is_some() {
            return Err(Error::InvalidParameterValue("MessageDeduplicationId is for FIFO queues".into()));
        }
        // A BTreeMap: SQS computes the attributes' MD5 over their names in order.
        let attributes: Vec<_> = self.message_attributes.take().unwrap_or_default().into_iter().collect();
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(Error::InvalidParameterValue(format!("a message has at most {ATTRIBUTES_MAX} attributes")));
        }
        let attributes =
            attributes.into_iter().map(|(name, value)| Attribute::check(name, value)).collect::<Result<Vec<_>, _>>()?;
        let size_bytes = body_bytes + attributes.iter().map(Attribute::size_bytes).sum::<usize>();
        if size_bytes > size_bytes_max {
            return Err(Error::InvalidParameterValue(format!(
                "one or more parameters are invalid: the message must be shorter than {size_bytes_max} bytes"
            )));
        }
        let mut trace_header = None;
        for (name, value) in self.message_system_attributes.take().unwrap_or_default() {
            if name != "AWSTraceHeader" {
                return Err(Error::InvalidParameterValue(format!("{name} is no system attribute that may be sent")));
            }
            trace_header = value.string_value;
        }
        Ok(Checked {
            body,
            body_md5: Md5Hex::of(text.as_bytes()),
            attributes,
            trace_header,
            group_id: self.message_group_id.take(),
            size_bytes,
        })
    }
}

impl Checked<'_> {
    /// The message, when memory has room for it.
    pub(crate) fn accept(self, now: Millis, memory: &Arc<Memory>) -> Result<Message, Error> {
        let attribute_bytes: usize = self.attributes.iter().map(Attribute::size_bytes).sum();
        let weight = memory.take(self.body.get().len() + attribute_bytes + OVERHEAD_BYTES)?;
        Ok(Message {
            id: Uuid::new_v4(),
            body: self.body.to_owned(),
            body_md5: self.body_md5,
            attributes_md5: attributes_md5(self.attributes.iter()),
            attributes: self.attributes,
            trace_header: self.trace_header,
            group_id: self.group_id,
            sent_at: now,
            _weight: weight,
        })
    }
}

/// The text of a JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    /// Unescapes, and refuses characters that SQS refuses
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
    fn read(raw: &'a RawValue) -> Result<Cow<'a, str>, Error> {
        let Text(text) = serde_json::from_str(raw.get())
            .map_err(|_| Error::InvalidMessageContents("the message body is no string of valid Unicode characters"))?;
        // Control characters cannot stand unescaped in JSON: only an unescaped (owned) text can hold them, or U+FFFE
        // and U+FFFF, whose UTF-8 begins with 0xEF.
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
        let suspicious = text.bytes().any(|byte| byte < b' ' || byte == 0xEF);
        if suspicious && !text.chars().all(allowed) {
            return Err(Error::InvalidMessageContents("the message body holds characters outside the allowed set"));
        }
        Ok(text)
    }
}

/// A message attribute on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeValue {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
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
    fn check(name: String, value: AttributeValue) -> Result<Self, Error> {
        let invalid = |reason: &str| {
            Error::InvalidParameterValue(format!("the message attribute name or value is invalid: {reason}"))
        };
        let name_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX || !name.bytes().all(name_allowed) {
            return Err(invalid("a name has 1 to 256 letters, digits, underscores, hyphens and dots"));
        }
        let base_type = value.data_type.split('.').next().unwrap_or_default();
        let binary = match (base_type, &value.string_value, &value.binary_value) {
            ("String" | "Number", Some(text), None) if !text.is_empty() => None,
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

    fn size_bytes(&self) -> usize {
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
    fn of(bytes: &[u8]) -> Self {
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

/// The bytes that all messages together may take.
#[derive(Debug)]
pub(crate) struct Memory {
    used_bytes: AtomicUsize,
    bytes_max: usize,
}

impl Memory {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { used_bytes: AtomicUsize::new(0), bytes_max })
    }

    fn take(self: &Arc<Self>, bytes: usize) -> Result<Weight, Error> {
        let weight = Weight { memory: Arc::clone(self), bytes };
        let used_before = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Beyond the limit `weight` is dropped, which gives the bytes back.
        if used_before + bytes > self.bytes_max { Err(Error::RequestThrottled) } else { Ok(weight) }
    }
}

/// Bytes taken from [`Memory`] until dropped.
#[derive(Debug)]
struct Weight {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.memory.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
