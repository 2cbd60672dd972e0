//! Two sorted streams side by side, a page at a time: what the ledger says is stored, and what the store has. Pure.

use std::collections::VecDeque;

/// What one key has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pair<L, R> {
    /// It is on the left only.
    Left(L),
    /// It is on the right only.
    Right(R),
    /// It is on both sides.
    Both(L, R),
}

/// Pages of two streams, each in the order of its keys, of which no key comes twice.
pub(super) struct Merge<L, R> {
    left: Side<L>,
    right: Side<R>,
}

/// What is at hand of one stream.
struct Side<T> {
    page: VecDeque<(String, T)>,
    ended: bool,
}

impl<T> Side<T> {
    fn wants(&self) -> bool {
        self.page.is_empty() && !self.ended
    }

    fn add(&mut self, page: impl IntoIterator<Item = (String, T)>, is_last: bool) {
        self.page.extend(page);
        self.ended = is_last;
    }

    fn take(&mut self) -> Option<T> {
        self.page.pop_front().map(|(_, item)| item)
    }
}

impl<L, R> Merge<L, R> {
    pub(super) fn new() -> Self {
        let (left, right) = (VecDeque::new(), VecDeque::new());
        Merge { left: Side { page: left, ended: false }, right: Side { page: right, ended: false } }
    }

    /// True if nothing can be said before the left side has another page.
    pub(super) fn wants_left(&self) -> bool {
        self.left.wants()
    }

    /// The same for the right side.
    pub(super) fn wants_right(&self) -> bool {
        self.right.wants()
    }

    /// The next page of the left side, which may be empty.
    pub(super) fn add_left(&mut self, page: impl IntoIterator<Item = (String, L)>, is_last: bool) {
        self.left.add(page, is_last);
    }

    /// The next page of the right side.
    pub(super) fn add_right(&mut self, page: impl IntoIterator<Item = (String, R)>, is_last: bool) {
        self.right.add(page, is_last);
    }

    /// What the next key has; `None` if a side wants a page, or both have ended.
    pub(super) fn next(&mut self) -> Option<Pair<L, R>> {
        if self.wants_left() || self.wants_right() {
            return None;
        }
        let order = match (self.left.page.front(), self.right.page.front()) {
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Less => self.left.take().map(Pair::Left),
            std::cmp::Ordering::Greater => self.right.take().map(Pair::Right),
            std::cmp::Ordering::Equal => {
                self.left.take().zip(self.right.take()).map(|(l, r)| Pair::Both(l, r))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Feeds both streams in pages of these lengths, and collects what comes out.
    fn merged(left: &[String], right: &[String], pages: &[usize]) -> Vec<Pair<String, String>> {
        let mut lengths = pages.iter().copied().cycle();
        let (mut left, mut right) = (left.iter().cloned(), right.iter().cloned());
        let mut next = |stream: &mut dyn Iterator<Item = String>| -> (Vec<(String, String)>, bool) {
            let length = lengths.next().unwrap();
            let page: Vec<_> = stream.take(length).map(|k| (k.clone(), k)).collect();
            let is_last = page.len() < length;
            (page, is_last)
        };
        let (mut merge, mut found) = (Merge::new(), Vec::new());
        loop {
            if merge.wants_left() {
                let (page, is_last) = next(&mut left);
                merge.add_left(page, is_last);
            } else if merge.wants_right() {
                let (page, is_last) = next(&mut right);
                merge.add_right(page, is_last);
            } else {
                match merge.next() {
                    Some(pair) => found.push(pair),
                    None => return found,
                }
            }
        }
    }

    proptest! {
        #[test]
        fn rows_and_a_listing_give_just_their_differences_however_they_come_in_pages(
            rows in prop::collection::btree_set("[a-c]/[0-9]{1,2}", 0..40),
            listing in prop::collection::btree_set("[a-c]/[0-9]{1,2}", 0..40),
            pages in prop::collection::vec(1_usize..7, 1..5),
        ) {
            let all = |keys: &BTreeSet<String>| keys.iter().cloned().collect::<Vec<_>>();
            let found = merged(&all(&rows), &all(&listing), &pages);
            let (mut missing, mut foreign, mut both) = (Vec::new(), Vec::new(), Vec::new());
            for pair in found {
                match pair {
                    Pair::Left(key) => missing.push(key),
                    Pair::Right(key) => foreign.push(key),
                    Pair::Both(l, r) => {
                        prop_assert_eq!(&l, &r);
                        both.push(l);
                    }
                }
            }
            prop_assert_eq!(missing, rows.difference(&listing).cloned().collect::<Vec<_>>());
            prop_assert_eq!(foreign, listing.difference(&rows).cloned().collect::<Vec<_>>());
            prop_assert_eq!(both, rows.intersection(&listing).cloned().collect::<Vec<_>>());
        }
    }
}
