use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use crate::Refusal;

/// From a millisecond to longer than anybody waits.
const APPEND_S: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What access measures.
#[derive(Clone, Debug)]
pub struct Metrics {
    refusals: IntCounterVec,
    recorded: IntCounterVec,
    append: Histogram,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let refusals = Opts::new("afterimage_access_refusals_total", "Requests whose credentials were refused");
        let refusals = IntCounterVec::new(refusals, &["reason"])?;
        for refusal in Refusal::ALL {
            refusals.with_label_values(&[refusal.as_str()]);
        }
        let recorded =
            Opts::new("afterimage_access_questions_total", "Questions, by whether the trail holds who asked");
        let recorded = IntCounterVec::new(recorded, &["outcome"])?;
        for is_recorded in [true, false] {
            recorded.with_label_values(&[outcome(is_recorded)]);
        }
        let append = HistogramOpts::new("afterimage_access_append_duration_seconds", "Making access entries durable");
        let append = Histogram::with_opts(append.buckets(APPEND_S.to_vec()))?;
        registry.register(Box::new(refusals.clone()))?;
        registry.register(Box::new(recorded.clone()))?;
        registry.register(Box::new(append.clone()))?;
        Ok(Self { refusals, recorded, append })
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refusals.with_label_values(&[refusal.as_str()]).inc();
    }

    pub(crate) fn recorded(&self, is_recorded: bool) {
        self.recorded.with_label_values(&[outcome(is_recorded)]).inc();
    }

    pub(crate) fn appended(&self, duration: Duration) {
        self.append.observe(duration.as_secs_f64());
    }
}

const fn outcome(is_recorded: bool) -> &'static str {
    if is_recorded { "recorded" } else { "refused" }
}
