//! Bytes and inodes in use on the file systems of the database, the backups and the system.

use std::path::{Path, PathBuf};

use nexus_fs::mounts::mounts;
use nix::sys::statvfs::{Statvfs, statvfs};

use super::growth::Growth;
use super::in_percent;
use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::report::Report;

/// A file system, by a path on it.
struct Disk {
    name: &'static str,
    words: &'static str,
    path: PathBuf,
}

/// The state between two checks: the growth.
#[derive(Default)]
pub(super) struct Disks {
    growth: Option<Growth>,
}

impl Disks {
    pub(super) fn check(&mut self, ctx: &Context, report: &mut Report) {
        let growth = self.growth.get_or_insert_with(|| Growth::read(&ctx.args.state_dir));
        let mut used = Vec::new();
        for disk in disks(ctx) {
            let stat = match statvfs(&disk.path) {
                Ok(stat) => stat,
                Err(error) => {
                    report.found(unseen(&disk, error.desc()));
                    continue;
                }
            };
            if disk.name == "database"
                && let Some(mount) = hidden_mount(&disk.path)
            {
                let why = format!("{mount} is a separate file system that only root can read");
                report.found(unseen(&disk, &why));
                continue;
            }
            bytes(&disk, &stat, ctx, report);
            inodes(&disk, &stat, ctx, report);
            used.push((disk.name, bytes_used(&stat), bytes_free(&stat)));
        }
        growth.check(&used, ctx, report);
    }
}

fn disks(ctx: &Context) -> [Disk; 3] {
    [
        Disk { name: "database", words: "the database", path: ctx.docker_directory() },
        Disk { name: "backups", words: "the backups", path: ctx.args.backup_dir.to_path_buf() },
        Disk { name: "root", words: "the system", path: PathBuf::from("/") },
    ]
}

fn unseen(disk: &Disk, why: &str) -> Finding {
    let sentence = format!("The disk of {} ({}) cannot be checked: {why}", disk.words, disk.path.display());
    let advice = "Check that the disk is mounted. For the database, set NEXUS_HEALTH_DATA_DIR in /etc/nexus/nexus.env to a directory \
                  on its disk, then: systemctl restart nexus-health";
    Finding::unknown(format!("disk-{}", disk.name), sentence, advice)
}

/// Returns a mount point below Docker's directory that holds the volume. Only root can read the volume, so the check assumes
/// that it is on the file system of Docker's directory.
fn hidden_mount(docker: &Path) -> Option<String> {
    let points = mounts().ok()?.map(|mount| mount.point);
    let hidden = mount_on_the_way(points, &docker.join("volumes/nexus_postgres_data/_data"), docker)?;
    Some(hidden.display().to_string())
}

fn mount_on_the_way(
    mut points: impl Iterator<Item = PathBuf>,
    volume: &Path,
    docker: &Path,
) -> Option<PathBuf> {
    points.find(|point| volume.starts_with(point) && point.starts_with(docker) && point != docker)
}

fn bytes(disk: &Disk, stat: &Statvfs, ctx: &Context, report: &mut Report) {
    let Some(used) = share(stat.blocks() - stat.blocks_free(), stat.blocks_available()) else { return };
    let label = ("place", disk.name);
    report.metric(Metric::of("disk_used_ratio", "Bytes in use of a file system.", label, used));
    let free = to_f64(bytes_free(stat));
    report.metric(Metric::of("disk_free_bytes", "Bytes that may still be written.", label, free));
    let sentence = format!("The disk of {} is {} full.", disk.words, in_percent(used));
    let advice = format!(
        "Find what takes the space, and free some: du -xh --max-depth=2 {} | sort -h",
        disk.path.display()
    );
    let id = format!("disk-{}", disk.name);
    report.found(Finding::measured(id, used, ctx.args.thresholds.disk, sentence, advice));
}

fn inodes(disk: &Disk, stat: &Statvfs, ctx: &Context, report: &mut Report) {
    // File systems that allocate inodes on demand, such as btrfs, report 0.
    let Some(used) = share(stat.files() - stat.files_free(), stat.files_available()) else { return };
    let label = ("place", disk.name);
    report.metric(Metric::of("inodes_used_ratio", "Files in use of a file system.", label, used));
    let sentence =
        format!("The disk of {1} holds {0} of its maximum number of files.", in_percent(used), disk.words);
    let advice = "Find the directory with very many files: du --inodes -x --max-depth=2 / | sort -n";
    let id = format!("inodes-{}", disk.name);
    report.found(Finding::measured(id, used, ctx.args.thresholds.inodes, sentence, advice));
}

/// Returns the share in use as df(1) counts it: the space reserved for root is neither used nor available.
fn share(used: u64, available: u64) -> Option<f64> {
    (used + available > 0).then(|| to_f64(used) / to_f64(used + available))
}

fn bytes_used(stat: &Statvfs) -> u64 {
    (stat.blocks() - stat.blocks_free()).saturating_mul(stat.fragment_size())
}

fn bytes_free(stat: &Statvfs) -> u64 {
    stat.blocks_available().saturating_mul(stat.fragment_size())
}

#[expect(clippy::cast_precision_loss, reason = "shares and sizes for people")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_between_dockers_directory_and_the_volume_hides_it() {
        let volume = Path::new("/var/lib/docker/volumes/nexus_postgres_data/_data");
        let docker = Path::new("/var/lib/docker");
        let hidden = |points: &[&str]| mount_on_the_way(points.iter().map(PathBuf::from), volume, docker);
        assert_eq!(hidden(&["/", "/var", "/var/lib/docker", "/var/lib/docker/overlay2/x/merged"]), None);
        assert_eq!(
            hidden(&["/", "/var/lib/docker/volumes"]).as_deref(),
            Some(Path::new("/var/lib/docker/volumes"))
        );
        assert!(hidden(&["/var/lib/docker/volumes/nexus_postgres_data/_data"]).is_some());
    }

    #[test]
    fn the_reserve_of_root_is_neither_used_nor_free() {
        assert_eq!(share(75, 25), Some(0.75));
        assert_eq!(share(0, 0), None);
    }
}
