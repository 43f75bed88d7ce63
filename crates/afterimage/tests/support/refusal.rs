//! An SQS endpoint that refuses some calls, as AWS does for want of permission, and answers the others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

/// The URL of a queue whose endpoint answers each named operation with that error code. It hands out one message with
/// this body, once.
pub(crate) fn refusing_queue(refusals: &'static [(&'static str, &'static str)], body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/123456789012/changes", listener.local_addr().unwrap());
    let mut message = Some(json!({ "Messages": [{
        "MessageId": "m1", "ReceiptHandle": "r1", "Body": body,
        "Attributes": { "SentTimestamp": "1767952805000", "ApproximateReceiveCount": "1" },
    }]}));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Some(request) = request(&mut stream) else { continue };
            let is = |operation: &str| request.contains(&format!("AmazonSQS.{operation}\r\n"));
            let refusal = refusals.iter().find(|(operation, _)| *operation == "*" || is(operation));
            let (status, answer) = match refusal {
                Some((_, code)) => (403, json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "no" })),
                None if is("ReceiveMessage") => (200, message.take().unwrap_or_else(|| json!({}))),
                None if is("GetQueueAttributes") => (
                    200,
                    json!({ "Attributes": {
                        "QueueArn": "arn:aws:sqs:eu-central-1:123456789012:changes", "MessageRetentionPeriod": "3600" } }),
                ),
                None => (200, json!({ "Successful": [{ "Id": "0" }], "Failed": [] })),
            };
            let answer = answer.to_string();
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\n");
            // A client that has gone needs no answer.
            write!(stream, "{head}Content-Length: {}\r\n\r\n{answer}", answer.len()).ok();
        }
    });
    url
}

/// Head and body of a request, read to their ends.
fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let field =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= field.unwrap_or(0) {
            // Header names come in any case; the value is what is looked for.
            return Some(text);
        }
    }
}
