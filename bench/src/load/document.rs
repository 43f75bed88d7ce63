//! The records.

use std::fmt::Write as _;

use fastrand::Rng;
use serde_json::{Map, Number, Value, json};

/// A table, with the names its records use.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    state: &'static str,
    states: [&'static str; 4],
    amount: &'static str,
    list: &'static str,
}

pub(super) const TABLES: [Table; 5] = [
    Table {
        name: "users",
        source: "accounts-api",
        state: "status",
        states: ["invited", "active", "locked", "closed"],
        amount: "balance",
        list: "roles",
    },
    Table {
        name: "orders",
        source: "orders-api",
        state: "state",
        states: ["pending", "paid", "shipped", "returned"],
        amount: "total",
        list: "tags",
    },
    Table {
        name: "products",
        source: "catalog",
        state: "availability",
        states: ["in stock", "few left", "sold out", "withdrawn"],
        amount: "price",
        list: "categories",
    },
    Table {
        name: "invoices",
        source: "billing-api",
        state: "status",
        states: ["draft", "sent", "paid", "overdue"],
        amount: "gross_total",
        list: "references",
    },
    Table {
        name: "public.stock_movements",
        source: "warehouse",
        state: "kind",
        states: ["received", "picked", "counted", "lost"],
        amount: "quantity",
        list: "pallets",
    },
];

const PEOPLE: [(&str, &str); 8] = [
    ("u-1", "Ada Lovelace"),
    ("u-2", "Łukasz Żółć"),
    ("u-3", "山田 太郎"),
    ("u-4", "Søren Ærø"),
    ("u-5", "Ольга Петрова"),
    ("u-6", "محمد علي"),
    ("u-7", "Zoë O\"Neil \\ Sons"),
    ("u-8", "🦀 Ferris"),
];

const WORDS: [&str; 16] = [
    "delivery", "Größe", "left", "at", "the", "door", "naïve", "größer", "checked", "twice", "東京", "value", "of",
    "order", "café", "seven",
];

/// Bytes of one attribute's text.
const ATTRIBUTE_BYTES: usize = 96;

/// A record as it stands.
#[derive(Debug)]
pub(super) struct Document {
    table: &'static Table,
    root: Map<String, Value>,
    attributes: usize,
}

impl Document {
    /// A record whose JSON has about `bytes` bytes, and no more unless that is less than the least a record has.
    pub(super) fn new(table: &'static Table, id: &str, bytes: usize, rng: &mut Rng) -> Self {
        let owner = person(rng);
        let root = json!({
            "id": id,
            table.state: table.states[0],
            table.amount: amount(rng),
            // Beyond what a double holds exactly.
            "ledger_id": 9_007_199_254_740_993_u64 + rng.u64(0..1_000),
            "version": 1,
            "enabled": rng.bool(),
            "parent": null,
            "owner": {"id": owner.0, "name": owner.1, "address": {"city": word(rng), "geo": {"lat": 52.52, "lon": 13.40}}},
            table.list: [word(rng), word(rng)],
            "attributes": {},
        });
        let Value::Object(root) = root else { return Self { table, root: Map::new(), attributes: 0 } };
        let mut document = Self { table, root, attributes: 0 };
        // Room for what changes make longer.
        let slack = 64;
        let mut length = document.text().len() + slack;
        let mut attributes = Map::new();
        while length < bytes {
            // `"attribute_0001":"…",`
            let room = (bytes - length).saturating_sub(20).min(ATTRIBUTE_BYTES);
            if room == 0 {
                break;
            }
            let value = text(room, rng);
            length += value.len() + 20;
            attributes.insert(format!("attribute_{:04}", document.attributes), value.into());
            document.attributes += 1;
        }
        document.root.insert("attributes".to_owned(), attributes.into());
        document
    }

    pub(super) fn text(&self) -> String {
        // A map of strings and values always writes.
        serde_json::to_string(&self.root).unwrap_or_default()
    }

    /// The same data in other bytes: keys in another order, white space.
    pub(super) fn respelled(&self) -> String {
        let mut text = String::from("{");
        for (key, value) in self.root.iter().rev() {
            let comma = if text.len() > 1 { "," } else { "" };
            write!(text, "{comma} {}: {value}", Value::from(key.as_str())).ok();
        }
        text.push('}');
        text
    }

    /// Changes one to four things, at any depth; at least one gets another value.
    pub(super) fn change(&mut self, rng: &mut Rng) {
        // What counts up is another value for sure.
        let version = self.root.get("version").and_then(Value::as_u64).unwrap_or_default();
        self.root.insert("version".to_owned(), (version + 1).into());
        for _ in 0..rng.u32(0..4) {
            match rng.u32(0..5) {
                0 => {
                    let state = self.table.states[rng.usize(0..self.table.states.len())];
                    self.root.insert(self.table.state.to_owned(), state.into());
                }
                1 => {
                    self.root.insert(self.table.amount.to_owned(), amount(rng));
                }
                2 => {
                    let city = self.root.get_mut("owner").and_then(|owner| owner.pointer_mut("/address/city"));
                    if let Some(city) = city {
                        *city = word(rng).into();
                    }
                }
                3 => {
                    let list = (0..rng.usize(0..3)).map(|_| word(rng)).collect();
                    self.root.insert(self.table.list.to_owned(), list);
                }
                _ => {
                    let key = format!("attribute_{:04}", rng.usize(0..self.attributes.max(1)));
                    let attribute = self.root.get_mut("attributes").and_then(|attributes| attributes.get_mut(&key));
                    if let Some(Value::String(value)) = attribute {
                        *value = text(value.len(), rng);
                    }
                }
            }
        }
    }
}

/// An id and a name.
pub(super) fn person(rng: &mut Rng) -> (&'static str, &'static str) {
    PEOPLE[rng.usize(0..PEOPLE.len())]
}

/// A decimal with more digits than a double holds.
fn amount(rng: &mut Rng) -> Value {
    let digits = format!("90071992547409{:02}.{:02}", rng.u32(0..100), rng.u32(0..100));
    digits.parse::<Number>().map_or(Value::Null, Value::Number)
}

fn word(rng: &mut Rng) -> &'static str {
    WORDS[rng.usize(0..WORDS.len())]
}

/// Words of together `bytes` bytes.
fn text(bytes: usize, rng: &mut Rng) -> String {
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let word = word(rng);
        if text.len() + word.len() < bytes {
            text.push_str(word);
            text.push(' ');
        } else {
            text.extend(std::iter::repeat_n('.', bytes - text.len()));
        }
    }
    text
}
