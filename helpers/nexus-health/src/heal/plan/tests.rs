use proptest::prelude::*;

use super::*;

const WANTED: Stack = Stack { is_wanted: true, state: StackState::Up };

fn container(service: &str, state: &str, health: &str) -> Container {
    Container {
        name: format!("nexus-{service}"),
        image: String::new(),
        image_id: String::new(),
        state: state.to_owned(),
        health: Some(health.to_owned()),
        restart_count: 0,
        mounts: Vec::new(),
        ports: None,
    }
}

/// Returns the action after `facts` have lasted for `seconds`.
fn after(seconds: u64, facts: &[Fact]) -> Option<Action> {
    let begun = Instant::now();
    let mut observations = Observations::default();
    for second in (0..=seconds).step_by(5) {
        for fact in facts {
            observations.note(fact.clone(), begun + Duration::from_secs(second));
        }
    }
    observations.action(begun + Duration::from_secs(seconds)).map(|(action, _)| action)
}

fn postgres(liveness: Liveness, state: &str, health: &str) -> Vec<Fact> {
    let containers = vec![container("postgres", state, health), container("redis", "running", "healthy")];
    vec![
        Fact::Stack(WANTED),
        Fact::Redis(Liveness::Responsive),
        Fact::Postgres(liveness),
        Fact::Containers(Some(containers)),
    ]
}

#[test]
fn a_server_that_hangs_is_restarted_after_a_while() {
    let hung = postgres(Liveness::Unresponsive, "running", "healthy");
    assert_eq!(after(10, &hung), None);
    assert_eq!(after(15, &hung), Some(Action::RestartHung(Service::Postgres)));
}

#[test]
fn a_server_that_recovers_starts_or_is_full_is_left_alone() {
    assert_eq!(after(3600, &postgres(Liveness::Busy, "running", "healthy")), None);
    assert_eq!(after(3600, &postgres(Liveness::NotListening, "running", "starting")), None);
    assert_eq!(after(3600, &postgres(Liveness::NotListening, "restarting", "starting")), None);
    assert_eq!(after(3600, &postgres(Liveness::NotListening, "paused", "healthy")), None);
    assert_eq!(after(3600, &postgres(Liveness::Responsive, "running", "healthy")), None);
}

#[test]
fn a_killed_container_is_started() {
    let killed = postgres(Liveness::NotListening, "exited", "unhealthy");
    assert_eq!(after(15, &killed), Some(Action::RestartHung(Service::Postgres)));
}

#[test]
fn a_missing_directory_is_made_by_systemd() {
    assert_eq!(after(15, &postgres(Liveness::NoDirectory, "running", "healthy")), Some(Action::AskForStack));
    let all_is_gone = [Fact::Stack(WANTED), Fact::Postgres(Liveness::NoDirectory), Fact::Containers(None)];
    assert_eq!(after(15, &all_is_gone), Some(Action::AskForStack));
}

#[test]
fn an_unhealthy_container_whose_server_responds_is_stopped_cleanly() {
    let ill = postgres(Liveness::Responsive, "running", "unhealthy");
    assert_eq!(after(60, &ill), None);
    assert_eq!(after(120, &ill), Some(Action::Restart(Service::Postgres)));
}

/// An image brings labels and a health check of its own, but not the name of its container.
#[test]
fn a_container_of_another_name_is_no_reason() {
    let mut facts = postgres(Liveness::Responsive, "running", "healthy");
    if let Some(Fact::Containers(Some(containers))) = facts.last_mut() {
        containers.insert(
            0,
            Container { name: "other".to_owned(), ..container("postgres", "running", "unhealthy") },
        );
    }
    assert_eq!(after(3600, &facts), None);
}

#[test]
fn a_stack_that_is_down_is_started_only_when_it_is_wanted() {
    let stack = |is_wanted, state| [Fact::Stack(Stack { is_wanted, state })];
    assert_eq!(after(55, &stack(true, StackState::Down)), None);
    assert_eq!(after(60, &stack(true, StackState::Down)), Some(Action::AskForStack));
    assert_eq!(after(3600, &stack(false, StackState::Down)), None);
    assert_eq!(after(3600, &stack(true, StackState::Changing)), None);
}

/// As after a start while D-Bus does not reply: the owner may have stopped NEXUS.
#[test]
fn nothing_is_repaired_until_systemd_has_replied_once() {
    let now = Instant::now();
    let mut observations = Observations::default();
    let mut others = postgres(Liveness::Unresponsive, "running", "healthy");
    let stack = others.remove(0);
    let note_others = |observations: &mut Observations, seconds| {
        for fact in &others {
            observations.note(fact.clone(), now + Duration::from_secs(seconds));
        }
    };
    note_others(&mut observations, 0);
    note_others(&mut observations, 3600);
    assert_eq!(observations.action(now + Duration::from_secs(3600)), None);
    // Then at once, and also while it does not reply again.
    observations.note(stack, now + Duration::from_secs(3600));
    for seconds in [3600, 7200] {
        note_others(&mut observations, seconds);
        let action = observations.action(now + Duration::from_secs(seconds)).map(|(action, _)| action);
        assert_eq!(action, Some(Action::RestartHung(Service::Postgres)));
    }
}

#[test]
fn leftovers_are_removed_when_they_last() {
    let left = |fact| [postgres(Liveness::Responsive, "running", "healthy"), vec![fact]].concat();
    assert_eq!(after(5, &left(Fact::Scratch(1))), None);
    assert_eq!(after(60, &left(Fact::Scratch(1))), Some(Action::SweepScratch));
    assert_eq!(after(60, &left(Fact::PartialSets(2))), Some(Action::SweepSets));
    assert_eq!(after(60, &left(Fact::PartialSets(0))), None);
}

fn any_liveness() -> impl Strategy<Value = Liveness> {
    prop_oneof![
        Just(Liveness::Responsive),
        Just(Liveness::Busy),
        Just(Liveness::Unresponsive),
        Just(Liveness::NotListening),
        Just(Liveness::NoDirectory)
    ]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let state = prop_oneof![Just(StackState::Up), Just(StackState::Changing), Just(StackState::Down)];
    let container_state = prop_oneof![Just("running"), Just("exited"), Just("paused"), Just("restarting")];
    let health = prop_oneof![Just("healthy"), Just("unhealthy"), Just("starting")];
    prop_oneof![
        any_liveness().prop_map(Fact::Postgres),
        any_liveness().prop_map(Fact::Redis),
        (any::<bool>(), state).prop_map(|(is_wanted, state)| Fact::Stack(Stack { is_wanted, state })),
        (container_state, health)
            .prop_map(|(state, health)| Fact::Containers(Some(vec![container("postgres", state, health)]))),
        Just(Fact::Containers(None)),
        (0usize..2).prop_map(Fact::Scratch),
        (0usize..2).prop_map(Fact::PartialSets),
    ]
}

proptest! {
    /// After any sequence of facts, no server that responds or is starting is restarted, and nothing is done while NEXUS is
    /// stopped or systemd is changing it.
    #[test]
    fn no_action_contradicts_the_last_facts(facts in proptest::collection::vec((any_fact(), 0u64..40), 0..60)) {
        let mut now = Instant::now();
        let mut observations = Observations::default();
        let (mut stack, mut last) = (None, None);
        for (fact, seconds) in facts {
            now += Duration::from_secs(seconds);
            match &fact {
                Fact::Postgres(liveness) => last = Some(*liveness),
                Fact::Stack(seen) => stack = Some(*seen),
                _ => {}
            }
            observations.note(fact, now);
            let action = observations.action(now).map(|(action, _)| action);
            if action == Some(Action::RestartHung(Service::Postgres)) {
                prop_assert!(matches!(last, Some(Liveness::Unresponsive | Liveness::NotListening)), "{last:?}");
            }
            if action.is_some() {
                let stack: Stack = stack.unwrap();
                prop_assert!(stack.is_wanted && stack.state != StackState::Changing);
            }
        }
    }
}
