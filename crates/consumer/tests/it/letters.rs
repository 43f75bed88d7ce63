//! What a tool for dead letters asks of SQS, over the wire: letters are held for as long as they are looked at and given back
//! at last; and only those whose sending back was acknowledged may be deleted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use afterimage_consumer::dead_letters::{Letter, Look, Resend, look, send_back};
use afterimage_consumer::{Attribute, AttributeValue};
use tokio_util::sync::CancellationToken;

use crate::calls::Server;
use crate::fakes::message;

const LETTER: &str = r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b"}]}"#;
const NOTHING: &str = r#"{"Attributes":{"ApproximateNumberOfMessages":"0","ApproximateNumberOfMessagesNotVisible":"0","ApproximateNumberOfMessagesDelayed":"0"}}"#;
const DONE: &str = r#"{"Successful":[{"Id":"0"}],"Failed":[]}"#;
const FAILED: &str = r#"{"Successful":[],"Failed":[{"Id":"0","Code":"InternalError","SenderFault":false}]}"#;
/// Far longer than a machine that is busy takes for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lease of the one letter, changed to so many seconds.
fn lease(seconds: u64) -> String {
    format!(r#"[{{"Id":"0","ReceiptHandle":"r","VisibilityTimeout":{seconds}}}]"#)
}

#[tokio::test]
async fn a_letter_is_held_again_and_again_until_the_look_ends_though_a_call_fails() {
    let is_released = AtomicBool::new(false);
    let server = Server::answering(move |action, body, nth| {
        // The first call to give back fails, as the first to extend does.
        let answer = match action {
            "ReceiveMessage" if nth == 1 => LETTER,
            "ReceiveMessage" => "{}",
            "GetQueueAttributes" => NOTHING,
            _ if body.contains(r#""VisibilityTimeout":0"#) && !is_released.swap(true, Ordering::Relaxed) => FAILED,
            "ChangeMessageVisibilityBatch" if nth == 1 => FAILED,
            _ => DONE,
        };
        Some(answer.to_owned())
    })
    .await;
    let changes = "ChangeMessageVisibilityBatch";
    let looked = look(server.queue("q"), Duration::from_secs(2), usize::MAX, async |look: &mut Look| {
        let letters = look.next(&CancellationToken::new()).await.unwrap();
        assert_eq!(letters.len(), 1);
        let held = async {
            while server.entries(changes).len() < 4 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, held).await.expect("it is extended again and again");
    });
    assert_eq!(looked.await.unwrap().still_hidden, 0);
    let mut changed = server.entries(changes);
    let given_back = changed.split_off(changed.len() - 2);
    assert!(changed.len() >= 4 && changed.iter().all(|entries| *entries == lease(2)), "{changed:?}");
    assert_eq!(given_back, [lease(0), lease(0)]);
}

fn letter(n: usize, body: &str) -> Letter {
    let mut message = message(&format!("m{n}"), body, 1);
    message.group_id = Some("of-letters".to_owned());
    let origin = format!("v1;id=o{n};published=2026-01-01T00:00:00.000000Z;group=g{n}");
    message.attributes = vec![
        Attribute::text("afterimage.reason", "not_json"),
        Attribute::text("afterimage.origin", origin),
        Attribute {
            name: "b".to_owned(),
            data_type: "Binary.gzip".to_owned(),
            value: AttributeValue::Bytes(vec![0, 1, 2]),
        },
    ];
    Letter { message, source_arn: None }
}

/// The message ids of those that may be deleted, and whether the others are final.
async fn sent_back(server: &Server, letters: &[Letter]) -> Vec<Result<String, bool>> {
    let resends: Vec<_> = letters.iter().map(|letter| Resend::new(letter).unwrap()).collect();
    let results = send_back(&server.queue("q.fifo"), &resends).await.unwrap();
    let outcome = results.into_iter().map(|result| match result {
        Ok(delete) => Ok(delete.handle().message_id.to_string()),
        Err(error) => Err(error.is_final),
    });
    outcome.collect()
}

#[tokio::test]
async fn only_letters_whose_sending_back_was_acknowledged_may_be_deleted() {
    // Of ten the fourth fails and of the sixth nothing is said; the rest are never answered.
    let server = Server::answering(|_, _, nth| {
        let sent = (0..10).filter(|n| ![3, 5].contains(n));
        let sent =
            sent.map(|n| format!(r#"{{"Id":"{n}","MessageId":"x","MD5OfMessageBody":"x"}}"#)).collect::<Vec<_>>();
        let failed = r#"[{"Id":"3","Code":"InvalidMessageContents","SenderFault":true}]"#;
        (nth == 1).then(|| format!(r#"{{"Successful":[{}],"Failed":{failed}}}"#, sent.join(",")))
    })
    .await;
    let letters: Vec<_> = (0..12).map(|n| letter(n, "b")).collect();
    let expected = (0..12).map(|n| match n {
        3 => Err(true),
        5 | 10 | 11 => Err(false),
        n => Ok(format!("m{n}")),
    });
    assert_eq!(sent_back(&server, &letters).await, expected.collect::<Vec<_>>());
    let sent = server.entries("SendMessageBatch");
    assert!(sent.len() > 2, "what was not answered is sent again");
    for id in ["redrive-m10", "redrive-m11"] {
        assert!(sent[1..].iter().all(|entries| entries.contains(id)), "{id}");
    }
    let first = sent[0].split_once("},{\"Id\":\"1\"").unwrap().0;
    for part in [
        r#""MessageBody":"b""#,
        r#""MessageGroupId":"g0""#,
        r#""MessageDeduplicationId":"redrive-m0""#,
        r#""afterimage.origin":{"StringValue":"v1;id=o0;"#,
        r#""BinaryValue":"AAEC""#,
        r#""DataType":"Binary.gzip""#,
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(!first.contains("afterimage.reason"), "{first}");
}

#[tokio::test]
async fn letters_too_large_for_one_request_go_in_several() {
    let server = Server::answering(|_, _, _| {
        Some(r#"{"Successful":[{"Id":"0","MessageId":"x","MD5OfMessageBody":"x"}],"Failed":[]}"#.to_owned())
    })
    .await;
    let letters = [letter(0, &"x".repeat(600_000)), letter(1, &"y".repeat(600_000))];
    assert_eq!(sent_back(&server, &letters).await, [Ok("m0".to_owned()), Ok("m1".to_owned())]);
    assert_eq!(server.entries("SendMessageBatch").len(), 2);
}
