//! Walks a document and a table's path rules together, one step for each member or element entered.

use std::ops::Range;

use afterimage_json::Pointer;

use super::Redaction;
use super::secrets::is_secret_name;
use crate::Pattern;
use crate::pattern::Progress;

/// What a rule says of the places its pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Ignore,
    Quiet,
    Redact(Redaction),
    /// A secret by name that the table keeps.
    AllowSecret,
}

/// What all rules together say of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) ignore: bool,
    pub(crate) quiet: bool,
    /// The last rule that matches; without one, `drop` for a secret name that is not allowed.
    pub(crate) redact: Option<Redaction>,
}

/// The path rules of a table, or places to be ignored in one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matcher {
    rules: Vec<(Target, Effect)>,
    pub(crate) ignores: bool,
    pub(crate) quiets: bool,
    pub(crate) redacts: bool,
    /// Is some element redacted, or kept though its name is that of a secret, because of its position?
    pub(crate) redacts_positions: bool,
    /// The same, or is one ignored?
    pub(crate) hides_positions: bool,
}

#[derive(Clone, Debug)]
enum Target {
    Pattern(Pattern),
    /// One place, whose names may look like wildcards.
    Place(Vec<String>),
}

/// How far a target has come on the way down.
#[derive(Clone, Copy, Debug)]
enum Reached {
    Pattern(Progress),
    /// So many names of a place.
    Names(usize),
}

impl Matcher {
    /// Exactly these places, to be ignored.
    pub(crate) fn exactly<'p>(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let mut matcher = Self::default();
        for pointer in pointers {
            matcher.push(Target::Place(pointer.segments().map(String::from).collect()), Effect::Ignore);
        }
        matcher
    }

    /// Adds a rule; of several redactions of one place the last added wins.
    pub(super) fn add(&mut self, pattern: &Pattern, effect: Effect) {
        let by_position = effect != Effect::Quiet && names_position(pattern);
        self.hides_positions |= by_position;
        self.redacts_positions |= by_position && effect != Effect::Ignore;
        self.push(Target::Pattern(pattern.clone()), effect);
    }

    fn push(&mut self, target: Target, effect: Effect) {
        match effect {
            Effect::Ignore => self.ignores = true,
            Effect::Quiet => self.quiets = true,
            Effect::Redact(_) => self.redacts = true,
            Effect::AllowSecret => {}
        }
        self.rules.push((target, effect));
    }
}

impl Target {
    fn start(&self) -> Reached {
        match self {
            Self::Pattern(pattern) => Reached::Pattern(pattern.start()),
            Self::Place(_) => Reached::Names(0),
        }
    }

    /// Goes down to `name`: how far that comes, unless nothing there or below can match; and whether the place matches.
    fn step(&self, reached: Reached, name: &str) -> Option<(Reached, bool)> {
        match (self, reached) {
            (Self::Pattern(pattern), Reached::Pattern(progress)) => {
                let next = pattern.step(progress, name);
                (!next.is_dead()).then(|| (Reached::Pattern(next), pattern.is_match(next)))
            }
            (Self::Place(names), Reached::Names(count)) if names.get(count).is_some_and(|next| next == name) => {
                Some((Reached::Names(count + 1), count + 1 == names.len()))
            }
            _ => None,
        }
    }
}

/// The names and globs of a pattern.
pub(super) fn names(pattern: &Pattern) -> Vec<String> {
    // A pattern is spelled as a pointer, so it always reads as one.
    pattern.to_string().parse::<Pointer>().unwrap_or_default().segments().map(String::from).collect()
}

/// Does the pattern name some elements of an array by their positions? Members may have such names, too.
fn names_position(pattern: &Pattern) -> bool {
    names(pattern).iter().any(|name| may_be_position(name))
}

/// Does the pattern match some elements of an array and not others?
pub(super) fn takes_out_elements(pattern: &Pattern) -> bool {
    names(pattern).last().is_some_and(|name| may_be_position(name))
}

/// The pattern, with any position in place of those that it names. `None` if it names none.
pub(super) fn at_any_position(pattern: &Pattern) -> Option<Pattern> {
    let wider = |name: &String| if may_be_position(name) { "*".to_owned() } else { name.clone() };
    names_position(pattern).then(|| names(pattern).iter().map(wider).collect::<Pointer>().as_str().parse().ok())?
}

/// May this name or glob stand for the position of some elements, not of all?
pub(crate) fn may_be_position(name: &str) -> bool {
    !matches!(name, "" | "*" | "**") && name.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'?'))
}

/// A state of a [`Cursor`]: a stretch of its stack.
pub(crate) type State = Range<usize>;

/// A place in a document, as the rules see it.
#[derive(Debug)]
pub(crate) struct Cursor<'m> {
    matcher: &'m Matcher,
    /// For the place and all places above it, one after another: the rules that may match there or below.
    stack: Vec<(usize, Reached)>,
    names_may_be_secret: bool,
}

impl<'m> Cursor<'m> {
    /// At the root of a document. `names_may_be_secret`: shall names be looked at?
    pub(crate) fn new(matcher: &'m Matcher, names_may_be_secret: bool) -> Self {
        let stack = matcher.rules.iter().enumerate().map(|(rule, (target, _))| (rule, target.start())).collect();
        Self { matcher, stack, names_may_be_secret }
    }

    /// Are there path rules?
    pub(crate) fn has_rules(&self) -> bool {
        !self.matcher.rules.is_empty()
    }

    /// The state at the root.
    pub(crate) fn root(&self) -> State {
        0..self.matcher.rules.len()
    }

    /// Can no rule match anything below a place with this state?
    pub(crate) fn is_idle(&self, state: &State) -> bool {
        state.is_empty() && !self.names_may_be_secret
    }

    /// Goes to the member or element called `name` of the place with this state. [`leave`](Self::leave) it again before
    /// entering another.
    pub(crate) fn enter(&mut self, from: &State, name: &str) -> (State, Effects) {
        let start = self.stack.len();
        let mut effects = Effects::default();
        let mut allowed = false;
        for at in from.clone() {
            let (rule, reached) = self.stack[at];
            let (target, effect) = &self.matcher.rules[rule];
            let Some((reached, matches)) = target.step(reached, name) else { continue };
            self.stack.push((rule, reached));
            if matches {
                match *effect {
                    Effect::Ignore => effects.ignore = true,
                    Effect::Quiet => effects.quiet = true,
                    // Rules stand in the order they were added: later ones overwrite.
                    Effect::Redact(redaction) => effects.redact = Some(redaction),
                    Effect::AllowSecret => allowed = true,
                }
            }
        }
        if self.names_may_be_secret && effects.redact.is_none() && !allowed && is_secret_name(name) {
            effects.redact = Some(Redaction::Drop);
        }
        (start..self.stack.len(), effects)
    }

    /// Goes back from a place.
    pub(crate) fn leave(&mut self, state: State) {
        self.stack.truncate(state.start);
    }

    /// Follows `path` down from the root to the first place of which `stop` says so: how many names lead there, and what
    /// the rules say there.
    pub(crate) fn first_on_the_way(
        &mut self,
        path: &Pointer,
        stop: impl Fn(&Effects) -> bool,
    ) -> Option<(usize, Effects)> {
        let bottom = self.stack.len();
        let mut state = self.root();
        let mut found = None;
        for (depth, name) in path.segments().enumerate() {
            if self.is_idle(&state) {
                break;
            }
            let (next, effects) = self.enter(&state, &name);
            if stop(&effects) {
                found = Some((depth + 1, effects));
                break;
            }
            state = next;
        }
        self.stack.truncate(bottom);
        found
    }

    /// Follows `path` down from the root and stays there; [`rewind`](Self::rewind) goes back.
    pub(crate) fn descend(&mut self, path: &Pointer) -> State {
        path.segments().fold(self.root(), |state, name| self.enter(&state, &name).0)
    }

    /// Goes back to the root.
    pub(crate) fn rewind(&mut self) {
        self.stack.truncate(self.matcher.rules.len());
    }
}

/// Stands for the index of an element in lists of names. No name in a pattern is this.
pub(super) const INDEX: &str = "\0";

/// Can some list of names match both patterns (`*`, `**` as names, `*`, `?` in names)?
pub(super) fn patterns_overlap(a: &[String], b: &[String]) -> bool {
    let is_index = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'?' | 0));
    let one = |a: &String, b: &String| match (a.as_str(), b.as_str()) {
        (INDEX, _) => is_index(b),
        (_, INDEX) => is_index(a),
        (a, b) => globs_overlap(a, b),
    };
    overlap(a, b, |name| name == "**", one)
}

/// Can some text match both globs (`*` any text, `?` any one character)?
pub(super) fn globs_overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    overlap(&a, &b, |&char| char == '*', |&a, &b| a == b || a == '?' || b == '?')
}

/// Can some list match both lists, in which some items stand for any number of anything (`many`) and the others for one
/// thing each, perhaps the same (`one`)?
fn overlap<T>(a: &[T], b: &[T], many: impl Fn(&T) -> bool, one: impl Fn(&T, &T) -> bool) -> bool {
    // reach[i][j]: can a[i..] and b[j..] match the same list?
    let mut reach = vec![vec![false; b.len() + 1]; a.len() + 1];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            reach[i][j] = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some(x), _) if many(x) => reach[i + 1][j] || j < b.len() && reach[i][j + 1],
                (_, Some(y)) if many(y) => reach[i][j + 1] || i < a.len() && reach[i + 1][j],
                (Some(x), Some(y)) => one(x, y) && reach[i + 1][j + 1],
                _ => false,
            };
        }
    }
    reach[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_overlap_where_some_text_matches_both() {
        for (a, b, expected) in [
            ("*", "", true),
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*a*a*a*a*a*a*a*b", "*a*a*a*a*a*a*a*a*c", false),
            ("users", "users", true),
        ] {
            assert_eq!((globs_overlap(a, b), globs_overlap(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn patterns_overlap_where_some_place_matches_both() {
        for (a, b, expected) in [
            ("/a/*/id", "/**/id", true),
            ("/a/*/id", "/a/id", false),
            ("/**", "", true),
            ("/a/**/b", "/**/c", false),
            ("/a_*/x", "/*_b/?", true),
        ] {
            let names = |text: &str| names(&text.parse().unwrap());
            assert_eq!(patterns_overlap(&names(a), &names(b)), expected, "{a} {b}");
            assert_eq!(patterns_overlap(&names(b), &names(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn places_are_met_as_they_are_written() {
        let matcher = Matcher::exactly(&["/*/a".parse().unwrap(), "/b".parse().unwrap()]);
        let mut cursor = Cursor::new(&matcher, false);
        let mut met =
            |path: &str| cursor.first_on_the_way(&path.parse().unwrap(), |effects| effects.ignore).map(|(n, _)| n);
        assert_eq!(met("/*/a/c"), Some(2));
        assert_eq!(met("/x/a"), None);
        assert_eq!(met("/b"), Some(1));
        assert_eq!(met("/*"), None);
    }
}
