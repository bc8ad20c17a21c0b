//! Tests that sets of an emptied memory do not cause the removal of full sets.

use proptest::prelude::*;

use super::*;

fn size(episodes: u64) -> Size {
    Size { rows: episodes + 4, episodes, forgotten: 0 }
}

/// Returns the facts about nightly sets with these numbers of episodes.
fn known(sets: &[SetName], episodes: &[u64], proven: &[u64]) -> Known {
    let sizes = sets.iter().copied().zip(episodes.iter().map(|episodes| size(*episodes))).collect();
    Known { sizes, ..only_proven(sets, proven) }
}

fn decisions(episodes: &[u64], proven: &[u64], change: impl FnOnce(&mut Known)) -> Vec<RotationDecision> {
    let sets = sets(&nightly(i64::try_from(episodes.len()).unwrap()));
    let mut known = known(&sets, episodes, proven);
    change(&mut known);
    decide(&sets, &known, RETENTION)
}

/// Three full sets, then thirty empty ones.
fn emptied() -> Vec<u64> {
    [vec![5000; 3], vec![0; 30]].concat()
}

#[test]
fn sets_of_an_emptied_memory_do_not_remove_full_sets() {
    let decisions = decisions(&emptied(), &[2, 23], |_| ());
    assert_eq!(
        decisions[..3],
        [RotationDecision::KeepFull, RotationDecision::KeepProven, RotationDecision::KeepFull]
    );
    // The empty sets are removed as usual, so that the disk does not fill.
    assert_eq!(decisions[3..18], [RotationDecision::Remove; 15]);
    assert_eq!(decisions[22], RotationDecision::KeepProven);
}

#[test]
fn a_set_of_unknown_size_stays_too() {
    let unknown = decisions(&emptied(), &[], |known| {
        known.sizes.retain(|set, _| set.sequence != 1);
    });
    assert_eq!(unknown[0], RotationDecision::KeepFull);
}

#[test]
fn the_owner_can_accept_a_smaller_memory() {
    let accepted = decisions(&emptied(), &[2, 23], |known| known.accepted = 4);
    assert_eq!(accepted[..18], [RotationDecision::Remove; 18]);
    // As usual, the old proven set stays until a newer one is proven.
    let unproven = decisions(&emptied(), &[2], |known| known.accepted = 4);
    assert_eq!(
        unproven[..3],
        [RotationDecision::Remove, RotationDecision::KeepProven, RotationDecision::Remove]
    );
}

#[test]
fn rows_forgotten_by_nexus_purge_are_not_missing() {
    let forgotten = decisions(&emptied(), &[2, 23], |known| {
        for (set, size) in &mut known.sizes {
            size.forgotten = if set.sequence > 3 { 5000 } else { 0 };
        }
    });
    assert_eq!(forgotten[..18], [RotationDecision::Remove; 18]);
}

#[test]
fn a_memory_that_grows_again_does_not_remove_sets_with_lost_rows() {
    let mut episodes = emptied();
    episodes.extend([3000; 30]);
    let held = decisions(&episodes, &[2, 40], |known| known.reference = known.sizes.keys().next().copied());
    assert_eq!(held[0], RotationDecision::KeepFull);
    // Once the memory is as large as before, nothing is missing.
    let back = decisions(&[vec![5000; 3], vec![0; 3], vec![4900; 30]].concat(), &[2, 30], |known| {
        known.reference = known.sizes.keys().next().copied();
    });
    assert_eq!(back[..3], [RotationDecision::Remove; 3]);
}

/// The event of a night.
#[derive(Clone, Copy, Debug)]
enum Night {
    /// A backup has this many episodes.
    Has(u64),
    /// The newest set is proven.
    Proven,
}

/// Nights in which the memory at most doubles and never halves, then nights of any size.
fn lives() -> impl Strategy<Value = (Vec<Night>, Vec<Night>)> {
    let night = |most: u64| prop_oneof![3 => (0..most).prop_map(Night::Has), 1 => Just(Night::Proven)];
    let full = prop_oneof![3 => (5000..9000_u64).prop_map(Night::Has), 1 => Just(Night::Proven)];
    (prop::collection::vec(full, 3..20), prop::collection::vec(night(4000), 1..60))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// After the memory fell below half, the newest full set and the newest proven full set stay
    /// until the owner accepts the loss. Neither later sizes nor later proofs change that.
    #[test]
    fn the_newest_full_set_and_the_newest_full_proven_set_survive_any_loss(
        (full, after) in lives(),
        // Below half of the smallest full set.
        fall in 0..2000_u64,
        days in 7u32..20, at_least in 1u32..4,
    ) {
        let retention = Retention { days, at_least, weekly: 0, monthly: 0 };
        let mut there: Vec<SetName> = Vec::new();
        let mut known = Known::default();
        let mut night = 0_i64;
        let (mut newest, mut newest_proven) = (None, None);
        let lives = full.iter().map(|night| (true, *night)).chain([(false, Night::Has(fall))])
            .chain(after.iter().map(|night| (false, *night)));
        for (is_full, what) in lives {
            match what {
                Night::Proven => {
                    if let Some(set) = there.last() {
                        known.proven.insert(*set);
                        if is_full { newest_proven = Some(*set); }
                    }
                }
                Night::Has(episodes) => {
                    night += 1;
                    let set = SetName::new(night.unsigned_abs(), Timestamp::from_second(1_767_236_400 + night * DAY).unwrap());
                    there.push(set);
                    known.sizes.insert(set, size(episodes));
                    if is_full { newest = Some(set); }
                    // As nexus-backup does.
                    known.reference = missing_from_newest(&there, &known);
                    let decisions = decide(&there, &known, retention);
                    let kept = there.iter().zip(decisions).filter(|(_, decision)| *decision != RotationDecision::Remove);
                    there = kept.map(|(set, _)| *set).collect();
                }
            }
            for kept in newest.iter().chain(&newest_proven) {
                prop_assert!(there.contains(kept), "{kept} is gone on night {night}");
            }
        }
    }
}
