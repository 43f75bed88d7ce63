//! Logs and metrics, the same for every process of the product.
//!
//! The only crate that knows how logs are formatted and how metrics become text; a change of either library stays here.

mod logs;
mod metrics;

pub use logs::{LogFilter, LogFormat, LogsError, init_logs};
pub use metrics::{Build, Metrics, MetricsError};
