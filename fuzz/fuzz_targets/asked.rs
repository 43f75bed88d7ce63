//! Questions as they come by HTTP and from the command line: what is accepted comes back when it is written as a URL, both
//! readers understand the same by the same text, cursors go on where they say or not at all, and no problem shows a value.
//!
//! The modules of `api`, `access` and the binary are taken one by one: with their crates came HTTP and TLS.

#![no_main]
#![allow(dead_code, reason = "each module is used in part")]

#[path = "../../crates/access/src/question.rs"]
mod access_question;
#[path = "../../crates/api/src/operation.rs"]
mod operation;
#[path = "../../crates/afterimage/src/ask/place.rs"]
mod place;
#[path = "../../crates/api/src/query.rs"]
mod query;
#[path = "../../crates/afterimage/src/ask/question.rs"]
mod question;
#[path = "../../crates/afterimage/src/config/units.rs"]
mod units;
#[path = "../../crates/afterimage/src/config/when.rs"]
mod when;
#[path = "../../crates/afterimage/src/zone.rs"]
mod zone;

// The names by which those modules know each other.
extern crate self as afterimage_access;

mod config {
    pub(crate) use crate::units::show_duration;
}

/// A problem without its way over HTTP.
#[derive(Debug)]
pub struct Problem(String);

#[derive(Clone, Copy, Debug)]
pub enum ProblemKind {
    BadParameter,
    BodyNotExpected,
    Forbidden,
    Internal,
    Timeout,
    Unauthorized,
    Unavailable,
    UrlTooLong,
}

impl Problem {
    fn new(_: ProblemKind, detail: impl Into<String>) -> Self {
        Self(detail.into())
    }

    fn parameter(_: &str, detail: impl Into<String>) -> Self {
        Self(detail.into())
    }

    fn detail(&self) -> &str {
        &self.0
    }
}

pub use access_question::Subject;
use question::{Export, Question, RecordName};

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use afterimage_diff::{Pattern, Rules};
use afterimage_event::{Contents, Layers, Message, Op, RecordId, Settings, Timestamp, decode};
use afterimage_json::{Pointer, Raw};
use afterimage_store::{
    Arrival, BurstRule, Entry, Filter, Kept, LIMIT_MAX, Listing, MemoryStore, RecordQuery, Store, Trail, TrailError,
    keep, window_micros,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use operation::{AS_LINES, AT, Answer, BURST, COUNT_BY, FILTER, Operation, PAGING, PERIOD, Param, RECORDS, SCOPE};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use query::Query;
use units::{ByteSize, show_duration};
use when::When;
use zone::Zone;

const fn operation(path: &'static str, params: &'static [&'static [Param]]) -> Operation {
    let (id, summary, description) = ("id", "", "");
    Operation { id, path, summary, description, params, answer: Answer::Lines, problems: &[] }
}

static CHANGES: Operation = operation("/v1/changes", &[FILTER, PERIOD, PAGING, AS_LINES]);
static COUNTS: Operation = operation("/v1/counts", &[FILTER, PERIOD, COUNT_BY]);
static BURSTS: Operation = operation("/v1/bursts", &[FILTER, PERIOD, BURST]);
static STATES: Operation = operation("/v1/states", &[RECORDS, AT]);
static STATE: Operation = operation("/v1/records/{table}/{id}/state", &[SCOPE, AT]);

// Lines: each is tried as a query and as every text that stands alone. The first two are also asked of a trail, with each
// other's cursors, and the third as a cursor.
fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().take(4) {
        alone(line);
        queries(line);
    }
    let filter = |line: &str| {
        let query = Query::read(&CHANGES, Some(line)).ok()?;
        Some((query.filter().ok()?, Listing { limit: 1, cursor: None, ..query.listing().ok()? }))
    };
    let asked: Vec<_> = lines.iter().take(2).filter_map(|line| filter(line)).collect();
    let cursors: Vec<_> = asked.iter().map(|(filter, listing)| walked(filter, listing)).collect();
    if let [one, other] = &asked[..] {
        for cursor in &cursors[0] {
            go_on(other, cursor, same(one, other));
        }
    }
    if let ([first, ..], [issued, ..], Some(cursor)) = (&asked[..], &cursors[..], lines.get(2)) {
        go_on(first, cursor, issued.iter().any(|known| known == cursor));
        issued.iter().for_each(|known| forged(first, known, cursor.as_bytes()));
    }
});

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    moment("2026-01-10T00:00:00Z")
}

/// Texts that are no query.
fn alone(text: &str) {
    if let Ok(pointer) = text.parse::<Pointer>() {
        let is_pointer = (text.is_empty() || text.starts_with('/'))
            && text.split('~').skip(1).all(|part| part.starts_with(['0', '1']));
        assert!(is_pointer);
        let names: Vec<String> = pointer.segments().map(String::from).collect();
        let obvious = text.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
        assert!(obvious.eq(names.iter().cloned()));
        assert_eq!((Pointer::from_iter(&names).to_string(), pointer.to_string()), (text.to_owned(), text.to_owned()));
    }
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert_eq!(pattern.to_string().parse::<Pattern>().as_ref(), Ok(&pattern));
    }
    if let Ok(id) = text.parse::<RecordId>() {
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        if !text.is_empty() {
            let obvious = text.split(',').map(|part| percent_decode_str(part).decode_utf8().unwrap().into_owned());
            assert!(obvious.eq(id.0));
        }
    }
    if let Ok(micros) = window_micros(text) {
        assert_eq!(window_micros(&show_duration(Duration::from_micros(micros.unsigned_abs()))), Ok(micros));
    }
    if let Ok(duration) = units::duration(text) {
        assert_eq!(units::duration(&show_duration(duration)), Ok(duration));
    }
    if let Ok(size) = text.parse::<ByteSize>() {
        assert_eq!(size.to_string().parse(), Ok(size));
    }
    if let Ok(op) = text.parse::<Op>() {
        assert_eq!(op.as_str().parse(), Ok(op));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!(Zone::utc().show(at).parse(), Ok(at));
        assert_eq!(text.parse(), Ok(When::At(at)));
    }
    // Both readers of times understand the same, where the API reads one.
    let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let when = text.parse::<When>().and_then(|when| when.moment(now(), &Zone::utc()));
    if let Ok(query) = Query::read(&STATE, Some(&format!("at={encoded}"))) {
        assert_eq!(Ok(query.time_required("at").unwrap()), when);
    }
    let name = text.parse::<RecordName>();
    if let Ok(query) = Query::read(&STATES, Some(&format!("record={encoded}")))
        && let Ok(records) = query.records()
    {
        let RecordName { source, table, id } = name.expect("the command line reads what the API does");
        let tenant = query.tenant();
        assert_eq!(records, [RecordQuery { tenant, source, table, record_id: id.0 }]);
    }
}

/// What is accepted says the same when the command line asks it of the API.
fn queries(line: &str) {
    let told = |operation, question: &Question| {
        let place = question.place();
        let (path, query) = place.split_once('?').unwrap();
        let read = Query::read(operation, Some(query)).unwrap_or_else(|problem| panic!("{problem:?}: {place}"));
        (path.to_owned(), read)
    };
    if let Some(query) = read(&CHANGES, line) {
        let (Ok(filter), Ok(listing)) = (query.filter(), query.listing()) else { return };
        let (_, again) = told(&CHANGES, &Question::Changes(filter.clone(), listing.clone()));
        assert_eq!((again.filter().unwrap(), again.listing().unwrap()), (filter, listing));
    }
    if let Some(query) = read(&COUNTS, line) {
        let (Ok(filter), Ok(period), Ok(by)) = (query.filter(), query.period(), query.dimensions("by")) else { return };
        let (_, again) = told(&COUNTS, &Question::Counts(filter.clone(), period, by.clone()));
        assert_eq!(
            (again.filter().unwrap(), again.period().unwrap(), again.dimensions("by").unwrap()),
            (filter, period, by)
        );
    }
    if let Some(query) = read(&BURSTS, line) {
        let (Ok(filter), Ok(period), Ok(by)) = (query.filter(), query.period(), query.dimensions("by")) else { return };
        let (window_micros, threshold) = (query.micros("window").unwrap(), query.count("threshold").unwrap());
        let rule = BurstRule { window_micros, threshold, by };
        let (_, again) = told(&BURSTS, &Question::Bursts(filter, period, rule.clone()));
        assert_eq!((again.micros("window").unwrap(), again.count("threshold").unwrap()), (window_micros, threshold));
        assert_eq!(again.dimensions("by").unwrap(), rule.by);
    }
    if let Some(query) = read(&STATES, line)
        && let Ok(records) = query.records()
    {
        let at = query.time("at").unwrap().unwrap_or_else(now);
        let (_, again) = told(&STATES, &Question::StatesAt(records.clone(), at));
        assert_eq!((again.records().unwrap(), again.time("at").unwrap()), (records.clone(), Some(at)));
        for record in records {
            let (path, again) = told(&STATE, &Question::State(record.clone(), at));
            assert_eq!(again.record(&path).unwrap(), record);
        }
    }
}

/// A query that can be read; of one that cannot, the problem says what is wrong and shows no value.
fn read(operation: &'static Operation, line: &str) -> Option<Query> {
    let problem = match Query::read(operation, Some(line)) {
        Ok(query) => match query.listing().err().or(query.filter().err()).or(query.records().err()) {
            None => {
                entered(&query);
                return Some(query);
            }
            Some(problem) => problem,
        },
        Err(problem) => problem,
    };
    assert!(problem.detail().len() < 1_024, "{problem:?}");
    let (mut names, mut values) = (String::new(), Vec::new());
    for pair in line.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        names.push_str(&decoded(name));
        values.push(decoded(value));
    }
    for value in values.iter().filter(|value| is_telling(value) && !names.contains(value.as_str())) {
        assert!(!problem.detail().contains(value.as_str()), "{value} shows in {problem:?}");
    }
    None
}

/// What the trail keeps of who asked what: JSON, bounded, every parameter or how many were left out.
fn entered(query: &Query) {
    let parameters = query.parameters();
    let question = access_question::Question {
        name: "changes",
        subjects: &[],
        tenant: &query.tenant(),
        parameters: &parameters,
        is_granted: true,
        request_id: "r-1",
        ip: None,
        user_agent: None,
    };
    let context = question.context();
    // A character may take six as JSON.
    assert!(context.len() < 6 * (access_question::PARAMETERS_BYTES_MAX + 1_024));
    let context = Raw::parse(&context).unwrap();
    let kept = context.get("parameters").unwrap();
    let left_out = context.get("parametersLeftOut").is_some();
    assert!(left_out || parameters.iter().all(|(name, _)| kept.get(name).is_some()));
}

/// No word of ours: letters and digits mixed.
fn is_telling(text: &str) -> bool {
    text.len() >= 6
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().filter(u8::is_ascii_digit).count() >= 2
        && text.bytes().filter(u8::is_ascii_alphabetic).count() >= 3
}

/// A trail of a few entries.
fn trail() -> &'static Trail {
    static TRAIL: OnceLock<Trail> = OnceLock::new();
    TRAIL.get_or_init(|| {
        let store = MemoryStore::new();
        let entries: Vec<Arc<Entry>> = (0..7).map(entry).collect();
        let arrival = Arrival { worker: "w".to_owned(), at: now() };
        assert!(done(store.append(&entries, &arrival)).iter().all(Result::is_ok));
        Trail::with_clock(Arc::new(store), now)
    })
}

fn entry(number: usize) -> Arc<Entry> {
    let (table, op) = (["orders", "users"][number % 2], ["insert", "delete"][number / 2 % 2]);
    let side = if op == "insert" { "after" } else { "before" };
    let body = format!(
        r#"{{"id":"e{number}","source":"shop","tableName":"{table}","operation":"{op}","recordId":"{}","{side}":{{"a":{number}}},
            "timestamp":"2026-01-09T1{number}:00:00Z","by":{{"id":"ada"}},"context":{{"requestId":"r-1"}}}}"#,
        number % 3
    );
    let message =
        Message { body: &body, message_id: "m", sent_at: now(), sequence_number: None, group_id: None, origin: None };
    let (settings, mut layers) = (Settings::default(), Layers::default());
    let Ok(Contents::Events(mut events)) = decode(&message, &settings, &mut layers) else { panic!() };
    let event = events.next().unwrap().unwrap();
    let Ok(Kept::Entry(entry)) = keep(&event, &Rules::default(), now(), 0) else { panic!() };
    Arc::from(entry)
}

fn ids(filter: &Filter, listing: &Listing) -> Result<(Vec<String>, Option<String>), TrailError> {
    let page = done(trail().changes(filter, listing))?;
    Ok((page.items.into_iter().map(|item| item.id).collect(), page.next))
}

/// The cursors of a walk; page by page it finds what one page holds.
fn walked(filter: &Filter, listing: &Listing) -> Vec<String> {
    let Ok((at_once, None)) = ids(filter, &Listing { limit: LIMIT_MAX, ..listing.clone() }) else { return Vec::new() };
    let (mut cursors, mut found) = (Vec::new(), Vec::new());
    let mut listing = listing.clone();
    loop {
        let (page, next) = ids(filter, &listing).unwrap();
        found.extend(page);
        let Some(next) = next else { break };
        cursors.push(next.clone());
        listing.cursor = Some(next);
    }
    assert_eq!(found, at_once);
    cursors
}

/// Do they ask the same?
fn same((one, one_listing): &(Filter, Listing), (other, other_listing): &(Filter, Listing)) -> bool {
    let but_ops = |filter: &Filter| Filter { ops: Vec::new(), ..filter.clone() };
    let ops = |filter: &Filter| filter.ops.iter().map(|op| op.as_str()).collect::<BTreeSet<_>>();
    but_ops(one) == but_ops(other) && ops(one) == ops(other) && one_listing == other_listing
}

/// A cursor is taken where it was issued, and nowhere else.
fn go_on((filter, listing): &(Filter, Listing), cursor: &str, is_theirs: bool) {
    match ids(filter, &Listing { cursor: Some(cursor.to_owned()), ..listing.clone() }) {
        Err(TrailError::Cursor(error)) => {
            assert!(!is_theirs, "{error}: {cursor}");
            assert!(error.to_string().len() < 128);
        }
        Err(_) => {}
        Ok(_) => assert!(is_theirs, "{cursor} of another question"),
    }
}

/// A cursor that is changed is damaged, unless its sum is made again: then it leads somewhere in the same list, or nowhere.
fn forged((filter, listing): &(Filter, Listing), issued: &str, bytes: &[u8]) {
    const SUM: usize = 8;
    // Behind the layout and what binds it to its filters.
    const PLACE: usize = 9;
    let at_once = ids(filter, &Listing { limit: LIMIT_MAX, ..listing.clone() }).map(|(ids, _)| ids).unwrap_or_default();
    let known = URL_SAFE_NO_PAD.decode(issued).unwrap();
    let body = &known[..known.len() - SUM];
    let summed = |body: &[u8]| {
        let mut hasher = blake3::Hasher::new_derive_key("afterimage cursor v1");
        hasher.update(&(body.len() as u64).to_be_bytes()).update(body);
        let sum = hasher.finalize();
        URL_SAFE_NO_PAD.encode([body, &sum.as_bytes()[..SUM]].concat())
    };
    assert_eq!(summed(body), issued);
    let Some((&at, with)) = bytes.split_first() else { return };
    let at = PLACE + usize::from(at) % (body.len() - PLACE);
    let mut changed = body.to_vec();
    let end = changed.len().min(at + with.len());
    changed[at..end].copy_from_slice(&with[..end - at]);
    if changed != body {
        let unsummed = URL_SAFE_NO_PAD.encode([&changed[..], &known[body.len()..]].concat());
        go_on(&(filter.clone(), listing.clone()), &unsummed, false);
    }
    let cursor = Some(summed(&changed));
    if let Ok((page, _)) = ids(filter, &Listing { cursor, limit: LIMIT_MAX, ..listing.clone() }) {
        // The beginning of a walk may be moved, and so the period that is asked for without bounds.
        assert!(listing.from.is_none() || page.iter().all(|id| at_once.contains(id)));
    }
    go_on(&(filter.clone(), listing.clone()), &summed(&[body, with].concat()), with.is_empty());
}

/// The store in memory never waits.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("waits"),
    }
}
