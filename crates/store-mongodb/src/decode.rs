//! BSON to JSON text: the way back of [`crate::encode`].

use afterimage_json::push_quoted;
use mongodb::bson::raw::{RawBsonRef, RawDocument};

use crate::bson::JSON;
use crate::encode::NUMBER;
use crate::names::unescape_key;

/// A document holds what no entry does; says which type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotOurs(pub(crate) String);

impl From<mongodb::bson::error::Error> for NotOurs {
    fn from(_: mongodb::bson::error::Error) -> Self {
        Self("it is no well-formed BSON".to_owned())
    }
}

/// Appends a value as JSON.
pub(crate) fn push_value(value: RawBsonRef<'_>, out: &mut String) -> Result<(), NotOurs> {
    use std::fmt::Write as _;
    match value {
        RawBsonRef::Null => out.push_str("null"),
        RawBsonRef::Boolean(value) => out.push_str(if value { "true" } else { "false" }),
        // Writing to a text cannot fail.
        RawBsonRef::Int64(value) => {
            let _infallible = write!(out, "{value}");
        }
        RawBsonRef::String(text) => push_quoted(text, out),
        RawBsonRef::Array(elements) => {
            out.push('[');
            for (index, element) in elements.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_value(element?, out)?;
            }
            out.push(']');
        }
        RawBsonRef::Document(document) => match tagged(document)? {
            Some(text) => out.push_str(text),
            None => push_object(document, out)?,
        },
        other => return Err(NotOurs(format!("it has a value of type {:?}", other.element_type()))),
    }
    Ok(())
}

fn push_object(document: &RawDocument, out: &mut String) -> Result<(), NotOurs> {
    out.push('{');
    for (index, element) in document.iter().enumerate() {
        let (key, value) = element?;
        if index > 0 {
            out.push(',');
        }
        push_key(key.as_str(), out)?;
        push_value(value, out)?;
    }
    out.push('}');
    Ok(())
}

/// Appends a key and the colon behind it.
pub(crate) fn push_key(key: &str, out: &mut String) -> Result<(), NotOurs> {
    push_quoted(&unescape_key(key).ok_or_else(|| NotOurs("it has a key of no known form".to_owned()))?, out);
    out.push(':');
    Ok(())
}

/// The text of a document that stands for a number, or for JSON as it is.
fn tagged(document: &RawDocument) -> Result<Option<&str>, NotOurs> {
    match document.iter().next().transpose()? {
        Some((key, RawBsonRef::String(text))) if key.as_str() == NUMBER || key.as_str() == JSON => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// A text, also where it stands as JSON.
pub(crate) fn text(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::String(text) => Some(text.to_owned()),
        RawBsonRef::Document(document) => {
            let json = document.get_str(JSON).ok()?;
            afterimage_json::unescape(json.strip_prefix('"')?.strip_suffix('"')?).ok().map(|text| text.into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::RawDocumentBuf;
    use proptest::prelude::*;

    use super::*;
    use crate::bson::Writer;
    use crate::encode::{Encoder, NotJson, Spelling};

    /// What a value becomes, how it was spelled, and what comes back.
    fn there_and_back(json: &str) -> Result<(RawDocumentBuf, Spelling, String), NotJson> {
        let mut writer = Writer::with_capacity(0);
        let mut encoder = Encoder::new(json);
        let (spelling, text) = encoder.value("v", &mut writer)?;
        if text.len() != json.len() {
            return Err(NotJson);
        }
        let document = RawDocumentBuf::from_bytes(writer.finish()).unwrap();
        let mut back = String::new();
        push_value(document.get("v").unwrap().unwrap(), &mut back).unwrap();
        Ok((document, spelling, back))
    }

    #[test]
    fn every_form_is_as_the_table_says() {
        use mongodb::bson::{Bson, Document, bson};
        let shown = |json: &str| {
            let (document, spelling, back) = there_and_back(json).unwrap();
            assert_eq!((spelling, back.as_str()), (Spelling::Plain, json));
            Document::try_from(&*document).unwrap().remove("v").unwrap()
        };
        assert_eq!(shown("9223372036854775807"), Bson::Int64(i64::MAX));
        assert_eq!(shown("-9223372036854775808"), Bson::Int64(i64::MIN));
        for odd in ["9223372036854775808", "-0", "1.0", "19.90", "1e3", "0.1", "1.00000000000000000000000000000000001"]
        {
            assert_eq!(shown(odd), bson!({ "%number": odd }), "{odd}");
        }
        assert_eq!(shown(r#"{"a.b":{"$x":[]},"":0}"#), bson!({ "a%2Eb": { "%24x": [] }, "%": 0_i64 }));
        assert_eq!(shown(r#"{"%number":"1"}"#), bson!({ "%25number": "1" }));
        assert_eq!(shown(r#"{"%json":"1"}"#), bson!({ "%25json": "1" }));
        assert_eq!(shown(r#"{"$serde_json::private::Number":"1"}"#), bson!({ "%24serde_json::private::Number": "1" }));
        assert_eq!(shown(r#""a\u0000b""#), bson!({ "%json": r#""a\u0000b""# }));
        assert_eq!(shown(r#"[null,true,"é\n\"",{}]"#), bson!([null, true, "é\n\"", {}]));
    }

    #[test]
    fn nesting_stays_within_what_servers_take_and_comes_back() {
        let nested = |levels: usize| format!("{}\"]\"{}", "[".repeat(levels), "]".repeat(levels));
        for levels in [1, 89, 90, 91, 92, 127, 5_000] {
            let (document, spelling, back) = there_and_back(&nested(levels)).unwrap();
            assert_eq!((spelling, back), (Spelling::Plain, nested(levels)));
            let mut depth = 0;
            let mut value = document.get("v").unwrap();
            while let Some(RawBsonRef::Array(inner)) = value {
                depth += 1;
                value = inner.get(0).unwrap();
            }
            assert!(depth <= 90, "{depth}");
        }
    }

    #[test]
    fn a_spelling_that_would_not_come_back_says_so() {
        for own in ["[1, 2]", "{ }", r#"{"a" :1}"#, r#""\u00e9""#, r#""\/""#, r#""\u000a""#, "[\n]", r#"{"\u0061":1}"#]
        {
            let (_, spelling, back) = there_and_back(own).unwrap();
            assert_eq!(spelling, Spelling::Own, "{own}");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&back), value(own), "the same data");
        }
        for wrong in
            ["", "[", "{", "[1", "[1,", "{\"a\"", "{\"a\":", "\"", "\"\\", "\"\\ud800\"", "nul", "\"\u{1}\"", "x"]
        {
            assert!(there_and_back(wrong).is_err(), "{wrong}");
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let text = "(\\PC|[\"%$./\\\\ \\x00-\\x1f]){0,6}";
        let quoted = text.prop_map(|text| serde_json::Value::from(text).to_string());
        // As other programs spell them.
        let escaped = text.prop_map(|text| {
            let units: Vec<u16> = text.encode_utf16().collect();
            format!("\"{}\"", units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>())
        });
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
            quoted.clone(),
            escaped,
        ];
        let space = prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("\n\t")];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let array = (prop::collection::vec(inner.clone(), 0..6), space.clone())
                .prop_map(|(elements, space)| format!("[{space}{}]", elements.join(&format!(",{space}"))));
            let member = (quoted.clone(), inner, space.clone());
            let object = prop::collection::vec(member, 0..6).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(key, value, space)| format!("{key}{space}:{space}{value}{space}")).collect();
                format!("{{{}}}", members.join(","))
            });
            prop_oneof![array, object]
        })
    }

    proptest! {
        #[test]
        fn what_is_said_to_come_back_does(json in json()) {
            let (_, spelling, back) = there_and_back(&json).unwrap();
            if spelling == Spelling::Plain {
                prop_assert_eq!(&back, &json);
            } else {
                let value = |text: &str| afterimage_json::Raw::parse(text).map(|raw| raw.as_str().to_owned());
                if let (Ok(a), Ok(b)) = (value(&json), value(&back)) {
                    let equal = afterimage_json::equal(
                        afterimage_json::Raw::parse(&a).unwrap(),
                        afterimage_json::Raw::parse(&b).unwrap(),
                    );
                    prop_assert!(equal);
                }
            }
        }

        #[test]
        fn any_text_at_all_comes_back_or_is_refused(text in "[\\[\\]{},:\"\\\\u0-9a-f.e+ -]{0,40}") {
            if let Ok((_, Spelling::Plain, back)) = there_and_back(&text) {
                prop_assert_eq!(back, text);
            }
        }
    }
}
