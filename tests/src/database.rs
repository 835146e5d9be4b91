//! Clusters that are there in a moment, each test its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use pgstrata::demo::find::Install;
use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata::demo::seed::{harden, seed};

/// The PostgreSQL that is tested: `PGSTRATA_TEST_POSTGRES` is a major version
/// or `newest`; else it is the one that the demo would take.
pub fn install() -> Install {
    let wish = std::env::var("PGSTRATA_TEST_POSTGRES").unwrap_or_default();
    let found = match wish.as_str() {
        "" => Install::find(),
        "newest" => Install::find_newest(),
        major => Install::find_major(major.parse().expect("PGSTRATA_TEST_POSTGRES is a number or `newest`")),
    };
    found.unwrap_or_else(|| panic!("PostgreSQL {wish} is not installed: `scripts/setup test` does it"))
}

/// A cluster with the demonstration's database, on a free port.
pub async fn cluster() -> Cluster {
    cluster_with(Options::default()).await
}

/// As [`cluster`], with all taken away in the database that `pgstrata sql harden` takes away.
pub async fn hardened_cluster() -> Cluster {
    cluster_like(Options::default(), true).await
}

/// `PGSTRATA_TEST_HARDEN=1` runs all tests on hardened databases: they hold there, too.
pub fn wished_hardening() -> bool {
    std::env::var_os("PGSTRATA_TEST_HARDEN").is_some_and(|wish| wish == "1")
}

/// As [`cluster`], of a PostgreSQL that was built with TLS: the wheel's is not.
pub async fn cluster_with_tls() -> Cluster {
    let wished = cluster().await;
    let server = crate::stage::connect(&wished.superuser("app")).await.unwrap();
    let library: String = server.query_one("SHOW ssl_library", &[]).await.unwrap().get(0);
    match library.is_empty() {
        true => cluster_with(Options { install: Install::find(), ..Options::default() }).await,
        false => wished,
    }
}

/// As [`cluster`], with options.
pub async fn cluster_with(options: Options) -> Cluster {
    cluster_like(options, wished_hardening()).await
}

/// As [`cluster_with`], and hardened or not.
pub async fn cluster_like(options: Options, hardened: bool) -> Cluster {
    let install = options.install.clone().unwrap_or_else(install);
    let template = template(&install, hardened).await;
    let temp = options.temp.clone().or_else(folder_in_memory);
    Cluster::start(Options { install: Some(install), temp, template: Some(template), ..options }).unwrap()
}

/// Room for the clusters of all tests that run at a time.
const ROOM_IN_MEMORY: u64 = 4 << 30;

/// A folder in memory, where the system has one with room: half of a test's time is spent on the copy of its cluster
/// where that goes to a disk. `TMPDIR` names another.
fn folder_in_memory() -> Option<PathBuf> {
    if std::env::var_os("TMPDIR").is_some() {
        return None;
    }
    let folder = Path::new("/dev/shm");
    let volume = nix::sys::statvfs::statvfs(folder).ok()?;
    let room = volume.blocks_available().saturating_mul(volume.fragment_size());
    (room >= ROOM_IN_MEMORY).then(|| folder.to_owned())
}

/// The folder that build results go to: this program is in its `debug/deps`.
pub fn target_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}

/// A stopped cluster to copy. `initdb` takes a second of every core that there
/// is, so one process makes it, once, and the others wait.
async fn template(install: &Install, hardened: bool) -> PathBuf {
    let kept = target_dir().join("clusters");
    fs::create_dir_all(&kept).unwrap();
    let template =
        kept.join(format!("{}-{:x}{}", install.major, fingerprint(), if hardened { "-hard" } else { "" }));
    let lock = File::create(kept.join("lock")).unwrap();
    lock.lock().unwrap();
    if !template.exists() {
        make_template(install, &template, hardened).await;
    }
    template
}

/// Another seed or another user needs another template.
fn fingerprint() -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    include_str!("../../proxy/src/demo/seed.sql").hash(&mut hasher);
    include_str!("../../proxy/src/demo/seed.rs").hash(&mut hasher);
    include_str!("../../control/src/harden/items.sql").hash(&mut hasher);
    include_str!("../../control/src/harden/take.sql").hash(&mut hasher);
    hasher.finish()
}

async fn make_template(install: &Install, template: &Path, hardened: bool) {
    let options = Options { install: Some(install.clone()), ..Options::default() };
    let mut cluster = Cluster::start(options).unwrap();
    seed(&cluster).await.unwrap();
    if hardened {
        harden(&cluster).await.unwrap();
    }
    cluster.stop().unwrap();
    // Under its name it is complete: an interrupted copy never gets that far.
    let partial = template.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let copied = Command::new("cp").arg("-a").arg(cluster.socket_dir().join("data")).arg(&partial).status();
    assert!(copied.unwrap().success());
    fs::rename(&partial, template).unwrap();
}
