//! `nexus-bench api`: inserts and searches over HTTP, with its own nexus-api and its own database.

pub(crate) mod client;
mod cold;
mod load;
mod meanwhile;
mod recall;
mod requests;
mod server;

use std::sync::Arc;
use std::time::Duration;

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::runtime;
use tokio::runtime::Runtime;

use crate::api::client::Client;
use crate::api::load::{Requests, Times};
use crate::api::meanwhile::Running;
use crate::api::recall::Exact;
use crate::api::requests::{Maker, RequestKind};
use crate::api::server::Server;
use crate::args::{Api, Meanwhile, Rounds};
use crate::data::random::Random;
use crate::fixture::{AGENT, Fixture};
use crate::report::{Figure, Report};
use crate::work::Work;

/// The number of connections for requests at random times.
const FOUR: u16 = 4;

/// The number of searches with cold caches.
const COLD: usize = 50;

/// Measures and reports.
///
/// # Errors
/// Unavailable (69) if the API or a server does not answer; TryLater (75) after a signal.
pub(crate) fn run(args: &Api, stop: &Stop) -> Result<()> {
    Report::of("api", &args.output, |report, progress| {
        report.set("time", humantime::format_duration(args.time));
        measure(args, stop, progress, report)
    })
}

fn measure(args: &Api, stop: &Stop, progress: &Progress, report: &mut Report) -> Result<()> {
    progress.doing(format!("filling a database with {} episodes", args.data.episodes));
    let fixture = Fixture::filled(&args.server, &args.data, stop, report)?;
    let rounds = Rounds { number: 1, peers: false, only: None, directory: std::env::temp_dir() };
    let work = Work::new(&rounds, &fixture, stop)?;
    let runtime = runtime()?;
    let server = Server::start(&work, &runtime, stop)?;
    let maker = Maker::new(&args.data)?;
    let random = Random::new(args.data.seed ^ 0xA11);
    let mut bench = Bench { args, stop, progress, runtime, server, maker, random, report };
    // First, because the next measurements add rows.
    bench.recall(&fixture)?;
    bench.all_kinds()?;
    if args.cold {
        bench.cold(&fixture)?;
    }
    for job in [Meanwhile::Backup, Meanwhile::Purge].into_iter().filter(|job| args.meanwhile.contains(job)) {
        bench.meanwhile(job, &work)?;
    }
    let peak = bench.server.peak_mib();
    report.measured("nexus-api", vec![Figure::lower("memory MiB", vec![peak])]);
    Ok(())
}

struct Bench<'a> {
    args: &'a Api,
    stop: &'a Stop,
    progress: &'a Progress,
    runtime: Runtime,
    server: Server,
    maker: Maker,
    random: Random,
    report: &'a mut Report,
}

impl Bench<'_> {
    fn doing(&self, what: impl Into<String>) -> Result<()> {
        self.progress.doing(what);
        self.stop.check()
    }

    /// Creates a client without connections.
    fn client(&self) -> Arc<Client> {
        Arc::new(Client::new(&self.server.socket, AGENT))
    }

    fn recall(&mut self, fixture: &Fixture) -> Result<()> {
        let exact = Exact::over(fixture.control()?)?;
        let client = self.client();
        for (name, rare) in [("recall@10", false), ("recall@10, a filter keeps 1 %", true)] {
            let mut sum = 0.0;
            for number in 0..self.args.queries {
                self.doing(format!("{name}: query {number} of {}", self.args.queries))?;
                let (search, vector) = self.maker.compared(rare)?;
                let answer = self.runtime.block_on(client.post(RequestKind::Vector.path(), search))?;
                let results = answer["results"].as_array().into_iter().flatten();
                let found: Vec<String> =
                    results.filter_map(|result| result["episode_id"].as_str().map(str::to_owned)).collect();
                sum += exact.recall(&vector, &self.maker.version(), rare, &found)?;
            }
            let share = sum / f64::from(self.args.queries);
            self.report.measured(name, vec![Figure::higher("share found", vec![share])]);
        }
        Ok(())
    }

    /// Measures each kind of request: first the throughput of clients that never pause, then
    /// requests at random times.
    fn all_kinds(&mut self) -> Result<()> {
        for kind in RequestKind::ALL {
            let requests = Arc::new(self.maker.requests(kind)?);
            let mut capacity = 0.0;
            for clients in &self.args.clients {
                let times = self.at_once(kind, &requests, *clients)?;
                self.report.measured(format!("{}, {clients} at once", kind.name()), times.figures());
                if *clients <= FOUR {
                    capacity = times.rate();
                }
            }
            let times = self.at_its_times(kind, &requests, self.rate(capacity))?;
            self.report.measured(format!("{}, at its times", kind.name()), times.figures());
        }
        self.report.note(
            "\"N at once\": the throughput of N clients that never pause. \"at its times\": requests at half the throughput of four \
             clients, or at --rate; each is timed from its scheduled start. Client and servers share the processors.",
        );
        Ok(())
    }

    fn rate(&self, capacity: f64) -> f64 {
        self.args.rate.map_or((capacity / 2.0).max(1.0), f64::from)
    }

    fn at_once(&mut self, kind: RequestKind, requests: &Arc<Requests>, clients: u16) -> Result<Times> {
        self.doing(format!("{}, {clients} at once", kind.name()))?;
        let client = self.client();
        let time = (self.args.time / 4).max(Duration::from_secs(1));
        self.runtime.block_on(requests.closed(&client, clients, time))
    }

    fn at_its_times(&mut self, kind: RequestKind, requests: &Arc<Requests>, rate: f64) -> Result<Times> {
        self.doing(format!("{}, {rate:.0} a second", kind.name()))?;
        let client = self.client();
        self.runtime.block_on(requests.open(&client, FOUR, self.args.time, rate, &mut self.random))
    }

    fn cold(&mut self, fixture: &Fixture) -> Result<()> {
        self.doing("evicting caches")?;
        let control = fixture.control()?;
        for kind in [RequestKind::Vector, RequestKind::Text] {
            if let Some(why) = cold::evict(&control)? {
                self.report.note(why);
            }
            let requests = self.maker.requests(kind)?;
            let client = self.client();
            let mut answers = Vec::new();
            let began = std::time::Instant::now();
            for body in requests.bodies.iter().take(COLD) {
                let asked = std::time::Instant::now();
                let answer = self.runtime.block_on(client.post(requests.path, body.clone()));
                answers.push((asked.elapsed(), answer));
            }
            let times = Times::of(answers, began.elapsed());
            self.report.measured(format!("{}, the first {COLD}, cold", kind.name()), times.figures());
        }
        Ok(())
    }

    /// Measures searches and inserts at random times, just before a job and during it.
    fn meanwhile(&mut self, job: Meanwhile, work: &Work<'_>) -> Result<()> {
        let mut before = Vec::new();
        for kind in [RequestKind::Hybrid, RequestKind::Insert] {
            let requests = Arc::new(self.maker.requests(kind)?);
            let capacity = self.at_once(kind, &requests, FOUR)?.rate();
            let rate = self.rate(capacity);
            let figures = self.at_its_times(kind, &requests, rate)?.figures();
            let p95 = value_of(&figures, "p95 ms");
            self.report.measured(format!("{}, before a {}", kind.name(), job.name()), figures);
            before.push((kind, requests, rate, p95));
        }
        let mut running = Running::start(job, work)?;
        for (kind, requests, rate, p95_before) in before {
            let figures = self.at_its_times(kind, &requests, rate)?.figures();
            let ratio = value_of(&figures, "p95 ms") / p95_before.max(f64::MIN_POSITIVE);
            let name = format!("{}, during a {}", kind.name(), job.name());
            self.report.measured(name.clone(), figures);
            self.report.measured(format!("{name} / before"), vec![Figure::lower("p95", vec![ratio])]);
            running.note_early_end(self.report);
        }
        running.end()
    }
}

fn value_of(figures: &[Figure], name: &str) -> f64 {
    figures.iter().find(|figure| figure.name == name).map_or(0.0, |figure| figure.value)
}
