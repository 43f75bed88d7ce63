//! A look at a dead-letter queue, on a real queue server: whatever way it ends, letters are given back.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod pair;

use std::time::Duration;

use afterimage_consumer::dead_letters::{Look, LookEnd, look};
use afterimage_consumer::{SqsQueue, SqsSettings};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use tokio_util::sync::CancellationToken;

/// Longer than any test: what is not given back stays hidden.
const HOLD: Duration = Duration::from_secs(3600);

/// A queue with 25 letters, or nothing when skipping was asked for. Not having a server is a failure: silence would look
/// like success.
async fn letters() -> Option<(Client, String, Builder)> {
    let Ok(endpoint) = std::env::var("AFTERIMAGE_TEST_SQS_ENDPOINT") else {
        assert!(
            std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1"),
            "AFTERIMAGE_TEST_SQS_ENDPOINT is not set: start ElasticMQ with tests/servers/elasticmq.sh and set it to its \
             URL, or set AFTERIMAGE_TEST_SKIP_SERVERS=1"
        );
        println!("SKIPPED: AFTERIMAGE_TEST_SKIP_SERVERS=1 and no AFTERIMAGE_TEST_SQS_ENDPOINT");
        return None;
    };
    let config = pair::config(endpoint);
    let client = Client::from_conf(config.clone().build());
    let created = client.create_queue().queue_name(format!("look-{}", fastrand::u64(..))).send().await;
    let url = created.unwrap().queue_url.unwrap();
    for n in 0..25 {
        client.send_message().queue_url(&url).message_body(format!("poison {n}")).send().await.unwrap();
    }
    Some((client, url, config))
}

fn queue(url: &str, config: Builder) -> SqsQueue {
    let settings = SqsSettings {
        queue_url: url.to_owned(),
        dlq_url: None,
        wait: Duration::from_secs(1),
        bytes_max: 64 << 20,
        connections_max: 8,
    };
    SqsQueue::new(config, settings)
}

/// How many letters can be received now.
async fn receivable(client: &Client, url: &str) -> usize {
    let mut received = 0;
    loop {
        let receive = client.receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(3600);
        match receive.send().await.unwrap().messages().len() {
            0 => return received,
            some => received += some,
        }
    }
}

#[tokio::test]
async fn each_letter_is_handed_out_once_and_given_back() {
    let Some((client, url, config)) = letters().await else { return };
    let stop = CancellationToken::new();
    let looked = look(queue(&url, config), HOLD, usize::MAX, async |look: &mut Look| {
        let mut bodies = Vec::new();
        loop {
            let letters = look.next(&stop).await.unwrap();
            if letters.is_empty() {
                break;
            }
            bodies.extend(letters.into_iter().map(|letter| letter.message.body));
        }
        assert_eq!(receivable(&client, &url).await, 0, "held");
        (bodies, look.end())
    });
    let looked = looked.await.unwrap();
    let (mut bodies, end) = looked.outcome;
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!((bodies.len(), end, looked.still_hidden), (25, Some(LookEnd::Seen { others: 0 }), 0));
    assert_eq!(receivable(&client, &url).await, 25);
}

#[tokio::test]
async fn a_panic_leaves_no_letter_hidden() {
    let Some((client, url, config)) = letters().await else { return };
    let dead = queue(&url, config);
    let breaks = async move {
        let stop = CancellationToken::new();
        let looked = look(dead, HOLD, usize::MAX, async |look: &mut Look| {
            assert!(!look.next(&stop).await.unwrap().is_empty());
            assert!(stop.is_cancelled(), "it breaks in the middle");
        });
        looked.await.map(|_| ())
    };
    let local = tokio::task::LocalSet::new();
    let running = local.spawn_local(breaks);
    let ended = local.run_until(running).await;
    assert!(ended.is_err_and(|error| error.is_panic()), "the panic goes on");
    assert_eq!(receivable(&client, &url).await, 25);
}
