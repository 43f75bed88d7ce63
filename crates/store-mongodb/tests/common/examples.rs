//! The examples of docs/stores/mongodb.md.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

use mongodb::bson::{Bson, Document};

const PAGE: &str = include_str!("../../../../docs/stores/mongodb.md");

/// One example: the sentence above it, and its arguments.
pub(crate) struct Example {
    pub(crate) title: &'static str,
    /// `find` or `aggregate`.
    pub(crate) method: &'static str,
    pub(crate) argument: Bson,
    pub(crate) sort: Document,
}

/// All of them. `yesterday` is what stands for that word.
pub(crate) fn examples(yesterday: &str) -> Vec<Example> {
    let blocks = PAGE.split("\n```js\n").collect::<Vec<_>>();
    let examples: Vec<_> = blocks
        .windows(2)
        .map(|pair| {
            let title = pair[0].lines().last().unwrap();
            let code = pair[1].split("\n```").next().unwrap();
            let call = code.lines().last().unwrap().strip_prefix("db.entries.").expect("a question about entries");
            let (method, arguments) = call.split_once('(').unwrap();
            let (argument, _) = value(arguments, yesterday);
            let sort = call.split_once(".sort(").map(|(_, sort)| value(sort, yesterday).0);
            let sort = sort.map(|sort| sort.as_document().unwrap().clone()).unwrap_or_default();
            Example { title, method, argument, sort }
        })
        .collect();
    assert!(examples.len() >= 10, "{} examples", examples.len());
    examples
}

/// A value as mongosh reads it, as far as the examples go, and what follows it.
fn value<'t>(text: &'t str, yesterday: &str) -> (Bson, &'t str) {
    let text = text.trim_start();
    match text.as_bytes()[0] {
        b'{' => {
            let (mut document, mut rest) = (Document::new(), text[1..].trim_start());
            while !rest.starts_with('}') {
                let end = rest.find(':').unwrap();
                let key = rest[..end].trim().trim_matches('"').to_owned();
                let (inner, after) = value(&rest[end + 1..], yesterday);
                document.insert(key, inner);
                rest = after.trim_start().trim_start_matches(',').trim_start();
            }
            (Bson::Document(document), &rest[1..])
        }
        b'[' => {
            let (mut elements, mut rest) = (Vec::new(), text[1..].trim_start());
            while !rest.starts_with(']') {
                let (inner, after) = value(rest, yesterday);
                elements.push(inner);
                rest = after.trim_start().trim_start_matches(',').trim_start();
            }
            (Bson::Array(elements), &rest[1..])
        }
        b'"' => {
            let end = text[1..].find('"').unwrap() + 1;
            (Bson::String(text[1..end].to_owned()), &text[end + 1..])
        }
        _ => {
            let end = text.find([',', '}', ']', ')']).unwrap();
            let word = match text[..end].trim() {
                "yesterday" => Bson::String(yesterday.to_owned()),
                number => Bson::Int32(number.parse().unwrap()),
            };
            (word, &text[end..])
        }
    }
}
