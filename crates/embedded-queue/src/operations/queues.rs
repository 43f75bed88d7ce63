//! Queues themselves: create, find, look at, change, empty, delete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Request, answer, in_range, nothing, tags};
use crate::broker::{ACCOUNT, Shared};
use crate::error::Error;
use crate::settings::Settings;

/// Most queues on a page
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>).
const PAGE_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    queue_name: String,
    attributes: Option<BTreeMap<String, String>>,
    /// The JSON protocol has this one in lower case.
    #[serde(rename = "tags")]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Addressed {
    queue_url: String,
    attributes: Option<BTreeMap<String, String>>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    /// Of `ListQueues`.
    #[serde(default)]
    queue_name_prefix: String,
    /// Of `ListDeadLetterSourceQueues`.
    #[serde(default)]
    queue_url: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Url {
    queue_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Urls {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The JSON protocol begins this list's name in lower case.
#[derive(Serialize)]
struct SourceUrls {
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

/// `CreateQueue`.
pub(crate) fn create(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let named: Named = request.parse()?;
    let tags = named.tags.unwrap_or_default();
    tags::check(&tags)?;
    let queue = request.broker.create(&named.queue_name, named.attributes.unwrap_or_default(), tags)?;
    answer(&Url { queue_url: url_of(request.origin, &queue.name) })
}

/// `DeleteQueue`.
pub(crate) fn delete(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let addressed: Addressed = request.parse()?;
    request.broker.remove(&addressed.queue_url)?;
    nothing()
}

/// `GetQueueUrl`.
pub(crate) fn url(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let named: Named = request.parse()?;
    let queue = request.broker.queue(&named.queue_name)?;
    answer(&Url { queue_url: url_of(request.origin, &queue.name) })
}

/// `ListQueues`.
pub(crate) fn list(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let list: List = request.parse()?;
    let names = request.broker.names(&list.queue_name_prefix);
    let (queue_urls, next_token) = page(request, &list, names)?;
    answer(&Urls { queue_urls, next_token })
}

/// `ListDeadLetterSourceQueues`.
pub(crate) fn sources(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let list: List = request.parse()?;
    let names = request.broker.sources_of(&request.broker.queue(&list.queue_url)?.name);
    let (queue_urls, next_token) = page(request, &list, names)?;
    answer(&SourceUrls { queue_urls, next_token })
}

/// The page of `names` that is asked for, as URLs, and the token of the next: the last name of this one. Without
/// `MaxResults` there is one page.
fn page(request: &Request<'_>, list: &List, mut names: Vec<String>) -> Result<(Vec<String>, Option<String>), Error> {
    if let Some(last) = &list.next_token {
        names.retain(|name| name > last);
    }
    let max = list.max_results.map(|max| in_range("MaxResults", max, 1, PAGE_MAX as u64)).transpose()?;
    let length = max.map_or(PAGE_MAX, |max| max as usize);
    let has_next = max.is_some() && names.len() > length;
    names.truncate(length);
    let next_token = names.last().filter(|_| has_next).cloned();
    Ok((names.iter().map(|name| url_of(request.origin, name)).collect(), next_token))
}

/// `GetQueueAttributes`.
pub(crate) fn attributes(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let addressed: Addressed = request.parse()?;
    let queue = request.broker.queue(&addressed.queue_url)?;
    if let Some(unknown) = addressed.attribute_names.iter().find(|name| !Settings::is_known(name)) {
        return Err(Error::InvalidAttributeName(unknown.clone()));
    }
    let asked = |name: &String| addressed.attribute_names.iter().any(|asked| asked == "All" || asked == name);
    let mut attributes = show(&queue, request.broker.clock.now());
    attributes.retain(|name, _| asked(name));
    answer(&Attributes { attributes })
}

/// `SetQueueAttributes`.
pub(crate) fn set_attributes(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let addressed: Addressed = request.parse()?;
    let queue = request.broker.queue(&addressed.queue_url)?;
    let mut settings = queue.state().settings().clone();
    settings.set(addressed.attributes.unwrap_or_default())?;
    request.broker.check_redrive(&queue.name, &settings)?;
    let mut state = queue.state();
    state.set(settings);
    queue.wake(&state);
    drop(state);
    nothing()
}

/// `PurgeQueue`.
pub(crate) fn purge(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let addressed: Addressed = request.parse()?;
    request.broker.queue(&addressed.queue_url)?.state().purge();
    nothing()
}

fn url_of(origin: &str, name: &str) -> String {
    format!("{origin}/{ACCOUNT}/{name}")
}

fn show(queue: &Shared, now: u64) -> BTreeMap<String, String> {
    let mut state = queue.state();
    let counts = state.counts(now);
    let mut shown = state.settings().show();
    shown.extend(
        [
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("CreatedTimestamp", (queue.created_at / 1000).to_string()),
            ("LastModifiedTimestamp", (queue.created_at / 1000).to_string()),
            ("QueueArn", queue.arn.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    shown
}
