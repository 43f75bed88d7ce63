//! A small shop whose services announce every change they make.
//!
//! What it sells and to whom is kept in one small file between runs, so that ids go on where they ended and the trail
//! finds no change it did not see.

mod catalog;
mod stock;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use afterimage_publish::{Actor, Context};
pub(crate) use catalog::Change;
use catalog::{NAMES, PRODUCTS, agent, reason, service, user};
pub(crate) use stock::{load, save};

/// The order that the demo's examples ask about; the clean-up leaves it alone.
pub(crate) const SHOWN_ORDER: u64 = 1001;
/// Records of a table that the shop keeps at most: beyond, the clean-up runs early.
const RECORDS_MAX: usize = 60;
/// Steps from one clean-up to the next.
const CLEAN_UP_STEPS: u64 = 60;

/// Everything the shop has.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shop {
    step: u64,
    last_order: u64,
    users: BTreeMap<u64, Value>,
    products: BTreeMap<u64, Value>,
    orders: BTreeMap<u64, Value>,
    /// Last number given out by each service.
    sequences: BTreeMap<String, u64>,
}

impl Shop {
    /// Has nothing happened in it yet?
    pub(crate) fn is_new(&self) -> bool {
        self.step == 0
    }

    /// Has the shown order a history worth asking for?
    pub(crate) fn has_story(&self) -> bool {
        self.orders.get(&SHOWN_ORDER).is_some_and(|order| order["status"] != "pending")
    }

    /// The shop's next step, at a time in RFC 3339: the changes it makes, in order.
    pub(crate) fn step(&mut self, now: &str) -> Vec<Change> {
        let step = self.step;
        self.step += 1;
        if self.orders.len() >= RECORDS_MAX || (step > 0 && step.is_multiple_of(CLEAN_UP_STEPS)) {
            return self.clean_up();
        }
        // The first steps of a shop tell one order's whole story; later ones repeat it for the newest order.
        let change = match step % 12 {
            0 => self.sign_up(now),
            1 => self.list_product(),
            2 => self.place_order(now),
            3 => self.set_order(self.last_order, "status", json!("paid"), now, service("payments"), "payment captured"),
            4 => self.save_user_unchanged(now),
            5 => self.pick_item(now),
            6 => self.change_password(now),
            7 => self.set_order(
                self.last_order,
                "status",
                json!("shipped"),
                now,
                service("warehouse"),
                "parcel handed over",
            ),
            8 => self.reprice(),
            9 => self.correct_email(now),
            10 => self.save_product_unchanged(),
            _ => self.set_order(
                SHOWN_ORDER,
                "note",
                json!(format!("called back, visit {step}")),
                now,
                agent(),
                "customer called",
            ),
        };
        change.into_iter().collect()
    }

    fn sign_up(&mut self, now: &str) -> Option<Change> {
        if self.users.len() >= RECORDS_MAX {
            return self.save_user_unchanged(now);
        }
        let id = self.users.last_key_value().map_or(1, |(id, _)| id + 1);
        let name = NAMES[id as usize % NAMES.len()];
        let mail = format!("{}.{id}@example.com", name.split(' ').next().unwrap_or(name).to_lowercase());
        let record = json!({
            "id": format!("u{id}"), "name": name, "email": mail, "phone": format!("+49 30 5550{id:03}"),
            "passwordHash": format!("$argon2id$demo${id:08}"), "apiToken": format!("tok-demo-{id:08}"),
            "address": { "city": "Berlin", "zip": "10115" }, "createdAt": now, "updatedAt": now,
        });
        self.users.insert(id, record.clone());
        let actor = user(&format!("u{id}"), name, &mail);
        Some(self.change("accounts", "users", None, Some(record), actor, reason("signed up")))
    }

    fn list_product(&mut self) -> Option<Change> {
        if self.products.len() >= RECORDS_MAX {
            return self.reprice();
        }
        let id = self.products.last_key_value().map_or(1, |(id, _)| id + 1);
        let (name, price) = PRODUCTS[id as usize % PRODUCTS.len()];
        let product = json!({
            "id": format!("p{id}"), "name": name, "price": number(price), "tags": ["new", "shop"],
            // Beyond what a double holds: the trail keeps every digit.
            "ean": number(&format!("40063810{:013}", 9_007_199_254_993_u64 + id)),
            "weight": number("0.1250000000000000000000000001"), "stock": 40,
        });
        self.products.insert(id, product.clone());
        Some(self.change("catalog", "products", None, Some(product), service("catalog-import"), reason("spring range")))
    }

    fn place_order(&mut self, now: &str) -> Option<Change> {
        let id = (self.last_order + 1).max(SHOWN_ORDER);
        self.last_order = id;
        let (customer_id, customer) = pick(&self.users, id)?;
        let (product, sold) = pick(&self.products, id)?;
        let actor = user(&format!("u{customer_id}"), text(customer, "name"), text(customer, "email"));
        let order = json!({
            "id": id, "customerId": format!("u{customer_id}"), "status": "pending", "total": sold["price"],
            "items": [
                { "id": 1, "productId": format!("p{product}"), "quantity": 2, "picked": false },
                { "id": 2, "productId": "p1", "quantity": 1, "picked": false },
            ],
            "placedAt": now, "updatedAt": now,
        });
        self.orders.insert(id, order.clone());
        Some(self.change(
            "checkout",
            "orders",
            None,
            Some(order),
            actor,
            Context { request_id: Some(format!("req-{id}")), ip: Some("203.0.113.7".into()), ..Context::default() },
        ))
    }

    fn pick_item(&mut self, now: &str) -> Option<Change> {
        let id = self.last_order;
        let before = self.orders.get(&id)?.clone();
        let mut after = before.clone();
        after["items"][0]["picked"] = json!(true);
        after["items"][0]["shelf"] = json!("B-17");
        after["updatedAt"] = json!(now);
        self.orders.insert(id, after.clone());
        Some(self.change("checkout", "orders", Some(before), Some(after), service("warehouse"), reason("picked")))
    }

    fn set_order(&mut self, id: u64, field: &str, value: Value, now: &str, actor: Actor, why: &str) -> Option<Change> {
        let before = self.orders.get(&id)?.clone();
        let mut after = before.clone();
        after[field] = value;
        after["updatedAt"] = json!(now);
        self.orders.insert(id, after.clone());
        Some(self.change("checkout", "orders", Some(before), Some(after), actor, reason(why)))
    }

    /// A save that touches nothing but the time of saving: no entry.
    fn save_user_unchanged(&mut self, now: &str) -> Option<Change> {
        let change = self.set_user("updatedAt", json!(now), service("accounts"), "profile saved, nothing changed")?;
        Some(Change { is_idle: true, ..change })
    }

    fn change_password(&mut self, now: &str) -> Option<Change> {
        let (id, record) = pick(&self.users, self.step)?;
        let actor = user(&format!("u{id}"), text(record, "name"), text(record, "email"));
        let hash = json!(format!("$argon2id$demo${}", now));
        self.set_user("passwordHash", hash, actor, "password changed")
    }

    fn correct_email(&mut self, now: &str) -> Option<Change> {
        let (id, _) = pick(&self.users, self.step)?;
        let mail = json!(format!("new.{id}.{}@example.com", now.get(11..19).unwrap_or("").replace(':', "")));
        self.set_user(
            "email",
            mail,
            Actor { on_behalf_of: Some(format!("u{id}")), ..agent() },
            "typo reported by phone",
        )
    }

    fn set_user(&mut self, field: &str, value: Value, actor: Actor, why: &str) -> Option<Change> {
        let (id, before) = pick(&self.users, self.step)?;
        let before = before.clone();
        let mut after = before.clone();
        after[field] = value;
        self.users.insert(id, after.clone());
        Some(self.change("accounts", "users", Some(before), Some(after), actor, reason(why)))
    }

    /// Equal data spelled another way: no entry either.
    fn save_product_unchanged(&mut self) -> Option<Change> {
        let (_, before) = pick(&self.products, self.step)?;
        let before = before.clone();
        let mut after = before.clone();
        after["stock"] = number("40.0");
        let why = reason("nightly import, nothing changed");
        let change = self.change("catalog", "products", Some(before), Some(after), service("catalog-import"), why);
        Some(Change { is_idle: true, ..change })
    }

    fn reprice(&mut self) -> Option<Change> {
        let (id, before) = pick(&self.products, self.step)?;
        let before = before.clone();
        let mut after = before.clone();
        after["price"] = number(&format!("{}.9900000000000000000000000000001", 10 + self.step % 90));
        self.products.insert(id, after.clone());
        let actor = user("m1", "Marta Buyer", "marta@example.com");
        Some(self.change(
            "catalog",
            "products",
            Some(before),
            Some(after),
            actor,
            Context { migration: Some("2026-spring-prices".into()), ..Context::default() },
        ))
    }

    /// Deletes all orders but the one shown and the newest: a bulk operation, in one transaction.
    fn clean_up(&mut self) -> Vec<Change> {
        let keep = self.last_order;
        let gone: Vec<u64> = self.orders.keys().copied().filter(|id| *id != SHOWN_ORDER && *id != keep).collect();
        let transaction = format!("clean-up-{}", self.step);
        let mut changes = Vec::with_capacity(gone.len());
        for id in gone {
            let before = self.orders.remove(&id);
            let context = reason("retention of shipped orders");
            let change = self.change("checkout", "orders", before, None, service("clean-up"), context);
            changes.push(Change { transaction: Some(transaction.clone()), ..change });
        }
        changes
    }

    fn change(
        &mut self,
        source: &'static str,
        table: &'static str,
        before: Option<Value>,
        after: Option<Value>,
        actor: Actor,
        context: Context,
    ) -> Change {
        let sequence = self.sequences.entry(source.to_owned()).or_default();
        *sequence += 1;
        Change { source, table, sequence: *sequence, before, after, actor, context, transaction: None, is_idle: false }
    }
}

/// One of the records, by turns.
fn pick(records: &BTreeMap<u64, Value>, turn: u64) -> Option<(u64, &Value)> {
    let at = turn as usize % records.len().max(1);
    records.iter().nth(at).map(|(id, record)| (*id, record))
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

/// A number with exactly these digits.
fn number(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use afterimage_event::Op;

    fn run(shop: &mut Shop, steps: u64) -> Vec<Change> {
        (0..steps).flat_map(|step| shop.step(&format!("2026-01-09T10:00:{:02}Z", step % 60))).collect()
    }

    #[test]
    fn records_chain_and_ids_are_never_used_again() {
        let mut shop = Shop::default();
        let mut records: BTreeMap<(String, String), Option<Value>> = BTreeMap::new();
        let mut orders = BTreeSet::new();
        for change in (0..3)
            .flat_map(|_| {
                let text = serde_json::to_string(&shop).unwrap();
                shop = serde_json::from_str(&text).unwrap();
                run(&mut shop, 200)
            })
            .collect::<Vec<_>>()
        {
            let record = records.entry((change.table.to_owned(), change.record_id())).or_default();
            if change.before.is_none() && change.table == "orders" {
                assert!(orders.insert(change.record_id()), "order {} again", change.record_id());
            }
            // Data spelled another way is published and does not become the record.
            if change.table != "products" || !change.is_idle {
                assert_eq!(*record, change.before, "{} {}", change.table, change.record_id());
                *record = change.after;
            }
        }
        assert!(records[&("orders".to_owned(), SHOWN_ORDER.to_string())].is_some());
    }

    #[test]
    fn the_shop_shows_every_kind_of_change_and_stays_small() {
        let mut shop = Shop::default();
        let changes = run(&mut shop, 2_000);
        for table in ["users", "products", "orders"] {
            assert!(changes.iter().any(|change| change.table == table && change.op() == Op::Insert), "{table}");
            assert!(changes.iter().any(|change| change.table == table && change.op() == Op::Update), "{table}");
        }
        assert!(changes.iter().any(|change| change.op() == Op::Delete && change.transaction.is_some()));
        assert!(shop.users.len().max(shop.products.len()).max(shop.orders.len()) <= RECORDS_MAX);
        assert!(serde_json::to_string(&shop).unwrap().len() < 100_000);
    }
}
