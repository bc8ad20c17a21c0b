//! Decides from the facts of the checks which action to execute. Takes facts, returns one action, does nothing else.

use std::fmt;
use std::time::{Duration, Instant};

use nexus_docker_client::protocol::Service;

use crate::check::docker::containers::{self, Container};
use crate::report::{Fact, Liveness, Stack, StackState};

/// A server that accepts connections and has not replied for this long hangs. It is longer than a checkpoint or a snapshot, and
/// short enough that the server serves again within a minute and a half at the default interval.
const HUNG: Duration = Duration::from_secs(15);

/// A server that has been unreachable for this long does not come back by itself.
const ABSENT: Duration = Duration::from_secs(15);

/// A container that Docker has called unhealthy for this long, although its server responds, does not recover by itself.
const UNHEALTHY: Duration = Duration::from_secs(120);

/// How long a stack must be down before nexus-health starts it. An upgrade stops it for less.
const DOWN: Duration = Duration::from_secs(60);

/// How long Docker's report of the containers counts.
const FRESH: Duration = Duration::from_secs(30);

/// Leftovers are removed only after this long, because they may belong to a job that is ending.
const LEFT: Duration = Duration::from_secs(60);

/// A repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Restarts the container of a server that does not respond.
    RestartHung(Service),
    /// Restarts the container of a server that responds but is unhealthy; stops it cleanly first.
    Restart(Service),
    /// Asks systemd to make the directories and start the stack.
    AskForStack,
    /// Asks systemd to start timers and sockets.
    AskForUnits,
    /// Removes the leftovers of throwaway servers.
    SweepScratch,
    /// Removes the leftovers of killed backups.
    SweepSets,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestartHung(service) | Self::Restart(service) => write!(f, "restarting {}", name(*service)),
            Self::AskForStack => f.write_str("asking systemd to start the stack"),
            Self::AskForUnits => f.write_str("asking systemd to start timers and sockets"),
            Self::SweepScratch => f.write_str("removing the leftovers of a restore test"),
            Self::SweepSets => f.write_str("removing the leftovers of a killed backup"),
        }
    }
}

/// Returns the name of the server for people.
pub(crate) fn name(service: Service) -> &'static str {
    match service {
        Service::Postgres => "PostgreSQL",
        Service::Redis => "Redis",
    }
}

/// A state, and since when it has lasted.
#[derive(Clone, Copy, Debug)]
struct Sustained<T> {
    state: T,
    since: Instant,
}

impl<T: PartialEq> Sustained<T> {
    /// Keeps the time if the state has not changed.
    fn follow(before: Option<Self>, state: T, now: Instant) -> Self {
        match before {
            Some(before) if before.state == state => before,
            Some(_) | None => Self { state, since: now },
        }
    }
}

/// The facts, and since when each has lasted.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    postgres: Option<Sustained<Liveness>>,
    redis: Option<Sustained<Liveness>>,
    stack: Option<Sustained<Stack>>,
    containers: Option<(Instant, Vec<Container>)>,
    unhealthy: [Option<Instant>; 2],
    scratch: Option<Instant>,
    partial_sets: Option<Instant>,
    units: Option<Instant>,
}

impl Observations {
    /// Notes a fact.
    pub(crate) fn note(&mut self, fact: Fact, now: Instant) {
        match fact {
            Fact::Postgres(liveness) => self.postgres = Some(Sustained::follow(self.postgres, liveness, now)),
            Fact::Redis(liveness) => self.redis = Some(Sustained::follow(self.redis, liveness, now)),
            Fact::Stack(stack) => self.stack = Some(Sustained::follow(self.stack, stack, now)),
            Fact::Containers(containers) => {
                for (index, service) in [Service::Postgres, Service::Redis].into_iter().enumerate() {
                    let container = containers.as_ref().and_then(|all| containers::of(service, all));
                    let is = container.is_some_and(|it| it.health.as_deref() == Some("unhealthy"));
                    self.unhealthy[index] = is.then(|| self.unhealthy[index].unwrap_or(now));
                }
                self.containers = containers.map(|containers| (now, containers));
            }
            Fact::Scratch(left) => self.scratch = (left > 0).then(|| self.scratch.unwrap_or(now)),
            Fact::PartialSets(left) => {
                self.partial_sets = (left > 0).then(|| self.partial_sets.unwrap_or(now));
            }
            Fact::UnitsToStart(is) => self.units = is.then(|| self.units.unwrap_or(now)),
        }
    }

    /// Forgets the facts that led to `action`, so that they must last as long again. A restarted server needs time to start.
    pub(crate) fn forget(&mut self, action: Action) {
        match action {
            Action::RestartHung(service) | Action::Restart(service) => {
                match service {
                    Service::Postgres => self.postgres = None,
                    Service::Redis => self.redis = None,
                }
                self.containers = None;
                self.unhealthy = [None; 2];
            }
            Action::AskForStack => {
                (self.stack, self.postgres, self.redis, self.containers) = (None, None, None, None);
            }
            Action::AskForUnits => self.units = None,
            Action::SweepScratch => self.scratch = None,
            Action::SweepSets => self.partial_sets = None,
        }
    }

    /// Returns whether checks should run more often, because something is wrong.
    pub(crate) fn is_pressing(&self) -> bool {
        let is_ill = |liveness: &Option<Sustained<Liveness>>| {
            liveness.is_some_and(|liveness| !matches!(liveness.state, Liveness::Responsive))
        };
        let is_down = |stack: Sustained<Stack>| stack.state.is_wanted && stack.state.state != StackState::Up;
        is_ill(&self.postgres) || is_ill(&self.redis) || self.stack.is_some_and(is_down)
    }

    /// Returns the most urgent action, and why it is needed.
    pub(crate) fn action(&self, now: Instant) -> Option<(Action, String)> {
        // The owner may have stopped NEXUS, or systemd may be starting it.
        let stack = self.stack?;
        if !stack.state.is_wanted || stack.state.state == StackState::Changing {
            return None;
        }
        let since = |at: Instant| now.duration_since(at);
        if stack.state.state == StackState::Down {
            let is_lasting = since(stack.since) >= DOWN;
            return is_lasting
                .then(|| (Action::AskForStack, "the stack is down though nexus.target wants it".into()));
        }
        let servers = [(Service::Postgres, self.postgres), (Service::Redis, self.redis)];
        servers
            .into_iter()
            .find_map(|(service, liveness)| self.of_server(service, liveness?, now))
            .or_else(|| self.unhealthy_one(now))
            .or_else(|| {
                let lasts = self.units.filter(|at| since(*at) >= ABSENT);
                lasts.map(|_| {
                    let why = "a timer's next run is too late, or a socket does not listen";
                    (Action::AskForUnits, why.into())
                })
            })
            .or_else(|| {
                let left = self.scratch.filter(|at| since(*at) >= LEFT);
                left.map(|_| {
                    (Action::SweepScratch, "a killed restore test has left containers or volumes".into())
                })
            })
            .or_else(|| {
                let left = self.partial_sets.filter(|at| since(*at) >= LEFT);
                left.map(|_| (Action::SweepSets, "a killed backup has left directories".into()))
            })
    }

    fn of_server(
        &self,
        service: Service,
        liveness: Sustained<Liveness>,
        now: Instant,
    ) -> Option<(Action, String)> {
        let lasts = now.duration_since(liveness.since);
        let seconds = lasts.as_secs();
        let name = name(service);
        // nexus-docker's socket was in the same directory, so Docker may be unreachable too.
        if liveness.state == Liveness::NoDirectory {
            let why = format!("the directory of {name}'s socket does not exist");
            return (lasts >= ABSENT).then_some((Action::AskForStack, why));
        }
        let container = self.container(service, now)?;
        match liveness.state {
            Liveness::Unresponsive if lasts >= HUNG && container.is_running() => {
                let why = format!("{name} accepts connections and has not replied for {seconds} seconds");
                Some((Action::RestartHung(service), why))
            }
            // Docker restarts it, or someone has paused it.
            Liveness::NotListening
                if matches!(container.state.as_str(), "restarting" | "paused" | "removing") =>
            {
                None
            }
            // A starting server creates its socket last.
            Liveness::NotListening
                if container.is_running() && container.health.as_deref() == Some("starting") =>
            {
                None
            }
            Liveness::NotListening if lasts >= ABSENT && container.is_running() => {
                Some((Action::RestartHung(service), format!("{name} runs and its socket is unreachable")))
            }
            Liveness::NotListening if lasts >= ABSENT => {
                let state = container.state_in_words();
                Some((
                    Action::RestartHung(service),
                    format!("the container of {name} {state} though the stack is up"),
                ))
            }
            Liveness::Responsive
            | Liveness::Busy
            | Liveness::Unresponsive
            | Liveness::NotListening
            | Liveness::NoDirectory => None,
        }
    }

    fn unhealthy_one(&self, now: Instant) -> Option<(Action, String)> {
        let services = [Service::Postgres, Service::Redis].into_iter().zip(self.unhealthy);
        services.into_iter().find_map(|(service, since)| {
            let lasts = now.duration_since(since?);
            self.container(service, now)?;
            (lasts >= UNHEALTHY).then(|| {
                let seconds = lasts.as_secs();
                (
                    Action::Restart(service),
                    format!("Docker has called {} unhealthy for {seconds} seconds", name(service)),
                )
            })
        })
    }

    /// Returns the container of a service, if Docker's report is fresh. Only the stack can create one that does not exist.
    fn container(&self, service: Service, now: Instant) -> Option<&Container> {
        let (at, containers) = self.containers.as_ref()?;
        let is_fresh = now.duration_since(*at) <= FRESH;
        containers::of(service, containers).filter(|_| is_fresh)
    }
}

#[cfg(test)]
mod tests;
