use proptest::prelude::*;

use super::*;

const WANTED: Stack = Stack { is_wanted: true, state: StackState::Up };

fn container(service: &str, state: &str, health: &str) -> Container {
    Container {
        name: format!("nexus-{service}"),
        service: service.to_owned(),
        image: String::new(),
        image_id: String::new(),
        state: state.to_owned(),
        health: Some(health.to_owned()),
        restart_count: 0,
        mounts: Vec::new(),
        ports: None,
    }
}

/// What is known after `facts` were so for `seconds`.
fn after(seconds: u64, facts: &[Fact]) -> Option<Action> {
    let begun = Instant::now();
    let mut known = Known::default();
    for second in (0..=seconds).step_by(5) {
        for fact in facts {
            known.note(fact.clone(), begun + Duration::from_secs(second));
        }
    }
    known.action(begun + Duration::from_secs(seconds)).map(|(action, _)| action)
}

fn postgres(answer: Answer, state: &str, health: &str) -> Vec<Fact> {
    let containers = vec![container("postgres", state, health), container("redis", "running", "healthy")];
    vec![
        Fact::Stack(WANTED),
        Fact::Redis(Answer::Answers),
        Fact::Postgres(answer),
        Fact::Containers(Some(containers)),
    ]
}

#[test]
fn one_that_hangs_is_restarted_after_a_while_and_not_before() {
    let hung = postgres(Answer::Silent, "running", "healthy");
    assert_eq!(after(10, &hung), None);
    assert_eq!(after(15, &hung), Some(Action::RestartHung(Service::Postgres)));
}

#[test]
fn one_that_recovers_starts_or_is_full_is_left_alone() {
    assert_eq!(after(3600, &postgres(Answer::NotNow, "running", "healthy")), None);
    assert_eq!(after(3600, &postgres(Answer::Absent, "running", "starting")), None);
    assert_eq!(after(3600, &postgres(Answer::Absent, "restarting", "starting")), None);
    assert_eq!(after(3600, &postgres(Answer::Absent, "paused", "healthy")), None);
    assert_eq!(after(3600, &postgres(Answer::Answers, "running", "healthy")), None);
}

#[test]
fn a_container_that_was_killed_is_started() {
    let killed = postgres(Answer::Absent, "exited", "unhealthy");
    assert_eq!(after(15, &killed), Some(Action::RestartHung(Service::Postgres)));
}

#[test]
fn a_directory_that_is_gone_is_made_by_systemd() {
    assert_eq!(after(15, &postgres(Answer::NoDirectory, "running", "healthy")), Some(Action::AskForStack));
    let all_is_gone = [Fact::Stack(WANTED), Fact::Postgres(Answer::NoDirectory), Fact::Containers(None)];
    assert_eq!(after(15, &all_is_gone), Some(Action::AskForStack));
}

#[test]
fn an_unhealthy_one_that_answers_is_restarted_in_order() {
    let ill = postgres(Answer::Answers, "running", "unhealthy");
    assert_eq!(after(60, &ill), None);
    assert_eq!(after(120, &ill), Some(Action::Restart(Service::Postgres)));
}

#[test]
fn a_stack_that_is_down_is_started_only_when_it_is_wanted() {
    let stack = |is_wanted, state| [Fact::Stack(Stack { is_wanted, state })];
    assert_eq!(after(55, &stack(true, StackState::Down)), None);
    assert_eq!(after(60, &stack(true, StackState::Down)), Some(Action::AskForStack));
    assert_eq!(after(3600, &stack(false, StackState::Down)), None);
    assert_eq!(after(3600, &stack(true, StackState::Changing)), None);
}

#[test]
fn leftovers_are_swept_when_they_stay() {
    let left = |fact| [postgres(Answer::Answers, "running", "healthy"), vec![fact]].concat();
    assert_eq!(after(5, &left(Fact::Scratch(1))), None);
    assert_eq!(after(60, &left(Fact::Scratch(1))), Some(Action::SweepScratch));
    assert_eq!(after(60, &left(Fact::PartialSets(2))), Some(Action::SweepSets));
    assert_eq!(after(60, &left(Fact::PartialSets(0))), None);
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Answers),
        Just(Answer::NotNow),
        Just(Answer::Silent),
        Just(Answer::Absent),
        Just(Answer::NoDirectory)
    ]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let state = prop_oneof![Just(StackState::Up), Just(StackState::Changing), Just(StackState::Down)];
    let container_state = prop_oneof![Just("running"), Just("exited"), Just("paused"), Just("restarting")];
    let health = prop_oneof![Just("healthy"), Just("unhealthy"), Just("starting")];
    prop_oneof![
        any_answer().prop_map(Fact::Postgres),
        any_answer().prop_map(Fact::Redis),
        (any::<bool>(), state).prop_map(|(is_wanted, state)| Fact::Stack(Stack { is_wanted, state })),
        (container_state, health)
            .prop_map(|(state, health)| Fact::Containers(Some(vec![container("postgres", state, health)]))),
        Just(Fact::Containers(None)),
        (0usize..2).prop_map(Fact::Scratch),
        (0usize..2).prop_map(Fact::PartialSets),
    ]
}

proptest! {
    /// Whatever happened before: no server that answers, or that says it is starting, is called hung; nothing is done for
    /// somebody who has stopped NEXUS, or while systemd is at work.
    #[test]
    fn never_against_what_was_seen_last(facts in proptest::collection::vec((any_fact(), 0u64..40), 0..60)) {
        let mut now = Instant::now();
        let mut known = Known::default();
        let (mut stack, mut last) = (None, None);
        for (fact, seconds) in facts {
            now += Duration::from_secs(seconds);
            match &fact {
                Fact::Postgres(answer) => last = Some(*answer),
                Fact::Stack(seen) => stack = Some(*seen),
                _ => {}
            }
            known.note(fact, now);
            let action = known.action(now).map(|(action, _)| action);
            if action == Some(Action::RestartHung(Service::Postgres)) {
                prop_assert!(matches!(last, Some(Answer::Silent | Answer::Absent)), "{last:?}");
            }
            if action.is_some() {
                let stack: Stack = stack.unwrap();
                prop_assert!(stack.is_wanted && stack.state != StackState::Changing);
            }
        }
    }
}
