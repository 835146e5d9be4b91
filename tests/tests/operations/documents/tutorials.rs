//! The tutorials of docs/start, run: each command in order, as a reader would type it.
//!
//! A block `sh` is run, and must end well; in a block `sh fails` it must not; one that is `sh background` goes on. What a
//! block `text` behind it shows must be in what was printed. A block `python` is a program. Ports and the first line of a
//! block that sets ADMIN or CONFIG are this test's own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use pgstrata_tests::database;
use pgstrata_tests::program::{pgstrata, project, python};
use pgstrata_tests::stage::free_port;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A fenced block: what stands behind its fence, and its lines.
struct Block {
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let page = std::fs::read_to_string(project().join("docs/start").join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(Block { info: info.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text = format!("{}{line}\n", block.text),
            (None, None) => {}
        }
    }
    blocks
}

/// A reader: a folder, a shell whose variables stay, and what is different on this machine.
struct Reader {
    folder: TempDir,
    replaced: Vec<(String, String)>,
    variables: Vec<(&'static str, String)>,
    running: Vec<Child>,
}

impl Reader {
    fn new(replaced: Vec<(String, String)>, variables: Vec<(&'static str, String)>) -> Self {
        let folder = TempDir::new().unwrap();
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        let program = pgstrata().as_std().get_program().to_owned();
        std::os::unix::fs::symlink(program, programs.join("pgstrata")).unwrap();
        Self { folder, replaced, variables, running: Vec::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn here(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (what, by)| text.replace(what, by))
    }

    /// Reads a page from its beginning to its end.
    async fn follow(&mut self, page: &str) {
        let mut said = String::new();
        let (mut commands, mut shown) = (0, 0);
        for block in blocks(page) {
            match &*block.info {
                "sh" => said = self.run(&block.text, true).await,
                "sh fails" => said = self.run(&block.text, false).await,
                "sh background" => self.start(&block.text).await,
                "python" => said = self.program(&block.text).await,
                "text" => {
                    for line in self.here(&block.text).lines().map(str::trim).filter(|line| !line.is_empty())
                    {
                        assert!(said.contains(line), "{page} shows {line:?}, and this was printed:\n{said}");
                        shown += 1;
                    }
                }
                // For the reader's eyes.
                "console" | "toml" => {}
                other => panic!("{page}: what is a block of {other:?}?"),
            }
            commands += 1;
            self.move_ports();
        }
        assert!(commands > 5 && shown > 5, "{page} has {commands} commands and {shown} lines to compare");
    }

    fn command(&self, text: &str) -> Command {
        let lines: Vec<_> = text
            .lines()
            .filter(|line| {
                !self.variables.iter().any(|(name, _)| line.starts_with(&format!("export {name}=")))
            })
            .collect();
        let script = format!(
            ". ./variables 2>/dev/null; set -e; {{ :\n{}\n}}; export -p >variables",
            self.here(&lines.join("\n"))
        );
        let mut command = Command::new("bash");
        let path = format!("{}:{}", self.file("bin").display(), std::env::var("PATH").unwrap());
        command.args(["-c", &script]).current_dir(self.folder.path()).env("PATH", path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env_remove("PGOPTIONS").env_remove("PGSTRATA_ADMIN_URL").env("PGCONNECT_TIMEOUT", "30");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, text: &str, ends_well: bool) -> String {
        let output = self.command(text).output().await.unwrap();
        assert_eq!(output.status.success(), ends_well, "{text}\n{output:?}");
        said(&output)
    }

    async fn start(&mut self, text: &str) {
        // The shell gives its place to the program, which is ended with this test.
        let script = format!("exec {}", text.trim());
        self.running.push(self.command(&script).stderr(Stdio::null()).spawn().unwrap());
        let port = &self.replaced.iter().find(|(what, _)| what == "6432").expect("there is a port").1;
        while TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
            let ended = self.running.last_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{text}: it has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn program(&self, text: &str) -> String {
        let file = self.file("program.py");
        std::fs::write(&file, self.here(text)).unwrap();
        // Its first argument is another program of ours, which is left out.
        let interpreter = python("").as_std().get_program().to_owned();
        let output = Command::new(interpreter).arg(&file).output().await.unwrap();
        assert!(output.status.success(), "{text}\n{output:?}");
        said(&output)
    }

    /// The configuration that was written has the usual ports.
    fn move_ports(&self) {
        let file = self.file("pgstrata.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { return };
        if text.contains("127.0.0.1:6432") {
            let http = format!("\n[http]\naddress = \"127.0.0.1:{}\"\n", free_port());
            std::fs::write(&file, self.here(&text) + &http).unwrap();
        }
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A demo, where its configuration is, and the folder of its data.
async fn demo(port: u16, http_port: u16) -> (Child, String, TempDir) {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::Builder::new().prefix("pgd-").tempdir().unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = pgstrata();
    command.args(["demo", "--port", &port.to_string(), "--http-port", &http_port.to_string()]);
    command.env("TMPDIR", temp.path()).env("PGSTRATA_PG_BIN", database::install().bin);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut config = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(rest) = line.strip_prefix("Its configuration is ") {
            config = rest.split(',').next().unwrap().to_owned();
        }
        if line == "READY" {
            return (child, config, temp);
        }
    }
    panic!("the demo has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_with_the_demo() {
    let (port, http_port) = (free_port(), free_port());
    let (_demo, config, _temp) = demo(port, http_port).await;
    let replaced = vec![("6432".into(), port.to_string()), ("9187".into(), http_port.to_string())];
    Reader::new(replaced, vec![("CONFIG", config)]).follow("demo.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_tenant_on_ones_own_postgresql() {
    let cluster = database::cluster().await;
    let folder = cluster.socket_dir().to_str().unwrap().replace('/', "%2F");
    let admin = format!("postgresql://postgres@{folder}:{}", cluster.port());
    let replaced = vec![("6432".into(), free_port().to_string())];
    let mut reader = Reader::new(replaced, vec![("ADMIN", admin)]);
    reader.follow("first-tenant.md").await;
    assert!(Path::new(&reader.file("pgstrata.toml")).exists());
}
