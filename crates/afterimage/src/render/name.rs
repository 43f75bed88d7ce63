//! Names of records, as `afterimage at` reads them.

use super::style::safe;

/// `SOURCE/TABLE/ID`, or `TABLE/ID`.
pub(super) fn record_name(source: Option<&str>, table: &str, id: &[String]) -> String {
    let parts: Vec<String> = id.iter().map(|part| escaped(part)).collect();
    format!("{}/{}", table_name(source, table), parts.join(","))
}

/// `SOURCE/TABLE`, or `TABLE`.
pub(super) fn table_name(source: Option<&str>, table: &str) -> String {
    source.map(|source| escaped(source) + "/").unwrap_or_default() + &escaped(table)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => out.push_str("%25"),
            '/' => out.push_str("%2F"),
            ',' => out.push_str("%2C"),
            c => out.push(c),
        }
    }
    safe(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_the_record() {
        let id = ["o,1".to_owned(), "50 %".to_owned()];
        let name = record_name(Some("a/b"), "public.users", &id);
        assert_eq!(name, "a%2Fb/public.users/o%2C1,50 %25");
        let read: crate::ask::RecordName = name.parse().unwrap();
        assert_eq!((read.source.as_deref(), read.table.as_str()), (Some("a/b"), "public.users"));
        assert_eq!(read.id.0, id);
    }
}
