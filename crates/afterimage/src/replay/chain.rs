//! What records looked like between the entries of an export that were read last.

use std::collections::{BTreeMap, HashMap};

use afterimage_event::RecordKey;

/// Images that are remembered, in bytes. Those of records that were not told of for longest are forgotten first.
const BYTES_MAX: usize = 64 << 20;

/// An image, and the digest that an entry says it has.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) digest: String,
    pub(super) image: String,
}

/// The images on both sides of the last entry of each record: an export may run either way.
#[derive(Default)]
pub(super) struct Chain {
    records: HashMap<RecordKey, (u64, Vec<Link>)>,
    by_age: BTreeMap<u64, RecordKey>,
    bytes: usize,
    clock: u64,
}

impl Chain {
    /// The image with this digest next to the entry of the record that was read last.
    pub(super) fn image(&self, record: &RecordKey, digest: &str) -> Option<&str> {
        let (_, links) = self.records.get(record)?;
        links.iter().find(|link| link.digest == digest).map(|link| link.image.as_str())
    }

    /// The last entry of a record stands between these.
    pub(super) fn tell(&mut self, record: RecordKey, links: Vec<Link>) {
        self.forget(&record);
        self.clock += 1;
        self.bytes += weight(&links);
        self.by_age.insert(self.clock, record.clone());
        self.records.insert(record, (self.clock, links));
        while self.bytes > BYTES_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, record: &RecordKey) {
        if let Some((age, links)) = self.records.remove(record) {
            self.bytes -= weight(&links);
            self.by_age.remove(&age);
        }
    }
}

fn weight(links: &[Link]) -> usize {
    // What a record takes beside its images.
    links.iter().map(|link| link.image.len() + link.digest.len()).sum::<usize>() + 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_longest_ago_is_forgotten_first() {
        let record = |id: usize| RecordKey {
            tenant: "t".into(),
            source: "s".into(),
            table: "t".into(),
            record_id: vec![id.to_string()],
        };
        let mut chain = Chain::default();
        let link = || vec![Link { digest: "d".into(), image: "x".repeat(BYTES_MAX / 4) }];
        for id in 0..3 {
            chain.tell(record(id), link());
        }
        chain.tell(record(0), link());
        chain.tell(record(3), link());
        let known: Vec<usize> = (0..4).filter(|id| chain.image(&record(*id), "d").is_some()).collect();
        assert_eq!(known, [0, 2, 3]);
        assert!(chain.image(&record(0), "other").is_none());
        assert!(chain.bytes <= BYTES_MAX && chain.by_age.len() == chain.records.len());
    }
}
