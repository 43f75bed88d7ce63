//! `TagQueue`, `UntagQueue`, `ListQueueTags`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Request, answer, nothing};
use crate::error::Error;

/// Most tags of a queue, and the longest key and value in characters
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>).
const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    queue_url: String,
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Untag {
    queue_url: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    queue_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

/// `TagQueue`.
pub(crate) fn tag(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let tag: Tag = request.parse()?;
    let queue = request.broker.queue(&tag.queue_url)?;
    let mut tags = queue.tags().clone();
    tags.extend(tag.tags);
    check(&tags)?;
    *queue.tags() = tags;
    nothing()
}

/// `UntagQueue`.
pub(crate) fn untag(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let untag: Untag = request.parse()?;
    let queue = request.broker.queue(&untag.queue_url)?;
    queue.tags().retain(|key, _| !untag.tag_keys.contains(key));
    nothing()
}

/// `ListQueueTags`.
pub(crate) fn list(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let list: List = request.parse()?;
    let tags = request.broker.queue(&list.queue_url)?.tags().clone();
    answer(&Tags { tags })
}

/// Refuses tags beyond what a queue may have.
pub(crate) fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    let invalid = |reason: String| Err(Error::InvalidParameterValue(reason));
    if tags.len() > TAGS_MAX {
        return invalid(format!("a queue has at most {TAGS_MAX} tags"));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > KEY_CHARS_MAX || value.chars().count() > VALUE_CHARS_MAX {
            return invalid(format!(
                "a tag has a key of 1 to {KEY_CHARS_MAX} and a value of up to {VALUE_CHARS_MAX} characters"
            ));
        }
        if key.starts_with("aws:") {
            return invalid("tags that begin with aws: are reserved".into());
        }
    }
    Ok(())
}
