//! `afterimage history` and `afterimage state`: the questions, asked of a store directly.

use afterimage_store::{Direction, Listing, RecordQuery, Trail, TrailError};
use serde::Serialize;

use super::Outcome;
use crate::config::{HistoryArgs, Order, RecordArgs, StateArgs, StoreConfig};
use crate::render::{self, Screen};
use crate::{output, stores};

/// `afterimage history TABLE ID`.
pub(super) async fn history(args: &HistoryArgs, store: &StoreConfig) -> anyhow::Result<Outcome> {
    let listing = Listing {
        from: args.period.from,
        to: args.period.to,
        order: match args.order {
            Order::Desc => Direction::Descending,
            Order::Asc => Direction::Ascending,
        },
        limit: args.limit as usize,
        cursor: args.cursor.clone(),
    };
    let query = query(&args.record);
    ask(store, args.record.json, render::history, async |trail| trail.history(&query, &listing).await).await
}

/// `afterimage state TABLE ID --at T`.
pub(super) async fn state(args: &StateArgs, store: &StoreConfig) -> anyhow::Result<Outcome> {
    let query = query(&args.record);
    ask(store, args.record.json, render::state, async |trail| trail.state(&query, args.at).await).await
}

fn query(args: &RecordArgs) -> RecordQuery {
    RecordQuery {
        tenant: args.scope.tenant.clone(),
        source: args.scope.source.clone(),
        table: args.table.clone(),
        record_id: args.id.0.clone(),
    }
}

/// Opens the store, asks, prints the answer: the body of the query API, or what `render` makes of it.
async fn ask<T: Serialize>(
    store: &StoreConfig,
    as_json: bool,
    render: fn(&str, &Screen) -> Result<String, serde_json::Error>,
    question: impl AsyncFnOnce(&Trail) -> Result<T, TrailError>,
) -> anyhow::Result<Outcome> {
    let store = stores::open(store, stores::Missing::Refuse)?;
    let answer = question(&Trail::new(store.clone())).await;
    store.close().await;
    let mut body = match answer {
        Ok(answer) => serde_json::to_string(&answer)?,
        Err(error @ TrailError::NoSuchRecord) => {
            output::complain(&error);
            return Ok(Outcome::NoSuchRecord);
        }
        Err(TrailError::SeveralSources { sources }) => {
            anyhow::bail!("several sources have this record; add --source with one of: {}", sources.join(", "))
        }
        Err(error) => return Err(error.into()),
    };
    if as_json {
        body.push('\n');
    } else {
        body = render(&body, &Screen::stdout())?;
    }
    output::print(&body)?;
    Ok(Outcome::Done)
}
