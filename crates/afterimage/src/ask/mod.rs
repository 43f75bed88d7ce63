//! The questions, and the two that answer them alike: the trail in a store, and the query API.

mod direct;
mod error;
mod hint;
mod place;
mod question;
mod remote;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use error::AskError;
pub(crate) use hint::of_nothing;
pub(crate) use question::{Export, Question, RecordName};

use crate::config::Whom;
use direct::Direct;
use remote::Remote;

/// A list (design §7), or a page of it.
#[derive(Deserialize)]
pub(crate) struct List<'a> {
    #[serde(borrow)]
    pub(crate) items: Vec<&'a RawValue>,
    #[serde(default)]
    pub(crate) next: Option<String>,
}

/// Takes an export piece by piece; false when nobody reads on.
pub(crate) trait Sink {
    /// Takes some bytes, which tell of so many items.
    fn take(&mut self, bytes: &[u8], items: u64) -> std::io::Result<bool>;
}

/// Who answers. Both give the bodies of the query API.
pub(crate) enum Asker {
    Direct(Direct),
    Remote(Box<Remote>),
}

impl Asker {
    /// Opens the store, or gets ready to call the API.
    pub(crate) fn new(whom: &Whom) -> anyhow::Result<Self> {
        Ok(match whom {
            Whom::Store(store) => Self::Direct(Direct::open(store)?),
            Whom::Api(api) => Self::Remote(Box::new(Remote::new(api)?)),
        })
    }

    /// Asks: the body of the answer.
    pub(crate) async fn ask(&self, question: &Question) -> Result<String, AskError> {
        match self {
            Self::Direct(direct) => direct.ask(question).await,
            Self::Remote(remote) => remote.ask(question).await,
        }
    }

    /// Writes out all of a list, to its end: an error, where that was not reached.
    pub(crate) async fn export(&self, export: &Export, sink: &mut dyn Sink) -> Result<(), AskError> {
        match self {
            Self::Direct(direct) => direct.export(export, sink).await,
            Self::Remote(remote) => remote.export(export, sink).await,
        }
    }

    pub(crate) async fn close(self) {
        if let Self::Direct(direct) = self {
            direct.close().await;
        }
    }
}
