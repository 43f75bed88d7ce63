//! The bounds of a worker's limits, and of what it remembers.

use std::time::Duration;

use afterimage_consumer::{Limits, QueueKind};

use super::SECOND;
use super::fifo::of;
use crate::rig::Rig;

/// How one limit is set.
type Set = fn(&mut Limits, usize);

#[test]
fn limits_are_taken_at_their_bounds_and_refused_beyond_them() {
    let cases: [(&str, usize, usize, Set); 11] = [
        ("messages_max", 10, 9, |limits, n| limits.messages_max = n),
        ("bytes_max", 16 << 20, (16 << 20) - 1, |limits, n| limits.bytes_max = n),
        ("pollers_max", 1, 0, |limits, n| limits.pollers_max = n),
        ("wait", 20, 21, |limits, n| limits.wait = SECOND * n as u32),
        ("lease", 10, 9, |limits, n| limits.lease = SECOND * n as u32),
        ("hold_max", 12 * 3600, 12 * 3600 + 1, |limits, n| limits.hold_max = SECOND * n as u32),
        ("lease", 11 * 3600, 11 * 3600 + 1, |limits, n| limits.lease = SECOND * n as u32),
        ("group_entries_max", 1, 0, |limits, n| limits.group_entries_max = n),
        ("groups_max", 1, 0, |limits, n| limits.groups_max = n),
        ("calls_max", 1, 0, |limits, n| limits.calls_max = n),
        ("delete_linger", 200, 201, |limits, n| limits.delete_linger = Duration::from_millis(n as u64)),
    ];
    for (setting, taken, refused, set) in cases {
        let mut limits = Limits::default();
        set(&mut limits, taken);
        assert_eq!(limits.check(), Ok(()), "{setting} {taken}");
        set(&mut limits, refused);
        assert_eq!(limits.check().unwrap_err().setting, setting, "{refused}");
    }
}

#[test]
fn a_worker_that_holds_nothing_remembers_nothing() {
    for kind in [QueueKind::Standard, QueueKind::Fifo] {
        let mut rig = Rig::new(Limits { kind, ..super::limits() });
        let mut lengths = Vec::new();
        for n in 0..300 {
            let poison = if n % 3 == 0 { "!" } else { "" };
            rig.receive_next(vec![of(&format!("g{n:04}-"), 0, &format!("{poison}e{n}"))]);
            rig.send_letters();
            rig.store();
            assert_eq!(rig.delete_all(), 1);
            rig.pass(SECOND);
            lengths.push(format!("{:?}", rig.core).len());
        }
        let (first, last) = (lengths[9], lengths[299]);
        assert!(last < first + 100, "{kind:?}: all of its state takes {first} characters to tell, and then {last}");
    }
}
