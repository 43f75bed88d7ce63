//! Where spans go and how many: a flag of ours, and the standard variables of OpenTelemetry
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::trace::Sampler;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// Where traces are taken, below an endpoint for everything.
const TRACES_PATH: &str = "/v1/traces";
/// Most spans that wait: a span takes one to two kilobytes, and memory is promised to be bounded.
const QUEUE_SPANS_MAX: u64 = 16_384;

/// Which collector gets the spans, and which spans it gets.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    pub(super) endpoint: Uri,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    pub(super) queue_spans: usize,
    pub(super) batch_spans: usize,
    pub(super) delay: Duration,
    /// Does the environment name the service?
    pub(super) names_service: bool,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct TraceSettingsError {
    /// The variable, or the flag.
    pub name: &'static str,
    /// What is wrong, without the value, which may be secret.
    pub problem: String,
}

impl TraceSettings {
    /// The settings of an environment; `flag` is the name and the value of a flag that comes before its endpoint. `None`
    /// when neither says where spans go, or the environment switches them off.
    ///
    /// # Errors
    /// The first setting that cannot be used. Without an endpoint none is looked at.
    pub fn read(
        flag: Option<(&'static str, &str)>,
        env: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, TraceSettingsError> {
        // What is set to nothing is not set.
        let env = |name| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let first_of = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, env(name)?)));
        let endpoint = match flag {
            Some((name, base)) => below(name, base)?,
            None if env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) => {
                return Ok(None);
            }
            None if env("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none") => return Ok(None),
            None => match (env(TRACES_ENDPOINT), env(ENDPOINT)) {
                (Some(whole), _) => url(TRACES_ENDPOINT, &whole)?,
                (None, Some(base)) => below(ENDPOINT, &base)?,
                (None, None) => return Ok(None),
            },
        };
        if let Some((name, protocol)) = first_of(PROTOCOLS)
            && protocol != "http/protobuf"
        {
            return Err(bad(name, "only http/protobuf is spoken here, mostly on port 4318".to_owned()));
        }
        let number = |name, default: u64| match env(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| bad(name, "expected a whole number".to_owned())),
        };
        let timeout_ms = match first_of(TIMEOUTS) {
            Some((name, _)) => number(name, 0)?,
            None => 10_000,
        };
        let queue_spans = number(QUEUE, 2_048)?.clamp(1, QUEUE_SPANS_MAX);
        let batch_spans = number(BATCH, 512)?.clamp(1, queue_spans);
        let resource = env("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        Ok(Some(Self {
            endpoint,
            headers: headers(&env)?,
            timeout: Duration::from_millis(timeout_ms.max(1)),
            sampler: sampler(&env)?,
            queue_spans: queue_spans as usize,
            batch_spans: batch_spans as usize,
            delay: Duration::from_millis(number(DELAY, 5_000)?.max(1)),
            names_service: env("OTEL_SERVICE_NAME").is_some() || resource.contains("service.name="),
        }))
    }

    /// The collector, by host and port.
    #[must_use]
    pub fn collector(&self) -> &str {
        self.endpoint.authority().map_or("", |authority| authority.as_str())
    }
}

fn bad(name: &'static str, problem: String) -> TraceSettingsError {
    TraceSettingsError { name, problem }
}

/// The place for traces below an endpoint.
fn below(name: &'static str, base: &str) -> Result<Uri, TraceSettingsError> {
    url(name, base)?;
    url(name, &format!("{}{TRACES_PATH}", base.trim_end_matches('/')))
}

fn url(name: &'static str, text: &str) -> Result<Uri, TraceSettingsError> {
    let expected = || bad(name, "expected the URL of a collector, such as http://127.0.0.1:4318".to_owned());
    let uri: Uri = text.parse().map_err(|_| expected())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|authority| is_http && !authority.host().is_empty());
    match authority {
        Some(authority) if authority.as_str().contains('@') => Err(bad(
            name,
            "holds a user name: give what the collector asks for in OTEL_EXPORTER_OTLP_HEADERS".to_owned(),
        )),
        Some(_) => Ok(uri),
        None => Err(expected()),
    }
}

/// Names and values, percent-encoded, as `name=value,name=value`; those for traces come over those for everything.
fn headers(env: &impl Fn(&'static str) -> Option<String>) -> Result<HeaderMap, TraceSettingsError> {
    let mut headers = HeaderMap::new();
    for name in HEADERS {
        let text = env(name).unwrap_or_default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let header = pair.split_once('=').and_then(|(header, value)| {
                let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
                let mut value = HeaderValue::try_from(&*value).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::try_from(header.trim()).ok()?, value))
            });
            let (header, value) = header.ok_or_else(|| bad(name, "expected name=value,name=value".to_owned()))?;
            headers.insert(header, value);
        }
    }
    Ok(headers)
}

/// The SDK reads these itself, and takes every span where it does not understand one, without a word.
fn sampler(env: &impl Fn(&'static str) -> Option<String>) -> Result<Sampler, TraceSettingsError> {
    let ratio = || match env(RATIO) {
        None => Ok(Sampler::TraceIdRatioBased(1.0)),
        Some(text) => match text.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Sampler::TraceIdRatioBased(ratio)),
            _ => Err(bad(RATIO, "expected a share between 0 and 1, such as 0.01".to_owned())),
        },
    };
    let of_parent = |root| Sampler::ParentBased(Box::new(root));
    Ok(match env(SAMPLER).as_deref() {
        None | Some("parentbased_always_on") => of_parent(Sampler::AlwaysOn),
        Some("parentbased_always_off") => of_parent(Sampler::AlwaysOff),
        Some("parentbased_traceidratio") => of_parent(ratio()?),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("traceidratio") => ratio()?,
        Some(_) => {
            let problem =
                "expected always_on, always_off or traceidratio, or one of these behind parentbased_".to_owned();
            return Err(bad(SAMPLER, problem));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flag: Option<&str>, env: &[(&str, &str)]) -> Result<Option<TraceSettings>, TraceSettingsError> {
        let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        TraceSettings::read(flag.map(|value| ("--otlp-endpoint", value)), find)
    }

    fn endpoint(flag: Option<&str>, env: &[(&str, &str)]) -> Option<String> {
        read(flag, env).unwrap().map(|settings| settings.endpoint.to_string())
    }

    #[test]
    fn nobody_says_where_and_nothing_is_sent_or_looked_at() {
        assert_eq!(endpoint(None, &[]), None);
        assert_eq!(endpoint(None, &[(ENDPOINT, " "), (SAMPLER, "xray"), (HEADERS[0], "?")]), None);
        assert_eq!(endpoint(None, &[(ENDPOINT, "http://c:4318"), ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(endpoint(None, &[(ENDPOINT, "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn the_flag_comes_before_the_variable_for_traces_and_that_before_the_one_for_everything() {
        let env = [(ENDPOINT, "http://all:4318/"), (TRACES_ENDPOINT, "https://traces/x?y")];
        assert_eq!(endpoint(Some("http://flag:1/base"), &env).unwrap(), "http://flag:1/base/v1/traces");
        assert_eq!(endpoint(None, &env).unwrap(), "https://traces/x?y");
        assert_eq!(endpoint(None, &env[..1]).unwrap(), "http://all:4318/v1/traces");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name_and_never_shown() {
        for (env, name) in [
            ((ENDPOINT, "collector:4318"), ENDPOINT),
            ((ENDPOINT, "grpc://collector:4317"), ENDPOINT),
            ((TRACES_ENDPOINT, "http:///v1/traces"), TRACES_ENDPOINT),
            ((TRACES_ENDPOINT, "http://me:s3cret@c/v1/traces"), TRACES_ENDPOINT),
            ((PROTOCOLS[1], "grpc"), PROTOCOLS[1]),
            ((HEADERS[0], "s3cret"), HEADERS[0]),
            ((HEADERS[1], "a=s3cret%0a"), HEADERS[1]),
            ((SAMPLER, "jaeger_remote"), SAMPLER),
            ((QUEUE, "many"), QUEUE),
            ((TIMEOUTS[0], "10s"), TIMEOUTS[0]),
        ] {
            let all = [env, (ENDPOINT, "http://c")];
            let error = read(None, &all).unwrap_err();
            assert_eq!(error.name, name);
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert_eq!(read(Some("here"), &[]).unwrap_err().name, "--otlp-endpoint");
        for share in ["2", "-0.1", "NaN", "some"] {
            let env = [(ENDPOINT, "http://c"), (SAMPLER, "traceidratio"), (RATIO, share)];
            assert_eq!(read(None, &env).unwrap_err().name, RATIO, "{share}");
        }
    }

    #[test]
    fn headers_are_decoded_and_kept_out_of_what_is_printed() {
        let env = [(ENDPOINT, "http://c"), (HEADERS[0], "a=1, Authorization=Basic%20s3cret"), (HEADERS[1], "a=2")];
        let settings = read(None, &env).unwrap().unwrap();
        assert_eq!(
            (&settings.headers["a"], &settings.headers["authorization"]),
            (&"2".parse().unwrap(), &"Basic s3cret".parse().unwrap())
        );
        assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
    }

    #[test]
    fn memory_for_spans_is_bounded_whatever_is_asked_for() {
        let env = [(ENDPOINT, "http://c"), (QUEUE, "1000000000"), (BATCH, "0")];
        let settings = read(None, &env).unwrap().unwrap();
        assert_eq!((settings.queue_spans, settings.batch_spans), (16_384, 1));
    }
}
