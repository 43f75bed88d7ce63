//! The questions: each an [`Operation`] and the function that puts it to the trail.

use afterimage_store::{BurstRule, Columns, FeedItem, Page, RecordState};
use axum::response::Response;
use serde::Serialize;

use crate::call::{Call, json};
use crate::export::{list, whole};
use crate::operation::{
    AS_LINES, AT, Answer, BACK_TO, BETWEEN, BURST, COUNT_BY, EXPORT, FILTER, Operation, PAGING, PERIOD, RECORDS, SCOPE,
    TABLE,
};
use crate::{Problem, ProblemKind};

const OF_RECORD_PAGED: &[ProblemKind] =
    &[ProblemKind::NoSuchRecord, ProblemKind::SeveralSources, ProblemKind::BadCursor];
const OF_STATE: &[ProblemKind] = &[ProblemKind::NoSuchRecord, ProblemKind::SeveralSources, ProblemKind::StateUnknown];
const OF_PATCH: &[ProblemKind] =
    &[ProblemKind::NoSuchRecord, ProblemKind::SeveralSources, ProblemKind::StateUnknown, ProblemKind::PatchRefused];
const PAGED: &[ProblemKind] = &[ProblemKind::BadCursor];

pub(crate) static HISTORY: Operation = Operation {
    id: "history",
    path: "/v1/records/{table}/{id}/history",
    summary: "The history of a record",
    description: "Who changed it, when, from what to what. A walk from page to page returns every entry that was there when \
                  it began exactly once, whatever arrives meanwhile.",
    params: &[SCOPE, PERIOD, PAGING, AS_LINES],
    answer: Answer::List("EntryPage"),
    problems: OF_RECORD_PAGED,
};

pub(crate) async fn history(call: Call) -> Result<Response, Problem> {
    let record = call.record()?;
    list(call, Columns::entries, move |trail, listing| {
        let record = record.clone();
        async move { trail.history(&record, &listing).await }
    })
    .await
}

pub(crate) static STATE: Operation = Operation {
    id: "state",
    path: "/v1/records/{table}/{id}/state",
    summary: "The record as it stood at a moment",
    description: "After a delete `exists` is false and `state` the last one it had. `exists` is null where the trail cannot \
                  tell; `flags` says why.",
    params: &[SCOPE, AT],
    answer: Answer::Json("State"),
    problems: OF_STATE,
};

pub(crate) async fn state(call: Call) -> Result<Response, Problem> {
    json(&call.trail.state(&call.record()?, call.query.time_or_now("at")?).await?)
}

pub(crate) static STATES: Operation = Operation {
    id: "states",
    path: "/v1/records/{table}/{id}/states",
    summary: "Every state that a record had",
    description: "One for each entry that made a state, with the entry that made it.",
    params: &[SCOPE, PERIOD, PAGING, AS_LINES],
    answer: Answer::List("StatePage"),
    problems: OF_RECORD_PAGED,
};

pub(crate) async fn states(call: Call) -> Result<Response, Problem> {
    let record = call.record()?;
    list(call, Columns::states, move |trail, listing| {
        let record = record.clone();
        async move { trail.states(&record, &listing).await }
    })
    .await
}

pub(crate) static DIFF: Operation = Operation {
    id: "diff",
    path: "/v1/records/{table}/{id}/diff",
    summary: "What changed between two moments",
    description: "RFC 6902, from the state at `from` to the state at `to`. What changed and is redacted or unknown is named, without \
                  its values.",
    params: &[SCOPE, BETWEEN],
    answer: Answer::Json("Patch"),
    problems: OF_STATE,
};

pub(crate) async fn diff(call: Call) -> Result<Response, Problem> {
    let (from, to) = (call.query.time_required("from")?, call.query.time_required("to")?);
    json(&call.trail.diff(&call.record()?, from, to).await?)
}

pub(crate) static REVERT: Operation = Operation {
    id: "revert",
    path: "/v1/records/{table}/{id}/revert",
    summary: "How to undo what happened since",
    description: "RFC 6902, from the state now to the state at `to`, with `test` operations in front. afterimage never writes \
                  to the source; apply it there. Refused where it would touch what is redacted or unknown.",
    params: &[SCOPE, BACK_TO],
    answer: Answer::Json("Patch"),
    problems: OF_PATCH,
};

pub(crate) async fn revert(call: Call) -> Result<Response, Problem> {
    json(&call.trail.revert(&call.record()?, call.query.time_required("to")?).await?)
}

pub(crate) static RECORD_GAPS: Operation = Operation {
    id: "recordGaps",
    path: "/v1/records/{table}/{id}/gaps",
    summary: "Changes of a record made past the audit",
    description: "Places where the image a change started from is not the one that the last change left: somebody wrote past \
                  the audit, or an event is missing.",
    params: &[SCOPE, PERIOD, PAGING, AS_LINES],
    answer: Answer::List("GapPage"),
    problems: OF_RECORD_PAGED,
};

pub(crate) async fn record_gaps(call: Call) -> Result<Response, Problem> {
    let record = call.record()?;
    list(call, Columns::gaps, move |trail, listing| {
        let record = record.clone();
        async move { trail.gaps(&record, &listing).await }
    })
    .await
}

pub(crate) static GAPS: Operation = Operation {
    id: "gaps",
    path: "/v1/gaps",
    summary: "Changes of a table's records made past the audit",
    description: "As for one record; those whose second entry lies in the period, by default the last 24 hours.",
    params: &[TABLE, PERIOD, PAGING, AS_LINES],
    answer: Answer::List("GapPage"),
    problems: OF_RECORD_PAGED,
};

pub(crate) async fn gaps(call: Call) -> Result<Response, Problem> {
    let query = &call.query;
    let (tenant, name) = (query.tenant(), query.text("table").unwrap_or_default());
    let table = call.trail.table(&tenant, query.text("source"), name).await?;
    list(call, Columns::gaps, move |trail, listing| {
        let table = table.clone();
        async move { trail.table_gaps(&table, &listing).await }
    })
    .await
}

pub(crate) static CHANGES: Operation = Operation {
    id: "changes",
    path: "/v1/changes",
    summary: "Changes by any of actor, table, operation, field, migration, request, transaction, source, time",
    description: "Every parameter that is given must fit. Without a time: the last 24 hours. A page looks at no more than \
                  10,000 rows of an index: it may be short, or empty, and yet not the last.",
    params: &[FILTER, PERIOD, PAGING, AS_LINES],
    answer: Answer::List("EntryPage"),
    problems: PAGED,
};

pub(crate) async fn changes(call: Call) -> Result<Response, Problem> {
    let filter = call.query.filter()?;
    list(call, Columns::entries, move |trail, listing| {
        let filter = filter.clone();
        async move { trail.changes(&filter, &listing).await }
    })
    .await
}

pub(crate) static COUNTS: Operation = Operation {
    id: "counts",
    path: "/v1/counts",
    summary: "How many, by table, operation, actor, field, hour",
    description: "Each combination with its count, its first and its last entry, the most frequent first. Without a time: the \
                  last 24 hours. Costs what the period holds.",
    params: &[FILTER, PERIOD, COUNT_BY, AS_LINES],
    answer: Answer::List("Counts"),
    problems: &[],
};

pub(crate) async fn counts(call: Call) -> Result<Response, Problem> {
    let query = &call.query;
    let by = query.dimensions("by")?;
    let counts = call.trail.counts(&query.filter()?, query.period()?, &by).await?;
    whole(query, Columns::groups(&by), &counts, &counts.items)
}

pub(crate) static BURSTS: Operation = Operation {
    id: "bursts",
    path: "/v1/bursts",
    summary: "Bulk operations",
    description: "Maximal runs in which every sliding window holds more entries than the threshold, the largest first. Without \
                  a time: the last 24 hours. Costs what the period holds.",
    params: &[FILTER, PERIOD, BURST, AS_LINES],
    answer: Answer::List("Bursts"),
    problems: &[],
};

pub(crate) async fn bursts(call: Call) -> Result<Response, Problem> {
    let query = &call.query;
    let rule = BurstRule {
        window_micros: query.micros("window")?,
        threshold: query.count("threshold")?,
        by: query.dimensions("by")?,
    };
    let bursts = call.trail.bursts(&query.filter()?, query.period()?, &rule).await?;
    whole(query, Columns::groups(&rule.by), &bursts, &bursts.items)
}

pub(crate) static STATES_AT: Operation = Operation {
    id: "statesAt",
    path: "/v1/states",
    summary: "Several records at one moment",
    description: "In the order asked for. A record that cannot be told does not fail the others: its `reason` says why.",
    params: &[RECORDS, AT, AS_LINES],
    answer: Answer::List("RecordStates"),
    problems: &[],
};

/// The records of a question about several; all of them, so there is no next page.
#[derive(Serialize)]
struct RecordStates {
    items: Vec<RecordState>,
    next: Option<String>,
}

pub(crate) async fn states_at(call: Call) -> Result<Response, Problem> {
    let items = call.trail.states_at(&call.query.records()?, call.query.time_or_now("at")?).await?;
    let answer = RecordStates { items, next: None };
    whole(&call.query, Columns::record_states(), &answer, &answer.items)
}

pub(crate) static FEED: Operation = Operation {
    id: "feed",
    path: "/v1/feed",
    summary: "A readable feed",
    description: "The entries of `/v1/changes` as sentences.",
    params: &[FILTER, PERIOD, PAGING, AS_LINES],
    answer: Answer::List("FeedPage"),
    problems: PAGED,
};

pub(crate) async fn feed(call: Call) -> Result<Response, Problem> {
    let filter = call.query.filter()?;
    list(call, Columns::feed, move |trail, listing| {
        let filter = filter.clone();
        async move {
            let page = trail.changes(&filter, &listing).await?;
            Ok(Page { items: page.items.iter().map(FeedItem::of).collect(), next: page.next })
        }
    })
    .await
}

pub(crate) static EXPORT_ALL: Operation = Operation {
    id: "export",
    path: "/v1/export",
    summary: "Everything that fits, as NDJSON or CSV",
    description: "The entries of `/v1/changes` in one stream, whatever its length; any other list is exported with its own \
                  `format`. Only a stream with its end line is whole: NDJSON ends with `{\"end\":true,\"items\":n}`, CSV with \
                  a record that begins `#end,n`. Without a time: the last 24 hours.",
    params: &[EXPORT, FILTER, PERIOD],
    answer: Answer::Lines,
    problems: &[],
};
