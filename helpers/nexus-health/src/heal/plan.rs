//! What is to be mended now, from what the looks have seen. Facts in, one action out, nothing else.

use std::fmt;
use std::time::{Duration, Instant};

use nexus_docker_client::protocol::Service;

use crate::check::docker::containers::Container;
use crate::look::{Answer, Fact, Stack, StackState};

/// A server that takes connections and has said nothing for so long is hung. Longer than it takes one to write a
/// checkpoint or a snapshot; short enough that it serves again within a minute and a half, with the usual looks.
const HUNG: Duration = Duration::from_secs(15);

/// A server that nobody can reach for so long does not come back by itself.
const ABSENT: Duration = Duration::from_secs(15);

/// A container that Docker calls unhealthy for so long, although its server answers us, does not mend itself.
const UNHEALTHY: Duration = Duration::from_secs(120);

/// A stack that is down for so long was not stopped for a moment, by an upgrade for instance.
const DOWN: Duration = Duration::from_secs(60);

/// What Docker said of the containers counts for so long.
const FRESH: Duration = Duration::from_secs(30);

/// Something is swept only when it is seen for so long: it may belong to a job that ends just now.
const LEFT: Duration = Duration::from_secs(60);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The container of a server that does not answer is restarted.
    RestartHung(Service),
    /// The container of a server that answers, and is unhealthy, is restarted in order.
    Restart(Service),
    /// systemd is asked to make the directories and to start the stack.
    AskForStack,
    /// Asks systemd to start timers and sockets, if a start helps.
    AskForUnits,
    /// What throwaway servers have left is removed.
    SweepScratch,
    /// What killed backups have left is removed.
    SweepSets,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestartHung(service) | Self::Restart(service) => write!(f, "restarting {}", name(*service)),
            Self::AskForStack => f.write_str("asking systemd for the stack"),
            Self::AskForUnits => f.write_str("asking systemd to start timers and sockets"),
            Self::SweepScratch => f.write_str("removing what a restore test has left"),
            Self::SweepSets => f.write_str("removing what a killed backup has left"),
        }
    }
}

/// A server as people call it.
pub(crate) fn name(service: Service) -> &'static str {
    match service {
        Service::Postgres => "PostgreSQL",
        Service::Redis => "Redis",
    }
}

/// Something that is so, and since when it has been seen to be so.
#[derive(Clone, Copy, Debug)]
struct Lasting<T> {
    what: T,
    since: Instant,
}

impl<T: PartialEq> Lasting<T> {
    /// What goes on keeps its beginning.
    fn follow(before: Option<Self>, what: T, now: Instant) -> Self {
        match before {
            Some(before) if before.what == what => before,
            _ => Self { what, since: now },
        }
    }
}

/// What is known of everything that can be mended.
#[derive(Debug, Default)]
pub(crate) struct Known {
    postgres: Option<Lasting<Answer>>,
    redis: Option<Lasting<Answer>>,
    stack: Option<Lasting<Stack>>,
    containers: Option<(Instant, Vec<Container>)>,
    unhealthy: [Option<Instant>; 2],
    scratch: Option<Instant>,
    partial_sets: Option<Instant>,
    units: Option<Instant>,
}

impl Known {
    /// Takes a fact.
    pub(crate) fn note(&mut self, fact: Fact, now: Instant) {
        match fact {
            Fact::Postgres(answer) => self.postgres = Some(Lasting::follow(self.postgres, answer, now)),
            Fact::Redis(answer) => self.redis = Some(Lasting::follow(self.redis, answer, now)),
            Fact::Stack(stack) => self.stack = Some(Lasting::follow(self.stack, stack, now)),
            Fact::Containers(containers) => {
                for (index, service) in [Service::Postgres, Service::Redis].into_iter().enumerate() {
                    let is = containers.iter().flatten().any(|container| {
                        container.service == service.as_str()
                            && container.health.as_deref() == Some("unhealthy")
                    });
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

    /// After `action` what it was about must last as long again before anything is done: it needs time to come up.
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

    /// Whether something is wrong that looks should follow closely.
    pub(crate) fn is_pressing(&self) -> bool {
        let is_ill = |answer: &Option<Lasting<Answer>>| {
            answer.is_some_and(|answer| !matches!(answer.what, Answer::Answers))
        };
        let is_down = |stack: Lasting<Stack>| stack.what.is_wanted && stack.what.state != StackState::Up;
        is_ill(&self.postgres) || is_ill(&self.redis) || self.stack.is_some_and(is_down)
    }

    /// What is to be done now, and why, in a sentence. One thing at a time, the most urgent first.
    pub(crate) fn action(&self, now: Instant) -> Option<(Action, String)> {
        // Nothing is started for somebody who has stopped NEXUS, or while systemd is at it.
        let stack = self.stack?;
        if !stack.what.is_wanted || stack.what.state == StackState::Changing {
            return None;
        }
        let since = |at: Instant| now.duration_since(at);
        if stack.what.state == StackState::Down {
            let is_lasting = since(stack.since) >= DOWN;
            return is_lasting
                .then(|| (Action::AskForStack, "the stack is down though nexus.target wants it".into()));
        }
        let servers = [(Service::Postgres, self.postgres), (Service::Redis, self.redis)];
        servers
            .into_iter()
            .find_map(|(service, answer)| self.of_server(service, answer?, now))
            .or_else(|| self.unhealthy_one(now))
            .or_else(|| {
                let lasts = self.units.filter(|at| since(*at) >= ABSENT);
                lasts.map(|_| (Action::AskForUnits, "a timer or a socket does not run as it should".into()))
            })
            .or_else(|| {
                let left = self.scratch.filter(|at| since(*at) >= LEFT);
                left.map(|_| {
                    (Action::SweepScratch, "containers or volumes of a killed restore test are there".into())
                })
            })
            .or_else(|| {
                let left = self.partial_sets.filter(|at| since(*at) >= LEFT);
                left.map(|_| (Action::SweepSets, "directories of a killed backup are there".into()))
            })
    }

    fn of_server(&self, service: Service, answer: Lasting<Answer>, now: Instant) -> Option<(Action, String)> {
        let lasts = now.duration_since(answer.since);
        let seconds = lasts.as_secs();
        let name = name(service);
        // Docker may be out of reach then too: its helper's socket was in the same place.
        if answer.what == Answer::NoDirectory {
            let why = format!("the directory of {name}'s socket is gone");
            return (lasts >= ABSENT).then_some((Action::AskForStack, why));
        }
        let container = self.container(service, now)?;
        match answer.what {
            Answer::Silent if lasts >= HUNG && container.is_running() => {
                let why = format!("{name} takes connections and has not answered for {seconds} seconds");
                Some((Action::RestartHung(service), why))
            }
            // Docker starts it, or it starts; paused by a person.
            Answer::Absent if matches!(container.state.as_str(), "restarting" | "paused" | "removing") => {
                None
            }
            // A server makes its socket last, after its files for instance.
            Answer::Absent if container.is_running() && container.health.as_deref() == Some("starting") => {
                None
            }
            Answer::Absent if lasts >= ABSENT && container.is_running() => {
                Some((Action::RestartHung(service), format!("{name} runs and nobody can reach its socket")))
            }
            Answer::Absent if lasts >= ABSENT => {
                let state = &container.state;
                Some((
                    Action::RestartHung(service),
                    format!("the container of {name} is {state} though the stack is up"),
                ))
            }
            _ => None,
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

    /// The container of a service, where Docker has spoken of it just now. One that does not exist is brought up by the
    /// stack alone.
    fn container(&self, service: Service, now: Instant) -> Option<&Container> {
        let (at, containers) = self.containers.as_ref()?;
        let is_fresh = now.duration_since(*at) <= FRESH;
        containers.iter().find(|container| is_fresh && container.service == service.as_str())
    }
}

#[cfg(test)]
mod tests;
