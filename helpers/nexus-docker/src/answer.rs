//! Carries out a request.

use std::sync::Arc;
use std::time::Duration;

use nexus_docker_client::protocol::{Request, Service};

use crate::command::scratch::Spec;
use crate::command::{Argv, stack, tools};
use crate::error::RunError;
use crate::peer::Peer;
use crate::run::{self, Input};
use crate::{containers, daemon, redis, scratch, tool};

/// The limit for a restart: the compose file's `stop_grace_period` and the start of a large database both fit.
const RESTART: Duration = Duration::from_secs(600);

/// Carries out a request.
///
/// # Errors
/// Those of the request's commands.
pub fn answer(peer: &Arc<Peer>, request: &Request, input: Input) -> Result<(), RunError> {
    match request {
        Request::Dump { database, snapshot, exclude_table_data } => {
            tool::run(peer, &tools::dump(database, snapshot, exclude_table_data)?, input)
        }
        Request::DumpRoles {} => tool::run(peer, &tools::dump_roles(), input),
        Request::Restore { database, section, server, without_tablespaces } => {
            tool::run(peer, &tools::restore(database, *section, *server, *without_tablespaces), input)
        }
        Request::PostDataScript { server } => tool::run(peer, &tools::post_data_script(*server), input),
        Request::RedisRestore {} => redis::restore(peer, input),
        Request::Containers {} => containers::list(peer),
        Request::Restart { service } => restart(peer, *service, &stack::restart(*service)),
        Request::RestartHung { service } => restart(peer, *service, &stack::restart_hung(*service)),
        Request::Daemon {} => daemon::describe(peer),
        Request::ScratchUp { memory_mib } => {
            let spec = Spec { service: Service::Postgres, memory_mib: *memory_mib, bytes: 0 };
            scratch::serve(peer, spec, input)
        }
        Request::ScratchRedis { bytes, memory_mib } => {
            let spec = Spec { service: Service::Redis, memory_mib: *memory_mib, bytes: *bytes };
            scratch::serve(peer, spec, input)
        }
        Request::ScratchDown {} => scratch::sweep(peer),
    }
}

/// Restarts a service. A restore of Redis stops Redis meanwhile, so a restart must wait for its end.
fn restart(peer: &Arc<Peer>, service: Service, argv: &Argv) -> Result<(), RunError> {
    let _lock = match service {
        Service::Redis => Some(redis::lock(peer)?),
        Service::Postgres => None,
    };
    run::output(peer, argv, RESTART).map(drop)
}
