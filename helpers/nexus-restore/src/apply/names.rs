//! The names of databases during a restore and after it. They tell the original name, the set and the time.
//!
//! `nexus restoring 000042` · `nexus before 000042 20261122T030012Z` · `nexus undone 20261122T031500Z`

use jiff::Timestamp;
use nexus_backup_set::name::SetName;
use nexus_digest::Digest;

/// The longest name, in bytes (`NAMEDATALEN` - 1).
pub(crate) const LONGEST: usize = 63;

const RESTORING: &str = " restoring ";
const BEFORE: &str = " before ";
const UNDONE: &str = " undone ";

/// How many digits of a digest distinguish two long names with the same beginning.
const DIGEST_DIGITS: usize = 8;

/// Returns the name under which set `sequence` is restored before it becomes `target`.
pub(crate) fn restoring(target: &str, sequence: u64) -> String {
    with_suffix(target, &format!("{RESTORING}{sequence:06}"))
}

/// Returns whether [`restoring`] made `name`, for any target.
pub(crate) fn is_restoring(name: &str) -> bool {
    name.rsplit_once(RESTORING).is_some_and(|(_, number)| number.len() >= 6 && is_digits(number))
}

/// Returns the name under which `live` is kept when set `sequence` replaces it at `now`.
pub(crate) fn before(live: &str, sequence: u64, now: Timestamp) -> String {
    with_suffix(live, &format!("{BEFORE}{sequence:06} {}", stamp(now)))
}

/// Returns the name under which `live` is kept when an undo replaces it at `now`.
pub(crate) fn undone(live: &str, now: Timestamp) -> String {
    with_suffix(live, &format!("{UNDONE}{}", stamp(now)))
}

/// Returns the name that `make` gives for `now`, or for the first second after it whose name is not in `taken`.
pub(crate) fn free(taken: &[String], mut now: Timestamp, make: impl Fn(Timestamp) -> String) -> String {
    loop {
        let name = make(now);
        if !taken.contains(&name) {
            return name;
        }
        now += jiff::SignedDuration::from_secs(1);
    }
}

/// Returns when `live` was kept as `name`; `None` if `name` is not of that form.
pub(crate) fn kept_at(name: &str, live: &str) -> Option<String> {
    let after_before = name.rsplit_once(BEFORE).and_then(|(stem, rest)| {
        let (number, when) = rest.split_once(' ')?;
        is_digits(number).then_some((stem, when))
    });
    let candidates = [after_before, name.rsplit_once(UNDONE)];
    candidates.into_iter().flatten().find_map(|(stem, when)| {
        let is_ours = is_stamp(when) && with_suffix(live, &name[stem.len()..]) == name;
        is_ours.then(|| when.to_owned())
    })
}

fn is_stamp(text: &str) -> bool {
    format!("000000-{text}").parse::<SetName>().is_ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Joins `stem` and `suffix`. Cuts a stem that is too long, and adds a digest of it to keep the name unique.
fn with_suffix(stem: &str, suffix: &str) -> String {
    let limit = LONGEST - suffix.len();
    if stem.len() <= limit {
        return format!("{stem}{suffix}");
    }
    let digest = Digest::of(stem.as_bytes()).to_string();
    let cut = (0..limit - DIGEST_DIGITS).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    format!("{}~{}{suffix}", &stem[..cut], &digest[..DIGEST_DIGITS])
}

/// Formats a time as in the names of sets: `20261122T030012Z`.
fn stamp(now: Timestamp) -> String {
    let name = SetName::new(0, now).to_string();
    name.rsplit('-').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T03:00:12Z".parse().unwrap()
    }

    #[test]
    fn names_tell_the_database_the_set_and_the_time() {
        assert_eq!(restoring("nexus", 42), "nexus restoring 000042");
        assert_eq!(before("nexus", 42, now()), "nexus before 000042 20261122T030012Z");
        assert_eq!(undone("nexus", now()), "nexus undone 20261122T030012Z");
    }

    #[test]
    fn only_names_of_kept_databases_are_recognized() {
        assert_eq!(kept_at("nexus before 000042 20261122T030012Z", "nexus"), Some("20261122T030012Z".into()));
        assert_eq!(kept_at("nexus undone 20261122T030012Z", "nexus"), Some("20261122T030012Z".into()));
        let odd = "x before y";
        assert!(
            kept_at(&undone(odd, now()), odd).is_some() && kept_at(&before(odd, 1, now()), odd).is_some()
        );
        for other in ["nexus", "nexus before lunch", "other before 000042 20261122T030012Z", "nexus undone x"]
        {
            assert_eq!(kept_at(other, "nexus"), None, "{other}");
        }
        assert!(is_restoring("nexus restoring 000042"));
        assert!(!is_restoring("nexus restoring hope"));
    }

    #[test]
    fn a_taken_name_is_not_used_again() {
        let taken = [undone("nexus", now())];
        assert_eq!(free(&taken, now(), |at| undone("nexus", at)), "nexus undone 20261122T030013Z");
    }

    proptest! {
        #[test]
        fn every_name_fits_and_is_recognized(live in "\\PC{1,63}", sequence in 0u64..10_000_000_000) {
            prop_assume!(live.len() <= LONGEST);
            for name in [before(&live, sequence, now()), undone(&live, now())] {
                prop_assert!(name.len() <= LONGEST, "{}", name);
                prop_assert_eq!(kept_at(&name, &live), Some("20261122T030012Z".to_owned()));
                prop_assert_eq!(kept_at(&name, &format!("{live}x")), None);
            }
            let name = restoring(&live, sequence);
            prop_assert!(name.len() <= LONGEST && is_restoring(&name));
        }

        #[test]
        fn no_name_panics(name in "\\PC{0,80}", live in "\\PC{0,63}") {
            let _either = (kept_at(&name, &live), is_restoring(&name));
        }
    }
}
