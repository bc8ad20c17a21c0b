//! Bytes and files in use of the file systems that matter: the database's, the backups', the root.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{Statvfs, statvfs};

use super::growth::Growth;
use super::in_percent;
use crate::finding::{Finding, Metric};
use crate::look::{Ctx, Look};

/// A place on a file system.
struct Place {
    name: &'static str,
    words: &'static str,
    path: PathBuf,
}

/// What is kept from look to look: the growth.
#[derive(Default)]
pub(super) struct Disks {
    growth: Option<Growth>,
}

impl Disks {
    pub(super) fn look(&mut self, ctx: &Ctx, look: &mut Look) {
        let growth = self.growth.get_or_insert_with(|| Growth::read(&ctx.args.state_dir));
        let mut used = Vec::new();
        for place in places(ctx) {
            let stat = match statvfs(&place.path) {
                Ok(stat) => stat,
                Err(error) => {
                    look.found(unseen(&place, error.desc()));
                    continue;
                }
            };
            if place.name == "database"
                && let Some(mount) = hidden_mount(&place.path)
            {
                let why = format!("{mount} is a file system of its own and root's alone");
                look.found(unseen(&place, &why));
                continue;
            }
            bytes(&place, &stat, ctx, look);
            inodes(&place, &stat, ctx, look);
            used.push((place.name, bytes_used(&stat), bytes_free(&stat)));
        }
        growth.look(&used, ctx, look);
    }
}

fn places(ctx: &Ctx) -> [Place; 3] {
    [
        Place { name: "database", words: "the database", path: ctx.docker_directory() },
        Place { name: "backups", words: "the backups", path: ctx.args.backup_dir.clone() },
        Place { name: "root", words: "the system", path: PathBuf::from("/") },
    ]
}

fn unseen(place: &Place, why: &str) -> Finding {
    let sentence =
        format!("The disk of {} ({}) cannot be looked at: {why}.", place.words, place.path.display());
    let advice = "Is it mounted? For the database's: name a directory on it in NEXUS_HEALTH_DATA_DIR";
    Finding::unknown(format!("disk-{}", place.name), sentence, advice)
}

/// Docker's directory is root's, so the volume itself cannot be looked at; its file system is that of Docker's directory
/// unless something is mounted on the way there.
fn hidden_mount(docker: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mount_on_the_way(&mounts, &docker.join("volumes/nexus_postgres_data/_data"), docker)
}

fn mount_on_the_way(mountinfo: &str, volume: &Path, docker: &Path) -> Option<String> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let below = |point: &&str| volume.starts_with(point) && Path::new(point).starts_with(docker);
    points.filter(below).find(|point| Path::new(point) != docker).map(str::to_owned)
}

fn bytes(place: &Place, stat: &Statvfs, ctx: &Ctx, look: &mut Look) {
    let Some(used) = share(stat.blocks() - stat.blocks_free(), stat.blocks_available()) else { return };
    let label = ("place", place.name);
    look.metric(Metric::of("disk_used_ratio", "Bytes in use of a file system.", label, used));
    let free = to_f64(bytes_free(stat));
    look.metric(Metric::of("disk_free_bytes", "Bytes that may still be written.", label, free));
    let sentence = format!("The disk of {} is {} full.", place.words, in_percent(used));
    let advice = format!("Free some space on it: du -xh --max-depth=2 {} | sort -h", place.path.display());
    let id = format!("disk-{}", place.name);
    look.found(Finding::measured(id, used, ctx.args.thresholds.disk, sentence, advice));
}

fn inodes(place: &Place, stat: &Statvfs, ctx: &Ctx, look: &mut Look) {
    // File systems that make them as they need them, such as btrfs, say 0.
    let Some(used) = share(stat.files() - stat.files_free(), stat.files_available()) else { return };
    let label = ("place", place.name);
    look.metric(Metric::of("inodes_used_ratio", "Files in use of a file system.", label, used));
    let sentence =
        format!("{} of the files that the disk of {} can hold are there.", in_percent(used), place.words);
    let advice = "Find the directory with very many files: du --inodes -x --max-depth=2 / | sort -n";
    let id = format!("inodes-{}", place.name);
    look.found(Finding::measured(id, used, ctx.args.thresholds.inodes, sentence, advice));
}

/// As df(1) counts: of what is in use and what may still be written; what is kept for root is neither.
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
        let line = |point: &str| format!("36 35 98:0 / {point} rw,noatime - ext3 /dev/root rw\n");
        let hidden = |points: &[&str]| {
            mount_on_the_way(&points.iter().map(|p| line(p)).collect::<String>(), volume, docker)
        };
        assert_eq!(hidden(&["/", "/var", "/var/lib/docker", "/var/lib/docker/overlay2/x/merged"]), None);
        assert_eq!(hidden(&["/", "/var/lib/docker/volumes"]).as_deref(), Some("/var/lib/docker/volumes"));
        assert!(hidden(&["/var/lib/docker/volumes/nexus_postgres_data/_data"]).is_some());
    }

    #[test]
    fn what_is_kept_for_root_is_neither_used_nor_free() {
        assert_eq!(share(75, 25), Some(0.75));
        assert_eq!(share(0, 0), None);
    }
}
