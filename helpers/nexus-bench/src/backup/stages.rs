//! Measures the stages of a backup with the rows of this database. Each measurement includes the
//! stages before it, so the difference from the line above is the cost of a stage.

use std::io::{self, Write};
use std::time::Instant;

use age::x25519::{Identity, Recipient};
use nexus_backup_set::encrypt::EncryptedWriter;
use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_digest::Hasher;
use nexus_postgres::raw::RawSession;

use crate::APPLICATION;
use crate::fixture::{Fixture, NAME};
use crate::report::{Figure, Report};
use crate::work::Work;

/// Reads the rows as nexus-backup does.
const COPY: &str = "COPY nexus_memory.zep_episodic_memory TO STDOUT (FORMAT binary)";

/// The default of `NEXUS_ZSTD_LEVEL`.
const LEVEL: i32 = 2;

/// The result of a COPY.
pub(super) struct Copied {
    pub(super) seconds: f64,
    pub(super) mib: f64,
}

/// Reads all rows, and calls `take` with each piece.
pub(super) fn copy(fixture: &Fixture, stop: &Stop, take: impl FnMut(&[u8]) -> Result<()>) -> Result<Copied> {
    let mut session = RawSession::connect(&fixture.server, NAME, APPLICATION, stop)?;
    let began = Instant::now();
    let copied = session.copy_out("reading the rows", COPY, take)?;
    #[allow(clippy::cast_precision_loss)]
    let mib = copied.bytes as f64 / f64::from(1 << 20);
    Ok(Copied { seconds: began.elapsed().as_secs_f64(), mib })
}

/// Measures each stage once, with one thread for all.
pub(super) fn measure(
    fixture: &Fixture,
    stop: &Stop,
    progress: &Progress,
    report: &mut Report,
    work: &Work<'_>,
) -> Result<()> {
    let doing = || "measuring the stages of a backup";
    progress.doing(doing());
    let mut report_stage = |name: &str, copied: &Copied| {
        let rate = Figure::higher("MiB/s", vec![copied.mib / copied.seconds]);
        report.measured(name, vec![Figure::lower("s", vec![copied.seconds]), rate]);
    };
    report_stage("stage COPY", &copy(fixture, stop, |_| Ok(()))?);
    let mut hasher = Hasher::default();
    let digested = copy(fixture, stop, |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    report_stage("stage COPY, SHA-256", &digested);
    let mut encoder = zstd::Encoder::new(io::sink(), LEVEL).or_fail_io(doing)?;
    let compressed = copy(fixture, stop, |piece| encoder.write_all(piece).or_fail_io(doing))?;
    encoder.finish().or_fail_io(doing)?;
    report_stage("stage COPY, zstd", &compressed);
    let recipient: Recipient = Identity::generate().to_public();
    let out = work.fresh("stage")?.join("file");
    let mut encrypted = EncryptedWriter::create(&out, &[recipient], Some(LEVEL))?;
    let began = Instant::now();
    let copied = copy(fixture, stop, |piece| encrypted.write_all(piece).or_fail_io(doing))?;
    report_stage("stage COPY, zstd, age, SHA-256, write", &copied);
    encrypted.finish()?;
    report_stage(
        "… and to the disk, read back, SHA-256",
        &Copied { seconds: began.elapsed().as_secs_f64(), ..copied },
    );
    Ok(())
}
