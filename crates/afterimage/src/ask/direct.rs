//! The trail, asked in a store.

use std::sync::Arc;

use afterimage_store::{FeedItem, Lookup, Page, Trail, TrailError};
use serde::Serialize;

use super::{AskError, Export, List, Question, Sink};
use crate::config::StoreConfig;
use crate::stores;

/// A store, asked by its operator: whoever may open it may see all of it.
pub(crate) struct Direct {
    store: Arc<dyn Lookup>,
    trail: Trail,
}

impl Direct {
    pub(super) fn open(config: &StoreConfig) -> anyhow::Result<Self> {
        let store = stores::open(config, stores::Missing::Refuse)?;
        Ok(Self { trail: Trail::new(store.clone()), store })
    }

    pub(super) async fn ask(&self, question: &Question) -> Result<String, AskError> {
        let trail = &self.trail;
        match question {
            Question::History(record, listing) => body(trail.history(record, listing).await),
            Question::State(record, at) => body(trail.state(record, *at).await),
            Question::States(record, listing) => body(trail.states(record, listing).await),
            Question::Diff(record, from, to) => body(trail.diff(record, *from, *to).await),
            Question::Revert(record, to) => body(trail.revert(record, *to).await),
            Question::Gaps(record, listing) => body(trail.gaps(record, listing).await),
            Question::TableGaps(table, listing) => {
                let table = trail.table(&table.tenant, table.source.as_deref(), &table.table).await?;
                body(trail.table_gaps(&table, listing).await)
            }
            Question::Changes(filter, listing) => body(trail.changes(filter, listing).await),
            Question::Feed(filter, listing) => body(
                trail
                    .changes(filter, listing)
                    .await
                    .map(|page| Page { items: page.items.iter().map(FeedItem::of).collect(), next: page.next }),
            ),
            Question::Counts(filter, period, by) => body(trail.counts(filter, *period, by).await),
            Question::Bursts(filter, period, rule) => body(trail.bursts(filter, *period, rule).await),
            Question::StatesAt(records, at) => {
                body(trail.states_at(records, *at).await.map(|items| Page { items, next: None }))
            }
        }
    }

    pub(super) async fn export(&self, export: &Export, sink: &mut dyn Sink) -> Result<(), AskError> {
        let Export { mut question, format } = export.clone();
        let Some(columns) = question.columns() else {
            return Err(AskError::Question("only lists are written out".to_owned()));
        };
        let mut writer = afterimage_store::Export::new(format, columns);
        let mut text = String::new();
        writer.begin(&mut text);
        loop {
            let body = self.ask(&question).await?;
            let page: List<'_> = serde_json::from_str(&body)?;
            for item in &page.items {
                writer.push(item, &mut text).map_err(|error| AskError::Failed(error.to_string()))?;
            }
            if !sink.take(text.as_bytes(), page.items.len() as u64)? {
                return Ok(());
            }
            text.clear();
            let Some(next) = page.next else { break };
            question.turn_to(next);
        }
        writer.end(&mut text);
        sink.take(text.as_bytes(), 0)?;
        Ok(())
    }

    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

fn body<T: Serialize>(answer: Result<T, TrailError>) -> Result<String, AskError> {
    Ok(serde_json::to_string(&answer?)?)
}
