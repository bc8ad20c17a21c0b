//! The job: choose a set, check it, start a throwaway server, restore, compare, remove the server, write the proof.

use std::time::Instant;

use jiff::Timestamp;
use nexus_backup_set::directory::SetEntry;
use nexus_backup_set::locate::IdentitySource;
use nexus_backup_set::manifest::Manifest;
use nexus_backup_set::proof::Proof;
use nexus_backup_set::verify::{require_whole, size_of};
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::counted;
use nexus_docker_client::protocol::Server;
use nexus_fs::lock::Lock;
use nexus_ledger::forgetting::OnReference;
use nexus_postgres::blocking::Control;
use nexus_postgres::recall;
use nexus_restoring::forget::Forbidden;
use nexus_restoring::{Restoring, Tool, Wanted, compare, database, forget, requirements};
use secrecy::SecretString;

use crate::args::Args;
use crate::check::{indexes, objects};
use crate::scratch::{self, DATABASE, Throwaway};
use crate::{redis, selection};

/// Tests a set and writes its proof.
///
/// # Errors
/// Data (65) if the set fails the test; then the proof says so. Any other failure says nothing about the set, and leaves an
/// earlier proof unchanged.
pub(crate) fn run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Proof> {
    let began = Instant::now();
    let _lock = Lock::take(&args.proofs_dir, "nexus-restore-test")?;
    let set = selection::choose(args)?;
    let unlock = IdentitySource::with(args.identity.as_deref());
    let manifest = match read_manifest(&set, &unlock) {
        Err(failure) if failure.exit() == Exit::Data => return Err(not_proven(args, &set, failure)),
        other => other?,
    };
    let mut proof = Proof::of(set.name, manifest.taken);
    let password = credentials::random()?;
    let mut making = Restoring {
        server: scratch::server(args, password.clone()),
        database: DATABASE.to_owned(),
        set,
        manifest,
        unlock,
        tool: Tool::Docker { socket: args.docker_socket.to_path_buf(), server: Server::Scratch },
        jobs: args.jobs,
        wanted: Wanted::default(),
        progress,
        stop,
        without_tablespaces: false,
        trees: Vec::new(),
        roles_made: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    };
    let rows = making.manifest.bytes();
    progress.expect(size_of(&making.set.path).saturating_add(rows.saturating_mul(2)));
    let outcome = examine(args, &mut making, &password, &mut proof);
    proof.verdict.at = Timestamp::now();
    proof.verdict.proven = outcome.is_ok();
    proof.notes = std::mem::take(&mut making.notes);
    proof.steps = std::mem::take(&mut making.steps);
    proof.usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    match outcome {
        Ok(()) => {
            proof.write(&args.proofs_dir, making.set.name)?;
            Ok(proof)
        }
        Err(failure) if failure.exit() == Exit::Data => Err(refuse(args, &making.set, proof, failure)),
        Err(failure) => Err(failure),
    }
}

/// Runs every test of the set.
fn examine(
    args: &Args,
    making: &mut Restoring<'_>,
    password: &SecretString,
    proof: &mut Proof,
) -> Result<()> {
    making
        .step("check", |making| require_whole(&making.set, &making.manifest, making.progress, making.stop))?;
    let throwaway =
        making.step("start", |making| Throwaway::start(args, &making.manifest, password, making.stop))?;
    proof.image = Some(throwaway.scratch.clone());
    let outcome = in_postgres(args, making, proof);
    // Remove the server before the test of Redis, whatever the outcome. The outcome has the ids that Redis must not hold.
    making.progress.doing("remove");
    let began = Instant::now();
    let ended = throwaway.end();
    making.took("remove", began);
    match ended {
        // nexus-docker killed the server because it took too much disk space, which caused every other failure.
        Err(full) if full.exit() == Exit::CannotCreate => return Err(full),
        Err(failure) if outcome.is_ok() => return Err(failure),
        _ => {}
    }
    let forbidden = outcome?;
    let tested = making.step("redis", |making| redis::test(args, making, password, forbidden.as_ref()))?;
    if let Some(tested) = tested {
        proof.redis = Some(tested.summary);
        proof
            .counts
            .extend(tested.forgotten.map(|copies| ("copies in Redis forgotten again".to_owned(), copies)));
    }
    Ok(())
}

/// Restores and compares the database, and forgets again in it. Returns what must not come back in Redis either.
fn in_postgres(args: &Args, making: &mut Restoring<'_>, proof: &mut Proof) -> Result<Option<Forbidden>> {
    let control = Control::beside(&making.server, DATABASE, making.stop)?;
    let version = requirements::check_server(making, &control)?;
    requirements::check_extensions(making, &control)?;
    making.fill(&control, version)?;
    // The notes so far are for an owner who restores, for example which role needs a new password.
    making.notes.clear();
    let compared = making.step("compare", compare::all)?;
    let inside = Control::open(&making.server, DATABASE, making.stop)?;
    proof.server_version =
        Some(inside.row("reading the server's version", "SHOW server_version", &[])?.get::<_, String>(0));
    let constraints = making.step("validity", |making| indexes::validity(making, &inside))?;
    let kinds = making.step("objects", |making| objects::compare(making, &inside, version))?;
    proof.extensions = objects::check_extensions(making, &inside)?;
    let checked = making.step("amcheck", |making| indexes::amcheck(making, &inside, constraints))?;
    making.step("statistics", database::analyze)?;
    making.step("properties", |making| database::finish(making, &control, version))?;
    // A new session, which starts with the database's restored settings.
    let searching = Control::open(&making.server, DATABASE, making.stop)?;
    proof.searches = making.step("search", |_| recall::probe(&searching, args.recall))?;
    proof.counts = kinds;
    for (what, count) in [
        ("rows", compared.rows),
        ("bytes", compared.bytes),
        ("sequences", compared.sequences),
        ("large objects", compared.large_objects),
        ("constraints", checked.constraints),
        ("indexes", checked.indexes),
        ("indexes checked with amcheck", checked.by_amcheck),
    ] {
        proof.counts.insert(what.to_owned(), count);
    }
    proof.tables = compared.digests;
    require_recall(args, making, proof)?;
    let forgotten = making.step("forget", |making| forget_again(args, making))?;
    Ok(forgotten.map(|(rows, forbidden)| {
        proof.counts.insert("rows forgotten again".to_owned(), rows);
        forbidden
    }))
}

/// Forgets again what the purge ledger forbids, as a restore does, and checks that nothing of it remains. Returns the number of
/// rows and the forbidden ids; `None` if nothing was ever forgotten.
fn forget_again(args: &Args, making: &Restoring<'_>) -> Result<Option<(u64, Forbidden)>> {
    let Some(ledgers) = forget::ledgers(making, &args.purge_ledger)? else { return Ok(None) };
    let mut forbidden = Forbidden::named(&ledgers);
    // The treatment of referring rows does not matter: this server is thrown away.
    let how = forget::How { on_reference: OnReference::Cascade, rewrite: false };
    let gone = forget::again(making, &ledgers, how, &mut |ids| {
        forbidden.add(ids);
        Ok(())
    })?;
    let rows = gone.rows();
    match forget::again(making, &ledgers, how, &mut |_| Ok(()))?.rows() {
        0 => Ok(Some((rows, forbidden))),
        left => Err(Failure::new(Exit::Data, "forgetting again what the purge ledger forbids")
            .because(format!("it did not delete {}", counted(left, "row")))
            .advise("Restoring this set would bring them back: please report this")),
    }
}

/// Requires the recall of each vector index. One that reaches it only with a wider search than the database's settings gets a
/// note. One that never reaches it is broken.
fn require_recall(args: &Args, making: &mut Restoring<'_>, proof: &Proof) -> Result<()> {
    for searched in &proof.searches {
        let (name, recall, best) = (&searched.index, searched.recall, searched.best());
        if best < args.recall {
            return Err(Failure::new(Exit::Data, format!("searching by index {name}")).because(format!(
                "it finds {best:.2} of the ten nearest; expected {:.2} (NEXUS_RESTORE_TEST_RECALL)",
                args.recall
            )));
        }
        if searched.widest_recall.is_some() {
            making.note(format!(
                "index {name} finds {recall:.2} of the ten nearest with the database's settings, and {best:.2} when it \
                 searches more widely (hnsw.ef_search, ivfflat.probes)"
            ));
        }
    }
    Ok(())
}

/// Reads the set's manifest. A set that this machine cannot decrypt is not damaged.
fn read_manifest(set: &SetEntry, unlock: &IdentitySource) -> Result<Manifest> {
    Manifest::of(set, &unlock.identities()?).map_err(|failure| match failure.exit() {
        Exit::Permission => Failure::new(Exit::Permission, format!("testing set {}", set.name))
            .because("it is not encrypted for this machine, perhaps only for its owner")
            .advise(format!(
                "It may still be whole. To test it: nexus-restore-test {:06} --identity FILE, with the owner's key",
                set.name.sequence
            )),
        _ => failure,
    })
}

fn not_proven(args: &Args, set: &SetEntry, failure: Failure) -> Failure {
    refuse(args, set, Proof::of(set.name, set.name.taken), failure)
}

/// Writes a proof that says that the set is not proven, and why.
fn refuse(args: &Args, set: &SetEntry, mut proof: Proof, failure: Failure) -> Failure {
    let failure = failure.while_doing(format!("set {} is NOT PROVEN", set.name));
    proof.failure = Some(failure.to_string());
    match proof.write(&args.proofs_dir, set.name) {
        Ok(_) => failure,
        // Report both; the set's failure decides the exit code.
        Err(unwritten) => {
            Failure::new(failure.exit(), failure.to_string()).advise(format!("Also: {unwritten}"))
        }
    }
}
