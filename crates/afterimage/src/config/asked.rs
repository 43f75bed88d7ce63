//! The questions on the command line: what is asked, of whom, from when to when.

use std::path::Path;

use afterimage_event::Timestamp;
use afterimage_store::{BurstRule, Direction, ExportFormat, Filter, LIMIT_MAX, Listing, Period, RecordQuery};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::args::ScopeArgs;
use super::ask::{ApiArgs, AskArgs, Asked, FilterArgs, LinesArgs, ListArgs, Order, PeriodArgs, RecordArgs};
use super::when::When;
use super::{BadConfig, ExportConfig, StoreConfig, Task, store};
use crate::ask::{Export, Question, RecordName};
use crate::clock;
use crate::zone::Zone;
use afterimage_event::RecordId;

/// Longest token file that is read: tokens that name their bearer (JWT) take some KiB.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// Longest file of authorities that is read: those of a machine take a quarter of it.
const CA_BYTES_MAX: u64 = 1 << 20;

/// A question with all it needs.
#[derive(Debug)]
pub(crate) struct AskConfig {
    pub(crate) whom: Whom,
    pub(crate) question: Question,
    pub(crate) json: bool,
    /// Every page, not the first only.
    pub(crate) all: bool,
    pub(crate) fail_if_any: bool,
    /// A bound of its period depends on when it is asked: to go on from a cursor it must be said as a time.
    pub(crate) moves: bool,
}

/// Who is asked.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    /// A store, directly.
    Store(StoreConfig),
    /// The query API.
    Api(ApiConfig),
}

/// The query API, and the right to ask it.
#[derive(Clone)]
pub(crate) struct ApiConfig {
    /// Without a slash at its end.
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    /// Whom to believe; absent: those whom this machine does.
    pub(crate) authorities: Option<RootCertStore>,
}

impl std::fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ApiConfig {
    /// `notes` are for who asks: see [`super::Config::notes`].
    pub(super) fn new(args: &ApiArgs, notes: &mut Vec<String>) -> Result<Option<Self>, BadConfig> {
        let Some(url) = &args.api else { return Ok(None) };
        let token = args.token_file.as_deref().map(token).transpose()?;
        let authorities = args.ca_file.as_deref().map(authorities).transpose()?;
        let host = url.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
        if token.is_some() && host.is_some_and(|host| !matches!(host, "localhost" | "127.0.0.1" | "[")) {
            notes.push("the token travels in clear text: let --api begin with https://".to_owned());
        }
        Ok(Some(Self { url: url.trim_end_matches('/').to_owned(), token, authorities }))
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, BadConfig> {
    let fail = |problem: String| BadConfig::at("--ca-file", format!("{}: {problem}", path.display()));
    let pem = store::secret_file("--ca-file", path, CA_BYTES_MAX)?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fail(error.to_string()))?;
        authorities.add(certificate).map_err(|error| fail(format!("holds what no authority is: {error}")))?;
    }
    if authorities.is_empty() { Err(fail("holds no certificate in PEM".to_owned())) } else { Ok(authorities) }
}

fn token(path: &Path) -> Result<String, BadConfig> {
    let bytes = store::secret_file("--token-file", path, TOKEN_BYTES_MAX)?;
    // What RFC 6750 allows in a header, and nothing that could end one.
    let token = bytes.trim_ascii_end();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        let problem = format!("{}: expected one token of visible ASCII characters", path.display());
        return Err(BadConfig::at("--token-file", problem));
    }
    Ok(String::from_utf8_lossy(token).into_owned())
}

/// What times are reckoned from.
#[derive(Clone, Debug)]
pub(crate) struct Today {
    pub(crate) now: Timestamp,
    pub(crate) zone: Zone,
}

impl Today {
    pub(super) fn in_zone(zone: Zone) -> Self {
        Self { now: clock::now(), zone }
    }

    pub(super) fn moment(&self, flag: &str, when: When) -> Result<Timestamp, BadConfig> {
        when.moment(self.now, &self.zone).map_err(|error| BadConfig::at(flag, error))
    }

    pub(super) fn period(&self, args: &PeriodArgs) -> Result<Period, BadConfig> {
        let moment = |flag, when: Option<When>| when.map(|when| self.moment(flag, when)).transpose();
        Ok(Period { from: moment("--from", args.from)?, to: moment("--to", args.until.to)? })
    }

    fn listing(&self, args: &ListArgs) -> Result<Listing, BadConfig> {
        let Period { from, to } = self.period(&args.period)?;
        let order = match (args.asc, args.order) {
            (true, _) | (_, Order::Asc) => Direction::Ascending,
            _ => Direction::Descending,
        };
        let limit = if args.all || args.lines.as_lines.is_some() { LIMIT_MAX } else { args.limit as usize };
        Ok(Listing { from, to, order, limit, cursor: args.cursor.clone() })
    }
}

impl PeriodArgs {
    fn moves(&self) -> bool {
        [self.from, self.until.to].into_iter().flatten().any(When::moves)
    }
}

impl AskArgs {
    fn record(&self, record: &RecordArgs) -> RecordQuery {
        self.query(self.scope.source.clone(), record.table.clone(), record.id.clone())
    }

    fn query(&self, source: Option<String>, table: String, id: RecordId) -> RecordQuery {
        RecordQuery { tenant: self.scope.tenant.clone(), source, table, record_id: id.0 }
    }
}

/// The filter that the flags make.
pub(super) fn filter(scope: &ScopeArgs, args: &FilterArgs) -> Filter {
    Filter {
        tenant: scope.tenant.clone(),
        source: scope.source.clone(),
        table: args.table.clone(),
        ops: args.op.clone(),
        field: args.field.clone(),
        actor: args.actor.clone(),
        request: args.request.clone(),
        transaction: args.transaction.clone(),
        migration: args.migration.clone(),
    }
}

impl Asked {
    pub(super) fn ask(&self) -> &AskArgs {
        match self {
            Self::History(args) | Self::States(args) => &args.ask,
            Self::State(args) => &args.ask,
            Self::Diff(args) => &args.ask,
            Self::Revert(args) => &args.ask,
            Self::Gaps(args) => &args.ask,
            Self::Changes(args) | Self::Feed(args) => &args.ask,
            Self::Counts(args) => &args.ask,
            Self::Bursts(args) => &args.ask,
            Self::At(args) => &args.ask,
        }
    }

    fn list(&self) -> Option<&ListArgs> {
        match self {
            Self::History(args) | Self::States(args) => Some(&args.list),
            Self::Gaps(args) => Some(&args.list),
            Self::Changes(args) | Self::Feed(args) => Some(&args.list),
            _ => None,
        }
    }

    /// Is all of it to be written out, and how?
    fn lines(&self) -> Option<(ExportFormat, &LinesArgs)> {
        let lines = match self {
            Self::At(args) => &args.lines,
            Self::Counts(args) => &args.lines,
            Self::Bursts(args) => &args.lines,
            _ => &self.list()?.lines,
        };
        lines.as_lines.map(|format| (format, lines))
    }

    fn question(&self, today: &Today) -> Result<Question, BadConfig> {
        let ask = self.ask();
        Ok(match self {
            Self::History(args) => Question::History(ask.record(&args.record), today.listing(&args.list)?),
            Self::States(args) => Question::States(ask.record(&args.record), today.listing(&args.list)?),
            Self::State(args) => Question::State(ask.record(&args.record), today.moment("--at", args.at)?),
            Self::Diff(args) => {
                let Period { from, to } = today.period(&args.period)?;
                let Some(from) = from else { return Err(BadConfig::at("--from", "must be given")) };
                Question::Diff(ask.record(&args.record), from, to.unwrap_or(today.now))
            }
            Self::Revert(args) => {
                let Some(to) = args.back.to else { return Err(BadConfig::at("--to", "must be given")) };
                Question::Revert(ask.record(&args.record), today.moment("--to", to)?)
            }
            Self::Gaps(args) => {
                let listing = today.listing(&args.list)?;
                let query = |id| ask.query(ask.scope.source.clone(), args.table.clone(), id);
                match &args.id {
                    Some(id) => Question::Gaps(query(id.clone()), listing),
                    None => Question::TableGaps(query(RecordId(Vec::new())), listing),
                }
            }
            Self::Changes(args) => Question::Changes(filter(&ask.scope, &args.filter), today.listing(&args.list)?),
            Self::Feed(args) => Question::Feed(filter(&ask.scope, &args.filter), today.listing(&args.list)?),
            Self::Counts(args) => {
                Question::Counts(filter(&ask.scope, &args.filter), today.period(&args.period)?, args.by.clone())
            }
            Self::Bursts(args) => {
                let rule =
                    BurstRule { window_micros: args.window_micros, threshold: args.threshold, by: args.by.clone() };
                Question::Bursts(filter(&ask.scope, &args.filter), today.period(&args.period)?, rule)
            }
            Self::At(args) => {
                let record = |name: &RecordName| {
                    let source = name.source.clone().or_else(|| ask.scope.source.clone());
                    ask.query(source, name.table.clone(), name.id.clone())
                };
                Question::StatesAt(args.records.iter().map(record).collect(), today.moment("<MOMENT>", args.moment)?)
            }
        })
    }
}

/// What a question asks to be done: to show the answer, or to write out all of it.
pub(super) fn task(asked: &Asked, whom: Whom, today: &Today) -> Result<Task, BadConfig> {
    let Some((format, lines)) = asked.lines() else {
        return AskConfig::new(asked, whom, today).map(|ask| Task::Ask(Box::new(ask)));
    };
    let export = Export { question: asked.question(today)?, format };
    Ok(Task::Export(Box::new(ExportConfig { whom, export, output: lines.output.clone() })))
}

impl AskConfig {
    fn new(asked: &Asked, whom: Whom, today: &Today) -> Result<Self, BadConfig> {
        let ask = asked.ask();
        Ok(Self {
            whom,
            question: asked.question(today)?,
            json: ask.json,
            all: asked.list().is_some_and(|list| list.all),
            fail_if_any: ask.fail_if_any,
            moves: asked.list().is_some_and(|list| list.period.moves()),
        })
    }
}
