//! What happened to the elements of an array that are told apart by their values.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use afterimage_json::{Raw, canonical, equal};

use crate::ArrayPolicy;
use crate::subsequence::longest_common;

/// Positions of elements that are not the same in both arrays, or not in the same order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Edits {
    /// Elements before that have others in their places after, ascending.
    pub(crate) altered: Vec<(usize, usize)>,
    /// Elements before that are gone, ascending.
    pub(crate) gone: Vec<usize>,
    /// Those that stayed, before and after, in the order after; empty unless that is another than before.
    pub(crate) reordered: Vec<(usize, usize)>,
    /// Elements after that came, ascending.
    pub(crate) come: Vec<usize>,
}

impl Edits {
    /// As collections: of equal elements as many stay as both have, the first ones. `None` if there are too many edits.
    pub(crate) fn of_set(old: &[Raw<'_>], new: &[Raw<'_>]) -> Option<Self> {
        let start = common_start(old, new);
        let mut places: HashMap<Vec<u8>, VecDeque<usize>> = HashMap::new();
        for (from, element) in old.iter().enumerate().skip(start) {
            places.entry(id(*element)).or_default().push_back(from);
        }
        let mut edits = Self::default();
        let mut stayed: Vec<(usize, usize)> = (0..start).map(|at| (at, at)).collect();
        for (to, element) in new.iter().enumerate().skip(start) {
            match places.get_mut(&id(*element)).and_then(VecDeque::pop_front) {
                Some(from) => stayed.push((from, to)),
                None => edits.come.push(to),
            }
        }
        edits.gone = places.into_values().flatten().collect();
        edits.gone.sort_unstable();
        if !stayed.is_sorted() {
            edits.reordered = stayed;
        }
        edits.within_bounds()
    }

    /// As sequences: what both have at the start stays, then what both have at the end, and of the rest a longest common
    /// subsequence. Between two that stay, elements take each other's places as far as there are of both.
    /// `None` if there are too many edits.
    pub(crate) fn of_sequence(old: &[Raw<'_>], new: &[Raw<'_>]) -> Option<Self> {
        let mut edits = Self::default();
        // A lone element is looked into anyway; arrays nested that way would else be read as often as they are deep.
        let (start, end) = match (old, new) {
            ([_], [_]) => (0, 0),
            _ => {
                let start = common_start(old, new);
                (start, common_end(&old[start..], &new[start..]))
            }
        };
        let (old_end, new_end) = (old.len() - end, new.len() - end);
        let (mut from, mut to) = (start, start);
        let ends = std::iter::once((old_end, new_end));
        for (stays_from, stays_to) in stays(old, new, start..old_end, start..new_end)?.into_iter().chain(ends) {
            let both = (stays_from - from).min(stays_to - to);
            edits.altered.extend((from..from + both).zip(to..to + both));
            edits.gone.extend(from + both..stays_from);
            edits.come.extend(to + both..stays_to);
            (from, to) = (stays_from + 1, stays_to + 1);
        }
        edits.within_bounds()
    }

    fn within_bounds(self) -> Option<Self> {
        let count = self.gone.len() + self.reordered.len() + self.come.len();
        (count <= ArrayPolicy::EDITS_MAX).then_some(self)
    }
}

/// What stays in these stretches. Elements that only one of them has are set aside first: mostly that leaves nothing to be
/// searched.
fn stays(
    old: &[Raw<'_>],
    new: &[Raw<'_>],
    old_range: Range<usize>,
    new_range: Range<usize>,
) -> Option<Vec<(usize, usize)>> {
    if old_range.is_empty() || new_range.is_empty() || old_range.len() == 1 && new_range.len() == 1 {
        return Some(Vec::new());
    }
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut is_common: Vec<bool> = Vec::new();
    let number = |element: &Raw<'_>, numbers: &mut HashMap<Vec<u8>, usize>| {
        let next = numbers.len();
        *numbers.entry(id(*element)).or_insert(next)
    };
    let old_numbers: Vec<usize> = old[old_range.clone()].iter().map(|element| number(element, &mut numbers)).collect();
    is_common.resize(numbers.len(), false);
    let mut new_common = Vec::new();
    for (to, element) in new_range.clone().zip(&new[new_range]) {
        if let Some(number) = numbers.get(&id(*element)) {
            is_common[*number] = true;
            new_common.push((to, *number));
        }
    }
    let old_common: Vec<_> = old_range.zip(old_numbers).filter(|(_, number)| is_common[*number]).collect();
    let only = |list: &[(usize, usize)]| list.iter().map(|(_, number)| *number).collect::<Vec<_>>();
    let stay = longest_common(&only(&old_common), &only(&new_common), ArrayPolicy::LCS_DISTANCE_MAX, || {})?;
    Some(stay.into_iter().map(|(from, to)| (old_common[from].0, new_common[to].0)).collect())
}

fn common_start(old: &[Raw<'_>], new: &[Raw<'_>]) -> usize {
    old.iter().zip(new).take_while(|(old, new)| equal(**old, **new)).count()
}

fn common_end(old: &[Raw<'_>], new: &[Raw<'_>]) -> usize {
    old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| equal(**old, **new)).count()
}

/// One text for all spellings of the same data.
fn id(value: Raw<'_>) -> Vec<u8> {
    let mut id = Vec::with_capacity(value.as_str().len());
    canonical(value, &mut id);
    id
}
