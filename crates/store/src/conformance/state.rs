use afterimage_diff::Images;
use afterimage_event::Op;

use super::{Suite, Telling, moment};
use crate::{Flag, StateView, TrailError};

fn shown(view: &StateView) -> (Option<bool>, Option<&str>, Option<i64>) {
    let seconds = view.as_of.map(|at| (at.as_micros() - moment(0).as_micros()) / 1_000_000);
    (view.exists, view.state.as_ref().map(|state| state.get()), seconds)
}

/// Up to and including the moment asked for; gone after a delete, with the last state beside it; back after an insert.
pub async fn state_is_that_of_the_last_entry_up_to_then(suite: &Suite) {
    let tenant = suite.tenant("state");
    let (one, two, three) = (r#"{"n":1.10}"#, r#"{"n":123456789012345678901234567890}"#, r#"{"n":3}"#);
    let told = [
        Telling::new(&tenant, "a", Op::Insert, 10).images("", one),
        Telling::new(&tenant, "b", Op::Access, 15),
        Telling::new(&tenant, "c", Op::Update, 20).images(one, two),
        Telling::new(&tenant, "d", Op::Delete, 30).images(two, ""),
        Telling::new(&tenant, "e", Op::Insert, 40).images("", three),
    ];
    let mut entries: Vec<_> = told.iter().map(Telling::entry).collect();
    entries.rotate_left(2);
    suite.tell(&entries).await;
    let query = told[0].query();
    let trail = suite.trail();
    let expected = [
        (9, (Some(false), None, None)),
        (10, (Some(true), Some(one), Some(10))),
        (19, (Some(true), Some(one), Some(10))),
        (20, (Some(true), Some(two), Some(20))),
        (29, (Some(true), Some(two), Some(20))),
        (30, (Some(false), Some(two), Some(30))),
        (39, (Some(false), Some(two), Some(30))),
        (40, (Some(true), Some(three), Some(40))),
        (1_000, (Some(true), Some(three), Some(40))),
    ];
    for (at, wanted) in expected {
        let view = trail.state(&query, moment(at)).await.expect("a state");
        assert_eq!(shown(&view), wanted, "at {at}");
        assert!(view.flags.is_empty(), "at {at}: {:?}", view.flags);
        let just_before = moment(at).saturating_add_micros(-1);
        let earlier = trail.state(&query, just_before).await.expect("a state");
        let changed = [10, 20, 30, 40].contains(&at);
        assert_eq!(shown(&earlier) != shown(&view), changed, "a microsecond before {at}");
    }

    // The trail of this record begins with a change of something that was there: nothing is made up for before.
    let late = Telling::new(&tenant, "f", Op::Update, 50).record("t", ["late"]).images(one, two);
    suite.tell(&[late.entry()]).await;
    let view = trail.state(&late.query(), moment(49)).await.expect("a state");
    assert_eq!((shown(&view), &view.flags[..]), ((None, None, None), &[Flag::BeforeFirstEntry][..]));
}

/// A truncate takes all records of its table; one told before the record's last entry says nothing about it.
pub async fn a_truncate_empties_the_table(suite: &Suite) {
    let tenant = suite.tenant("truncate");
    let image = r#"{"n":1}"#;
    let insert =
        |id, record, second| Telling::new(&tenant, id, Op::Insert, second).images("", image).record("t", [record]);
    let truncate = Telling::new(&tenant, "t", Op::Truncate, 20).record("t", []);
    let ddl = Telling::new(&tenant, "u", Op::Ddl, 25).record("t", []);
    let other_table = Telling::new(&tenant, "v", Op::Truncate, 45).record("T", []);
    let (before, after) = (insert("a", "before", 10), insert("b", "after", 30));
    let told = [&before, &after, &truncate, &ddl, &other_table].map(Telling::entry);
    suite.tell(&told).await;
    let trail = suite.trail();
    let state = async |telling: &Telling, at| trail.state(&telling.query(), moment(at)).await.expect("a state");
    assert_eq!(shown(&state(&before, 19).await), (Some(true), Some(image), Some(10)));
    let emptied = state(&before, 20).await;
    assert_eq!(shown(&emptied), (Some(false), Some(image), Some(20)));
    assert_eq!(emptied.flags, [Flag::Truncated]);
    assert_eq!(shown(&state(&after, 50).await), (Some(true), Some(image), Some(30)));
    assert!(state(&after, 50).await.flags.is_empty());
    assert_eq!(super::ids(&suite.history(&truncate.query()).await), ["u", "t"]);
}

/// `after` keeps every image; `changes` folds from the nearest one; `names` tells when something changed, not to what.
pub async fn images_policies_tell_what_they_can(suite: &Suite) {
    let tenant = suite.tenant("images");
    let image = |n: i64| format!(r#"{{"big":123456789012345678901234567890.5,"deep":{{"n":{n}}},"list":[{n},"x"]}}"#);
    let mut told = Vec::new();
    let folded = |id: String, op, second| {
        Telling::new(&tenant, &id, op, second).record("t", ["folded"]).policy(Images::Changes, false)
    };
    told.push(folded("f0".into(), Op::Insert, 0).images("", &image(0)).policy(Images::Changes, true));
    for n in 1..150 {
        let changes = format!(
            r#"[{{"path":"/deep/n","old":{},"new":{n}}},{{"path":"/list","old":[{},"x"],"new":[{n},"x"]}}]"#,
            n - 1,
            n - 1
        );
        let telling = folded(format!("f{n}"), Op::Update, n).images(&image(n - 1), &image(n)).changes(&changes);
        told.push(telling.policy(Images::Changes, n == 80));
    }
    told.push(folded("f150".into(), Op::Delete, 150).images(&image(149), ""));
    let named =
        |id, op, second| Telling::new(&tenant, id, op, second).record("t", ["named"]).policy(Images::Names, false);
    told.push(named("n0", Op::Insert, 0).images("", &image(0)));
    told.push(named("n1", Op::Update, 1).images(&image(0), &image(1)));
    told.push(named("n2", Op::Delete, 2).images(&image(1), ""));
    suite.tell(&told.iter().map(Telling::entry).collect::<Vec<_>>()).await;

    let trail = suite.trail();
    let query = told[0].query();
    for second in [0, 1, 2, 79, 80, 81, 149] {
        let view = trail.state(&query, moment(second)).await.expect("a state");
        assert_eq!((view.exists, view.flags.as_slice()), (Some(true), &[][..]));
        let state = view.state.expect("a state");
        assert!(
            afterimage_json::equal(
                afterimage_json::Raw::parse(state.get()).expect("JSON"),
                afterimage_json::Raw::parse(&image(second)).expect("JSON"),
            ),
            "at {second}: {state}"
        );
    }
    let gone = trail.state(&query, moment(150)).await.expect("a state");
    assert_eq!(shown(&gone), (Some(false), Some(image(149).as_str()), Some(150)));

    // A change that nobody told: the fold is flagged, not silently wrong.
    let lost = folded("x".into(), Op::Update, 2).record("t", ["gap"]).images(r#"{"a":7}"#, r#"{"a":8}"#);
    let base = folded("w".into(), Op::Insert, 1).record("t", ["gap"]).images("", r#"{"a":1}"#);
    let lost = lost.changes(r#"[{"path":"/a","old":7,"new":8}]"#);
    suite.tell(&[lost.entry(), base.policy(Images::Changes, true).entry()]).await;
    let view = trail.state(&lost.query(), moment(2)).await.expect("a state");
    assert_eq!((shown(&view), &view.flags[..]), ((Some(true), Some(r#"{"a":8}"#), Some(2)), &[Flag::Gap][..]));

    let named = told.last().expect("an entry").query();
    for second in [0, 1] {
        let answer = trail.state(&named, moment(second)).await;
        assert!(matches!(answer, Err(TrailError::StateUnknown { .. })), "{answer:?}");
    }
    assert_eq!(shown(&trail.state(&named, moment(2)).await.expect("a state")), (Some(false), None, Some(2)));
    let history = suite.history(&named).await;
    assert_eq!(super::ids(&history), ["n2", "n1", "n0"]);
    for item in &history {
        assert!(item.after.is_none() && item.changes.get() == "[]" && !item.changed.is_empty(), "{item:?}");
    }
}

/// The schema is brought up to date once; every later time, by however many at once, nothing is left to do.
pub async fn migrating_again_changes_nothing(suite: &Suite) {
    let again = (0..4).map(|_| {
        let store = std::sync::Arc::clone(&suite.store);
        tokio::spawn(async move { store.migrate().await })
    });
    for migration in again.collect::<Vec<_>>() {
        let steps = migration.await.expect("a migration").expect("a migration");
        assert!(steps.is_empty(), "{steps:?}");
    }
    suite.store.ping().await.expect("a store that answers");
}
