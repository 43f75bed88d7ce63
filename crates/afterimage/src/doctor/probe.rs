//! One change event from end to end: published where producers publish, and looked for in the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_publish::{ChangeEvent, Publisher};
use afterimage_store::Lookup;

use super::finding::Finding;

/// Under which source, table and actor the probe stands in the trail. Not the trail's own source, which no event may name.
const SOURCE: &str = "afterimage-doctor";
const TABLE: &str = "doctor";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Publishes an `access` event, which no history or count shows unless asked, and waits for some worker to store it.
pub(crate) async fn probe(publisher: Publisher, store: &Arc<dyn Lookup>, tenant: &str, patience: Duration) -> Finding {
    let check = "end to end";
    let event = ChangeEvent::access(TABLE, "probe").source(SOURCE).tenant(tenant).by("afterimage doctor");
    let id = event.id().to_owned();
    if let Err(unaccepted) = publisher.publish(event).await {
        let found = format!("the event was not accepted: {unaccepted}");
        return Finding::failure(check, found, "allow this identity to publish, or leave --probe out");
    }
    let sent = Instant::now();
    while sent.elapsed() < patience {
        match store.contents(tenant, SOURCE, std::slice::from_ref(&id)).await {
            Ok(found) if found.iter().any(|versions| !versions.is_empty()) => {
                let ms = sent.elapsed().as_millis();
                return Finding::ok(check, format!("event {id} was published, and stored within {ms} ms"));
            }
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Finding::failure(check, error.to_string(), "correct the store, then ask again"),
        }
    }
    let found = format!("event {id} was accepted, and is not in the store after {} s", patience.as_secs());
    Finding::failure(check, found, "see that workers run on this queue and store, and look into the dead letters")
}
