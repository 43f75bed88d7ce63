//! `afterimage migrate`: brings a store's schema to this version.

use super::Outcome;
use crate::config::StoreConfig;
use crate::{output, stores};

pub(super) async fn run(config: &StoreConfig) -> anyhow::Result<Outcome> {
    let store = stores::open(config, stores::Missing::Make)?;
    let steps = store.migrate().await;
    store.close().await;
    let steps = steps?;
    if steps.is_empty() {
        output::print("the schema is up to date\n")?;
    }
    for step in steps {
        output::print(&format!("{step}\n"))?;
    }
    Ok(Outcome::Done)
}
