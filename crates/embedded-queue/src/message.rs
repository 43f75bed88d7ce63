//! A message as it was sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::attributes::{Attribute, AttributeValue, Md5Hex, attributes_md5};
use crate::clock::Millis;
use crate::error::Error;
use crate::memory::{Memory, Weight};
use crate::operations::in_range;

/// Most attributes a message may have
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
const ATTRIBUTES_MAX: usize = 10;
/// Longest group id and deduplication id
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
const TOKEN_BYTES_MAX: usize = 128;
/// What a held message costs beside its texts, roughly: its own fields and its places in the queue.
const OVERHEAD_BYTES: usize = 512;

/// The immutable part of a message; queues share it by reference count.
#[derive(Debug)]
pub(crate) struct Message {
    /// The JSON string as it came: unescaped once, for its MD5, and sent on as it is.
    pub(crate) body: Box<RawValue>,
    pub(crate) body_md5: Md5Hex,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) attributes_md5: Option<Md5Hex>,
    pub(crate) trace_header: Option<String>,
    pub(crate) group_id: Option<Arc<str>>,
    /// Gives the bytes back when the last reference goes.
    _weight: Weight,
}

/// What a queue's kind and settings ask of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) message_bytes_max: usize,
    /// The queue's own, for messages without one.
    pub(crate) delay: Millis,
    pub(crate) fifo: bool,
    /// Deduplication ids are made from bodies.
    pub(crate) content_based: bool,
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
    delay_seconds: Option<i64>,
}

/// A draft that passed every check.
pub(crate) struct Checked<'a> {
    body: &'a RawValue,
    body_md5: Md5Hex,
    attributes: Vec<Attribute>,
    trace_header: Option<String>,
    group_id: Option<String>,
    deduplication_id: Option<String>,
    delay: Millis,
    /// Bytes as SQS counts them: the body, and name, type and value of every attribute.
    pub(crate) size_bytes: usize,
}

/// A message with what it says about its own enqueuing.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) id: Uuid,
    pub(crate) message: Message,
    pub(crate) deduplication_id: Option<Arc<str>>,
    pub(crate) delay: Millis,
}

impl<'a> Draft<'a> {
    /// Refuses what SQS refuses a whole batch for: in FIFO queues, a message without group or deduplication id.
    pub(crate) fn check_identity(&self, terms: Terms) -> Result<(), Error> {
        if terms.fifo && self.message_group_id.is_none() {
            return Err(Error::MissingParameter("MessageGroupId"));
        }
        if terms.fifo && !terms.content_based && self.message_deduplication_id.is_none() {
            return Err(Error::InvalidParameterValue(
                "the queue needs ContentBasedDeduplication, or the message a MessageDeduplicationId".into(),
            ));
        }
        Ok(())
    }

    /// Checks everything that does not depend on what the queue holds.
    pub(crate) fn check(&mut self, terms: Terms) -> Result<Checked<'a>, Error> {
        let body = self.message_body.ok_or(Error::MissingParameter("MessageBody"))?;
        let text = Text::read(body)?;
        let body_bytes = text.len();
        if body_bytes == 0 {
            return Err(Error::MissingParameter("MessageBody"));
        }
        self.check_identity(terms)?;
        if self.message_deduplication_id.is_some() && !terms.fifo {
            return Err(Error::InvalidParameterValue("MessageDeduplicationId is for FIFO queues".into()));
        }
        check_token("MessageGroupId", self.message_group_id.as_deref())?;
        check_token("MessageDeduplicationId", self.message_deduplication_id.as_deref())?;
        // A BTreeMap: SQS computes the attributes' MD5 over their names in order.
        let attributes = self.message_attributes.take().unwrap_or_default();
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(Error::InvalidParameterValue(format!("a message has at most {ATTRIBUTES_MAX} attributes")));
        }
        let attributes =
            attributes.into_iter().map(|(name, value)| Attribute::check(name, value)).collect::<Result<Vec<_>, _>>()?;
        let size_bytes = body_bytes + attributes.iter().map(Attribute::size_bytes).sum::<usize>();
        if size_bytes > terms.message_bytes_max {
            return Err(Error::InvalidParameterValue(format!(
                "one or more parameters are invalid: the message must be shorter than {} bytes",
                terms.message_bytes_max
            )));
        }
        let content_based = || terms.content_based.then(|| sha256_hex(text.as_bytes()));
        Ok(Checked {
            body,
            body_md5: Md5Hex::of(text.as_bytes()),
            attributes,
            trace_header: self.trace_header()?,
            group_id: self.message_group_id.take(),
            deduplication_id: self.message_deduplication_id.take().or_else(content_based),
            delay: self.delay(terms)?,
            size_bytes,
        })
    }

    /// The message's own delay, else the queue's. In FIFO queues only the queue has one.
    fn delay(&self, terms: Terms) -> Result<Millis, Error> {
        match self.delay_seconds {
            None | Some(0) if terms.fifo => Ok(terms.delay),
            None => Ok(terms.delay),
            Some(_) if terms.fifo => {
                Err(Error::InvalidParameterValue("DelaySeconds of a message is not for FIFO queues".into()))
            }
            Some(delay_s) => Ok(in_range("DelaySeconds", delay_s, 0, 900)? * 1000),
        }
    }

    fn trace_header(&mut self) -> Result<Option<String>, Error> {
        let mut trace_header = None;
        for (name, value) in self.message_system_attributes.take().unwrap_or_default() {
            if name != "AWSTraceHeader" {
                return Err(Error::InvalidParameterValue(format!("{name} is no system attribute that may be sent")));
            }
            if value.data_type != "String" {
                return Err(Error::InvalidParameterValue("AWSTraceHeader is a String".into()));
            }
            trace_header = value.string_value;
        }
        Ok(trace_header)
    }
}

impl Checked<'_> {
    /// The message, when memory has room for it.
    pub(crate) fn accept(self, memory: &Arc<Memory>) -> Result<Parcel, Error> {
        let attribute_bytes: usize = self.attributes.iter().map(Attribute::size_bytes).sum();
        let weight = memory.take(self.body.get().len() + attribute_bytes + OVERHEAD_BYTES)?;
        let message = Message {
            body: self.body.to_owned(),
            body_md5: self.body_md5,
            attributes_md5: attributes_md5(self.attributes.iter()),
            attributes: self.attributes,
            trace_header: self.trace_header,
            group_id: self.group_id.map(Arc::from),
            _weight: weight,
        };
        let deduplication_id = self.deduplication_id.map(Arc::from);
        Ok(Parcel { id: Uuid::new_v4(), message, deduplication_id, delay: self.delay })
    }
}

/// Group ids, deduplication ids and attempt ids share one alphabet.
pub(crate) fn check_token(parameter: &'static str, token: Option<&str>) -> Result<(), Error> {
    match token {
        Some(token)
            if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err(Error::InvalidParameterValue(format!(
                "{parameter} has 1 to {TOKEN_BYTES_MAX} ASCII letters, digits and punctuation characters"
            )))
        }
        _ => Ok(()),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // A string writes without fail.
        write!(text, "{byte:02x}").ok();
    }
    text
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
