//! The size of a set, to tell an emptied memory from a full one.
//!
//! A set's manifest is encrypted, so nexus-backup remembers these numbers when it writes the set.

use serde::{Deserialize, Serialize};

use crate::proof::TableDigest;

/// The schema and name of the table of episodes.
const EPISODES: (&str, &str) = ("nexus_memory", "zep_episodic_memory");

/// A loss of fewer rows than this is ignored while some rows are left.
const NOTABLE: u64 = 20;

/// The numbers of rows of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Rows of all tables.
    pub rows: u64,
    /// Rows of the table of episodes.
    pub episodes: u64,
    /// Rows that nexus-purge had forgotten in total when the set was taken.
    pub forgotten: u64,
}

impl Size {
    /// Returns the size of `tables`, each a schema, a name and a number of rows.
    pub fn of<'a>(tables: impl IntoIterator<Item = (&'a str, &'a str, u64)>, forgotten: u64) -> Self {
        let mut size = Self { forgotten, ..Self::default() };
        for (schema, table, rows) in tables {
            size.rows = size.rows.saturating_add(rows);
            if (schema, table) == EPISODES {
                size.episodes = size.episodes.saturating_add(rows);
            }
        }
        size
    }

    /// Returns the size of the tables of a proof.
    pub(crate) fn of_digests(tables: &[TableDigest], forgotten: u64) -> Self {
        let tables = tables.iter().map(|table| (table.schema.as_str(), table.table.as_str(), table.rows));
        Self::of(tables, forgotten)
    }

    /// Returns whether many rows of `before` are missing: more than half of the episodes, or more
    /// than nine tenths of all rows. Rows that nexus-purge has forgotten since are not missing.
    pub fn is_far_smaller(self, before: Self) -> bool {
        let forgotten = self.forgotten_since(before);
        has_fallen(self.episodes.saturating_add(forgotten), before.episodes, 2)
            || has_fallen(self.rows.saturating_add(forgotten), before.rows, 10)
    }

    /// Returns whether the missing rows are back: nine tenths of the episodes and half of all rows.
    pub(crate) fn is_back(self, before: Self) -> bool {
        let forgotten = self.forgotten_since(before);
        let reaches = |now: u64, before: u64, tenths: u128| {
            u128::from(now.saturating_add(forgotten)) * 10 >= u128::from(before) * tenths
        };
        reaches(self.episodes, before.episodes, 9) && reaches(self.rows, before.rows, 5)
    }

    /// Returns the rows that nexus-purge has forgotten between `before` and this.
    pub(crate) fn forgotten_since(self, before: Self) -> u64 {
        self.forgotten.saturating_sub(before.forgotten)
    }
}

/// Returns whether less than one `part`th of `before` is left.
fn has_fallen(now: u64, before: u64, part: u128) -> bool {
    let is_notable = now == 0 || before.saturating_sub(now) >= NOTABLE;
    is_notable && u128::from(now) * part < u128::from(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(rows: u64, episodes: u64, forgotten: u64) -> Size {
        Size { rows, episodes, forgotten }
    }

    #[test]
    fn a_loss_is_half_of_the_episodes_or_nine_tenths_of_all_rows() {
        let before = size(100_000, 5000, 0);
        assert!(size(95_004, 0, 0).is_far_smaller(before));
        assert!(size(97_499, 2499, 0).is_far_smaller(before));
        assert!(!size(97_500, 2500, 0).is_far_smaller(before));
        assert!(size(9_999, 5000, 0).is_far_smaller(before));
        assert!(!size(10_000, 5000, 0).is_far_smaller(before));
    }

    #[test]
    fn rows_forgotten_on_purpose_are_not_missing() {
        let before = size(5004, 5000, 7);
        assert!(!size(4, 0, 5007).is_far_smaller(before));
        assert!(size(4, 0, 1007).is_far_smaller(before));
    }

    #[test]
    fn a_loss_of_few_rows_counts_only_when_none_is_left() {
        assert!(!size(5, 1, 0).is_far_smaller(size(14, 10, 0)));
        assert!(size(4, 0, 0).is_far_smaller(size(14, 10, 0)));
        assert!(!size(0, 0, 0).is_far_smaller(size(0, 0, 0)));
    }

    #[test]
    fn a_memory_is_back_with_nine_tenths_of_its_episodes() {
        let before = size(5004, 5000, 0);
        assert!(size(4504, 4500, 0).is_back(before));
        assert!(!size(4503, 4499, 0).is_back(before));
        assert!(!size(u64::MAX, 0, 0).is_back(before));
    }
}
