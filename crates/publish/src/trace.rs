//! The trace that an event was made in, on its way with the message.

/// Longest `tracestate` that has to be passed on (<https://www.w3.org/TR/trace-context/#tracestate-limits>).
const STATE_BYTES_MAX: usize = 512;
/// A `traceparent` of the version we know, and the longest we pass on of one to come.
const PARENT_BYTES: std::ops::RangeInclusive<usize> = 55..=256;

/// W3C Trace Context, as message attributes: `traceparent`, and `tracestate` where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    parent: String,
    state: Option<String>,
}

impl TraceContext {
    /// Nothing where SNS and SQS would refuse the attribute, and with it the event.
    pub(crate) fn new(parent: &str, state: &str) -> Option<Self> {
        let is_parent = PARENT_BYTES.contains(&parent.len())
            && parent.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        let is_state = (1..=STATE_BYTES_MAX).contains(&state.len())
            && state.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        is_parent.then(|| Self { parent: parent.to_owned(), state: is_state.then(|| state.to_owned()) })
    }

    /// Names and values of at most two attributes of type `String`: SQS takes ten, and with raw delivery SNS drops messages
    /// that have more.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = self.state.as_deref().map(|state| ("tracestate", state));
        std::iter::once(("traceparent", self.parent.as_str())).chain(state)
    }

    /// What it adds to the size of the message: name, type and value count alike.
    pub(crate) fn len_bytes(&self) -> usize {
        self.attributes().map(|(name, value)| name.len() + "String".len() + value.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn attributes(parent: &str, state: &str) -> Vec<(&'static str, String)> {
        let context = TraceContext::new(parent, state);
        context.iter().flat_map(TraceContext::attributes).map(|(name, value)| (name, value.to_owned())).collect()
    }

    #[test]
    fn what_sqs_or_sns_would_refuse_is_left_out() {
        let parent = ("traceparent", PARENT.to_owned());
        assert_eq!(attributes(PARENT, "a=1"), [parent.clone(), ("tracestate", "a=1".to_owned())]);
        let long = "a".repeat(513);
        for state in ["", "a=\u{1}", "ä=1", &long] {
            assert_eq!(attributes(PARENT, state), std::slice::from_ref(&parent), "{state}");
        }
        for parent in ["", "00-1-2-3", &PARENT.to_uppercase(), &PARENT.replace('a', "\u{1}"), &"0".repeat(257)] {
            assert_eq!(attributes(parent, "a=1"), [], "{parent}");
        }
    }
}
