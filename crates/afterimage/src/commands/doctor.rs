//! `afterimage doctor`: is this deployment fit to keep the promise?

use afterimage_publish::Publisher;
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
    if let Some(queue) = &queue {
        findings.extend(looker.permissions(queue_url, dlq_url).await);
        let is_narrowed = !worker.events.allow_topics.is_empty();
        for topic in &config.topics {
            findings.extend(looker.topic(topic, queue, is_narrowed).await);
        }
    }
    findings.extend(looker.clock());
    if let StoreConfig::Sqlite { path } = &worker.store
        && !path.exists()
    {
        let found = format!("there is no file {} yet", path.display());
        findings.push(Finding::warning("store", found, "the worker makes it when it starts; or correct --sqlite-path"));
        return findings;
    }
    let store = match stores::open(&worker.store, stores::Missing::Refuse) {
        Ok(store) => store,
        Err(error) => {
            findings.push(unusable(error));
            return findings;
        }
    };
    let about_store = look_at_store(&store).await;
    let store_works = about_store.iter().all(|finding| finding.level < Level::Failure);
    findings.extend(about_store);
    if let Some(patience) = config.probe
        && store_works
        && queue.is_some()
    {
        let publisher = match config.topics.first() {
            Some(topic) => Publisher::to_topic(aws_sdk_sns::Client::from_conf(aws.sns().build()), topic),
            None => Publisher::to_queue(aws_sdk_sqs::Client::from_conf(aws.sqs().build()), queue_url),
        };
        findings.push(probe(publisher, &store, &worker.events.tenant, patience).await);
    }
    store.close().await;
    findings
}
