//! This machine's clock beside the queue's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_sdk_sqs::primitives::{DateTime, DateTimeFormat};

use super::finding::Finding;

/// `Date` has whole seconds, and the answer was under way.
const SKEW_SEEN: Duration = Duration::from_secs(3);
/// Beyond, times of storing, expiry and latency are plainly wrong. AWS refuses requests of a clock that is 15 minutes off
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>).
const SKEW_MAX: Duration = Duration::from_secs(60);

/// Keeps how far apart the clocks were when the last answer came.
#[derive(Clone, Debug, Default)]
pub(super) struct ClockReader {
    skew: Arc<Mutex<Option<Duration>>>,
}

impl ClockReader {
    pub(super) fn judge(&self) -> Option<Finding> {
        let skew = (*self.skew.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(judge(skew))
    }
}

impl Intercept for ClockReader {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let queue = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(queue) = queue.and_then(|queue| SystemTime::try_from(queue).ok()) {
            let here = SystemTime::now();
            let skew = here.duration_since(queue).or_else(|_| queue.duration_since(here)).unwrap_or_default();
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Some(skew);
        }
        Ok(())
    }
}

fn judge(skew: Duration) -> Finding {
    let check = "clock";
    let found = format!("{} s apart from the queue's", skew.as_secs());
    let change = "let an NTP client set the clock (chrony, systemd-timesyncd)";
    if skew > SKEW_MAX {
        Finding::failure(check, format!("{found}: times of storing and expiry are wrong by that"), change)
    } else if skew > SKEW_SEEN {
        Finding::warning(check, found, change)
    } else {
        Finding::ok(check, "agrees with the queue's")
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        for (seconds, expected) in [(0, Level::Ok), (3, Level::Ok), (4, Level::Warning), (61, Level::Failure)] {
            assert_eq!(judge(Duration::from_secs(seconds)).level, expected, "{seconds}");
        }
    }
}
