//! Pairs of images to measure differs on. Seeded: every program that includes this file makes the same ones.

/// Before and after of some records.
pub(crate) struct Case {
    /// What kind of pairs.
    pub(crate) name: &'static str,
    /// The pairs.
    pub(crate) pairs: Vec<(String, String)>,
}

/// All cases. Orders, 22 or 30 members at the top; but where they are identical, the status (early, the new value longer)
/// and the time of change (near the end) differ; each is as long as its case says, but for what these change. Several of each, so that no branch is learnt by heart.
pub(crate) fn cases() -> Vec<Case> {
    let before = |size, seed| order(size, seed, false, false);
    let after = |size, seed| order(size, seed, true, false);
    let changed = |size, seed| (before(size, seed), after(size, seed));
    let same = |size, seed| (before(size, seed), before(size, seed));
    let grown = |size, seed| (before(size, seed), order(size, seed, true, true));
    let reordered = |size, seed| (before(size, seed), rotated(&after(size, seed)));
    let case = |name, count: u64, pair: &dyn Fn(u64) -> (String, String)| Case {
        name,
        pairs: (1..=count).map(pair).collect(),
    };
    vec![
        case("1.2 KB, two changes", 32, &|seed| changed(Size::Small, seed)),
        case("24 KB, two changes", 8, &|seed| changed(Size::Large, seed)),
        case("1.2 KB, identical", 32, &|seed| same(Size::Small, seed)),
        case("24 KB, identical", 8, &|seed| same(Size::Large, seed)),
        case("1.2 KB, two changes, a member added", 32, &|seed| grown(Size::Small, seed)),
        case("24 KB, two changes, a member added", 8, &|seed| grown(Size::Large, seed)),
        case("1.2 KB, two changes, keys in another order", 32, &|seed| reordered(Size::Small, seed)),
        case("24 KB, two changes, keys in another order", 8, &|seed| reordered(Size::Large, seed)),
    ]
}

/// Length of an order, give or take a word.
const SMALL_BYTES: usize = 1_200;
/// The same of a large one.
const LARGE_BYTES: usize = 24_000;

#[derive(Clone, Copy, PartialEq)]
enum Size {
    Small,
    Large,
}

/// An xorshift generator: no dependency, the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }

    fn words(&mut self, count: usize) -> String {
        const WORDS: [&str; 14] = [
            "delivery",
            "before",
            "noon",
            "příští týden",
            "\\\"fragile\\\"",
            "Straße 12",
            "leave",
            "at",
            "the",
            "door",
            "naïve",
            "二階",
            "call",
            "first",
        ];
        (0..count).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }
}

fn order(size: Size, seed: u64, changed: bool, grown: bool) -> String {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let large = size == Size::Large;
    let mut members: Vec<(&str, String)> = Vec::new();
    let quoted = |text: &str| format!("\"{text}\"");
    members.push(("id", quoted(&format!("ord_{}", dice.hex(12)))));
    members.push(("number", (100_000 + dice.below(900_000)).to_string()));
    members.push(("status", quoted(if changed { "partially_shipped" } else { "pending" })));
    members.push(("channel", quoted(dice.pick(&["web", "app", "phone"]))));
    members.push(("currency", quoted(dice.pick(&["EUR", "CZK", "USD"]))));
    members.push(("customer", customer(&mut dice)));
    members.push(("shipping", address(&mut dice)));
    members.push(("items", array(if large { 78 } else { 3 }, || item(&mut dice, large))));
    members.push(("subtotal", format!("{}.{:02}", dice.below(10_000), dice.below(100))));
    members.push(("tax", format!("{}.{:02}", dice.below(1_000), dice.below(100))));
    members.push(("discount", "0".to_owned()));
    members.push(("total", format!("{}.{:02}", dice.below(10_000), dice.below(100))));
    members.push(("paid", dice.pick(&["true", "false"]).to_owned()));
    members.push(("coupon", "null".to_owned()));
    members.push(("tags", array(3, || format!("\"{}\"", dice.pick(&["vip", "gift", "first", "b2b"])))));
    let words = if large { 90 } else { 13 };
    let note = members.len();
    members.push(("note", dice.words(words)));
    if large {
        members.push(("billing", address(&mut dice)));
        members.push(("history", array(62, || event(&mut dice))));
        members.push((
            "attachments",
            array(12, || format!("{{\"name\":\"{}\",\"sha256\":\"{}\"}}", dice.words(2), dice.hex(64))),
        ));
        members.push(("locale", quoted("cs-CZ")));
        members.push(("campaign", "null".to_owned()));
        members.push(("warehouse", address(&mut dice)));
        members.push(("weights", array(30, || format!("{}.{:03}", dice.below(50), dice.below(1_000)))));
        members.push(("source", quoted("storefront")));
    }
    members.push(("payment", format!("{{\"method\":\"card\",\"reference\":\"pay_{}\",\"attempts\":1}}", dice.hex(10))));
    members.push(("gift", "false".to_owned()));
    members.push(("priority", dice.below(5).to_string()));
    members.push(("created_at", quoted("2026-01-09T09:58:41.007Z")));
    let minute = if changed { "10:04:17.530" } else { "09:58:41.007" };
    members.push(("updated_at", quoted(&format!("2026-01-09T{minute}Z"))));
    members.push(("version", "3".to_owned()));
    // The note makes up what is missing, alike in both images of a pair.
    let longer = if changed { "partially_shipped".len() - "pending".len() } else { 0 };
    let wanted = if large { LARGE_BYTES } else { SMALL_BYTES } + longer;
    while object(&members).len() + 2 < wanted {
        let word = dice.words(1);
        members[note].1.push(' ');
        members[note].1.push_str(&word);
    }
    members[note].1 = quoted(&members[note].1);
    if grown {
        members.insert(members.len() / 2, ("reviewed", "{\"by\":\"usr_8841\",\"ok\":true}".to_owned()));
    }
    object(&members)
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn array(count: usize, mut element: impl FnMut() -> String) -> String {
    format!("[{}]", (0..count).map(|_| element()).collect::<Vec<_>>().join(","))
}

fn customer(dice: &mut Dice) -> String {
    let name = dice.pick(&["Jiří Novák", "Zoë Müller", "Ana \\\"Nina\\\" Pérez", "John Smith"]);
    format!(
        "{{\"id\":\"cus_{}\",\"name\":\"{name}\",\"email\":\"user{}@example.com\",\"segment\":{{\"name\":\"retail\",\"since\":20{:02}}}}}",
        dice.hex(10),
        dice.below(10_000),
        10 + dice.below(15)
    )
}

fn address(dice: &mut Dice) -> String {
    format!(
        "{{\"street\":\"{} {}\",\"city\":\"{}\",\"zip\":\"{:05}\",\"country\":\"CZ\",\"geo\":{{\"lat\":49.{},\"lon\":-16.{}}}}}",
        dice.pick(&["Údolní", "Main Street", "Lange Straße"]),
        dice.below(200),
        dice.pick(&["Brno", "Kraków", "Springfield"]),
        dice.below(100_000),
        dice.below(1_000_000),
        dice.below(1_000_000)
    )
}

fn item(dice: &mut Dice, large: bool) -> String {
    let title = dice.words(if large { 6 } else { 2 });
    format!(
        "{{\"sku\":\"{}\",\"title\":\"{title}\",\"quantity\":{},\"price\":{}.{:02},\"options\":{{\"color\":\"{}\",\"sizes\":[{},{}]}}}}",
        dice.hex(10),
        1 + dice.below(9),
        dice.below(500),
        dice.below(100),
        dice.pick(&["red", "blue", "černá"]),
        dice.below(50),
        dice.below(50)
    )
}

fn event(dice: &mut Dice) -> String {
    format!(
        "{{\"at\":\"2026-01-0{}T1{}:00:00Z\",\"by\":\"user{}@example.com\",\"what\":\"{}\",\"ok\":true,\"code\":null}}",
        1 + dice.below(9),
        dice.below(10),
        dice.below(1_000),
        dice.words(4)
    )
}

/// The same object with its second half of members first.
fn rotated(object: &str) -> String {
    // Any comma between top-level members will do; `discount` is in the middle of every order.
    let inner = &object[1..object.len() - 1];
    let at = inner.find("\"discount\":").unwrap_or_default();
    let first = inner[..at].trim_end_matches(',');
    format!("{{{},{first}}}", &inner[at..])
}
