//! Names under which secrets are kept, and what is taken out by name alone.

use std::borrow::Cow;

use afterimage_json::unescape;

/// Longest normalised name that is looked at whole; of a longer one its end.
const NAME_BYTES: usize = 24;

/// Names that are secret when they are the whole name.
const EXACT: [&str; 17] = [
    "pwd",
    "pan",
    "cvv",
    "cvv2",
    "cvc",
    "cvc2",
    "cookie",
    "cookies",
    "setcookie",
    "authorization",
    "proxyauthorization",
    "accesskey",
    "cardnumber",
    "ccnumber",
    "creditcard",
    "creditcardnumber",
    "debitcardnumber",
];

/// Endings that make any name secret, sorted by nothing in particular: few names pass the filter before them.
const ENDINGS: [&str; 27] = [
    "password",
    "passwords",
    "passwordconfirmation",
    "passwd",
    "passphrase",
    "passcode",
    "passwordhash",
    "passwordsalt",
    "passworddigest",
    "passwdhash",
    "pwdhash",
    "secret",
    "secrets",
    "token",
    "tokenhash",
    "secrethash",
    "apikey",
    "apikeys",
    "apikeyhash",
    "privatekey",
    "secretkey",
    "signingkey",
    "encryptionkey",
    "secretaccesskey",
    "cardnumber",
    "creditcardnumber",
    "credentials",
];

/// Is a member with this name a secret: a password or its hash, a token, a key, a card number?
///
/// `name` is the unescaped name. Letter case and `_`, `-`, `.` and spaces do not count: `API-Key`, `api_key` and `apikey`
/// are one. The list: `pwd`, `pan`, `cvv`, `cvv2`, `cvc`, `cvc2`, `cookie(s)`, `set-cookie`, `(proxy-)authorization`,
/// `access key`, `cc number`, `credit card`, and whatever ends in password, passwd, passphrase, passcode (and `…hash`,
/// `…salt`, `…digest` of a password), secret, token, api key (and their hashes), private, secret, signing or encryption key,
/// secret access key, (credit) card number, credentials, also with a number behind it (`password2`).
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    may_end_a_secret_name(name.as_bytes()) && is_listed(name)
}

/// The cheap filter, for the many names that are none: looks at the last two letters only.
#[inline]
fn may_end_a_secret_name(name: &[u8]) -> bool {
    let [.., before, last] = name else { return false };
    match &[before | 0x20, last | 0x20] {
        // pwd, password, passcode, passphrase, cookie, set-cookie
        b"wd" | b"rd" | b"de" | b"se" | b"ie" => true,
        // hash, salt, digest, secret, token, key, pan, card number, authorization, confirmation
        b"sh" | b"lt" | b"st" | b"et" | b"en" | b"ey" | b"an" | b"er" | b"on" => true,
        // cvv, cvc and plurals
        b"vv" | b"vc" | b"ds" | b"ts" | b"ys" | b"ls" | b"es" => true,
        // Digits and punctuation: the letters come before them.
        letters => !letters.iter().all(u8::is_ascii_alphabetic),
    }
}

fn is_listed(name: &str) -> bool {
    // Filled from the end: endings decide, and only they do when the name is longer than all of ours.
    let mut buffer = [0; NAME_BYTES];
    let mut start = NAME_BYTES;
    let mut letters = name.bytes().rev().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' '));
    while start > 0 {
        let Some(byte) = letters.next() else { break };
        start -= 1;
        buffer[start] = byte.to_ascii_lowercase();
    }
    let whole = letters.next().is_none();
    let normal = &buffer[start..];
    let digits = normal.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let unnumbered = &normal[..normal.len() - digits];
    ENDINGS.iter().any(|ending| unnumbered.ends_with(ending.as_bytes()))
        || whole && EXACT.iter().any(|exact| normal == exact.as_bytes())
}

/// Does any key of this proven JSON text, at any depth, name a secret?
///
/// One pass that looks for strings followed by a colon; no nesting is followed.
pub(crate) fn has_secret_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut pos = 0;
    while let Some(start) = find_quote(bytes, pos) {
        let start = start + 1;
        let Some((end, escaped)) = string_end(bytes, start) else { return false };
        pos = end + 1;
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(pos) {
            pos += 1;
        }
        if bytes.get(pos) != Some(&b':') {
            continue;
        }
        let inner = &text[start..end];
        let secret = if escaped {
            is_secret_name(&unescape(inner).unwrap_or(Cow::Borrowed(inner)))
        } else {
            is_secret_name(inner)
        };
        if secret {
            return true;
        }
    }
    false
}

#[inline]
fn find_quote(bytes: &[u8], pos: usize) -> Option<usize> {
    bytes.get(pos..)?.iter().position(|&byte| byte == b'"').map(|found| pos + found)
}

/// Where the string that `pos` lies in ends, and whether it has escapes. Eight bytes at a time: a byte below the
/// subtrahend borrows, which sets its high bit; only bytes above the first hit can be wrong.
#[inline]
fn string_end(bytes: &[u8], mut pos: usize) -> Option<(usize, bool)> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let mut escaped = false;
    loop {
        while let Some(chunk) = bytes.get(pos..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
            let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
            let hits = (quote | backslash) & !word & HIGHS;
            if hits != 0 {
                pos += (hits.trailing_zeros() / 8) as usize;
                break;
            }
            pos += 8;
        }
        match bytes.get(pos)? {
            b'"' => return Some((pos, escaped)),
            b'\\' => {
                escaped = true;
                pos += 2;
            }
            _ => pos += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_passes_the_filter_in_every_spelling() {
        for name in EXACT.iter().chain(&ENDINGS) {
            assert!(name.len() < NAME_BYTES, "{name}");
            assert!(is_secret_name(name), "{name}");
            assert!(is_secret_name(&name.to_uppercase()), "{name}");
            let spaced: String = name.chars().flat_map(|letter| [letter, '_']).collect();
            assert!(is_secret_name(&spaced), "{spaced}");
        }
        for name in ENDINGS {
            assert!(is_secret_name(&format!("the customer's previous {name}")), "{name}");
        }
    }

    #[test]
    fn spellings_that_producers_use_are_secret() {
        for name in [
            "password",
            "Password",
            "user_password",
            "password_hash",
            "passwordHash",
            "password-salt",
            "refresh_token",
            "accessToken",
            "X-Api-Key",
            "client_secret",
            "privateKey",
            "Authorization",
            "Set-Cookie",
            "card_number",
            "creditCardNumber",
            "CVV",
            "new_password2",
            "password_confirmation",
            "hashed_password",
            "encrypted_password",
            "password_digest",
            "aws_secret_access_key",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn innocent_names_stay() {
        for name in [
            "",
            "id",
            "status",
            "name",
            "email",
            "pan_european",
            "company",
            "span",
            "japan",
            "tokens_used",
            "token_count",
            "passwordChangedAt",
            "secretary",
            "keyboard",
            "key",
            "pan3",
            "id2",
            "primaryKey",
            "cookieConsent",
            "access_keyboard",
            "hash",
            "salt",
            "cvcs",
            "discard",
            "postcard",
            "ключ",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn keys_are_found_at_any_depth_in_any_spelling_and_values_are_no_keys() {
        for text in [
            r#"{"password":1}"#,
            r#"[1,{"a":[{"b":{"Pass_Word":1}}]}]"#,
            r#"{"p\u0061ssword" : 1}"#,
            "{\"a\\\\\":1,\"token\"\n:1}",
            r#"{"a quite long text with an \" escape":"x","token":1}"#,
        ] {
            assert!(has_secret_key(text), "{text}");
        }
        for text in [r#"{"a":"password"}"#, r#"["token","secret"]"#, r#""token""#, r#"{"a":"\"token\":1"}"#, "1", ""] {
            assert!(!has_secret_key(text), "{text}");
        }
    }
}
