//! The servers, and how a law is run on one.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afterimage_embedded_queue::EmbeddedQueue;
use aws_config::SdkConfig;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};

use crate::gaps::{Gap, gap};

/// What speaks SQS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Embedded,
    ElasticMq,
    Moto,
    Aws,
}

/// A server as a law sees it.
#[derive(Clone, Debug)]
pub(crate) struct Sqs {
    pub(crate) server: Server,
    pub(crate) client: aws_sdk_sqs::Client,
    pub(crate) config: SdkConfig,
    /// Queues made, to be deleted in the end.
    pub(crate) made: Arc<Mutex<Vec<String>>>,
    /// Ends with the last law that knows it.
    pub(crate) _embedded: Option<Arc<EmbeddedQueue>>,
}

/// Runs a law; one that is a known gap must fail.
pub(crate) async fn run<L, F>(server: Server, name: &str, law: L)
where
    L: FnOnce(Sqs) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let gap = gap(server, name);
    if let Some(Gap { skips: true, why, link, .. }) = gap {
        println!("SKIPPED: {server:?} has a known gap: {why} ({link})");
        return;
    }
    let Some(sqs) = Sqs::new(server).await else { return };
    let outcome = tokio::spawn(law(sqs.clone())).await;
    let made = std::mem::take(&mut *sqs.made.lock().unwrap());
    for url in made {
        sqs.client.delete_queue().queue_url(url).send().await.ok();
    }
    match (outcome, gap) {
        (Ok(()), None) => {}
        (Ok(()), Some(gap)) => panic!("{server:?} keeps this law now: remove it from its known gaps ({})", gap.link),
        (Err(_), Some(gap)) => println!("{server:?} still breaks this law: {} ({})", gap.why, gap.link),
        (Err(broken), None) => std::panic::resume_unwind(broken.into_panic()),
    }
}

impl Sqs {
    /// The server, or nothing when skipping was asked for. Not having one is a failure: silence would look like success.
    async fn new(server: Server) -> Option<Self> {
        let (endpoint, embedded) = match server {
            Server::Embedded => {
                let queue = EmbeddedQueue::start(([127, 0, 0, 1], 0).into()).await.unwrap();
                (Some(queue.endpoint()), Some(Arc::new(queue)))
            }
            Server::ElasticMq => (Some(endpoint("AFTERIMAGE_TEST_SQS_ENDPOINT", "elasticmq")?), None),
            Server::Moto => (Some(endpoint("AFTERIMAGE_TEST_MOTO_ENDPOINT", "moto")?), None),
            Server::Aws if is_set("AFTERIMAGE_TEST_AWS_SQS") => (None, None),
            Server::Aws => {
                println!("SKIPPED: AFTERIMAGE_TEST_AWS_SQS is not 1 (it costs money, though next to nothing)");
                return None;
            }
        };
        let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(120)).build();
        let mut config = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
        if let Some(endpoint) = endpoint {
            config = config
                .endpoint_url(endpoint)
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                // An error that a law provokes is no reason to try again.
                .retry_config(RetryConfig::disabled());
        }
        let config = config.load().await;
        let client = aws_sdk_sqs::Client::new(&config);
        Some(Self { server, client, config, made: Arc::default(), _embedded: embedded })
    }
}

fn endpoint(variable: &str, script: &str) -> Option<String> {
    if let Ok(endpoint) = std::env::var(variable) {
        return Some(endpoint);
    }
    if is_set("AFTERIMAGE_TEST_SKIP_SERVERS") {
        println!("SKIPPED: AFTERIMAGE_TEST_SKIP_SERVERS=1 and no {variable}");
        return None;
    }
    panic!(
        "{variable} is not set: start the server with tests/servers/{script}.sh and set it to its URL, or set \
         AFTERIMAGE_TEST_SKIP_SERVERS=1"
    );
}

fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "1")
}
