//! Queues themselves: create, find, look at, change, empty, delete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Request, answer, nothing};
use crate::broker::{ACCOUNT, Shared};
use crate::error::Error;
use crate::settings::Settings;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    queue_name: String,
    attributes: Option<BTreeMap<String, String>>,
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
    #[serde(default)]
    queue_name_prefix: String,
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
    let queue = request.broker.create(&named.queue_name, named.attributes.unwrap_or_default())?;
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

/// `ListQueues`: all of them, without pages.
pub(crate) fn list(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let list: List = request.parse()?;
    let names = request.broker.names(&list.queue_name_prefix);
    answer(&Urls { queue_urls: names.iter().map(|name| url_of(request.origin, name)).collect() })
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
