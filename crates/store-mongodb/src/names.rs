//! Names and keys, as every server takes them and sorts them alike.

use std::borrow::Cow;

use afterimage_event::{RecordKey, Timestamp};
use afterimage_store::{Identity, OrderKey, TableKey};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A key of a JSON object, as the key of a document.
///
/// A `.` and a leading `$` mean something else in queries (and some servers refuse them), an empty key cannot be asked
/// for, and a NUL ends a key: they are percent-encoded (`a%2Eb`, `%24set`, `%00`), as is `%` itself; the empty key is
/// `%`. So no such key equals another one, nor a tag as `%number`.
pub(crate) fn escape_key(key: &str) -> Cow<'_, str> {
    let odd = |byte: &u8| matches!(byte, b'.' | b'%' | 0);
    if key.is_empty() {
        return Cow::Borrowed("%");
    }
    if !key.as_bytes().iter().any(odd) && !key.starts_with('$') {
        return Cow::Borrowed(key);
    }
    let mut out = String::with_capacity(key.len() + 4);
    for (at, character) in key.char_indices() {
        match character {
            '.' | '%' | '\0' => push_percent(character as u8, &mut out),
            '$' if at == 0 => push_percent(b'$', &mut out),
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

/// A name at the top of a document that is ours: no key that [`escape_key`] makes.
pub(crate) fn escape_first(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 2);
    let mut characters = key.chars();
    if let Some(first) = characters.next().filter(char::is_ascii) {
        push_percent(first as u8, &mut out);
    }
    out.push_str(characters.as_str());
    out
}

/// The key that [`escape_key`] or [`escape_first`] was given; `None` for what neither makes.
pub(crate) fn unescape_key(key: &str) -> Option<Cow<'_, str>> {
    if key == "%" {
        return Some(Cow::Borrowed(""));
    }
    if !key.contains('%') {
        return Some(Cow::Borrowed(key));
    }
    let mut out = String::with_capacity(key.len());
    let mut rest = key;
    while let Some((plain, encoded)) = rest.split_once('%') {
        out.push_str(plain);
        let byte = u8::from_str_radix(encoded.get(..2)?, 16).ok().filter(u8::is_ascii)?;
        out.push(char::from(byte));
        rest = &encoded[2..];
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

fn push_percent(byte: u8, out: &mut String) {
    out.push('%');
    push_hex(byte, out);
}

fn push_hex(byte: u8, out: &mut String) {
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// The record's key as one text, as it stands in URLs: parts percent-encoded where they must be, joined by commas. A
/// record without parts is `%`.
///
/// One text, because an index on a list has an entry for each of its elements and cannot find the whole list.
pub(crate) fn record(record_id: &[String]) -> String {
    if record_id.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::with_capacity(record_id.iter().map(|part| part.len() + 1).sum());
    for (index, part) in record_id.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_part(part, &mut out);
    }
    out
}

/// The `_id` of a table: tenant, source and table, as [`record`] has the parts of a key.
pub(crate) fn table(table: &TableKey) -> String {
    let mut out = tables_from(&table.tenant);
    push_part(&table.source, &mut out);
    out.push(',');
    push_part(&table.table, &mut out);
    out
}

/// What the `_id` of every table of a tenant begins with.
pub(crate) fn tables_from(tenant: &str) -> String {
    let mut out = String::with_capacity(tenant.len() + 64);
    push_part(tenant, &mut out);
    out.push(',');
    out
}

/// The first text behind all that begin with [`tables_from`], however a server sorts what is not ASCII: `-` follows `,`.
pub(crate) fn tables_to(tenant: &str) -> String {
    let mut out = tables_from(tenant);
    out.pop();
    out.push('-');
    out
}

fn push_part(part: &str, out: &mut String) {
    for character in part.chars() {
        match character {
            ',' | '%' | '\0' => push_percent(character as u8, out),
            _ => out.push(character),
        }
    }
}

/// The `_id` of an entry: its identity, and nothing else. Begins with the time of publishing, so that what comes in goes
/// to one end of the index and is told again while that end is in memory.
pub(crate) fn document_id(record: &RecordKey, identity: &Identity) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in [&record.tenant, &record.source, &identity.event_id] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.update(&identity.input_digest.0);
    hasher.update(&identity.revision.to_le_bytes());
    let mut out = String::with_capacity(TIME_CHARS + 1 + 2 * ID_HASH_BYTES);
    push_time(identity.published_at, &mut out);
    out.push('-');
    hasher.finalize().as_bytes()[..ID_HASH_BYTES].iter().for_each(|byte| push_hex(*byte, &mut out));
    out
}

/// Bytes of the hash in `_id`: two identities of the same microsecond share it with a probability of 2⁻¹²⁸.
const ID_HASH_BYTES: usize = 16;

/// Characters of a time: `2026-01-09T10:00:05.120000Z`.
const TIME_CHARS: usize = 27;

/// Where an entry stands in the order of its record, as text that sorts as [`OrderKey`] does.
///
/// One field, so that a page begins with one comparison (`order: {$lt: …}`) and a time is one too, and ASCII, because
/// servers sort other characters differently: `time position event-id digest revision published`, where a blank, which
/// sorts before everything, ends each part.
pub(crate) fn order(key: &OrderKey) -> String {
    use std::fmt::Write as _;
    let OrderKey { occurred_at, position, identity } = key;
    let mut out = String::with_capacity(TIME_CHARS + position.len() + identity.event_id.len() + 80);
    push_time(*occurred_at, &mut out);
    out.push(' ');
    if let Some((length, digits)) = position.split_first() {
        push_hex(*length, &mut out);
        out.extend(digits.iter().map(|digit| char::from(*digit)));
    }
    out.push(' ');
    push_ordered(&identity.event_id, &mut out);
    // Of fixed length from here on, but for the revision, whose first character says how long it is. Writing to a text
    // cannot fail.
    let revision = format!("{:x}", identity.revision);
    let _infallible = write!(out, " {} {}{revision} ", identity.input_digest, revision.len());
    push_time(identity.published_at, &mut out);
    out
}

/// A time as text that sorts as it does.
pub(crate) fn push_time(time: Timestamp, out: &mut String) {
    use std::fmt::Write as _;
    let _infallible = write!(out, "{time}");
}

/// Text as ASCII that sorts as its bytes do, and without blanks: `!` and `~`, each with two digits, stand for the bytes
/// below and above those that stand for themselves.
fn push_ordered(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            0..=b'!' => {
                out.push('!');
                push_hex(byte, out);
            }
            b'"'..=b'}' => out.push(char::from(byte)),
            b'~'.. => {
                out.push('~');
                push_hex(byte, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use afterimage_event::Position;
    use afterimage_store::Digest;

    use super::*;

    const ODD: [&str; 14] = ["", "%", "a.b", "$set", "a$", "%2E", "\0", "a\0b", ".", "%00", "é", "%number", "a", "🗝"];

    #[test]
    fn every_key_is_another_one_and_comes_back() {
        let escaped: BTreeSet<String> = ODD.map(|key| escape_key(key).into_owned()).into();
        assert_eq!(escaped.len(), ODD.len());
        for key in ODD {
            let escaped = escape_key(key);
            assert!(!escaped.contains(['.', '\0']) && !escaped.starts_with('$') && !escaped.is_empty(), "{escaped}");
            assert_eq!(unescape_key(&escaped).unwrap(), key);
        }
        assert_eq!(escape_first("record"), "%72ecord");
        assert_eq!(unescape_key("%72ecord").unwrap(), "record");
        for wrong in ["%1", "a%", "%zz", "%é", "%FF"] {
            assert_eq!(unescape_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_record_is_another_one() {
        let parts = ["", ",", "%", "a", "a,a", "\0", "%2C"].map(str::to_owned);
        let mut lists = vec![Vec::new()];
        for a in &parts {
            lists.push(vec![a.clone()]);
            lists.extend(parts.iter().map(|b| vec![a.clone(), b.clone()]));
        }
        let texts: BTreeSet<String> = lists.iter().map(|list| record(list)).collect();
        assert_eq!(texts.len(), lists.len());
        assert_eq!(record(&["org1".to_owned(), "u,1".to_owned()]), "org1,u%2C1");
    }

    #[test]
    fn every_table_is_another_one_and_stands_with_its_tenant() {
        let parts = ["", ",", "%", "a", "a,", "a-", "\0", "é"];
        let mut ids = BTreeSet::new();
        for tenant in parts {
            for (source, table) in parts.iter().flat_map(|source| parts.map(|table| (*source, table))) {
                let [tenant, source, table] = [tenant, source, table].map(str::to_owned);
                let id = super::table(&TableKey { tenant: tenant.clone(), source, table });
                let within = |tenant: &&str| (tables_from(tenant)..tables_to(tenant)).contains(&id);
                assert_eq!(parts.iter().copied().filter(within).collect::<Vec<_>>(), [tenant], "{id}");
                ids.insert(id);
            }
        }
        assert_eq!(ids.len(), 512);
    }

    #[test]
    fn order_is_sorted_as_text_as_the_keys_are() {
        let time = |micros| Timestamp::from_micros(micros).unwrap();
        let mut keys = Vec::new();
        for occurred_at in [-62_135_596_800_000_000, 0, 1] {
            for position in [None, Some("9"), Some("10")] {
                for event_id in ["", " ", "!", "a", "a ", "a!", "ab", "~", "é", "\u{ffff}", "\u{10000}", "\0"] {
                    for (digest, revision, published) in [(1, 0, 5), (0, 0, 6), (0, 9, 5), (0, 16, 5), (0, 256, 4)] {
                        let identity = Identity {
                            event_id: event_id.to_owned(),
                            input_digest: Digest([digest; 16]),
                            revision,
                            published_at: time(published),
                        };
                        let position = position.and_then(|digits| Position::new("d", digits));
                        let position = position.map(|position| position.sort_key()).unwrap_or_default();
                        keys.push(OrderKey { occurred_at: time(occurred_at), position, identity });
                    }
                }
            }
        }
        keys.sort();
        let texts: Vec<String> = keys.iter().map(order).collect();
        assert!(texts.is_sorted_by(|a, b| a < b));
        assert!(texts.iter().all(|text| text.is_ascii()));
    }

    #[test]
    fn the_id_is_the_identity() {
        let record = RecordKey {
            tenant: "t".to_owned(),
            source: "s".to_owned(),
            table: "users".to_owned(),
            record_id: vec!["u1".to_owned()],
        };
        let identity = Identity {
            event_id: "e1".to_owned(),
            input_digest: Digest([7; 16]),
            revision: 0,
            published_at: "2026-01-09T10:00:05.120Z".parse().unwrap(),
        };
        let id = document_id(&record, &identity);
        assert!(id.starts_with("2026-01-09T10:00:05.120000Z-") && id.len() == 60, "{id}");
        let moved = RecordKey { table: "other".to_owned(), ..record.clone() };
        assert_eq!(document_id(&moved, &identity), id, "the record is no part of the identity");
        let others = [
            document_id(&RecordKey { tenant: "ts".to_owned(), source: String::new(), ..record.clone() }, &identity),
            document_id(&record, &Identity { revision: 1, ..identity.clone() }),
            document_id(&record, &Identity { input_digest: Digest([8; 16]), ..identity.clone() }),
            document_id(&record, &Identity { event_id: "e".to_owned(), ..identity.clone() }),
        ];
        assert!(others.iter().all(|other| *other != id));
    }
}
