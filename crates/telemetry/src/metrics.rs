//! The registry of a process, and its text.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};

use crate::outlet;

/// What was built: the labels of `afterimage_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The release, such as `0.1.0`.
    pub version: &'static str,
    /// The commit it was built from, or `unknown`.
    pub revision: &'static str,
}

/// All metrics of a process.
///
/// Each crate registers its own set on [`Metrics::registry`]; the `process_*` metrics and the build are here from the
/// start.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
}

/// Metrics cannot be registered or encoded: two of the same name, or one that its type does not allow.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be registered or encoded")]
pub struct MetricsError(#[from] prometheus::Error);

impl Metrics {
    /// The media type of [`Metrics::encode`]
    /// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
    pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

    /// A registry with the process's own metrics.
    ///
    /// # Errors
    /// None that a caller can cause; it registers three collectors on an empty registry.
    pub fn new(build: Build) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let opts = Opts::new("afterimage_build_info", "The release that runs, always 1.");
        let build_info = IntGaugeVec::new(opts, &["version", "revision"])?;
        build_info.with_label_values(&[build.version, build.revision]).set(1);
        registry.register(Box::new(build_info))?;
        registry.register(Box::new(outlet::DROPPED.clone()))?;
        Ok(Self { registry })
    }

    /// Where crates register what they measure.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything measured, in Prometheus' text format.
    ///
    /// # Errors
    /// When a collector returns a metric that the format has no place for.
    pub fn encode(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_and_build_are_there_from_the_start_and_others_join() {
        let metrics = Metrics::new(Build { version: "1.2.3", revision: "abc" }).unwrap();
        let counter = prometheus::IntCounter::new("afterimage_example_total", "An example.").unwrap();
        metrics.registry().register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("afterimage_build_info{revision=\"abc\",version=\"1.2.3\"} 1"), "{text}");
        assert!(text.contains("\nafterimage_example_total 1\n"), "{text}");
        #[cfg(target_os = "linux")]
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
