//! How much waits in the queues, as a metric: asked for beside the work, so that an alert can tell "nothing comes" from
//! "nothing is done".

use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntGaugeVec, Opts, Registry};

use crate::{Counts, Queue};

/// A queue whose depth is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The one that changes come in.
    Changes,
    /// That of the dead letters.
    DeadLetters,
}

impl Watched {
    /// The label it bears.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// The gauge `afterimage_queue_messages{queue, state}`.
#[derive(Clone, Debug)]
pub struct Depth(IntGaugeVec);

impl Depth {
    /// Registers the gauge. It has no value before the first answer.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("afterimage_queue_messages", "Messages that SQS says a queue holds, approximately");
        let gauge = IntGaugeVec::new(opts, &["queue", "state"])?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(Self(gauge))
    }

    /// Asks for ever, each queue once in every `interval`: one call each.
    ///
    /// A queue that does not answer has no value until it does: an old one would say that all is well.
    pub async fn watch(&self, queues: &[(Watched, Arc<dyn Queue>)], interval: Duration) {
        let mut failing = [false; 2];
        loop {
            for ((watched, queue), failing) in queues.iter().zip(&mut failing) {
                let answer = queue.counts().await;
                self.show(*watched, answer.as_ref().ok());
                if let Err(error) = &answer
                    && !*failing
                {
                    let queue = watched.as_str();
                    if error.is_denied() {
                        tracing::warn!(queue, %error, "how much a queue holds is not known: allow sqs:GetQueueAttributes on it");
                    } else {
                        tracing::warn!(queue, %error, "how much a queue holds is not known");
                    }
                }
                *failing = answer.is_err();
            }
            // A fleet that starts at once does not ask at once for ever.
            tokio::time::sleep(interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        }
    }

    pub(crate) fn show(&self, watched: Watched, counts: Option<&Counts>) {
        let value = |state: fn(&Counts) -> u64| counts.and_then(|counts| i64::try_from(state(counts)).ok());
        for (name, value) in [
            ("visible", value(|counts| counts.visible)),
            ("in_flight", value(|counts| counts.in_flight)),
            ("delayed", value(|counts| counts.delayed)),
        ] {
            let labels = [watched.as_str(), name];
            match value {
                Some(value) => self.0.with_label_values(&labels).set(value),
                None => drop(self.0.remove_label_values(&labels)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(depth: &Depth) -> Vec<i64> {
        use prometheus::core::Collector;
        let families = depth.0.collect();
        families[0].get_metric().iter().map(|metric| metric.get_gauge().get_value() as i64).collect()
    }

    #[test]
    fn a_count_that_is_not_known_is_not_shown() {
        let depth = Depth::register(&Registry::new()).unwrap();
        depth.show(Watched::Changes, Some(&Counts { visible: 3, in_flight: 2, delayed: u64::MAX }));
        let mut values = shown(&depth);
        values.sort_unstable();
        assert_eq!(values, [2, 3]);
        depth.show(Watched::Changes, None);
        assert_eq!(shown(&depth), [0; 0]);
    }
}
