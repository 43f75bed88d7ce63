//! The longest common subsequence of two lists.
//!
//! Of several longest ones it is the one that a walk from the front finds that keeps what is equal in both lists, and else
//! passes over the next of the old list as long as that loses nothing.
//!
//! Myers' greedy algorithm (An O(ND) Difference Algorithm and Its Variations, 1986), begun at the ends: its rows then say
//! from which pairs of places the ends are so many steps away, which is what the walk from the front needs to know.
//! Own code, since the crates for this either cannot be bounded or are bounded by the clock, and then the same event would
//! not always make the same entry.

/// Positions in `old` and `new` of what stays, ascending. `None` if more than `distance_max` are left out in all.
///
/// Takes at most `distance_max`² / 2 + 2 · `distance_max` · length steps, and tells `on_step` of each; and so many words
/// of memory as the first part.
pub(crate) fn longest_common(
    old: &[usize],
    new: &[usize],
    distance_max: usize,
    on_step: impl FnMut(),
) -> Option<Vec<(usize, usize)>> {
    let rows = rows_from_the_ends(old, new, distance_max, on_step)?;
    let mut stay = Vec::new();
    // So many are left of each, and so many of these are to be passed over.
    let (mut old_left, mut new_left, mut distance) = (old.len(), new.len(), rows.len() - 1);
    loop {
        let (from, to) = (old.len() - old_left, new.len() - new_left);
        if old_left > 0 && new_left > 0 && old[from] == new[to] {
            stay.push((from, to));
            (old_left, new_left) = (old_left - 1, new_left - 1);
            continue;
        }
        let Some(closer) = distance.checked_sub(1) else { return Some(stay) };
        if old_left > 0 && is_within(&rows[closer], old_left - 1, new_left) {
            old_left -= 1;
        } else {
            new_left -= 1;
        }
        distance = closer;
    }
}

/// Are the ends reached from there by passing over as many as the row is for?
fn is_within(row: &[usize], old_left: usize, new_left: usize) -> bool {
    let diagonal = (old_left + row.len() - 1).checked_sub(new_left).map(|twice| twice / 2);
    diagonal.and_then(|at| row.get(at)).is_some_and(|furthest| old_left <= *furthest)
}

/// Row `d` holds, for each `i` up to `d`, how many of the old list can be left at most, `2 i - d` more than of the new
/// list, when all but `d` of what is left in both stays. The last row is that of the whole lists.
fn rows_from_the_ends(
    old: &[usize],
    new: &[usize],
    distance_max: usize,
    mut on_step: impl FnMut(),
) -> Option<Vec<Vec<usize>>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for distance in 0..=distance_max {
        let mut row = Vec::with_capacity(distance + 1);
        for at in 0..=distance {
            on_step();
            let above = rows.last();
            let one_new = above.and_then(|row| row.get(at)).copied();
            let one_old = at.checked_sub(1).and_then(|at| above?.get(at)).map(|left| left + 1);
            let mut old_left = one_new.max(one_old).unwrap_or(0);
            let mut new_left = old_left + distance - 2 * at;
            while old_left < old.len()
                && new_left < new.len()
                && old[old.len() - 1 - old_left] == new[new.len() - 1 - new_left]
            {
                on_step();
                (old_left, new_left) = (old_left + 1, new_left + 1);
            }
            row.push(old_left);
            if old_left == old.len() && new_left == new.len() {
                rows.push(row);
                return Some(rows);
            }
        }
        rows.push(row);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(old: &[usize], new: &[usize]) -> Vec<(usize, usize)> {
        longest_common(old, new, old.len() + new.len(), || {}).unwrap()
    }

    #[test]
    fn of_several_longest_ones_the_old_list_yields_first() {
        assert_eq!(common(&[], &[]), []);
        assert_eq!(common(&[1], &[]), []);
        assert_eq!(common(&[1, 2], &[2, 1]), [(1, 0)]);
        assert_eq!(common(&[1, 2, 3], &[1, 9, 3]), [(0, 0), (2, 2)]);
        assert_eq!(common(&[1, 1], &[1, 1, 1]), [(0, 0), (1, 1)]);
        assert_eq!(common(&[1, 2, 3, 1, 2, 2, 1], &[3, 2, 1, 2, 1, 3]), [(2, 0), (4, 1), (5, 3), (6, 4)]);
    }

    #[test]
    fn work_is_linear_in_the_length_whatever_the_lists() {
        const DISTANCE: usize = 40;
        let length = 5_000;
        let mut rng = fastrand::Rng::with_seed(5);
        let mut random = |kinds: usize| (0..length).map(|_| rng.usize(..kinds)).collect::<Vec<_>>();
        let period: Vec<usize> = (0..length).map(|at| at % 7).collect();
        let pairs = [
            (random(2), random(2)),
            (random(length), random(length)),
            (period.clone(), period[3..].to_vec()),
            (period.clone(), period.iter().rev().copied().collect()),
            (vec![1; length], vec![1; length - DISTANCE - 1]),
        ];
        for (old, new) in pairs {
            let mut steps = 0;
            let _ = longest_common(&old, &new, DISTANCE, || steps += 1);
            assert!(steps <= DISTANCE * DISTANCE + 2 * (DISTANCE + 1) * length, "{steps}");
        }
    }

    #[test]
    fn further_apart_than_allowed_is_no_answer() {
        let (old, new) = ((0..50).collect::<Vec<_>>(), (25..75).collect::<Vec<_>>());
        assert_eq!(longest_common(&old, &new, 50, || {}).map(|stay| stay.len()), Some(25));
        assert_eq!(longest_common(&old, &new, 49, || {}), None);
    }
}
