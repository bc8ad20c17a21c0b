//! Docker, through nexus-docker: the containers of the stack, their images, and leftovers of throwaway servers.

pub(crate) mod containers;
mod daemon;
mod pinned;

use std::time::Instant;

use nexus_cli::text::counted;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::{Request, Service};

use crate::check::exposure::remote;
use crate::context::{Check, Context};
use crate::finding::{Finding, Metric};
use crate::report::{Fact, Report};

use containers::{Container, Restarts};

/// The most bytes to read of a reply, which has a few KiB.
const LONGEST: usize = 1 << 20;

/// Docker itself and the images are checked in every nth run.
const SELDOM: u32 = 6;

/// The state between two checks.
#[derive(Default)]
pub(crate) struct Docker {
    runs: u32,
    restarts: Restarts,
}

impl Check for Docker {
    fn check(&mut self, ctx: &Context) -> Report {
        let client = Client::at(&ctx.args.docker_socket);
        let begun = Instant::now();
        let reply = match client.collect(&Request::Containers {}, LONGEST) {
            Ok(reply) => reply,
            Err(failure) => {
                let advice =
                    "See: systemctl status docker nexus-docker.socket; start Docker: systemctl start docker";
                let finding =
                    Finding::critical("docker", format!("Docker does not answer: {failure}"), advice);
                let mut report = Report::only(finding.patient(2));
                report.facts.push(Fact::Containers(None));
                ctx.note_docker(None);
                return report;
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let mut report = Report::only(Finding::ok("docker", format!("Docker answers in {seconds:.1} s.")));
        match containers::parse(&reply) {
            Ok(containers) => {
                self.stack(&containers, ctx, &mut report);
                if self.runs.is_multiple_of(SELDOM) {
                    daemon::check(&client, &containers, ctx, &mut report);
                }
                report.facts.push(Fact::Containers(Some(containers)));
            }
            Err(error) => {
                ctx.note_docker(None);
                let sentence = format!("Docker's report of the containers is malformed: {error}");
                report.found(Finding::unknown(
                    "containers",
                    sentence,
                    "Check that nexus-docker and nexus-health have the same version",
                ));
            }
        }
        self.runs += 1;
        report
    }
}

impl Docker {
    fn stack(&mut self, containers: &[Container], ctx: &Context, report: &mut Report) {
        report.found(containers::states(containers, remote::wants_proxy(&ctx.args)));
        let restarts = self.restarts.within_an_hour(containers);
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let value = restarts as f64;
        report.metric(Metric::one(
            "container_restarts",
            "Times Docker restarted a container in the last hour.",
            value,
        ));
        let sentence = match restarts {
            0 => "Docker has restarted no container in the last hour.".to_owned(),
            times => {
                format!("Docker has restarted containers {} in the last hour.", counted(times, "time"))
            }
        };
        let advice = "See why the container exits: docker logs nexus-postgres; docker logs nexus-redis";
        let limits = ctx.args.thresholds.restarts;
        report.found(Finding::measured("container-restarts", value, limits, sentence, advice));
        report.found(pinned::images(containers, &ctx.args));
        let directories = ctx.directories();
        for (service, directory) in
            [(Service::Postgres, directories.postgres), (Service::Redis, directories.redis)]
        {
            if let (Some(container), Some(directory)) = (containers::of(service, containers), directory) {
                report.found(container.on_its_volume(service, &directory));
            }
        }
        report.found(containers::published(containers));
    }
}
