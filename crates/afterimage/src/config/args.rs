//! The command line. Each flag is defined here once; its environment variable and its key in the file follow from it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use afterimage_event::{Format, NAME_BYTES_MAX};
use afterimage_store_cassandra::{Consistency, Replication};
use afterimage_store_mongodb::Authentication;
use afterimage_telemetry::{LogFilter, LogFormat, TraceSettings};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::access::AccessArgs;
use super::ask::{ApiArgs, Asked, FilterArgs, PeriodArgs};
use super::dlq::DlqArgs;
use super::examples;
use super::replay::ReplayArgs;
use super::store::StoreKind;
use super::token::TokenArgs;
use super::units::{ByteSize, count, duration};

/// The audit trail for teams whose services run on AWS.
///
/// Every flag has an environment variable (`AFTERIMAGE_` and the flag in capitals) and a key in afterimage.toml (the flag
/// without its dashes in front). Flags win over the environment, the environment over the file, the file over the
/// defaults. An environment variable that is empty counts as not set. AWS settings are those of the AWS SDK:
/// `AWS_REGION`, `AWS_ENDPOINT_URL`, profiles, roles.
#[derive(Debug, Parser)]
#[command(name = "afterimage", version, max_term_width = 120, after_help = examples::EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalArgs {
    /// Settings file; ./afterimage.toml is read when it exists and this is not given.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// How log lines look: text, json, or auto: text in a terminal, JSON elsewhere. They go to standard error.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto")]
    pub(crate) log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug, trace, or directives such as `info,afterimage_consumer=debug`.
    /// When not given: info for worker and serve, warn for migrate, error elsewhere.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogFilter>,
    /// Show times in UTC, and read those that bear no offset so, instead of in the zone of this machine (`TZ`,
    /// /etc/localtime). JSON is always in UTC.
    #[arg(long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) utc: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take change events from a queue and keep what changed.
    #[command(after_help = examples::WORKER)]
    Worker(Box<WorkerArgs>),
    /// Answer questions over HTTP: /v1, described at /docs.
    #[command(after_help = examples::SERVE)]
    Serve(Box<ServeArgs>),
    /// Make or update the store's schema; safe to run again, and from several machines at once.
    #[command(after_help = examples::MIGRATE)]
    Migrate(Box<MigrateArgs>),
    /// Try it on this machine: a queue, a worker, a SQLite file, and a small shop that changes things.
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// Ask a worker or the query API on this machine whether it is well: for the health check of a container. Exits 0 or 1.
    #[command(after_help = examples::HEALTH)]
    Health(HealthArgs),
    /// Look at a deployment from end to end, with the settings of its worker, and say what to change.
    #[command(after_help = examples::DOCTOR)]
    Doctor(Box<DoctorArgs>),
    #[command(flatten)]
    Ask(Asked),
    /// Write out changes as NDJSON or CSV; of the last 24 hours, where no time is given.
    #[command(after_help = examples::EXPORT)]
    Export(Box<ExportArgs>),
    /// Feed event files, or dead letters or entries that were exported, through the pipeline again, straight into the store.
    #[command(after_help = examples::REPLAY)]
    Replay(Box<ReplayArgs>),
    /// Print what makes a shell complete the commands and flags of afterimage.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Dead letters: count them, look at one, send them back, keep a copy.
    Dlq(DlqArgs),
    /// Tokens of the query API.
    Token(TokenArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    #[command(flatten)]
    pub(crate) events: EventArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// How questions are answered.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    pub(crate) life: LifeArgs,
    /// Longest wait for an answer; then the caller is told to ask about less.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(crate) request_timeout: Duration,
    /// Most questions answered at once; more are refused with 503.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=10_000), default_value = "64")]
    pub(crate) requests_max: u32,
    /// Most exports at once, beside those.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=1_000), default_value = "4")]
    pub(crate) exports_max: u32,
}

/// Where messages come from, and how many are taken at once.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueueArgs {
    /// The SQS queue that change events come in.
    #[arg(long, value_name = "URL", value_parser = http_url, required = true)]
    pub(crate) queue_url: String,
    /// The queue of dead letters. A worker puts there what it cannot understand; without it that is left to the
    /// redrive policy of its queue.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub(crate) dlq_url: Option<String>,
    /// How long other workers do not see a message that this one holds; extended while it is worked on. At most 11h.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m")]
    pub(crate) visibility_timeout: Duration,
    /// Most receives at once. A busy queue gets more of them, an empty one only one.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=1024), default_value = "64")]
    pub(crate) pollers_max: u32,
    /// Most messages held at once.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(10..=100_000), default_value = "4096")]
    pub(crate) in_flight_max: u32,
    /// Most memory that messages in flight may take. The whole process takes at most 100 MiB more.
    #[arg(long, value_name = "SIZE", default_value = "96MiB")]
    pub(crate) memory_cap: ByteSize,
}

/// How messages are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Events")]
pub(crate) struct EventArgs {
    /// The only format to expect: native or sequin. Without it each message is recognised by its shape.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Believe only SNS notifications of this topic; may be given several times. Without it any message is believed.
    #[arg(long, value_name = "ARN", value_parser = topic_arn)]
    pub(crate) allow_topic: Vec<String>,
    /// File with the secret key of digests and masked values (16 random bytes or more). Without it the key is public,
    /// and whoever reads a digest can test guesses of the value. All workers of a trail need the same key.
    #[arg(long, value_name = "PATH")]
    pub(crate) digest_key_file: Option<PathBuf>,
}

/// Whose records.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScopeArgs {
    /// The service or database whose records these are. For a worker: where an event names none (then `default` if
    /// this is not set). For a question: look only there.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) source: Option<String>,
    /// The customer whose records these are. For a worker: where an event names none. For a token: of whom it sees records;
    /// may be given several times there, and * is every customer.
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "default")]
    pub(crate) tenant: String,
}

/// Where the trail is kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// The kind of store.
    #[arg(long, value_name = "KIND", default_value = "sqlite")]
    pub(crate) store: StoreKind,
    /// The SQLite file; made when missing. On a local disk: SQLite's locks do not hold on network file systems.
    #[arg(long, value_name = "PATH", default_value = "./afterimage.db")]
    pub(crate) sqlite_path: PathBuf,
    /// Some nodes, as host,host or host:port,host:port; the others are found through them.
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    pub(crate) cassandra_nodes: Vec<String>,
    /// The keyspace.
    #[arg(long, value_name = "NAME", default_value = "afterimage")]
    pub(crate) cassandra_keyspace: String,
    /// The data centre to prefer; needed when there are several.
    #[arg(long, value_name = "NAME")]
    pub(crate) cassandra_datacenter: Option<String>,
    /// Copies in each data centre, as dc1:3,dc2:3, with which `migrate` makes a keyspace that is missing.
    #[arg(long, value_name = "COPIES")]
    pub(crate) cassandra_replication: Option<Replication>,
    /// The user name.
    #[arg(long, value_name = "NAME")]
    pub(crate) cassandra_username: Option<String>,
    /// File with the password; white space at its end is dropped.
    #[arg(long, value_name = "PATH")]
    pub(crate) cassandra_password_file: Option<PathBuf>,
    /// TLS: PEM file with the authorities to trust. Turns TLS on.
    #[arg(long, value_name = "PATH")]
    pub(crate) cassandra_tls_ca: Option<PathBuf>,
    /// TLS: PEM file with the certificate to show.
    #[arg(long, value_name = "PATH")]
    pub(crate) cassandra_tls_cert: Option<PathBuf>,
    /// TLS: PEM file with the key of that certificate.
    #[arg(long, value_name = "PATH")]
    pub(crate) cassandra_tls_key: Option<PathBuf>,
    /// TLS: the name that every node's certificate bears; without it, the address that is connected to.
    #[arg(long, value_name = "NAME")]
    pub(crate) cassandra_tls_server_name: Option<String>,
    /// How many replicas must have a write, and answer a read.
    #[arg(long, value_name = "LEVEL", default_value = "local-quorum")]
    pub(crate) cassandra_consistency: Consistency,
    /// Longest wait for one answer, its repetitions included.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    pub(crate) cassandra_request_timeout: Duration,
    /// MongoDB: the connection string, mongodb:// or mongodb+srv://. May hold user name, password and TLS options.
    #[arg(long, value_name = "URI")]
    pub(crate) mongodb_uri: Option<String>,
    /// The database.
    #[arg(long, value_name = "NAME", default_value = "afterimage")]
    pub(crate) mongodb_database: String,
    /// How to say who we are: scram (by name and password) or x509 (by certificate). With a user name: scram.
    #[arg(long, value_name = "MECHANISM")]
    pub(crate) mongodb_auth: Option<Authentication>,
    /// The user name.
    #[arg(long, value_name = "NAME")]
    pub(crate) mongodb_username: Option<String>,
    /// File with the password; white space at its end is dropped.
    #[arg(long, value_name = "PATH")]
    pub(crate) mongodb_password_file: Option<PathBuf>,
    /// The database that knows the user; `admin` if this is not set.
    #[arg(long, value_name = "NAME")]
    pub(crate) mongodb_auth_database: Option<String>,
    /// TLS: PEM file with the authorities to trust. Turns TLS on. Without it those of Mozilla, where the URI has TLS.
    #[arg(long, value_name = "PATH")]
    pub(crate) mongodb_tls_ca: Option<PathBuf>,
    /// TLS: PEM file with the certificate to show and its key. Turns TLS on.
    #[arg(long, value_name = "PATH")]
    pub(crate) mongodb_tls_cert_key: Option<PathBuf>,
    /// Has the driver repeat a write whose answer was lost (true or false); as the URI says if this is not set. Amazon
    /// DocumentDB before 8.0.2 needs false. Nothing is lost or doubled either way.
    #[arg(long, value_name = "BOOL")]
    pub(crate) mongodb_retry_writes: Option<bool>,
    /// Longest wait for one answer.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    pub(crate) mongodb_request_timeout: Duration,
}

/// Where a service is reached, and how it ends.
#[derive(Clone, Debug, Args)]
pub(crate) struct LifeArgs {
    /// Address of /healthz, /readyz and /metrics, and for serve of the questions. When not given, 0.0.0.0:9464 for a
    /// worker and 127.0.0.1:8080 for serve.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Time to finish after SIGTERM or SIGINT; then a worker gives back to the queue what is left, and serve cuts off
    /// what it still answers. A second signal ends at once. Keep it below what the platform grants (Kubernetes:
    /// terminationGracePeriodSeconds, 30 s).
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "25s")]
    pub(crate) grace_period: Duration,
}

/// How the process runs and ends.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Process")]
pub(crate) struct ProcessArgs {
    #[command(flatten)]
    pub(crate) life: LifeArgs,
    /// How often SQS is asked how much queue and dead letters hold, for the metric of both: one call each;
    /// 0s: never.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m")]
    pub(crate) queue_depth_interval: Duration,
    /// End when, for that long, receives came back empty, nothing is held and the queue's counts read 0; exits 3 if
    /// anything was dead-lettered.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) exit_when_idle: Option<Duration>,
    /// The collector that gets traces of the work, by OTLP over HTTP; they go to /v1/traces below it. Sampling, headers and
    /// the rest are set by the standard variables, as is this where it is not given (`OTEL_EXPORTER_OTLP_ENDPOINT`). Without
    /// either there are none.
    #[arg(long, value_name = "URL", value_parser = collector_url)]
    pub(crate) otlp_endpoint: Option<String>,
    /// Name in logs, dead letters and the arrival journal; unique among the workers that run now. Made from the host
    /// name and the process id when not given.
    #[arg(long, value_name = "NAME")]
    pub(crate) worker_name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
    /// A topic whose messages should reach the queue; may be given several times. Those of --allow-topic are looked at
    /// anyway.
    #[arg(long, value_name = "ARN", value_parser = topic_arn)]
    pub(crate) topic: Vec<String>,
    /// Publish an event of operation access (source afterimage-doctor, table doctor) to the first topic, or to the queue
    /// where there is none, and wait so long for a worker to store it.
    #[arg(long, value_name = "DURATION", value_parser = duration, num_args = 0..=1, default_missing_value = "60s")]
    pub(crate) probe: Option<Duration>,
    /// Print JSON instead of a table.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder of the demo's data; made when missing, found again on the next run.
    #[arg(long, value_name = "PATH", default_value = "./afterimage-demo")]
    pub(crate) path: PathBuf,
    /// End after that long; otherwise Ctrl-C ends it.
    #[arg(long = "for", id = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) run_for: Option<Duration>,
    /// End after that many changes.
    #[arg(long, value_name = "COUNT", value_parser = count::<u64>(1..=u64::MAX))]
    pub(crate) events: Option<u64>,
    /// Changes a second.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=1000), default_value = "2")]
    pub(crate) rate: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) period: PeriodArgs,
    /// The oldest first: short for --order asc.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(super) asc: bool,
    /// Write CSV instead of NDJSON.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(super) csv: bool,
    /// Write to this file, which is there only when all of it is; otherwise to standard output.
    #[arg(long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct HealthArgs {
    /// Address of /healthz, /readyz and /metrics, and for serve of the questions. When not given, 0.0.0.0:9464 for a
    /// worker and 127.0.0.1:8080 for serve.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(super) shell: Shell,
}

/// Shells that can complete commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn http_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if rest.contains('/') && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("expected a queue URL such as https://sqs.eu-central-1.amazonaws.com/123456789012/changes".to_owned()),
    }
}

fn collector_url(text: &str) -> Result<String, String> {
    match TraceSettings::read(Some(("--otlp-endpoint", text)), |_| None) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.problem),
    }
}

/// A name that no topic has would refuse every message.
fn topic_arn(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["arn", _, "sns", region, account, topic] if ![region, account, topic].contains(&"") => Ok(text.to_owned()),
        _ => Err("expected the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:changes".to_owned()),
    }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=NAME_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("expected 1 to {NAME_BYTES_MAX} bytes")),
    }
}
