//! Who acts in the shop, on what, and what a change of it says.

use afterimage_event::Op;
use afterimage_publish::{Actor, Context};
use serde_json::Value;

pub(super) const NAMES: [&str; 8] = [
    "Ada Okafor",
    "Ben Schäfer",
    "Chloé Martin",
    "Dmitri Volkov",
    "Elif Yılmaz",
    "Farid Haddad",
    "Grace 山田",
    "Henk de Vries",
];
pub(super) const PRODUCTS: [(&str, &str); 6] = [
    ("Kettle", "39.90"),
    ("Lamp \"Noor\"", "54.00"),
    ("Mug, blue", "7.50"),
    ("Notebook A5", "4.20"),
    ("Teapot 急須", "61.00"),
    ("Umbrella", "18.75"),
];

/// One change of one record.
#[derive(Debug)]
pub(crate) struct Change {
    /// The service that owns the record.
    pub(crate) source: &'static str,
    pub(crate) table: &'static str,
    /// Its number among the service's changes, without gaps.
    pub(crate) sequence: u64,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) actor: Actor,
    pub(crate) context: Context,
    pub(crate) transaction: Option<String>,
    /// Will the trail keep no entry of it?
    pub(crate) is_idle: bool,
}

impl Change {
    /// What was done.
    pub(crate) fn op(&self) -> Op {
        match (&self.before, &self.after) {
            (None, _) => Op::Insert,
            (Some(_), Some(_)) => Op::Update,
            (Some(_), None) => Op::Delete,
        }
    }

    /// The record's id as text.
    pub(crate) fn record_id(&self) -> String {
        let id = self.after.as_ref().or(self.before.as_ref()).map(|image| &image["id"]);
        match id {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

/// A customer or a colleague.
pub(super) fn user(id: &str, name: &str, email: &str) -> Actor {
    Actor {
        kind: Some("user".into()),
        id: Some(id.into()),
        name: Some(name.into()),
        email: Some(email.into()),
        on_behalf_of: None,
    }
}

/// A program of the shop.
pub(super) fn service(id: &str) -> Actor {
    Actor { kind: Some("service".into()), id: Some(id.into()), ..Actor::default() }
}

/// The one person at the support desk.
pub(super) fn agent() -> Actor {
    user("s1", "Sam Support", "sam@example.com")
}

/// Why.
pub(super) fn reason(text: &str) -> Context {
    Context { reason: Some(text.into()), ..Context::default() }
}
