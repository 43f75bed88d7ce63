//! Secrets in what stands beside the images: context, labels, reasons.

use std::borrow::Cow;

use afterimage_json::{Kind, Raw, push_quoted};

use super::secrets::{has_secret_key, is_secret_name};

/// The member of a context in which people write why: its text is searched for secrets, too.
const REASON: &str = "reason";
/// What stands for a secret in text.
const MASK: &str = "***";

/// A JSON value without its members, at any depth, that are named like secrets, and with secrets in the text of a
/// `reason` masked ([`redact_text`]). Text that needs nothing comes back as it is.
///
/// Text that is no JSON, which no decoded event has, becomes `{}`: nothing unseen passes.
#[must_use]
pub fn redact_object(text: &str) -> Cow<'_, str> {
    let Ok(value) = Raw::parse(text) else { return Cow::Borrowed("{}") };
    let may_reason = text.as_bytes().windows(REASON.len()).any(|word| word.eq_ignore_ascii_case(REASON.as_bytes()));
    if !has_secret_key(text) && !may_reason && !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    if write(value, false, &mut out) { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// Writes a value without secrets; says whether it had some.
fn write(value: Raw<'_>, is_reason: bool, out: &mut String) -> bool {
    let mut touched = false;
    match value.kind() {
        Kind::Object => {
            out.push('{');
            let mut first = true;
            for (name, value) in value.members().into_iter().flatten() {
                if is_secret_name(&name) {
                    touched = true;
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                push_quoted(&name, out);
                out.push(':');
                touched |= write(value, name.eq_ignore_ascii_case(REASON), out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (index, value) in value.elements().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                touched |= write(value, is_reason, out);
            }
            out.push(']');
        }
        Kind::String if is_reason => {
            let text = value.string().unwrap_or_default();
            match redact_text(&text) {
                Cow::Borrowed(_) => out.push_str(value.as_str()),
                Cow::Owned(text) => {
                    push_quoted(&text, out);
                    touched = true;
                }
            }
        }
        _ => out.push_str(value.as_str()),
    }
    touched
}

/// Free text with secrets masked, as far as text shows them: what is written as the value of a name of a secret
/// (`password=…`, `"apiKey": "…"`, `Authorization: Bearer …`), behind `Bearer` or `Basic`, or as the password of a URL.
#[must_use]
pub fn redact_text(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut pos = 0;
    while let Some(word) = next_word(text, pos) {
        pos = word.end;
        let Some(secret) = secret_behind(text, &word) else { continue };
        out.push_str(&text[copied..secret.start]);
        out.push_str(MASK);
        copied = secret.end;
        pos = secret.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

type Span = std::ops::Range<usize>;

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '.')
}

fn next_word(text: &str, from: usize) -> Option<Span> {
    let start = from + text[from..].find(is_word)?;
    let end = text[start..].find(|char| !is_word(char)).map_or(text.len(), |length| start + length);
    Some(start..end)
}

/// Where the secret that this word announces stands.
fn secret_behind(text: &str, word: &Span) -> Option<Span> {
    let name = &text[word.clone()];
    let rest = &text[word.end..];
    if name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("basic") {
        // A scheme of RFC 9110 and its credentials; a word of prose has no digits.
        let start = word.end + (rest.len() - rest.trim_start().len());
        let end = end_of_value(text, start, |char| char.is_whitespace() || matches!(char, '"' | '\'' | ',' | ';'));
        let credentials = &text[start..end];
        let looks_so = credentials.len() >= 8 && credentials.contains(|char: char| !char.is_alphabetic());
        return (start > word.end && looks_so).then_some(start..end);
    }
    if let Some(authority) = rest.strip_prefix("://") {
        // user:password@host, RFC 3986 §3.2.1
        let start = word.end + 3;
        let end = end_of_value(text, start, |char| char.is_whitespace() || matches!(char, '/' | '?' | '#' | '"'));
        let userinfo = &authority[..end - start].rfind('@').map(|at| &authority[..at])?;
        let colon = userinfo.find(':')?;
        return Some(start + colon + 1..start + userinfo.len()).filter(|span| !span.is_empty());
    }
    if !is_secret_name(name) {
        return None;
    }
    let quotes = |char: char| matches!(char, '"' | '\'' | '`' | '\\');
    let sign = rest.trim_start_matches(quotes).trim_start();
    let value = sign.strip_prefix(['=', ':'])?.trim_start().trim_start_matches(['=', '>']).trim_start();
    let quoted = value.trim_start_matches(quotes);
    let start = text.len() - quoted.len();
    let end = if quoted.len() < value.len() {
        end_of_quoted(text, start, &value[..value.len() - quoted.len()])
    } else if name.to_ascii_lowercase().ends_with("authorization") || name.to_ascii_lowercase().contains("cookie") {
        // Headers: several words are one value.
        end_of_value(text, start, |char| matches!(char, '\n' | '\r' | '"' | '\''))
    } else {
        end_of_value(text, start, |char| {
            char.is_whitespace() || matches!(char, ',' | ';' | '&' | ')' | '}' | ']' | '"')
        })
    };
    (end > start).then_some(start..end)
}

/// Where the text ends that these quotes opened; quotes with a backslash (JSON inside JSON) end with one.
fn end_of_quoted(text: &str, start: usize, opening: &str) -> usize {
    let quote = opening.chars().next_back().unwrap_or('"');
    let is_escaped = opening.contains('\\');
    let mut before = ' ';
    for (at, char) in text[start..].char_indices() {
        if char == quote && (before == '\\') == is_escaped {
            return start + at - usize::from(is_escaped);
        }
        before = char;
    }
    text.len()
}

fn end_of_value(text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
    text[start..].find(ends).map_or(text.len(), |length| start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_text_are_masked() {
        for (text, expected) in [
            ("password=hunter2 and on", "password=*** and on"),
            ("set passwd: 'hun ter2', then", "set passwd: '***', then"),
            (r#"{"apiKey": "k-1", "n": 1}"#, r#"{"apiKey": "***", "n": 1}"#),
            (r#"{\"token\":\"t1\"}"#, r#"{\"token\":\"***\"}"#),
            ("Authorization: Bearer abc.def.123", "Authorization: ***"),
            ("sent Bearer eyJhbGciOi.x1 to them", "sent Bearer *** to them"),
            ("see postgres://app:s3cret@db/x?y=1", "see postgres://app:***@db/x?y=1"),
            ("a=1&access_token=abc&b=2", "a=1&access_token=***&b=2"),
            ("client-secret: \"it's\", n", "client-secret: \"***\", n"),
            (r#"pwd="a\"b" x"#, r#"pwd="***" x"#),
            ("client_secret=>s3 é", "client_secret=>*** é"),
            ("Passwort und token = t2;", "Passwort und token = ***;"),
        ] {
            assert_eq!(redact_text(text), expected);
        }
    }

    #[test]
    fn prose_about_secrets_stays() {
        for text in [
            "password reset asked for by the customer",
            "the token expired",
            "bearer of bad news",
            "basic instinct",
            "https://example.com/a:b@c",
            "",
            "é",
            "token",
            "password:",
            "cookie",
        ] {
            assert!(matches!(redact_text(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn secrets_go_from_objects_at_any_depth() {
        let text = r#"{"ip":"::1","h":[{"p\u0061ssword":"x","n":1}],"Auth_Token":{"a":1},"reason":"token=abc"}"#;
        assert_eq!(redact_object(text), r#"{"ip":"::1","h":[{"n":1}],"reason":"token=***"}"#);
        assert_eq!(redact_object(r#"{"re\u0061son":"token=abc"}"#), r#"{"reason":"token=***"}"#);
    }

    #[test]
    fn objects_without_secrets_are_not_copied() {
        for text in [r#"{ "a" : [1, "password"] }"#, r#"{"reason":"because"}"#, r#"{"a":"\n"}"#] {
            assert!(matches!(redact_object(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!(redact_object(r#"{"password":"#), "{}");
    }
}
