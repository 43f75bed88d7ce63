//! Where a message was made, as its sender's tracer says: W3C Trace Context, or the header of AWS X-Ray.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry::{SpanId, TraceFlags, TraceId};

/// Longest `tracestate` that is passed on; a longer one is left out, as the recommendation allows
/// (<https://www.w3.org/TR/trace-context/#tracestate-limits>).
const STATE_BYTES_MAX: usize = 512;

/// Reads `traceparent` and `tracestate` (<https://www.w3.org/TR/trace-context/>). What is malformed is no context; a
/// malformed state is no state.
#[must_use]
pub fn parse_traceparent(parent: &str, state: Option<&str>) -> Option<SpanContext> {
    let (version, rest) = field(parent, 2)?;
    let (trace_id, rest) = field(rest, 32)?;
    let (span_id, rest) = field(rest, 16)?;
    // A version after ours may go on behind the flags.
    let (flags, is_end) = match rest.len() {
        2 => (rest, true),
        _ => (field(rest, 2)?.0, false),
    };
    let version = hex(version)?;
    if version == 0xff || (version == 0 && !is_end) {
        return None;
    }
    let flags = TraceFlags::new(u8::try_from(hex(flags)?).ok()?) & TraceFlags::SAMPLED;
    let state = state.filter(|state| state.len() <= STATE_BYTES_MAX);
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    context(hex(trace_id)?, hex(span_id)?, flags, state)
}

/// Reads the header of AWS X-Ray, `Root=1-…;Parent=…;Sampled=1`
/// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>). Without a parent
/// there is no context; what is not said to be sampled is not.
#[must_use]
pub fn parse_xray(header: &str) -> Option<SpanContext> {
    let part = |name: &str| {
        header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')).map(str::trim)
    };
    let (epoch, unique) = field(part("Root")?.strip_prefix("1-")?, 8)?;
    let parent = part("Parent")?;
    if unique.len() != 24 || parent.len() != 16 {
        return None;
    }
    let trace_id = (hex(epoch)? << 96) | hex(unique)?;
    let flags = if part("Sampled") == Some("1") { TraceFlags::SAMPLED } else { TraceFlags::default() };
    context(trace_id, hex(parent)?, flags, TraceState::default())
}

fn context(trace_id: u128, span_id: u128, flags: TraceFlags, state: TraceState) -> Option<SpanContext> {
    let span_id = SpanId::from(u64::try_from(span_id).ok()?);
    let context = SpanContext::new(TraceId::from(trace_id), span_id, flags, true, state);
    context.is_valid().then_some(context)
}

/// So many characters, and what follows the dash behind them.
fn field(text: &str, length: usize) -> Option<(&str, &str)> {
    let (field, rest) = text.split_at_checked(length)?;
    Some((field, rest.strip_prefix('-')?))
}

/// Digits and small letters only, as both formats say.
fn hex(text: &str) -> Option<u128> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_traceparent_is_read_with_its_state() {
        let context = parse_traceparent(&format!("00-{TRACE}-{SPAN}-01"), Some("a=1,b=2")).unwrap();
        assert_eq!((context.trace_id().to_string(), context.span_id().to_string()), (TRACE.into(), SPAN.into()));
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(context.trace_state().header(), "a=1,b=2");
        assert!(!parse_traceparent(&format!("00-{TRACE}-{SPAN}-02"), None).unwrap().is_sampled());
        // What a later version adds is passed over, and a state that is none or too long is none.
        let later = parse_traceparent(&format!("cc-{TRACE}-{SPAN}-01-what-comes"), Some("no state")).unwrap();
        assert!(later.is_sampled() && later.trace_state().header().is_empty());
        let long = format!("a={}", "x".repeat(STATE_BYTES_MAX));
        let context = parse_traceparent(&format!("00-{TRACE}-{SPAN}-01"), Some(&long)).unwrap();
        assert!(context.trace_state().header().is_empty());
    }

    #[test]
    fn what_is_no_traceparent_is_no_context() {
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-zz"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-é"),
            format!("é{}", "0".repeat(54)),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(parse_traceparent(&text, None), None, "{text}");
        }
    }

    #[test]
    fn a_header_of_xray_is_read_in_any_order() {
        let context =
            parse_xray("Sampled=1; Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=x");
        let context = context.unwrap();
        assert_eq!(context.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!(context.span_id().to_string(), "53995c3f42cd8ad8");
        assert!(context.is_sampled());
        let undecided = parse_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?");
        assert!(!undecided.unwrap().is_sampled());
        for text in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=xyz",
            "Root=1-éééé-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
        ] {
            assert_eq!(parse_xray(text), None, "{text}");
        }
    }
}
