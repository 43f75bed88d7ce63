//! Who made a change, from whatever shape a producer gives it.

use std::borrow::Cow;

use afterimage_json::{Object, Raw};

use crate::Actor;
use crate::limits::ID_BYTES_MAX;

/// The parts of an actor and how producers spell them. The first spelling that holds text is taken.
///
/// `impersonator` and the `act` claim of RFC 8693 are not among them: they name who really acted and so turn the
/// meaning of the other members round. They are kept as they are, beside the actor.
struct Spellings {
    kind: &'static [&'static str],
    id: &'static [&'static str],
    name: &'static [&'static str],
    email: &'static [&'static str],
    on_behalf_of: &'static [&'static str],
}

/// Inside an object that is all about the actor.
const OWN: Spellings = Spellings {
    kind: &["type", "kind", "actorType", "actor_type", "userType", "user_type"],
    id: &["id", "userId", "user_id", "sub", "uid", "actorId", "actor_id", "_id"],
    name: &[
        "name",
        "username",
        "userName",
        "user_name",
        "displayName",
        "display_name",
        "fullName",
        "full_name",
        "login",
        "preferred_username",
    ],
    email: &["email", "mail", "emailAddress", "email_address", "userEmail", "user_email"],
    on_behalf_of: &["onBehalfOf", "on_behalf_of", "behalfOf", "behalf_of", "actingFor", "acting_for"],
};

/// Among other annotations: only what cannot mean anything else. A bare `id`, `type` or `name` there may be the id of
/// an order.
const ANNOTATED: Spellings = Spellings {
    kind: &["actorType", "actor_type", "userType", "user_type"],
    id: &["actorId", "actor_id", "userId", "user_id", "uid"],
    name: &["username", "userName", "user_name", "actorName", "actor_name"],
    email: &["email", "userEmail", "user_email", "actorEmail", "actor_email"],
    on_behalf_of: &["onBehalfOf", "on_behalf_of", "actingFor", "acting_for"],
};

/// A member among annotations that is all about the actor.
const WHOLE: [&str; 3] = ["by", "actor", "user"];

/// Members not yet taken.
pub(crate) type Left<'a> = Vec<(Cow<'a, str>, Raw<'a>)>;

/// Reads the `by` of an event, and what of it no part of the actor holds, as JSON.
///
/// A string with an `@` is an email address, any other string or a number an id. Of an object the spellings above are
/// taken. What is no string or number, is empty or is longer than an id is not taken.
pub(crate) fn read(by: Raw<'_>) -> (Option<Actor>, Option<Cow<'_, str>>) {
    if let Some(members) = by.members() {
        let mut left: Left<'_> = members.collect();
        let actor = take(&mut left, &OWN);
        let left = match &actor {
            None => (!left.is_empty()).then_some(Cow::Borrowed(by.as_str())),
            Some(_) => (!left.is_empty()).then(|| Cow::Owned(Object::of(&left))),
        };
        return (actor, left);
    }
    match text(by) {
        Some(text) if text.contains('@') && by.number().is_none() => {
            (Some(Actor { email: Some(text), ..Actor::default() }), None)
        }
        Some(text) => (Some(Actor { id: Some(text), ..Actor::default() }), None),
        None => (None, Some(Cow::Borrowed(by.as_str()))),
    }
}

/// Takes the actor out of annotations; what is left is about something else.
pub(crate) fn take_annotated<'a>(annotations: &mut Left<'a>) -> Option<Actor> {
    for name in WHOLE {
        let Some(at) = annotations.iter().position(|(known, _)| known == name) else { continue };
        if let (Some(actor), left) = read(annotations[at].1) {
            // What says more than the actor holds stays among the annotations.
            if left.is_none() {
                annotations.remove(at);
            }
            return Some(actor);
        }
    }
    take(annotations, &ANNOTATED)
}

fn take(left: &mut Left<'_>, spellings: &Spellings) -> Option<Actor> {
    let mut part = |names: &[&str], read: fn(Raw<'_>) -> Option<Part>| {
        let (at, part) = names.iter().find_map(|name| {
            let at = left.iter().position(|(known, _)| known == name)?;
            Some((at, read(left[at].1)?))
        })?;
        if part.whole {
            left.remove(at);
        }
        Some(part.text)
    };
    let actor = Actor {
        kind: part(spellings.kind, plain),
        id: part(spellings.id, plain),
        name: part(spellings.name, plain),
        email: part(spellings.email, plain),
        on_behalf_of: part(spellings.on_behalf_of, someone),
    };
    // A part that is null says nothing.
    let all = [spellings.kind, spellings.id, spellings.name, spellings.email, spellings.on_behalf_of];
    left.retain(|(known, value)| !(value.is_null() && all.iter().any(|names| names.contains(&&**known))));
    (actor != Actor::default()).then_some(actor)
}

/// A part of an actor, and whether it says all that its member says.
struct Part {
    text: String,
    whole: bool,
}

fn plain(value: Raw<'_>) -> Option<Part> {
    Some(Part { text: text(value)?, whole: true })
}

/// A person or service as text, or as an object that has an id, an email address or a name.
fn someone(value: Raw<'_>) -> Option<Part> {
    if let Some(members) = value.members() {
        let members: Left<'_> = members.collect();
        let name = ["id", "email", "name"].into_iter();
        let text = name.filter_map(|name| value.get(name)).find_map(text)?;
        return Some(Part { text, whole: members.len() == 1 });
    }
    plain(value)
}

/// A string that is neither empty nor too long, or a number by its literal text.
fn text(value: Raw<'_>) -> Option<String> {
    let text = value.string().or_else(|| value.number().map(Cow::Borrowed))?;
    (!text.is_empty() && text.len() <= ID_BYTES_MAX).then(|| text.into_owned())
}
