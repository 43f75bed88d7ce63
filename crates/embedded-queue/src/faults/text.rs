//! The text form of faults: `seed=7,throttle=0.05,cut-after=0.01@DeleteMessageBatch,latency=1:20ms..80ms,outage=1#100..200`.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use super::{Fault, Faults, Operation, Rule};

/// Why a text describes no faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultsError {
    /// A part has no `=`.
    #[error(
        "`{0}` is no rule: write <fault>=<probability>, then perhaps :<duration>, @<Operation>, #<from>..<to>, in this order"
    )]
    NoRule(String),
    /// An unknown name before `=`.
    #[error("`{0}` is no fault: use seed or one of {names}", names = names())]
    UnknownFault(String),
    /// An unknown name after `@`.
    #[error("`{0}` is no operation of SQS: write it as SQS does, for example ReceiveMessage")]
    UnknownOperation(String),
    /// The fault cannot happen in that operation.
    #[error("{fault} cannot happen in {operation}: leave the operation out or name another")]
    OtherOperation {
        /// The fault.
        fault: &'static str,
        /// The operation.
        operation: &'static str,
    },
    /// The seed is no number.
    #[error("`{0}` is no seed: use a whole number from 0 to 18446744073709551615")]
    Seed(String),
    /// The probability is none.
    #[error("`{0}` is no probability: use a number from 0 to 1")]
    Probability(String),
    /// The numbers of requests are none.
    #[error("`{0}` are no request numbers: use #<from>..<to>, from 1, the last not included, for example #3..5")]
    Numbers(String),
    /// The duration is none.
    #[error("`{0}` is no duration: use milliseconds or seconds, for example 20ms, 2s or 20ms..80ms")]
    Duration(String),
    /// The fault takes no time of its own.
    #[error("{0} takes no duration: leave it out")]
    NoDuration(&'static str),
}

fn names() -> String {
    Fault::ALL.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let mut faults = Self::none();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| FaultsError::NoRule(part.to_owned()))?;
            if name == "seed" {
                faults.seed = value.parse().map_err(|_| FaultsError::Seed(value.to_owned()))?;
            } else {
                faults.rules.push(rule(name, value)?);
            }
        }
        Ok(faults)
    }
}

fn rule(name: &str, value: &str) -> Result<Rule, FaultsError> {
    let fault = Fault::named(name).ok_or_else(|| FaultsError::UnknownFault(name.to_owned()))?;
    let mut rule = Rule::new(fault);
    let (value, numbers) = split(value, '#');
    let (value, operation) = split(value, '@');
    let (probability, duration) = split(value, ':');
    rule.probability = probability
        .parse()
        .ok()
        .filter(|probability| (0.0..=1.0).contains(probability))
        .ok_or_else(|| FaultsError::Probability(probability.to_owned()))?;
    if let Some(text) = duration {
        if fault.default_duration().is_none() {
            return Err(FaultsError::NoDuration(fault.name()));
        }
        rule.duration = durations(text).ok_or_else(|| FaultsError::Duration(text.to_owned()))?;
    }
    if let Some(name) = operation {
        let operation = Operation::named(name).ok_or_else(|| FaultsError::UnknownOperation(name.to_owned()))?;
        if !fault.concerns(operation) {
            return Err(FaultsError::OtherOperation { fault: fault.name(), operation: operation.name() });
        }
        rule.operation = Some(operation);
    }
    if let Some(text) = numbers {
        rule.numbers = range(text).ok_or_else(|| FaultsError::Numbers(text.to_owned()))?;
    }
    Ok(rule)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    let from = from.parse().ok().filter(|from| *from >= 1)?;
    let to = if to.is_empty() { u64::MAX } else { to.parse().ok()? };
    (from < to).then_some(from..to)
}

fn durations(text: &str) -> Option<RangeInclusive<Duration>> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (duration(from)?, duration(to)?);
    (from <= to).then_some(from..=to)
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        for rule in &self.rules {
            write!(f, ",{}={}", rule.fault.name(), rule.probability)?;
            if rule.fault.default_duration().is_some() {
                write!(f, ":{}ms..{}ms", rule.duration.start().as_millis(), rule.duration.end().as_millis())?;
            }
            if let Some(operation) = rule.operation {
                write!(f, "@{}", operation.name())?;
            }
            match (rule.numbers.start, rule.numbers.end) {
                (1, u64::MAX) => {}
                (from, u64::MAX) => write!(f, "#{from}..")?,
                (from, to) => write!(f, "#{from}..{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let text = "seed=7,throttle=0.05,cut-after=0.01@DeleteMessageBatch,latency=1:20ms..2s,outage=1#100..200,duplicate=0.5#3..";
        let faults: Faults = text.parse().unwrap();
        let built = Faults::seeded(7)
            .with(Rule::new(Fault::Throttle).probability(0.05))
            .with(Rule::new(Fault::CutAfter).probability(0.01).on(Operation::DeleteMessageBatch))
            .with(Rule::new(Fault::Latency).lasting(Duration::from_millis(20)..=Duration::from_secs(2)))
            .with(Rule::new(Fault::Outage).numbers(100..200))
            .with(Rule::new(Fault::Duplicate).probability(0.5).numbers(3..u64::MAX));
        assert_eq!(faults, built);
        assert_eq!(faults.to_string().parse::<Faults>().unwrap(), faults);
        assert!("".parse::<Faults>().unwrap().is_empty());
    }

    #[test]
    fn every_fault_can_be_written() {
        for fault in Fault::ALL {
            let faults: Faults = format!("{}=0.5", fault.name()).parse().unwrap();
            assert_eq!(faults.rules, [Rule::new(*fault).probability(0.5)]);
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let error = |text: &str| text.parse::<Faults>().unwrap_err();
        let owned = str::to_owned;
        assert_eq!(error("throttle"), FaultsError::NoRule(owned("throttle")));
        assert_eq!(error("seed=1,trottle=0.1"), FaultsError::UnknownFault(owned("trottle")));
        assert_eq!(error("seed=-1"), FaultsError::Seed(owned("-1")));
        for probability in ["1.5", "NaN", "-0.1", "often"] {
            assert_eq!(error(&format!("throttle={probability}")), FaultsError::Probability(owned(probability)));
        }
        assert_eq!(error("throttle=1@Receive"), FaultsError::UnknownOperation(owned("Receive")));
        let other = FaultsError::OtherOperation { fault: "lost-delete", operation: "ReceiveMessage" };
        assert_eq!(error("lost-delete=1@ReceiveMessage"), other);
        for numbers in ["5", "5..5", "0..3", "a..b"] {
            assert_eq!(error(&format!("throttle=1#{numbers}")), FaultsError::Numbers(owned(numbers)));
        }
        for duration in ["20", "80ms..20ms", "1h"] {
            assert_eq!(error(&format!("latency=1:{duration}")), FaultsError::Duration(owned(duration)));
        }
        assert_eq!(error("throttle=1:20ms"), FaultsError::NoDuration("throttle"));
        assert!(error("trottle=1").to_string().contains("cut-after"));
    }
}
