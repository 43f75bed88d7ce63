//! What each rule does, by example; and how rules are put together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use afterimage_diff::{
    Delta, DigestKey, Image, Images, Mutation, Redaction, Retention, RuleBlock, RuleError, Rules, TableRules, Values,
    Verdict, delta,
};
use afterimage_json::Pointer;

fn block() -> RuleBlock {
    RuleBlock::new("rules[0]", "*", "*")
}

fn with(block: RuleBlock) -> std::sync::Arc<TableRules> {
    Rules::new(vec![block], DigestKey::published()).unwrap().table("shop", "orders")
}

fn run<'a>(mutation: Mutation, before: Option<&'a str>, after: Option<&'a str>, rules: &TableRules) -> Delta<'a> {
    delta(mutation, before, after, &[], rules, &DigestKey::published()).unwrap()
}

fn update<'a>(before: &'a str, after: &'a str, rules: &TableRules) -> Delta<'a> {
    run(Mutation::Update, Some(before), Some(after), rules)
}

/// Path, what redaction, old, new.
fn shown(delta: &Delta<'_>) -> Vec<String> {
    delta
        .changes
        .iter()
        .map(|change| {
            let redacted = match change.values {
                Values::Redacted { redaction, .. } => format!(" {redaction}"),
                _ => String::new(),
            };
            format!("{}{redacted} {} {}", change.path, change.old().unwrap_or("-"), change.new().unwrap_or("-"))
        })
        .collect()
}

fn places(pointers: &[Pointer]) -> Vec<&str> {
    pointers.iter().map(Pointer::as_str).collect()
}

#[test]
fn an_image_that_no_rule_touches_is_kept_verbatim() {
    let (before, after) = (r#"{ "b":1.0,"a" : 1}"#, " {\"b\":1.0 , \"a\":2}\n");
    let delta = update(before, after, &TableRules::default());
    assert_eq!(delta.after.as_deref(), Some(after.trim()));
    assert_eq!(shown(&delta), ["/a 1 2"]);
    assert_eq!(delta.changed, ["a"]);
    assert!(delta.after_is_derivable && delta.before.is_none() && delta.redacted.is_empty());
}

#[test]
fn a_secret_that_changes_is_told_without_values() {
    let before = r#"{"id":1,"Pass_Word":{"hash":"x"},"status":"a"}"#;
    let after = r#"{"id":1,"Pass_Word":{"hash":"y"},"status":"b"}"#;
    let delta = update(before, after, &TableRules::default());
    assert_eq!(shown(&delta), ["/Pass_Word drop - -", "/status \"a\" \"b\""]);
    assert_eq!(delta.after.as_deref(), Some(r#"{"id":1,"status":"b"}"#));
    assert_eq!(delta.changed, ["Pass_Word", "status"]);
    assert_eq!(places(&delta.redacted), ["/Pass_Word"]);
    assert!(!delta.after_is_derivable);
}

#[test]
fn a_secret_that_came_with_a_change_is_not_in_it() {
    let delta = update(r#"{"a":null}"#, r#"{"a":[{"api_key":"k","n":1}],"token":"t"}"#, &TableRules::default());
    assert_eq!(shown(&delta), [r#"/a null [{"n":1}]"#, "/token drop - -"]);
    assert_eq!(delta.after.as_deref(), Some(r#"{"a":[{"n":1}]}"#));
    assert_eq!(places(&delta.redacted), ["/a/0/api_key", "/token"]);
}

#[test]
fn allowed_secrets_are_kept_and_a_redaction_of_theirs_prevails() {
    let text = r#"{"token":1,"pan":{"cvv":2}}"#;
    let kept = |block: RuleBlock| run(Mutation::Insert, None, Some(text), &with(block)).after.unwrap().into_owned();
    assert_eq!(kept(block()), "{}");
    assert_eq!(kept(block().allow_secrets("/token").unwrap()), r#"{"token":1}"#);
    assert_eq!(kept(block().allow_secrets("/*").unwrap()), r#"{"token":1,"pan":{}}"#);
    assert_eq!(kept(block().allow_secrets("/**").unwrap()), text);
    let both = block().allow_secrets("/**").unwrap().redact("/token", "mask").unwrap();
    assert_eq!(kept(both), r#"{"token":"***","pan":{"cvv":2}}"#);
    assert_eq!(kept(block().redact("/pan", "mask").unwrap()), r#"{"pan":"***"}"#);
}

#[test]
fn an_atomic_array_that_differs_in_something_ignored_only_is_no_change() {
    let (before, after) = (r#"{"items":[{"v":1,"etag":1}]}"#, r#"{"items":[{"v":1,"etag":2}]}"#);
    let ignoring = with(block().ignore("/items/*/etag").unwrap());
    assert_eq!(update(before, after, &ignoring).verdict, Verdict::Unchanged);
    let quiet = with(block().quiet("/items/*/etag").unwrap());
    assert_eq!(update(before, after, &quiet).verdict, Verdict::Unchanged);
}

#[test]
fn an_atomic_array_that_differs_in_something_redacted_only_says_so() {
    let (before, after) = (r#"{"items":[{"v":1,"pin":1}]}"#, r#"{"items":[{"v":1,"pin":2}]}"#);
    for how in ["drop", "mask"] {
        let delta = update(before, after, &with(block().redact("/items/*/pin", how).unwrap()));
        assert_eq!(shown(&delta), [format!("/items {how} - -")]);
        assert_eq!(delta.verdict, Verdict::Changed);
    }
}

#[test]
fn under_hmac_equal_values_are_seen_to_be_equal() {
    let rules = with(block().redact("/ssn", "hmac").unwrap());
    let there = update(r#"{"ssn":"1"}"#, r#"{"ssn":"2"}"#, &rules);
    let back = update(r#"{"ssn":"2"}"#, r#"{"ssn":"1"}"#, &rules);
    let (there, back) = (&there.changes[0], &back.changes[0]);
    assert!(matches!(there.values, Values::Redacted { redaction: Redaction::Hmac, .. }));
    assert_eq!((there.old(), there.new()), (back.new(), back.old()));
    assert_ne!(there.old(), there.new());
    let other = DigestKey::new(b"another key, 16+").unwrap();
    let elsewhere =
        delta(Mutation::Update, Some(r#"{"ssn":"1"}"#), Some(r#"{"ssn":"2"}"#), &[], &rules, &other).unwrap();
    assert_ne!(elsewhere.changes[0].old(), there.old());
}

#[test]
fn changes_inside_something_redacted_are_one_and_do_not_tell_where() {
    let rules = with(block().redact("/profile", "hmac").unwrap());
    let delta = update(r#"{"profile":{"a":1,"b":{"c":1}}}"#, r#"{"profile":{"a":2,"b":{"c":2}}}"#, &rules);
    assert_eq!(delta.changes.len(), 1);
    let change = &delta.changes[0];
    assert_eq!(change.path.as_str(), "/profile");
    assert_eq!(delta.after.as_deref(), Some(format!("{{\"profile\":{}}}", change.new().unwrap()).as_str()));
    assert!(change.old().is_some_and(|old| old.starts_with("\"hmac:") && Some(old) != change.new()));
}

#[test]
fn the_key_of_an_element_shows_above_what_is_redacted_only() {
    let before = r#"{"users":[{"id":"u1","mail":"x"},{"id":"u2","mail":"y"}]}"#;
    let after = r#"{"users":[{"id":"u2","mail":"z"},{"id":"u1","mail":"x"}]}"#;
    let rules = with(block().array("/users", "keyed(/id)").unwrap().redact("/users/*/mail", "drop").unwrap());
    let delta = update(before, after, &rules);
    assert_eq!(shown(&delta), ["/users/0/mail drop - -", "/users - -"]);
    assert_eq!(delta.changes[0].key, ["\"u2\""]);
    assert_eq!(delta.changes[0].old_path.as_ref().map(Pointer::as_str), Some("/users/1/mail"));
    let all = with(block().array("/users", "keyed(/id)").unwrap().redact("/users", "drop").unwrap());
    let delta = update(before, after, &all);
    assert_eq!(shown(&delta), ["/users drop - -"]);
    assert!(delta.changes.iter().all(|change| change.key.is_empty()));
}

/// The order that a change tells, as JSON texts.
fn order(delta: &Delta<'_>) -> Option<(String, String)> {
    delta.changes.iter().find_map(|change| match &change.values {
        Values::Order { old, new } => Some((old.join(" "), new.join(" "))),
        _ => None,
    })
}

#[test]
fn the_order_of_a_set_shows_its_elements_as_images_do() {
    let before = r#"{"users":[{"n":1,"password":"x"},{"n":2,"mail":"y"}]}"#;
    let after = r#"{"users":[{"n":2,"mail":"y"},{"n":1,"password":"x"}]}"#;
    let set = || block().array("/users", "set").unwrap();
    let texts = |old: &str, new: &str| Some((old.to_owned(), new.to_owned()));
    let delta = update(before, after, &with(set().redact("/users/*/mail", "mask").unwrap()));
    assert_eq!(order(&delta), texts(r#"{"n":1} {"n":2,"mail":"***"}"#, r#"{"n":2,"mail":"***"} {"n":1}"#));
    assert_eq!(places(&delta.redacted), ["/users/0/mail", "/users/0/password", "/users/1/mail", "/users/1/password"]);
    assert!(delta.after_is_derivable);
    // Hidden where it was and not where it is, or everywhere: then all there is to say is that something differs.
    for pattern in ["/users/0", "/users/*", "/users/*/n", "/**/n"] {
        let delta =
            update(before, after, &with(set().redact(pattern, "mask").unwrap().redact("/**/mail", "drop").unwrap()));
        assert!(!delta.after_is_derivable, "{pattern}");
        assert!(shown(&delta)[0].starts_with("/users ") && shown(&delta)[0].ends_with(" - -"), "{pattern} {delta:?}");
    }
    // As long as no rule reaches there, nothing is looked at twice.
    let delta = update(r#"{"t":["a","b"]}"#, r#"{"t":["b","a"]}"#, &with(block().array("/t", "set").unwrap()));
    assert_eq!(order(&delta), texts(r#""a" "b""#, r#""b" "a""#));
}

#[test]
fn what_is_quiet_in_elements_stays_quiet_however_they_are_told_apart() {
    let (before, after) = (r#"{"l":[{"v":1,"at":1},{"v":2,"at":2}]}"#, r#"{"l":[{"v":1,"at":5},{"v":2,"at":2}]}"#);
    for policy in ["atomic", "index", "keyed(/v)", "set", "lcs"] {
        let rules = with(block().array("/l", policy).unwrap().quiet("/l/*/at").unwrap());
        assert_eq!(update(before, after, &rules).verdict, Verdict::Unchanged, "{policy}");
    }
    let rules = with(block().array("/l", "set").unwrap().quiet("/l").unwrap());
    assert_eq!(update(r#"{"l":[1,2]}"#, r#"{"l":[2,1]}"#, &rules).verdict, Verdict::Unchanged);
}

#[test]
fn quiet_changes_show_in_an_entry_that_is_made_for_another_reason() {
    let rules = with(block().quiet("/updatedAt").unwrap());
    let delta = update(r#"{"updatedAt":1,"a":1}"#, r#"{"updatedAt":2,"a":2}"#, &rules);
    assert_eq!(shown(&delta), ["/updatedAt 1 2", "/a 1 2"]);
    assert_eq!(places(&delta.approximate), ["/updatedAt"]);
}

#[test]
fn an_insert_touches_every_name_and_keeps_its_image_once() {
    let rules = with(block().ignore("/etag").unwrap());
    let insert = run(Mutation::Insert, None, Some(r#"{"etag":0,"a":1,"token":2}"#), &rules);
    assert_eq!(insert.changed, ["a", "token"]);
    assert_eq!((insert.before.as_deref(), insert.after.as_deref()), (None, Some(r#"{"a":1}"#)));
    assert!(insert.changes.is_empty() && insert.before_digest.is_none() && !insert.after_is_derivable);
    let delete = run(Mutation::Delete, Some("[1]"), None, &rules);
    assert_eq!((delete.changed.as_slice(), delete.before.as_deref()), ([String::new()].as_slice(), Some("[1]")));
    assert!(delete.after.is_none() && delete.after_digest.is_none());
    // The only image there is cannot be another one.
    assert_eq!(run(Mutation::Delete, None, Some("1"), &rules).before.as_deref(), Some("1"));
    let none = run(Mutation::None, None, Some(r#"{"a":1}"#), &rules);
    assert!(none.changed.is_empty() && none.after.is_some() && none.verdict == Verdict::Changed);
}

#[test]
fn an_update_that_lacks_an_image_makes_nothing_up() {
    let rules = TableRules::default();
    let delta = run(Mutation::Update, None, Some(r#"{"a":1}"#), &rules);
    assert!(delta.changed.is_empty() && delta.changes.is_empty() && !delta.after_is_derivable);
    assert_eq!((delta.verdict, delta.after.as_deref()), (Verdict::Changed, Some(r#"{"a":1}"#)));
    assert_eq!(run(Mutation::Update, Some("1"), None, &rules).before.as_deref(), Some("1"));
}

#[test]
fn names_keep_no_values_but_digests() {
    let rules = with(block().images("names").unwrap());
    let delta = update(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, &rules);
    assert_eq!((delta.changed.as_slice(), delta.changes.len()), (["b".to_owned()].as_slice(), 0));
    assert!(delta.after.is_none() && delta.before_digest.is_some() && delta.after_digest.is_some());
    assert_eq!(run(Mutation::Insert, None, Some(r#"{"a":1}"#), &rules).after, None);
    assert_eq!(update("1", "1.0", &rules).verdict, Verdict::Unchanged);
}

#[test]
fn an_unknown_place_is_listed_unless_it_is_ignored_and_not_deeper_than_it_may() {
    let rules = with(block().ignore("/etag").unwrap().redact("/profile", "drop").unwrap());
    let unknown: Vec<Pointer> =
        ["/bio", "/etag/x", "/profile/a", "/profile/b"].iter().map(|text| text.parse().unwrap()).collect();
    let text = r#"{"bio":"__debezium_unavailable_value","n":1,"profile":{}}"#;
    let delta = delta(Mutation::Insert, None, Some(text), &unknown, &rules, &DigestKey::published()).unwrap();
    assert_eq!(places(&delta.unknown), ["/bio", "/profile"]);
    assert_eq!(
        (delta.after.as_deref(), delta.changed),
        (Some(r#"{"n":1}"#), vec!["n".to_owned(), "profile".to_owned()])
    );
}

#[test]
fn an_image_that_is_no_json_is_refused_by_side() {
    let rules = with(block().ignore("/a").unwrap());
    for rules in [&TableRules::default(), &*rules] {
        for (before, after, image) in [("{", "1", Image::Before), ("1", "{\"a\":1,\"a\":1}", Image::After)] {
            let key = DigestKey::published();
            let error = delta(Mutation::Update, Some(before), Some(after), &[], rules, &key).unwrap_err();
            assert_eq!(error.image, image);
        }
    }
}

#[test]
fn later_blocks_override_settings_and_add_to_lists() {
    let blocks = vec![
        RuleBlock::new("a", "*", "*").images("changes").unwrap().retention("7y").unwrap().ignore("/x").unwrap(),
        RuleBlock::new("b", "shop", "ord*").images("names").unwrap().array("/items", "index").unwrap(),
        RuleBlock::new("c", "shop", "orders").array("/items", "keyed(/id)").unwrap().record_id(["/id"]).unwrap(),
        RuleBlock::new("d", "other", "*").retention("forever").unwrap(),
    ];
    let rules = Rules::new(blocks, DigestKey::published()).unwrap();
    let orders = rules.table("shop", "orders");
    assert_eq!((orders.images(), orders.retention()), (Images::Names, "7y".parse().unwrap()));
    assert_eq!(places(orders.record_id()), ["/id"]);
    let policy = |table: &str| format!("{:?}", rules.table("shop", table).arrays().policy(&"/items".parse().unwrap()));
    assert!(policy("orders").starts_with("Keyed") && policy("ordinary") == "Index" && policy("users") == "Atomic");
    assert_eq!(rules.table("other", "x").retention(), Retention::Forever);
    assert_eq!(rules.table("elsewhere", "x").images(), Images::Changes);
}

#[test]
fn rules_stay_right_with_more_tables_than_are_kept_ready() {
    let blocks = vec![RuleBlock::new("a", "*", "t1*").images("names").unwrap()];
    let rules = Rules::new(blocks, DigestKey::published()).unwrap();
    for round in 0..2 {
        for n in 0..5_000 {
            let images = rules.table("s", &format!("t{n}")).images();
            assert_eq!(images == Images::Names, n.to_string().starts_with('1'), "{round} {n}");
        }
    }
}

#[test]
fn the_digest_of_rules_covers_all_that_shapes_entries() {
    let digest = |blocks: Vec<RuleBlock>| Rules::new(blocks, DigestKey::published()).unwrap().digest().to_owned();
    let mut all = vec![
        digest(vec![]),
        digest(vec![block()]),
        digest(vec![block(), block()]),
        digest(vec![RuleBlock::new("rules[0]", "a", "*")]),
        digest(vec![RuleBlock::new("rules[0]", "*", "a")]),
        digest(vec![block().images("after").unwrap()]),
        digest(vec![block().images("names").unwrap()]),
        digest(vec![block().retention("1d").unwrap()]),
        digest(vec![block().retention("forever").unwrap()]),
        digest(vec![block().record_id(["/a"]).unwrap()]),
        digest(vec![block().ignore("/a").unwrap()]),
        digest(vec![block().quiet("/a").unwrap()]),
        digest(vec![block().allow_secrets("/a").unwrap()]),
        digest(vec![block().redact("/a", "drop").unwrap()]),
        digest(vec![block().redact("/a", "hmac").unwrap()]),
        digest(vec![block().array("/a", "index").unwrap()]),
        digest(vec![block().array("/a", "keyed(/index)").unwrap()]),
        digest(vec![block().array("/a", "set").unwrap()]),
        digest(vec![block().array("/a", "lcs").unwrap()]),
        digest(vec![block().ignore("/a").unwrap().ignore("/b").unwrap()]),
        digest(vec![block().ignore("/b").unwrap().ignore("/a").unwrap()]),
    ];
    let key = DigestKey::new(b"another key, 16+").unwrap();
    all.push(Rules::new(vec![], key).unwrap().digest().to_owned());
    assert!(all.iter().all(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())));
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(digest(vec![RuleBlock::new("another name", "*", "*")]), digest(vec![block()]));
    assert_eq!(Rules::default().digest(), digest(vec![]));
}

#[test]
fn a_bad_setting_is_refused_by_the_name_of_its_block() {
    let errors: Vec<RuleError> = vec![
        block().ignore("a").unwrap_err(),
        block().ignore("").unwrap_err(),
        block().quiet("/a~").unwrap_err(),
        block().redact("/a", "hide").unwrap_err(),
        block().array("/a", "bag").unwrap_err(),
        block().array("/a", "keyed(id)").unwrap_err(),
        block().array("/a", "keyed()").unwrap_err(),
        block().images("all").unwrap_err(),
        block().retention("3m").unwrap_err(),
        block().record_id([]).unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.rule == "rules[0]" && error.to_string().starts_with("rules[0]: ")));
    assert_eq!(
        block().redact("/a", "hide").unwrap_err().to_string(),
        "rules[0]: redact = \"hide\": expected one of drop, mask, hmac"
    );
}

#[test]
fn arrays_cannot_be_keyed_by_what_must_not_show() {
    let refused = |blocks: Vec<RuleBlock>| Rules::new(blocks, DigestKey::published()).is_err();
    let keyed = |table: &str, key: &str| RuleBlock::new("keyed", "*", table).array("/items", key).unwrap();
    assert!(!refused(vec![keyed("*", "keyed(/id)")]));
    assert!(refused(vec![keyed("*", "keyed(/token)")]));
    assert!(!refused(vec![keyed("*", "keyed(/token)").allow_secrets("/items/*/token").unwrap()]));
    assert!(refused(vec![keyed("*", "keyed(/id)").redact("/**/id", "mask").unwrap()]));
    assert!(refused(vec![keyed("*", "keyed(/id/n)").ignore("/items/*/id").unwrap()]));
    assert!(refused(vec![keyed("*", "keyed(/id)").redact("/items/*", "drop").unwrap()]));
    assert!(!refused(vec![keyed("*", "keyed(/id)").redact("/items", "drop").unwrap()]));
    let elsewhere = |table: &str| RuleBlock::new("b", "*", table).ignore("/items/*/id").unwrap();
    assert!(refused(vec![keyed("ord*", "keyed(/id)"), elsewhere("*ers")]));
    assert!(!refused(vec![keyed("ord*", "keyed(/id)"), elsewhere("users")]));
}

#[test]
fn a_published_key_is_not_enough_for_hmac() {
    let blocks = || vec![block().redact("/a", "hmac").unwrap()];
    assert!(Rules::new(blocks(), DigestKey::published()).unwrap().needs_secret_key());
    assert!(!Rules::new(blocks(), DigestKey::new(b"another key, 16+").unwrap()).unwrap().needs_secret_key());
    assert!(!Rules::default().needs_secret_key());
}
