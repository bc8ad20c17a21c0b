//! The thread that embeds. It notifies systemd's watchdog, but only if the other thread has run
//! too.

use nexus_embed_client::protocol::{Code, Refusal, Vectors};
use sd_notify::NotifyState;

use super::connection::refusal;
use super::notify;
use super::queue::{Job, Next, Queue};
use crate::model::Model;
use crate::model::config::DIMENSIONS;

/// Embeds texts until the queue is closed and empty.
pub(super) fn run(model: &Result<Model, String>, queue: &Queue) {
    loop {
        match queue.next() {
            Next::End => return,
            Next::Beat => notify(&[NotifyState::Watchdog]),
            Next::Jobs(jobs) => match model {
                Ok(model) => embed(model, jobs, &mut || meanwhile(model, queue)),
                Err(why) => {
                    for job in jobs {
                        send(job, Err(refusal(Code::NoModel, why.clone())));
                    }
                }
            },
        }
    }
}

/// Answers the waiting queries between the parts of a long text, which takes seconds.
fn meanwhile(model: &Model, queue: &Queue) {
    let (queries, beat) = queue.meanwhile();
    if beat {
        notify(&[NotifyState::Watchdog]);
    }
    if !queries.is_empty() {
        embed(model, queries, &mut || {});
    }
}

fn embed(model: &Model, jobs: Vec<Job>, between: &mut dyn FnMut()) {
    // Skips requests whose client has gone.
    let jobs: Vec<Job> = jobs.into_iter().filter(|job| !job.answer.is_closed()).collect();
    let texts: Vec<_> = jobs
        .iter()
        .flat_map(|job| job.request.texts.iter().map(|text| (job.request.kind, text.as_str())))
        .collect();
    match model.embed(&texts, between) {
        Ok(values) => {
            let mut rest = values.as_slice();
            for job in jobs {
                let (its, after) = rest.split_at(job.request.texts.len() * DIMENSIONS);
                rest = after;
                let vectors = Vectors {
                    version: model.version().to_owned(),
                    dimensions: DIMENSIONS,
                    values: its.to_vec(),
                };
                send(job, Ok(vectors));
            }
        }
        Err(failure) => {
            log::error!("{failure}");
            for job in jobs {
                send(job, Err(refusal(Code::Failed, failure.to_string())));
            }
        }
    }
}

/// Sends `answer`, unless the client has gone.
fn send(job: Job, answer: Result<Vectors, Refusal>) {
    let _gone = job.answer.send(answer);
}
