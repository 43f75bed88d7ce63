//! What rules hide stays hidden when elements move, and nothing else is lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use afterimage_diff::{
    Delta, DigestKey, Mutation, Redaction, RuleBlock, RuledChange, Rules, TableRules, Values, Verdict, delta,
};
use afterimage_json::Pointer;

const MOVING: [&str; 3] = ["keyed(/id)", "set", "lcs"];

fn block() -> RuleBlock {
    RuleBlock::new("rules[0]", "*", "*")
}

fn lists(policy: &str) -> RuleBlock {
    block().array("/l", policy).unwrap()
}

fn with(block: RuleBlock) -> Arc<TableRules> {
    Rules::new(vec![block], DigestKey::published()).unwrap().table("s", "t")
}

fn update<'a>(before: &'a str, after: &'a str, rules: &TableRules) -> Delta<'a> {
    delta(Mutation::Update, Some(before), Some(after), &[], rules, &DigestKey::published()).unwrap()
}

fn kept(image: &str, rules: &TableRules) -> String {
    let delta = delta(Mutation::Insert, None, Some(image), &[], rules, &DigestKey::published()).unwrap();
    delta.after.unwrap().into_owned()
}

/// Path before and after, keys, and what it says.
fn told(change: &RuledChange<'_>) -> String {
    let old_path = change.old_path.as_ref().map_or("", Pointer::as_str);
    let values = match &change.values {
        Values::Redacted { redaction, .. } => redaction.to_string(),
        Values::Order { old, new } => format!("{} to {}", old.join(" "), new.join(" ")),
        _ => format!("{} {}", change.old().unwrap_or("-"), change.new().unwrap_or("-")),
    };
    format!("{} {old_path} [{}] {values}", change.path, change.key.join(" "))
}

fn all(delta: &Delta<'_>) -> Vec<String> {
    delta.changes.iter().map(told).collect()
}

#[test]
fn an_image_is_kept_where_elements_may_move_past_a_hidden_position() {
    // Carried out on the image before, the change would show at the hidden position what stood elsewhere.
    let before = r#"{"l":[{"id":1,"pin":7},{"id":2,"pin":8},{"id":3,"pin":9}]}"#;
    let after = r#"{"l":[{"id":2,"pin":8},{"id":3,"pin":9}]}"#;
    for policy in MOVING {
        let rules = with(lists(policy).redact("/l/1/pin", "mask").unwrap());
        let delta = update(before, after, &rules);
        assert_eq!(delta.changes.len(), 1, "{policy}");
        assert!(!delta.after_is_derivable, "{policy}");
        assert_eq!(delta.after.as_deref(), Some(&*kept(after, &rules)));
        let rules = with(lists(policy).allow_secrets("/l/1/pin").unwrap().redact("/l/*/pin", "mask").unwrap());
        assert!(!update(before, after, &rules).after_is_derivable, "{policy}");
        // At any position the same: the change tells all.
        for pattern in ["/l/*/pin", "/**/pin", "/l/*/p?n"] {
            assert!(update(before, after, &with(lists(policy).redact(pattern, "mask").unwrap())).after_is_derivable);
        }
    }
    for policy in ["atomic", "index"] {
        let (before, after) = (r#"{"l":[1,2,3]}"#, r#"{"l":[1,2,4]}"#);
        assert!(update(before, after, &with(lists(policy).redact("/l/1", "mask").unwrap())).after_is_derivable);
    }
}

#[test]
fn what_went_from_a_hidden_place_does_not_swallow_what_changed_in_another() {
    // `h` of the second element has after the place that `h` of the third had before.
    let before = r#"{"l":[{"id":1},{"id":2,"h":{"a":1}},{"id":3,"h":{"a":1,"b":1}}]}"#;
    let after = r#"{"l":[{"id":0},{"id":1},{"id":2,"h":{"a":2}},{"id":3,"h":{"a":1}}]}"#;
    for how in ["drop", "mask", "hmac"] {
        let rules = with(lists("keyed(/id)").redact("/l/*/h", how).unwrap());
        let expected = [
            format!("/l/2/h /l/1/h [2] {how}"),
            format!("/l/3/h /l/2/h [3] {how}"),
            r#"/l/0  [0] - {"id":0}"#.to_owned(),
        ];
        assert_eq!(all(&update(before, after, &rules)), expected);
    }
    // Several changes in one place, some of which have a place before only, are one.
    let before = r#"{"l":[{"id":1,"h":{"a":1,"b":1,"c":1}}]}"#;
    let after = r#"{"l":[{"id":0},{"id":1,"h":{"b":2,"d":1}}]}"#;
    let delta = update(before, after, &with(lists("keyed(/id)").redact("/l/*/h", "mask").unwrap()));
    assert_eq!(all(&delta), ["/l/1/h /l/0/h [1] mask", r#"/l/0  [0] - {"id":0}"#]);
}

#[test]
fn a_hidden_place_in_an_element_that_moved_has_the_stand_ins_of_its_own_values() {
    let before = r#"{"l":[0,{"id":1,"h":{"a":1,"b":1}},9]}"#;
    let after = r#"{"l":[{"h":"another"},0,{"id":1,"h":{"a":1}},9]}"#;
    let rules = with(lists("lcs").redact("/l/*/h", "hmac").unwrap());
    let delta = update(before, after, &rules);
    assert_eq!(told(&delta.changes[0]), "/l/2/h /l/1/h [] hmac");
    let shown = |image: &str| kept(image, &rules);
    assert!(shown(before).contains(delta.changes[0].old().unwrap()));
    assert!(shown(after).ends_with(&format!("{{\"id\":1,\"h\":{}}},9]}}", delta.changes[0].new().unwrap())));
}

#[test]
fn changes_told_by_larger_values_are_not_taken_for_those_they_stand_for() {
    // A name so long that three changes below it would take more room than the documents.
    let name = "n".repeat(100_000);
    let list = |came: &str, h: &str| {
        let elements: Vec<String> = (1..9).map(|id| format!(r#"{{"id":{id},"h":{h}}}"#)).collect();
        format!(r#"{{"{name}":{{"l":[{came}{}]}}}}"#, elements.join(","))
    };
    let (before, after) = (list("", r#"{"a":1}"#), list(r#"{"id":0},"#, "{}"));
    let block = block().array("/*/l", "keyed(/id)").unwrap().redact("/*/l/*/h", "mask").unwrap();
    let delta = update(&before, &after, &with(block));
    assert_eq!(delta.changes.len(), 1);
    assert_eq!(delta.changes[0].path.segments().count(), 2);
    assert!(matches!(&delta.changes[0].values, Values::Replaced { new, .. } if new.contains(r#"{"id":0}"#)));
}

#[test]
fn stand_ins_are_looked_up_for_so_many_places_and_the_others_show_none() {
    let list = |v: usize| (0..100).map(|id| format!(r#"{{"id":{id},"h":{{"v":{v}}}}}"#)).collect::<Vec<_>>().join(",");
    let (before, after) = (format!(r#"{{"l":[{}]}}"#, list(1)), format!(r#"{{"l":[{}]}}"#, list(2)));
    for policy in ["keyed(/id)", "index"] {
        let delta = update(&before, &after, &with(lists(policy).redact("/l/*/h", "hmac").unwrap()));
        let shown = |change: &&RuledChange<'_>| change.old().is_some() && change.new().is_some();
        assert_eq!((delta.changes.len(), delta.changes.iter().filter(shown).count()), (100, 64), "{policy}");
        assert!(!delta.after_is_derivable);
    }
    // The same for the orders of sets with something hidden in them.
    let sets = |pair: &str| (0..100).map(|n| format!(r#""s{n}":[{pair}]"#)).collect::<Vec<_>>().join(",");
    let (one, other) = (r#"{"n":1,"pin":1}"#, r#"{"n":2,"pin":2}"#);
    let (before, after) =
        (format!("{{{}}}", sets(&format!("{one},{other}"))), format!("{{{}}}", sets(&format!("{other},{one}"))));
    let rules = with(block().array("/*", "set").unwrap().redact("/*/*/pin", "mask").unwrap());
    let delta = update(&before, &after, &rules);
    let orders = delta.changes.iter().filter(|change| matches!(change.values, Values::Order { .. })).count();
    assert_eq!((delta.changes.len(), orders, delta.after_is_derivable), (100, 64, false));
}

#[test]
fn of_two_positions_the_stricter_redaction_holds_before_and_after() {
    let before = r#"{"l":[{"id":1,"v":1},{"id":2,"v":1}]}"#;
    let after = r#"{"l":[{"id":2,"v":1},{"id":1,"v":2}]}"#;
    for (at_0, at_1, strictest) in
        [("mask", "hmac", Redaction::Mask), ("hmac", "drop", Redaction::Drop), ("hmac", "hmac", Redaction::Hmac)]
    {
        let block = lists("keyed(/id)").redact("/l/0/v", at_0).unwrap().redact("/l/1/v", at_1).unwrap();
        let delta = update(before, after, &with(block));
        let change = &delta.changes[0];
        assert!(matches!(change.values, Values::Redacted { redaction, .. } if redaction == strictest), "{change:?}");
        assert_eq!(change.old().is_some() && change.new().is_some(), strictest == Redaction::Hmac);
    }
    // A stand-in for all of a value would tell of what is dropped from it.
    let (before, after) = (r#"{"l":[0,{"n":1,"v":{"a":1}},9]}"#, r#"{"l":[7,0,{"n":1,"v":{"a":2}},9]}"#);
    let block = lists("lcs").redact("/l/1/v/a", "drop").unwrap().redact("/l/2/v", "hmac").unwrap();
    assert_eq!(told(&update(before, after, &with(block)).changes[0]), "/l/2/v /l/1/v [] drop");
}

#[test]
fn behind_an_element_that_is_left_out_no_other_shows_that_a_position_hides() {
    let image = r#"{"l":["ignored","secret","c"],"m":{"1":{"token":"t"}}}"#;
    for how in ["drop", "mask", "hmac"] {
        let rules = with(block().ignore("/l/0").unwrap().redact("/l/1", how).unwrap());
        assert_eq!(kept(image, &rules), r#"{"l":["***","***"],"m":{"1":{}}}"#);
        assert_eq!(
            rules.beside(afterimage_json::Raw::parse(image).unwrap(), &DigestKey::published()).unwrap(),
            kept(image, &rules)
        );
        let delta = update(image, r#"{"l":["ignored","other","c"]}"#, &rules);
        assert!(!format!("{delta:?}").contains("secret") && !format!("{delta:?}").contains("other"));
    }
    let allowed = |ignore: &str| with(block().allow_secrets("/m/1/token").unwrap().ignore(ignore).unwrap());
    assert!(!kept(image, &allowed("/m/0")).contains("token"));
    assert!(kept(image, &allowed("/l")).contains("token"));
    // What a capture did not see may be an element, too: then all of its array counts as such.
    let unknown: [Pointer; 1] = ["/l/0".parse().unwrap()];
    for rules in [block().redact("/l/1", "mask").unwrap(), block().ignore("/l/1").unwrap()].map(with) {
        let key = DigestKey::published();
        let delta = delta(Mutation::Insert, None, Some(image), &unknown, &rules, &key).unwrap();
        assert!(!format!("{delta:?}").contains("secret"), "{delta:?}");
        assert_eq!(delta.unknown.iter().map(Pointer::as_str).collect::<Vec<_>>(), ["/l"]);
    }
    let rules = with(block().redact("/**/pin", "mask").unwrap());
    let delta = delta(Mutation::Insert, None, Some(image), &unknown, &rules, &DigestKey::published()).unwrap();
    assert_eq!(delta.unknown, unknown);
}

#[test]
fn secrets_in_elements_are_dropped_whatever_happens_to_these() {
    let element = |n: usize, secret: &str| {
        format!(r#"{{"id":{n},"password":"{secret}","deep":[{{"api_key":["{secret}"],"n":{n}}}]}}"#)
    };
    let list = |elements: &[String]| format!(r#"{{"l":[{}]}}"#, elements.join(","));
    let base = [element(1, "SECRET a"), element(2, "SECRET b"), element(3, "SECRET c")];
    let afters = [
        // Only a secret differs; one came; one went; another order; all of it at once.
        list(&[base[0].clone(), element(2, "SECRET x"), base[2].clone()]),
        list(&[base[0].clone(), element(9, "SECRET x"), base[1].clone(), base[2].clone()]),
        list(&[base[0].clone(), base[2].clone()]),
        list(&[base[2].clone(), base[0].clone(), base[1].clone()]),
        list(&[element(3, "SECRET x"), element(9, "SECRET y"), base[0].clone()]),
    ];
    for policy in ["atomic", "index", "keyed(/id)", "set", "lcs"] {
        for after in &afters {
            let before = list(&base);
            let delta = update(&before, after, &with(lists(policy)));
            assert_eq!(delta.verdict, Verdict::Changed);
            assert!(!delta.changes.is_empty() && !format!("{delta:?}").contains("SECRET"), "{policy} {delta:?}");
        }
    }
    // An element that is told by its value went and came, though what may be shown of it is the same.
    let before = list(&base);
    let delta = update(&before, &afters[0], &with(lists("set")));
    let shown = r#"{"id":2,"deep":[{"n":2}]}"#;
    assert_eq!(all(&delta), [format!("/l/1  [] {shown} -"), format!("/l/1  [] - {shown}")]);
    assert!(delta.after_is_derivable);
}

#[test]
fn the_key_of_a_redacted_element_is_not_shown_as_that_of_one_above() {
    // By its place before, it is the outer array that is keyed; by its place after, where it counts, the inner one.
    let before = r#"{"a":[5,{"x":[{"id":"s","list":[{"id":"SECRET","v":1,"w":1},{"id":"k"}]}]},6]}"#;
    let after = r#"{"a":[0,5,{"x":[{"id":"s","list":[{"id":"SECRET","v":1},{"id":"k"}]}]},6]}"#;
    let mut block = block().redact("/a/*/x/*/list", "mask").unwrap();
    let keyed = "keyed(/id)";
    for (pattern, policy) in [("/a", "lcs"), ("/a/1/x", keyed), ("/a/*/x", "index"), ("/a/2/x/*/list", keyed)] {
        block = block.array(pattern, policy).unwrap();
    }
    let delta = update(before, after, &with(block));
    assert_eq!(told(&delta.changes[0]), "/a/2/x/0/list /a/1/x/0/list [] mask");
    assert!(!format!("{:?}", delta.changes).contains("SECRET"));
}
