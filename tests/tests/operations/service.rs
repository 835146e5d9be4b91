//! What systemd hears of `pgstrata serve`, with nobody but this test in systemd's place.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata_tests::program::{pgstrata, project};
use pgstrata_tests::stage::free_port;
use pgstrata_tests::{Setup, Wire, database};

/// What is said next.
fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).expect("it says something");
    String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_when_clients_may_come_and_when_they_must_go() {
    let cluster = database::cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    // A failure, not a test that hangs.
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (port, file) = (free_port(), folder.path().join("pgstrata.toml"));
    std::fs::write(&file, Setup::new().toml(port, free_port(), cluster.port())).unwrap();
    let mut command = pgstrata();
    command.args(["serve", "--config"]).arg(&file).kill_on_drop(true);
    command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "100000");
    let mut child = command.spawn().unwrap();
    assert_eq!(next(&socket), "READY=1");
    // It is as it says: at once.
    assert!(Wire::login(port, "app", "app", &[("options", "-ctenant=acme_corp")]).await.is_ok());
    for _ in 0..3 {
        assert_eq!(next(&socket), "WATCHDOG=1");
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    let news = || std::iter::repeat_with(|| next(&socket)).find(|said| said != "WATCHDOG=1").unwrap();
    // Right or wrong, a reload is over when it is.
    for text in [std::fs::read_to_string(&file).unwrap(), "broken".to_owned()] {
        std::fs::write(&file, text).unwrap();
        kill(pid, Signal::SIGHUP).unwrap();
        let said = news();
        assert!(said.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{said}");
        assert_eq!(news(), "READY=1");
    }
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(news(), "STOPPING=1");
    assert!(child.wait().await.unwrap().success());
}

/// What the unit starts is there in the package, and is a command line that the program takes.
#[tokio::test]
async fn unit_starts_what_the_package_installs() {
    let unit = std::fs::read_to_string(project().join("config/systemd/pgstrata.service")).unwrap();
    let manifest = std::fs::read_to_string(project().join("proxy/Cargo.toml")).unwrap();
    let value = |name: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("there is no {name}"))
    };
    assert_eq!(value("Type"), "notify");
    assert!(manifest.contains("\"target/release/pgstrata\", \"usr/bin/\""));
    assert!(manifest.contains("\"../config/pgstrata.toml\", \"etc/pgstrata/\""));
    let file = project().join("config/pgstrata.toml");
    let check = value("ExecStartPre").strip_prefix("/usr/bin/pgstrata ").unwrap();
    let check = check.replace("/etc/pgstrata/pgstrata.toml", file.to_str().unwrap());
    let answer = pgstrata().args(check.split(' ')).output().await.unwrap();
    assert!(answer.status.success(), "{answer:?}");
    assert!(value("ExecStart").starts_with("/usr/bin/pgstrata serve --config "));
    // A drain is not cut short: `shutdown_timeout` is 30 s where nobody says otherwise.
    let seconds: u32 = value("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(seconds > 30);
}
