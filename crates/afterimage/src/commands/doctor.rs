//! `afterimage doctor`: is this deployment fit to keep the promise?

use std::sync::Arc;

use afterimage_consumer::QueueError;
use afterimage_publish::Publisher;
use afterimage_store::Lookup;
use serde::Serialize;

use super::Outcome;
use crate::aws::Aws;
use crate::config::{DoctorConfig, StoreConfig};
use crate::doctor::{Finding, Level, Looker, look_at_store, probe, unusable};
use crate::render::{self, Screen};
use crate::zone::Zone;
use crate::{output, stores};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

/// Looks at everything, in the order in which a change travels, and says what to change.
pub(super) async fn run(config: &DoctorConfig, warnings: &[String]) -> anyhow::Result<Outcome> {
    let aws = Aws::of_queue(&config.worker.queue_url).await;
    let mut findings: Vec<_> =
        warnings.iter().map(|found| Finding::warning("configuration", found, "see afterimage worker --help")).collect();
    findings.extend(examine(config, &aws).await);

    let healthy = findings.iter().all(|finding| finding.level < Level::Failure);
    if config.json {
        output::print(&format!("{}\n", serde_json::to_string(&Report { healthy, findings: &findings })?))?;
    } else {
        output::print(&render::findings(&findings, &Screen::stdout(Zone::utc())))?;
    }
    Ok(if healthy { Outcome::Done } else { Outcome::Unfit })
}

async fn examine(config: &DoctorConfig, aws: &Aws) -> Vec<Finding> {
    let worker = &config.worker;
    let looker = Looker::new(aws);
    let (queue_url, dlq_url) = (worker.queue_url.as_str(), worker.dlq_url.as_deref());
    let (mut findings, queue) = looker.queues(queue_url, dlq_url).await;
    // An identity that may not look may still receive; to whoever reaches nothing, four more refusals say no more.
    if queue.as_ref().err().is_none_or(QueueError::is_denied) {
        findings.extend(looker.permissions(queue_url, dlq_url).await);
    } else {
        findings.push(unseen("permissions", "the queue cannot be read"));
    }
    let is_narrowed = !worker.events.allow_topics.is_empty();
    for topic in &config.topics {
        findings.extend(looker.topic(topic, queue_url, queue.as_ref().ok(), is_narrowed).await);
    }
    findings.extend(looker.clock());
    let (about_store, store) = look_into(&worker.store).await;
    findings.extend(about_store);
    if let Some(patience) = config.probe {
        findings.push(match (&store, &queue) {
            (Some(store), Ok(_)) => {
                let publisher = match config.topics.first() {
                    Some(topic) => Publisher::to_topic(aws_sdk_sns::Client::from_conf(aws.sns().build()), topic),
                    None => Publisher::to_queue(aws_sdk_sqs::Client::from_conf(aws.sqs().build()), queue_url),
                };
                probe(publisher, store, &worker.events.tenant, patience).await
            }
            (_, Err(_)) => unseen("end to end", "the queue cannot be read"),
            (None, _) => unseen("end to end", "the store cannot be read"),
        });
    }
    if let Some(store) = store {
        store.close().await;
    }
    findings
}

/// What is to be said of the store; and the store itself, where it works.
async fn look_into(config: &StoreConfig) -> (Vec<Finding>, Option<Arc<dyn Lookup>>) {
    if let StoreConfig::Sqlite { path } = config
        && !path.exists()
    {
        let found = format!("there is no file {} yet", path.display());
        let change = "the worker makes it when it starts; or correct --sqlite-path";
        return (vec![Finding::warning("store", found, change)], None);
    }
    let store = match stores::open(config, stores::Missing::Refuse) {
        Ok(store) => store,
        Err(error) => return (vec![unusable(error)], None),
    };
    let findings = look_at_store(&store).await;
    if findings.iter().any(|finding| finding.level == Level::Failure) {
        store.close().await;
        return (findings, None);
    }
    (findings, Some(store))
}

/// What is left out is said, or it would pass for looked at.
fn unseen(check: &'static str, why: &str) -> Finding {
    Finding::warning(check, format!("not looked at: {why}"), "mend that first, then ask again")
}
