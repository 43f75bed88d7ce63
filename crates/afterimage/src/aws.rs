//! SQS and SNS clients, from the AWS SDK's own settings and what the queue's URL says.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};

/// Where nothing names a region, as with an endpoint that is not of AWS, which has none: any will do to sign with.
const REGION_OF_NOBODY: &str = "us-east-1";

/// AWS as the SDK's own settings describe it (`AWS_REGION`, `AWS_ENDPOINT_URL`, profiles, roles). What they leave open
/// is taken from the queue's URL: its region, or its host as the endpoint when it is none of AWS.
pub(crate) struct Aws {
    shared: SdkConfig,
    /// Where the queue is, when that is not AWS.
    origin: Option<String>,
}

impl Aws {
    /// Reads the settings for the queue of that URL.
    pub(crate) async fn of_queue(queue_url: &str) -> Self {
        let (region, origin) = match Place::of(queue_url) {
            Place::Aws { region } => (region, None),
            Place::Elsewhere { origin } => (REGION_OF_NOBODY.to_owned(), Some(origin)),
        };
        // The SDK would go on to ask the machine's metadata service; the URL knows better.
        let regions = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::new(region));
        let shared = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(regions).load().await;
        Self { shared, origin }
    }

    /// The settings, without what the URL adds.
    pub(crate) fn shared(&self) -> &SdkConfig {
        &self.shared
    }

    /// How to reach SQS.
    pub(crate) fn sqs(&self) -> aws_sdk_sqs::config::Builder {
        self.sqs_with(&self.shared)
    }

    /// [`Self::sqs`] with other settings.
    pub(crate) fn sqs_with(&self, shared: &SdkConfig) -> aws_sdk_sqs::config::Builder {
        let mut config = aws_sdk_sqs::config::Builder::from(shared);
        if let Some(origin) = self.origin_unless_set("AWS_ENDPOINT_URL_SQS") {
            config = config.endpoint_url(origin);
        }
        config
    }

    /// How to reach SNS: where the queue is not of AWS, the same server is asked.
    pub(crate) fn sns(&self) -> aws_sdk_sns::config::Builder {
        self.sns_with(&self.shared)
    }

    /// [`Self::sns`] with other settings.
    pub(crate) fn sns_with(&self, shared: &SdkConfig) -> aws_sdk_sns::config::Builder {
        let mut config = aws_sdk_sns::config::Builder::from(shared);
        if let Some(origin) = self.origin_unless_set("AWS_ENDPOINT_URL_SNS") {
            config = config.endpoint_url(origin);
        }
        config
    }

    fn origin_unless_set(&self, variable: &str) -> Option<&str> {
        let is_set = self.shared.endpoint_url().is_some() || std::env::var_os(variable).is_some();
        self.origin.as_deref().filter(|_| !is_set)
    }
}

/// Whose queue a URL names.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Aws { region: String },
    Elsewhere { origin: String },
}

impl Place {
    /// <https://docs.aws.amazon.com/general/latest/gr/sqs-service.html>: `sqs.REGION.amazonaws.com`, older
    /// `REGION.queue.amazonaws.com`, private `vpce-….sqs.REGION.vpce.amazonaws.com`, and `.com.cn`.
    fn of(queue_url: &str) -> Self {
        let (scheme, rest) = queue_url.split_once("://").unwrap_or(("https", queue_url));
        let host_port = rest.split('/').next().unwrap_or(rest);
        let host = host_port.split(':').next().unwrap_or(host_port);
        if !host.ends_with(".amazonaws.com") && !host.ends_with(".amazonaws.com.cn") {
            return Self::Elsewhere { origin: format!("{scheme}://{host_port}") };
        }
        let labels: Vec<&str> = host.split('.').collect();
        let after_sqs = labels.iter().position(|label| *label == "sqs").and_then(|at| labels.get(at + 1));
        let before_queue =
            labels.iter().position(|label| *label == "queue").and_then(|at| labels.get(at.checked_sub(1)?));
        Self::Aws { region: (*after_sqs.or(before_queue).unwrap_or(&REGION_OF_NOBODY)).to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_url_says_where_the_queue_is() {
        for (url, region) in [
            ("https://sqs.eu-central-1.amazonaws.com/123456789012/changes", "eu-central-1"),
            ("https://eu-west-1.queue.amazonaws.com/123456789012/changes", "eu-west-1"),
            ("https://queue.amazonaws.com/123456789012/changes", "us-east-1"),
            ("https://vpce-1a.sqs.ap-south-1.vpce.amazonaws.com/123456789012/changes", "ap-south-1"),
            ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/changes", "cn-north-1"),
        ] {
            assert_eq!(Place::of(url), Place::Aws { region: region.to_owned() }, "{url}");
        }
        for (url, origin) in [
            ("http://127.0.0.1:9324/000000000000/changes", "http://127.0.0.1:9324"),
            ("https://sqs.amazonaws.com.example.org/1/changes", "https://sqs.amazonaws.com.example.org"),
        ] {
            assert_eq!(Place::of(url), Place::Elsewhere { origin: origin.to_owned() }, "{url}");
        }
    }
}
