//! Logs, to stderr: stdout is for what a command answers.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::outlet::{Logs, Outlet};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text when stderr is a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line: `timestamp`, `level`, `target`, `message` and the event's own fields.
    Json,
    /// For people; coloured in a terminal unless `NO_COLOR` is set.
    Text,
}

impl FromStr for LogFormat {
    type Err = LogsError;

    fn from_str(text: &str) -> Result<Self, LogsError> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(LogsError::Format),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// What is logged: a level, or `tracing` directives such as `info,afterimage_consumer=debug`.
///
/// A bare level is for this product; its libraries stay at `warn`, or they would drown it. At `info` and above the Cassandra
/// driver says nothing: what fails in it comes back as an error, which is logged once, by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl Default for LogFilter {
    fn default() -> Self {
        Self::of_level("info")
    }
}

impl LogFilter {
    fn of_level(level: &str) -> Self {
        Self(match level {
            "debug" | "trace" => format!("warn,afterimage={level}"),
            "info" => "warn,scylla=off,afterimage=info".to_owned(),
            "off" => level.to_owned(),
            quieter => format!("{quieter},scylla=off"),
        })
    }
}

impl FromStr for LogFilter {
    type Err = LogsError;

    fn from_str(text: &str) -> Result<Self, LogsError> {
        let level = text.to_ascii_lowercase();
        if matches!(&level[..], "off" | "error" | "warn" | "info" | "debug" | "trace") {
            return Ok(Self::of_level(&level));
        }
        // A single word that is no level would be taken for a target and logged whole.
        if !text.contains(['=', ',']) {
            return Err(LogsError::Filter);
        }
        EnvFilter::try_new(text).map_err(|_| LogsError::Filter)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Logs cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// The format has no such name.
    #[error("expected a log format: auto, json or text")]
    Format,
    /// The filter is neither a level nor directives.
    #[error("expected a log level (off, error, warn, info, debug, trace) or directives such as info,afterimage=debug")]
    Filter,
    /// Somebody else set up logging in this process.
    #[error("logging is set up already")]
    Twice,
    /// The system gives no thread.
    #[error("no thread for the log")]
    Thread(#[source] io::Error),
}

/// Sends what passes `filter` to stderr, from now on and for the whole process, without ever waiting for whoever reads it.
/// The last lines are written when what is returned drops.
///
/// # Errors
/// [`LogsError::Twice`] when the process logs already, [`LogsError::Thread`] when it may have no thread for it.
pub fn init_logs(format: LogFormat, filter: &LogFilter) -> Result<Logs, LogsError> {
    let is_terminal = io::stderr().is_terminal();
    let json = format == LogFormat::Json || (format == LogFormat::Auto && !is_terminal);
    let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (outlet, logs) = Outlet::start(io::stderr()).map_err(LogsError::Thread)?;
    subscriber(json, colours, filter, outlet).try_init().map_err(|_| LogsError::Twice)?;
    Ok(logs)
}

fn subscriber<W>(json: bool, colours: bool, filter: &LogFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Parsed before: a filter that is none cannot be made.
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&filter.0)).with_writer(writer);
    if json {
        // Fields stand beside the message, not a level deeper, where log systems do not look.
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        Box::new(builder.with_ansi(colours).finish())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, filter: &str, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(json, false, &filter.parse().unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = logged(true, "info", || tracing::info!(target: "afterimage", count = 3, "line\nbreak"));
        let [line] = &text.lines().collect::<Vec<_>>()[..] else { panic!("one line: {text}") };
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["message"], "line\nbreak");
        assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"afterimage".into()));
        assert_eq!(line["count"].to_string(), "3");
    }

    #[test]
    fn a_bare_level_is_for_our_own_crates() {
        let log = || {
            tracing::debug!(target: "afterimage_consumer", "ours");
            tracing::info!(target: "hyper", "theirs");
            tracing::warn!(target: "hyper", "their warning");
        };
        let text = logged(false, "DEBUG", log);
        assert!(text.contains("ours") && !text.contains("theirs") && text.contains("their warning"), "{text}");
        let text = logged(false, "error", log);
        assert_eq!(text, "");
        let driver = || tracing::error!(target: "scylla::cluster", "what we say as well");
        for level in ["error", "warn", "info"] {
            assert_eq!(logged(false, level, driver), "", "{level}");
        }
        assert_ne!(logged(false, "debug", driver), "");
        let text = logged(false, "off,hyper=info", log);
        assert!(!text.contains("ours") && text.contains("theirs"), "{text}");
    }

    #[test]
    fn what_is_no_filter_or_format_is_refused() {
        for text in ["", "verbose", "afterimage=loud", "a=b=c"] {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
        assert!("xml".parse::<LogFormat>().is_err());
        for format in [LogFormat::Auto, LogFormat::Json, LogFormat::Text] {
            assert_eq!(format.to_string().parse::<LogFormat>().unwrap(), format);
        }
    }
}
