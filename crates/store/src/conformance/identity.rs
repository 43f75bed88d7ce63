use std::sync::Arc;

use afterimage_event::Op;

use super::{Suite, Telling, ids, json, moment};
use crate::{Arrival, Dimension, Filter, Flag, Listing, Lookup, Period, VERSIONS_MAX, version_order};

fn insert(tenant: &str, id: &str, second: i64) -> Telling {
    Telling::new(tenant, id, Op::Insert, second).images("", &format!(r#"{{"id":"{id}","at":{second}}}"#))
}

/// However often, by however many workers, in one append or in several at once: one entry.
pub async fn told_twice_is_one_entry(suite: &Suite) {
    let tenant = suite.tenant("twice");
    let telling = insert(&tenant, "e", 1);
    let entry = telling.entry();
    suite.tell(&[Arc::clone(&entry), telling.entry()]).await;
    let tellers = (0..8).map(|worker| {
        let (store, entry) = (Arc::clone(&suite.store), Arc::clone(&entry));
        tokio::spawn(async move {
            let arrival = Arrival { worker: format!("twice-{worker}"), at: moment(100 + worker) };
            store.append(&[Arc::clone(&entry), entry], &arrival).await
        })
    });
    for teller in tellers.collect::<Vec<_>>() {
        assert_eq!(teller.await.expect("a teller"), vec![Ok(()), Ok(())]);
    }
    let history = suite.history(&telling.query()).await;
    assert_eq!(ids(&history), ["e"]);
    assert!(history[0].flags.is_empty(), "{:?}", history[0].flags);
    let versions = suite.store.contents(&tenant, "s", &["e".to_owned()]).await.expect("contents");
    assert_eq!(versions[0].len(), 1);
    assert_eq!(versions[0][0].content, entry.content);
    assert_eq!(versions[0][0].identity, entry.identity);
}

/// A queue that numbers messages gives two numbers to an event that is published twice; in the same moment, nothing else tells
/// the two apart.
pub async fn published_twice_in_one_moment_is_one_entry(suite: &Suite) {
    let tenant = suite.tenant("numbered");
    let telling = |number| insert(&tenant, "e", 1).position(number);
    for number in ["7", "8", "7", "6"] {
        suite.tell(&[telling(number).entry()]).await;
    }
    let query = telling("7").query();
    assert_eq!(ids(&suite.history(&query).await), ["e"]);
    let listing = Listing { limit: 1, ..Listing::default() };
    assert_eq!(ids(&suite.pages(&query, &listing).await), ["e"], "one to a page");
    let period = Period { from: Some(moment(0)), to: Some(moment(2)) };
    let counts = suite.trail().counts(&Filter { tenant, ..Filter::default() }, period, &[Dimension::Table]).await;
    assert_eq!(counts.expect("counts").total, 1);
}

/// The order in which entries arrive leaves no trace.
pub async fn told_in_any_order_is_the_same_trail(suite: &Suite) {
    let mut seen: Option<String> = None;
    for round in 0..6_usize {
        // The same trail in a source of its own; what is compared leaves the source out.
        let source = format!("shuffled source {round}");
        let tenant = suite.tenant("any");
        let tellings: Vec<Telling> = (0..6)
            .map(|n| insert(&tenant, &format!("e{n}"), 10 + n / 2).source(&source).data(u8::try_from(n).unwrap_or(0)))
            .collect();
        let mut entries: Vec<_> = tellings.iter().map(Telling::entry).collect();
        entries.rotate_left(round);
        if round % 2 == 1 {
            entries.reverse();
        }
        for entry in &entries {
            suite.tell(std::slice::from_ref(entry)).await;
        }
        let history = suite.history(&tellings[0].query()).await;
        let told = json(&history).replace(&source, "source");
        assert_eq!(history.len(), 6);
        assert_eq!(seen.get_or_insert_with(|| told.clone()), &told, "round {round}");
    }
}

/// Nobody rewrites history by using an id again: both stay, and both say so. Also across records.
pub async fn one_id_with_other_data_is_kept_beside_the_first(suite: &Suite) {
    let tenant = suite.tenant("conflict");
    let first = insert(&tenant, "e", 1).data(1);
    let second = insert(&tenant, "e", 1).images("", r#"{"forged":true}"#).data(2);
    let elsewhere = insert(&tenant, "e", 2).record("t", ["other"]).data(3);
    let innocent = insert(&tenant, "f", 3);
    suite.tell(&[first.entry(), innocent.entry()]).await;
    assert!(suite.history(&first.query()).await.iter().all(|item| item.flags.is_empty()));
    suite.tell(&[second.entry(), elsewhere.entry(), second.entry()]).await;

    let history = suite.history(&first.query()).await;
    assert_eq!(ids(&history), ["f", "e", "e"]);
    assert!(!history[0].flags.contains(&Flag::Conflict));
    for item in &history[1..] {
        assert!(item.flags.contains(&Flag::Conflict), "{item:?}");
    }
    let images: Vec<&str> =
        history[1..].iter().filter_map(|item| item.after.as_ref()).map(|image| image.get()).collect();
    assert!(images.contains(&r#"{"forged":true}"#) && images.contains(&r#"{"id":"e","at":1}"#));
    let other = suite.history(&elsewhere.query()).await;
    assert_eq!(other[0].flags, [Flag::Conflict]);
}

/// A higher revision takes the place of all lower ones, whichever arrives first and wherever it puts the entry.
pub async fn a_corrected_replay_supersedes(suite: &Suite) {
    let tenant = suite.tenant("corrected");
    let wrong = insert(&tenant, "e", 1).data(1);
    let forged = insert(&tenant, "e", 2).data(2);
    let corrected = insert(&tenant, "e", 5).images("", r#"{"corrected":1}"#).data(3).revision(1);
    let moved = insert(&tenant, "m", 1);
    let moved_on = insert(&tenant, "m", 1).record("t", ["elsewhere"]).revision(2);
    suite.tell(&[corrected.entry(), wrong.entry(), moved.entry()]).await;
    suite.tell(&[forged.entry(), moved_on.entry()]).await;

    let history = suite.history(&wrong.query()).await;
    assert_eq!(ids(&history), ["e"]);
    assert_eq!((history[0].revision, history[0].occurred_at), (1, moment(5)));
    assert!(history[0].flags.is_empty(), "superseded data is no conflict: {:?}", history[0].flags);
    assert_eq!(ids(&suite.history(&moved_on.query()).await), ["m"]);

    let again = insert(&tenant, "e", 6).data(4).revision(1);
    suite.tell(&[again.entry()]).await;
    let history = suite.history(&wrong.query()).await;
    assert_eq!(history.len(), 2, "two corrections that differ are a conflict again");
    assert!(history.iter().all(|item| item.flags.contains(&Flag::Conflict)));
}

/// A second publish of one event is the same entry: shown where its earliest publishing put it, whichever came first.
pub async fn an_event_published_again_is_one_entry(suite: &Suite) {
    let tenant = suite.tenant("published again");
    // Its own time: both rows have one place.
    let own = |published| insert(&tenant, "own", 10).published(published);
    suite.tell(&[own(30).entry()]).await;
    suite.tell(&[own(20).entry(), own(40).entry()]).await;
    let history = suite.history(&own(20).query()).await;
    assert_eq!(ids(&history), ["own"]);
    assert_eq!(history[0].published_at, moment(20));
    assert!(history[0].flags.is_empty(), "{:?}", history[0].flags);

    // A time taken from the envelope: each telling has a place of its own, and one of them counts.
    let derived = |published| insert(&tenant, "derived", published).data(9).published(published).record("t", ["d"]);
    for (told, shown) in [(30, 30), (20, 20), (40, 20)] {
        suite.tell(&[derived(told).entry()]).await;
        let history = suite.history(&derived(1).query()).await;
        assert_eq!(ids(&history), ["derived"]);
        assert_eq!((history[0].published_at, history[0].occurred_at), (moment(shown), moment(shown)));
        assert!(history[0].flags.is_empty(), "{:?}", history[0].flags);
    }
}

/// A producer that gives all its events one id spoils its own trail, not the store: reads stay bounded, nothing is lost.
pub async fn an_id_used_again_and_again_is_read_in_bounds(suite: &Suite) {
    let tenant = suite.tenant("undefined");
    let telling = |n: u8| insert(&tenant, "undefined", i64::from(n)).data(n);
    let count = u8::try_from(VERSIONS_MAX * 2 + 3).expect("a small number");
    suite.tell(&(0..count).map(|n| telling(n).entry()).collect::<Vec<_>>()).await;
    let versions = suite.store.contents(&tenant, "s", &["undefined".to_owned()]).await.expect("contents");
    assert!(versions[0].len() <= VERSIONS_MAX, "{} versions at once", versions[0].len());
    let history = suite.history(&telling(0).query()).await;
    assert_eq!(history.len(), usize::from(count));
    assert!(history.iter().all(|item| item.flags.contains(&Flag::Conflict)));
    assert!(history.is_sorted_by(|newer, older| newer.occurred_at > older.occurred_at));

    // The same data published many times over is still one entry, and no conflict until other data comes.
    let again = |published: i64| insert(&tenant, "relay", 1).record("t", ["relay"]).published(published).data(7);
    suite.tell(&(0..i64::from(count)).map(|n| again(100 - n).entry()).collect::<Vec<_>>()).await;
    let history = suite.history(&again(0).query()).await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].published_at, moment(101 - i64::from(count)));
    assert!(history[0].flags.is_empty(), "{:?}", history[0].flags);
    suite.tell(&[again(1000).data(8).entry()]).await;
    let history = suite.history(&again(0).query()).await;
    assert_eq!(history.len(), 2);
    assert!(history.iter().all(|item| item.flags.contains(&Flag::Conflict)), "{history:?}");
}

/// Contents come back for each id asked for, in that order, with the versions of each in theirs.
pub async fn versions_of_many_events_are_read_at_once(suite: &Suite) {
    let tenant = suite.tenant("many");
    let mut entries = Vec::new();
    for n in 0..250_u32 {
        for version in 0..=n % 3 {
            let data = u8::try_from(version).unwrap_or(0);
            entries.push(insert(&tenant, &format!("e{n}"), i64::from(n)).data(data).revision(version / 2).entry());
        }
    }
    suite.tell(&entries).await;
    let asked: Vec<String> = (0..300).rev().map(|n| format!("e{n}")).collect();
    let found = suite.store.contents(&tenant, "s", &asked).await.expect("contents");
    assert_eq!(found.len(), asked.len());
    for (id, versions) in asked.iter().zip(&found) {
        let mut expected: Vec<_> = entries
            .iter()
            .filter(|entry| entry.identity.event_id == *id)
            .map(|entry| (&entry.identity, &entry.content))
            .collect();
        expected.sort_by(|(a, _), (b, _)| version_order(a, b));
        let found: Vec<_> = versions.iter().map(|version| (&version.identity, &version.content)).collect();
        assert_eq!(found, expected, "{id}");
    }
    // Ids belong to a source.
    let elsewhere = suite.store.contents(&tenant, "elsewhere", &asked[..60]).await.expect("contents");
    assert!(elsewhere.iter().all(Vec::is_empty));
    let none = Lookup::contents(&*suite.store, &tenant, "s", &[]).await.expect("contents");
    assert!(none.is_empty());
}
