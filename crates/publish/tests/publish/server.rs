//! An SQS endpoint whose answers a test makes up.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};

pub(crate) fn client(endpoint: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint)
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

type Answer = Box<dyn FnMut(&Value) -> (u16, Value) + Send>;

#[derive(Clone)]
pub(crate) struct Server {
    /// The entries of each request.
    pub(crate) requests: Arc<Mutex<Vec<Value>>>,
    answer: Arc<Mutex<Answer>>,
}

/// Starts a server that answers each batch of entries with a status and a body.
pub(crate) async fn start(
    answer: impl FnMut(&Value) -> (u16, Value) + Send + 'static,
) -> (Server, aws_sdk_sqs::Client) {
    let server = Server { requests: Arc::default(), answer: Arc::new(Mutex::new(Box::new(answer))) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sqs = client(&format!("http://{}", listener.local_addr().unwrap()));
    let router = Router::new().fallback(handle).with_state(server.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    (server, sqs)
}

async fn handle(State(server): State<Server>, body: String) -> impl IntoResponse {
    let request: Value = serde_json::from_str(&body).unwrap();
    let (status, answer) = (server.answer.lock().unwrap())(&request["Entries"]);
    server.requests.lock().unwrap().push(request["Entries"].clone());
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string())
}

/// Successful results for these entries.
pub(crate) fn accepted<'a>(entries: impl IntoIterator<Item = &'a Value>) -> Value {
    let accept = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"});
    entries.into_iter().map(accept).collect()
}
