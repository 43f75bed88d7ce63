//! A worker's settings, checked against each other.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{Limits, QueueKind};
use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{DEFAULT_NAME, OWN_SOURCE, Settings};
use afterimage_telemetry::TraceSettings;

use super::args::{DoctorArgs, EventArgs};
use super::rules::{self, BlockKeys};
use super::store::{StoreConfig, secret_file};
use super::{BadConfig, ProcessArgs, WorkerArgs, show_duration};

/// From other machines, too: probes and Prometheus come from there.
pub(super) const LISTEN_DEFAULT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 9464));
/// What a lease needs beyond one store call: time to notice, and to extend or delete.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// A disk or a cluster under load may take so long, if the lease allows it.
const APPEND_PATIENCE: Duration = Duration::from_secs(15);
/// Longest key file that is read.
const KEY_BYTES_MAX: u64 = 64 << 10;
/// Longest worker name: it goes into an attribute of dead letters and into keys of the arrival journal.
const NAME_BYTES_MAX: usize = 128;

/// A worker that can be started.
#[derive(Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) queue_url: String,
    pub(crate) dlq_url: Option<String>,
    pub(crate) limits: Limits,
    /// How messages are read.
    pub(crate) events: Settings,
    pub(crate) rules: Rules,
    pub(crate) store: StoreConfig,
    /// When storing a group of entries takes longer, the store counts as out of order.
    pub(crate) append_timeout: Duration,
    pub(crate) process: ProcessArgs,
    /// Which collector gets traces of the work.
    pub(crate) traces: Option<TraceSettings>,
    /// Where the health page is.
    pub(crate) listen: SocketAddr,
}

/// A deployment to look at.
#[derive(Debug)]
pub(crate) struct DoctorConfig {
    /// The settings of its worker.
    pub(crate) worker: WorkerConfig,
    /// Topics whose messages should reach the queue.
    pub(crate) topics: Vec<String>,
    /// Send an event through, and wait so long for it.
    pub(crate) probe: Option<Duration>,
    /// Print JSON.
    pub(crate) json: bool,
}

impl DoctorConfig {
    /// Refuses what a worker refuses.
    pub(super) fn new(
        args: DoctorArgs,
        store: StoreConfig,
        blocks: Vec<RuleBlock>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, BadConfig> {
        let mut topics = args.topic;
        for allowed in &args.worker.events.allow_topic {
            if !topics.contains(allowed) {
                topics.push(allowed.clone());
            }
        }
        let worker = WorkerConfig::new(args.worker, store, blocks, warnings)?;
        Ok(Self { worker, topics, probe: args.probe, json: args.json })
    }
}

impl WorkerConfig {
    /// Refuses what cannot work; adds a line for each thing that works and is unwise.
    pub(super) fn new(
        args: WorkerArgs,
        store: StoreConfig,
        blocks: Vec<RuleBlock>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, BadConfig> {
        let limits = limits(&args, &store)?;
        check_times(&args, &store, warnings)?;
        let patience = APPEND_PATIENCE.min(limits.lease - LEASE_MARGIN);
        let append_timeout = store.longest_call().1.max(patience);
        match &args.queue.dlq_url {
            Some(dlq) if *dlq == args.queue.queue_url => {
                return Err(BadConfig::at("--dlq-url", "is the queue itself: dead letters would come back for ever"));
            }
            Some(dlq) => check_kinds(&args.queue.queue_url, dlq)?,
            None => warnings.push(
                "no --dlq-url: messages that cannot be understood are left to the queue's redrive policy; without one \
                 they come back until they expire"
                    .to_owned(),
            ),
        }
        let (events, rules) = reading(args.events, blocks, warnings)?;
        let traces = traces(args.process.otlp_endpoint.as_deref(), warnings)?;
        Ok(Self {
            traces,
            queue_url: args.queue.queue_url,
            dlq_url: args.queue.dlq_url,
            limits,
            events,
            rules,
            store,
            append_timeout,
            listen: args.process.life.listen.unwrap_or(LISTEN_DEFAULT),
            process: args.process,
        })
    }
}

/// What of OpenTelemetry's variables cannot be used is refused where somebody asked this worker for traces. Where the
/// variables alone do, they are often a whole platform's: then there are no traces, and the trail is kept.
fn traces(endpoint: Option<&str>, warnings: &mut Vec<String>) -> Result<Option<TraceSettings>, BadConfig> {
    let env = |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    match TraceSettings::read(endpoint.map(|url| ("--otlp-endpoint", url)), env) {
        Ok(settings) => Ok(settings),
        Err(error) if endpoint.is_some() => Err(BadConfig::at(error.name, error.problem)),
        Err(error) => {
            warnings.push(format!("{error}: there are no traces"));
            Ok(None)
        }
    }
}

/// How messages are read and what is kept of them, with a line for what is unwise.
pub(super) fn reading(
    args: EventArgs,
    blocks: Vec<RuleBlock>,
    warnings: &mut Vec<String>,
) -> Result<(Settings, Rules), BadConfig> {
    let key = match &args.digest_key_file {
        Some(path) => DigestKey::new(&secret_file("--digest-key-file", path, KEY_BYTES_MAX)?)
            .map_err(|error| BadConfig::at("--digest-key-file", error))?,
        None => DigestKey::published(),
    };
    if args.scope.source.as_deref() == Some(OWN_SOURCE) {
        let problem = format!("{OWN_SOURCE} is the trail's own source: every event without one would be refused");
        return Err(BadConfig::at("--source", problem));
    }
    let events = Settings {
        format: args.format,
        source: args.scope.source.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        tenant: args.scope.tenant,
        allow_topics: args.allow_topic,
        record_keys: Arc::new(BlockKeys::new(&blocks)),
        ..Settings::default()
    };
    let rules = rules::rules(blocks, key)?;
    if rules.needs_secret_key() {
        warnings.push(
            "a rule says redact hmac, but there is no --digest-key-file: with the public key, values that can be \
             guessed are not hidden"
                .to_owned(),
        );
    } else if rules.key().is_published() {
        warnings.push(
            "no --digest-key-file: digests are made with a public key, so guesses of a value can be tested".to_owned(),
        );
    }
    Ok((events, rules))
}

/// SQS lets a FIFO queue have FIFO dead letters only, and a standard one standard ones.
fn check_kinds(queue_url: &str, dlq_url: &str) -> Result<(), BadConfig> {
    match (QueueKind::of_url(queue_url), QueueKind::of_url(dlq_url)) {
        (QueueKind::Fifo, QueueKind::Standard) => Err(BadConfig::at(
            "--dlq-url",
            "is a standard queue, and --queue-url is FIFO: name a FIFO queue (its name ends in .fifo), so that dead letters \
             keep group and order",
        )),
        (QueueKind::Standard, QueueKind::Fifo) => Err(BadConfig::at(
            "--dlq-url",
            "is a FIFO queue, and --queue-url is standard: name a standard queue, as SQS asks of a redrive policy",
        )),
        _ => Ok(()),
    }
}

fn check_times(args: &WorkerArgs, store: &StoreConfig, warnings: &mut Vec<String>) -> Result<(), BadConfig> {
    let lease = args.queue.visibility_timeout;
    let (call_name, call) = store.longest_call();
    if lease < call + LEASE_MARGIN {
        return Err(BadConfig::at(
            "--visibility-timeout",
            format!(
                "{} is too short: a message would come back while the store still works on it; {call_name} ({}) and \
                 {} more are needed",
                show_duration(lease),
                show_duration(call),
                show_duration(LEASE_MARGIN),
            ),
        ));
    }
    if args.process.life.grace_period <= call {
        warnings.push(format!(
            "--grace-period ({}) is not longer than {call_name} ({}): a store that is slow at shutdown cuts work off, \
             and its messages are delivered again",
            show_duration(args.process.life.grace_period),
            show_duration(call),
        ));
    }
    Ok(())
}

/// How long a group for SQLite stays open. One transaction is one flush and writes each index page once, so an entry of a
/// group of hundreds costs half of what one of a group of tens does; ten milliseconds are no more than the flush takes.
const SQLITE_GROUP_LINGER: Duration = Duration::from_millis(10);

fn limits(args: &WorkerArgs, store: &StoreConfig) -> Result<Limits, BadConfig> {
    let defaults = Limits::default();
    let limits = Limits {
        messages_max: args.queue.in_flight_max as usize,
        bytes_max: usize::try_from(args.queue.memory_cap.0).unwrap_or(usize::MAX),
        pollers_max: args.queue.pollers_max as usize,
        lease: args.queue.visibility_timeout,
        grace: args.process.life.grace_period,
        exit_when_idle: args.process.exit_when_idle,
        has_dead_letter_queue: args.queue.dlq_url.is_some(),
        worker: worker_name(args.process.worker_name.as_deref())?,
        group_linger: match store {
            StoreConfig::Sqlite { .. } => SQLITE_GROUP_LINGER,
            _ => defaults.group_linger,
        },
        ..defaults
    };
    limits.check().map_err(|error| BadConfig::at(flag_of(error.setting), format!("must be {}", error.expected)))?;
    Ok(limits)
}

/// The flag that a limit of the consumer comes from.
fn flag_of(limit: &str) -> &str {
    match limit {
        "messages_max" => "--in-flight-max",
        "bytes_max" => "--memory-cap",
        "pollers_max" => "--pollers-max",
        "lease" => "--visibility-timeout",
        other => other,
    }
}

/// The name given, or one that no other worker has now: host, process id, and when it started, since process ids are
/// used again (in containers they are mostly 1).
pub(super) fn worker_name(given: Option<&str>) -> Result<String, BadConfig> {
    let Some(name) = given else {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "worker" } else { host.trim() };
        let started_ms = crate::clock::now().as_micros() / 1000;
        return Ok(format!("{host}-{}-{started_ms:x}", std::process::id()));
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let expected = format!("expected 1 to {NAME_BYTES_MAX} bytes without control characters");
        return Err(BadConfig::at("--worker-name", expected));
    }
    Ok(name.to_owned())
}
