//! The names databases get while a set is restored and after: what they were, which set, when.
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

/// Hexadecimal digits that tell apart two long names which begin alike.
const TELLING: usize = 8;

/// The name under which set `sequence` is restored, before it becomes `target`.
pub(crate) fn restoring(target: &str, sequence: u64) -> String {
    with_suffix(target, &format!("{RESTORING}{sequence:06}"))
}

/// Whether `name` is one that [`restoring`] makes, for whatever target.
pub(crate) fn is_restoring(name: &str) -> bool {
    name.rsplit_once(RESTORING).is_some_and(|(_, number)| number.len() >= 6 && is_digits(number))
}

/// The name under which `living` is kept when set `sequence` takes its place at `now`.
pub(crate) fn before(living: &str, sequence: u64, now: Timestamp) -> String {
    with_suffix(living, &format!("{BEFORE}{sequence:06} {}", stamp(now)))
}

/// The name under which `living` is kept when an older one takes its place back at `now`.
pub(crate) fn undone(living: &str, now: Timestamp) -> String {
    with_suffix(living, &format!("{UNDONE}{}", stamp(now)))
}

/// The name that `make` gives for `now`, or for the next second for which it is none of `taken`.
pub(crate) fn free(taken: &[String], mut now: Timestamp, make: impl Fn(Timestamp) -> String) -> String {
    loop {
        let name = make(now);
        if !taken.contains(&name) {
            return name;
        }
        now += jiff::SignedDuration::from_secs(1);
    }
}

/// When database `name` was kept in the place of `living`; nothing when it is no such name.
pub(crate) fn kept_at(name: &str, living: &str) -> Option<String> {
    let after_before = name.rsplit_once(BEFORE).and_then(|(stem, rest)| {
        let (number, when) = rest.split_once(' ')?;
        is_digits(number).then_some((stem, when))
    });
    let candidates = [after_before, name.rsplit_once(UNDONE)];
    candidates.into_iter().flatten().find_map(|(stem, when)| {
        let is_ours = is_stamp(when) && with_suffix(living, &name[stem.len()..]) == name;
        is_ours.then(|| when.to_owned())
    })
}

fn is_stamp(text: &str) -> bool {
    format!("000000-{text}").parse::<SetName>().is_ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `stem` and `suffix`; a stem that is too long is cut and marked so that it cannot be taken for another one's.
fn with_suffix(stem: &str, suffix: &str) -> String {
    let room = LONGEST - suffix.len();
    if stem.len() <= room {
        return format!("{stem}{suffix}");
    }
    let digest = Digest::of(stem.as_bytes()).to_string();
    let cut = (0..room - TELLING).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    format!("{}~{}{suffix}", &stem[..cut], &digest[..TELLING])
}

/// `20261122T030012Z`, as in the names of sets.
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
    fn names_say_what_they_are() {
        assert_eq!(restoring("nexus", 42), "nexus restoring 000042");
        assert_eq!(before("nexus", 42, now()), "nexus before 000042 20261122T030012Z");
        assert_eq!(undone("nexus", now()), "nexus undone 20261122T030012Z");
    }

    #[test]
    fn kept_ones_are_known_again_and_others_are_not() {
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
    fn a_name_that_is_taken_is_not_given_again() {
        let taken = [undone("nexus", now())];
        assert_eq!(free(&taken, now(), |at| undone("nexus", at)), "nexus undone 20261122T030013Z");
    }

    proptest! {
        #[test]
        fn every_name_fits_and_is_known_again(living in "\\PC{1,63}", sequence in 0u64..10_000_000_000) {
            prop_assume!(living.len() <= LONGEST);
            for name in [before(&living, sequence, now()), undone(&living, now())] {
                prop_assert!(name.len() <= LONGEST, "{}", name);
                prop_assert_eq!(kept_at(&name, &living), Some("20261122T030012Z".to_owned()));
                prop_assert_eq!(kept_at(&name, &format!("{living}x")), None);
            }
            let name = restoring(&living, sequence);
            prop_assert!(name.len() <= LONGEST && is_restoring(&name));
        }

        #[test]
        fn rubbish_never_panics(name in "\\PC{0,80}", living in "\\PC{0,63}") {
            let _either = (kept_at(&name, &living), is_restoring(&name));
        }
    }
}
