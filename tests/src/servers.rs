//! Servers that tests need, by the variables that name them.

/// A server that a test cannot do without.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// moto: SNS and SQS.
    Moto,
    /// ElasticMQ, or another server of SQS.
    Sqs,
    /// Cassandra or ScyllaDB: a list of `host:port`.
    Cassandra,
    /// A server that speaks MongoDB's protocol.
    Mongodb,
}

impl Need {
    const fn variable(self) -> &'static str {
        match self {
            Self::Moto => "AFTERIMAGE_TEST_MOTO_ENDPOINT",
            Self::Sqs => "AFTERIMAGE_TEST_SQS_ENDPOINT",
            Self::Cassandra => "AFTERIMAGE_TEST_CASSANDRA_NODES",
            Self::Mongodb => "AFTERIMAGE_TEST_MONGODB_URI",
        }
    }
}

/// The address of a server; `None`, and said so, when tests are to do without servers.
///
/// # Panics
/// When the server is missing and nobody said to do without: a test that did not run must not look like one that passed.
#[must_use]
pub fn server(need: Need) -> Option<String> {
    let variable = need.variable();
    let address = std::env::var(variable).ok().filter(|address| !address.is_empty());
    if address.is_some() {
        return address;
    }
    if std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1") {
        println!("SKIPPED: this test needs {need:?}, and AFTERIMAGE_TEST_SKIP_SERVERS=1 says to do without");
        return None;
    }
    panic!(
        "{variable} is not set: run tests/servers/servers.sh with -- cargo test, \
         or set AFTERIMAGE_TEST_SKIP_SERVERS=1"
    );
}
