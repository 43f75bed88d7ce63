//! Which faults, when.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::{Fault, Operation};

/// Faults to inject, and the seed that decides which requests they strike. None by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// No faults yet, with this seed for those to come.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, rules: Vec::new() }
    }

    /// These faults and those of `rule`.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Is there nothing to inject?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// One fault: always, for every operation and request, unless narrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub(super) fault: Fault,
    pub(super) probability: f64,
    pub(super) operation: Option<Operation>,
    /// Numbers of requests (or messages), from 1.
    pub(super) numbers: Range<u64>,
    pub(super) duration: RangeInclusive<Duration>,
}

impl Rule {
    /// `fault`, always.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        let duration = fault.default_duration().unwrap_or(Duration::ZERO..=Duration::ZERO);
        Self { fault, probability: 1.0, operation: None, numbers: 1..u64::MAX, duration }
    }

    /// With this probability, 0 to 1.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// In this operation only. Never, where the fault does not concern it ([`Fault::concerns`]).
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only from the request of the first number, up to but not with that of the second. The first request that the
    /// rule concerns is number 1.
    #[must_use]
    pub fn numbers(self, numbers: Range<u64>) -> Self {
        Self { numbers, ..self }
    }

    /// For so long, drawn evenly between the two. Only for faults that take time ([`Fault::default_duration`]).
    #[must_use]
    pub fn lasting(self, duration: RangeInclusive<Duration>) -> Self {
        Self { duration, ..self }
    }

    pub(super) fn concerns(&self, operation: Operation) -> bool {
        self.fault.concerns(operation) && self.operation.is_none_or(|only| only == operation)
    }

    /// Does it strike the request (or message) of that number? If so, how long it lasts.
    pub(super) fn strikes(&self, seed: u64, number: u64) -> Option<Duration> {
        if !self.numbers.contains(&number) {
            return None;
        }
        let fault = self.fault as u64;
        let operation = self.operation.map_or(0, |operation| operation as u64 + 1);
        let draw = mix(mix(seed) ^ mix(fault << 32 | operation) ^ number);
        if unit(draw) >= self.probability {
            return None;
        }
        let (from, to) = (*self.duration.start(), *self.duration.end());
        Some(from + to.saturating_sub(from).mul_f64(unit(mix(draw))))
    }
}

/// A number of which every bit depends on every bit of `x`: the finalizer of `SplitMix64`
/// (<https://prng.di.unimi.it/splitmix64.c>), written here because sequences of a seed must outlive any library's version.
const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// As a number of [0, 1).
fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(rule: &Rule, seed: u64) -> Vec<u64> {
        (1..=10_000).filter(|number| rule.strikes(seed, *number).is_some()).collect()
    }

    #[test]
    fn the_same_seed_strikes_the_same_requests_and_another_seed_others() {
        let rule = Rule::new(Fault::Throttle).probability(0.1);
        let first = struck(&rule, 1);
        assert_eq!(first, struck(&rule, 1));
        assert_ne!(first, struck(&rule, 2));
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        // Two rules of one seed strike independently: about one in a hundred, not one in ten.
        let both = struck(&Rule::new(Fault::CutAfter).probability(0.1), 1);
        let both = both.iter().filter(|number| first.contains(number)).count();
        assert!((60..150).contains(&both), "{both}");
    }

    #[test]
    fn a_rule_strikes_only_between_its_numbers() {
        let rule = Rule::new(Fault::Throttle).numbers(3..6);
        assert_eq!(struck(&rule, 9), [3, 4, 5]);
        assert_eq!(struck(&rule.probability(0.0), 9), [0; 0]);
    }

    #[test]
    fn durations_lie_in_their_range_and_spread_over_it() {
        let (from, to) = (Duration::from_millis(20), Duration::from_millis(80));
        let rule = Rule::new(Fault::Latency).lasting(from..=to);
        let lasted: Vec<_> = (1..1000).filter_map(|number| rule.strikes(5, number)).collect();
        assert!(lasted.iter().all(|duration| (from..=to).contains(duration)));
        assert!(lasted.iter().any(|duration| *duration < Duration::from_millis(30)));
        assert!(lasted.iter().any(|duration| *duration > Duration::from_millis(70)));
    }
}
