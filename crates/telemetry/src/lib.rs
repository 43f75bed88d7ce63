//! Logs, metrics and traces, the same for every process of the product.
//!
//! The only crate that knows how logs are formatted, how metrics become text and how spans reach a collector; a change of
//! any of these libraries stays here. Whoever makes spans needs the API of OpenTelemetry alone.

mod logs;
mod metrics;
mod outlet;
mod traces;

pub use logs::{LogFilter, LogFormat, LogsError, init_logs};
pub use metrics::{Build, Metrics, MetricsError};
pub use outlet::Logs;
pub use traces::{Span, TraceSettings, TraceSettingsError, Tracer, Traces, TracesError, parse_traceparent, parse_xray};
