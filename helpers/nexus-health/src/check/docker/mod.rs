//! Docker, by way of nexus-docker: the containers of the stack, what they run, and what throwaway servers have left.

pub(crate) mod containers;
mod daemon;
mod pinned;

use std::time::Instant;

use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::Request;

use crate::check::exposure::remote;
use crate::finding::{Finding, Metric};
use crate::look::{Check, Ctx, Fact, Look};

use containers::{Container, Restarts};

/// What nexus-docker says is a few KiB.
const LONGEST: usize = 1 << 20;

/// Docker itself and the images are asked about at every so-manieth look.
const SELDOM: u32 = 6;

/// What is kept from look to look.
#[derive(Default)]
pub(crate) struct Docker {
    looks: u32,
    restarts: Restarts,
}

impl Check for Docker {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let client = Client::at(&ctx.args.docker_socket);
        let begun = Instant::now();
        let said = match client.collect(&Request::Containers {}, LONGEST) {
            Ok(said) => said,
            Err(failure) => {
                let advice =
                    "See: systemctl status docker nexus-docker.socket; start it: systemctl start docker";
                let finding =
                    Finding::critical("docker", format!("Docker does not answer: {failure}"), advice);
                let mut look = Look::only(finding.patient(2));
                look.facts.push(Fact::Containers(None));
                ctx.note_docker(None);
                return look;
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let mut look = Look::only(Finding::ok("docker", format!("Docker answers in {seconds:.1} s.")));
        match containers::parse(&said) {
            Ok(containers) => {
                self.stack(&containers, ctx, &mut look);
                if self.looks.is_multiple_of(SELDOM) {
                    daemon::look(&client, &containers, ctx, &mut look);
                }
                look.facts.push(Fact::Containers(Some(containers)));
            }
            Err(error) => {
                ctx.note_docker(None);
                let sentence = format!("What Docker says of the containers cannot be understood: {error}.");
                look.found(Finding::unknown("containers", sentence, "Is nexus-docker of the same version?"));
            }
        }
        self.looks += 1;
        look
    }
}

impl Docker {
    fn stack(&mut self, containers: &[Container], ctx: &Ctx, look: &mut Look) {
        look.found(containers::states(containers, remote::wants_proxy(&ctx.args)));
        let restarts = self.restarts.within_an_hour(containers);
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let value = restarts as f64;
        look.metric(Metric::one(
            "container_restarts",
            "Times Docker started a container again within an hour.",
            value,
        ));
        let sentence = match restarts {
            0 => "No container was started again by Docker within an hour.".to_owned(),
            times => format!("Docker has started a container again {times} times within an hour."),
        };
        let advice = "See why it ends: docker logs nexus-postgres; docker logs nexus-redis";
        let limits = ctx.args.thresholds.restarts;
        look.found(Finding::measured("container-restarts", value, limits, sentence, advice));
        look.found(pinned::images(containers, &ctx.args));
        let directories = ctx.directories();
        for (service, directory) in [("postgres", directories.postgres), ("redis", directories.redis)] {
            let container = containers.iter().find(|container| container.service == service);
            if let (Some(container), Some(directory)) = (container, directory) {
                look.found(container.on_its_volume(&directory));
            }
        }
        look.found(containers::published(containers));
    }
}
