//! A store that keeps rows in memory, and fails as it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use afterimage_store::{AppendError, Arrival, Entry, Identity, Store, StoreError};
use async_trait::async_trait;

/// The store.
#[derive(Default)]
pub(crate) struct SimStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: HashMap<Identity, String>,
    down: bool,
    /// Applies, and fails all the same: the reply is lost.
    unknown: bool,
    /// Event ids that are never taken.
    refused: Vec<String>,
    /// Event ids that go unanswered for now.
    unanswered: Vec<String>,
    appends: usize,
    /// Event ids in the order in which they were first stored; a group of entries counts as one moment.
    moments: Vec<Vec<String>>,
}

impl SimStore {
    pub(crate) fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state.lock().unwrap().down
    }

    pub(crate) fn set_unknown(&self, unknown: bool) {
        self.state.lock().unwrap().unknown = unknown;
    }

    pub(crate) fn refuse(&self, event_id: &str) {
        self.state.lock().unwrap().refused.push(event_id.to_owned());
    }

    pub(crate) fn leave_unanswered(&self, event_ids: &[&str]) {
        self.state.lock().unwrap().unanswered = event_ids.iter().map(|id| (*id).to_owned()).collect();
    }

    pub(crate) fn has(&self, event_id: &str) -> bool {
        self.state.lock().unwrap().rows.keys().any(|identity| identity.event_id == event_id)
    }

    /// What is stored: event id and content, in order of ids.
    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap();
        let mut rows: Vec<_> =
            state.rows.iter().map(|(identity, content)| (identity.event_id.clone(), content.clone())).collect();
        rows.sort();
        rows
    }

    /// What each append stored for the first time, in order.
    pub(crate) fn moments(&self) -> Vec<Vec<String>> {
        self.state.lock().unwrap().moments.clone()
    }

    pub(crate) fn appends(&self) -> usize {
        self.state.lock().unwrap().appends
    }
}

fn unavailable() -> AppendError {
    AppendError::Unavailable { reason: "simulated".to_owned() }
}

#[async_trait]
impl Store for SimStore {
    fn kind(&self) -> &'static str {
        "sim"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match self.is_down() {
            true => Err(StoreError::Unavailable { reason: "simulated".to_owned() }),
            false => Ok(()),
        }
    }

    async fn append(&self, entries: &[Arc<Entry>], _arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        let mut state = self.state.lock().unwrap();
        state.appends += 1;
        if state.down {
            return entries.iter().map(|_| Err(unavailable())).collect();
        }
        let unknown = state.unknown;
        state.moments.push(Vec::new());
        entries
            .iter()
            .map(|entry| {
                let event_id = &entry.identity.event_id;
                if state.refused.contains(event_id) {
                    return Err(AppendError::Refused { reason: "too big".to_owned() });
                }
                if state.unanswered.contains(event_id) {
                    return Err(unavailable());
                }
                if !state.rows.contains_key(&entry.identity)
                    && let Some(moment) = state.moments.last_mut()
                {
                    moment.push(event_id.clone());
                }
                let content = state.rows.entry(entry.identity.clone()).or_insert_with(|| entry.content.clone());
                assert_eq!(content, &entry.content, "one identity, two contents");
                if unknown { Err(unavailable()) } else { Ok(()) }
            })
            .collect()
    }

    async fn close(&self) {}
}
