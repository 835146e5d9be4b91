//! Prometheus and promtool, as Debian has them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::stage::{free_port, http};

/// Runs `promtool` with this on its standard input. Fails with what it said if it finds anything wrong.
pub async fn promtool(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap_or_else(|error| missing("promtool", &error));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?} failed: {said}");
    said
}

fn missing(program: &str, error: &std::io::Error) -> ! {
    panic!("{program} can't be run: {error}; `scripts/setup test` installs it")
}

/// A Prometheus that scrapes, until this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with this configuration; `rules` stands beside it as `alerts.yml`.
    pub async fn start(configuration: &str, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        std::fs::write(folder.path().join("alerts.yml"), rules).unwrap();
        let port = free_port();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| missing("prometheus", &error));
        let mut prometheus = Self { port, _child: child, _folder: folder };
        prometheus.ready().await;
        prometheus
    }

    async fn ready(&mut self) {
        loop {
            let ended = self._child.try_wait().unwrap();
            assert!(ended.is_none(), "prometheus has ended: {}", said(self._folder.path()));
            let listens = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
            if listens && http(self.port, "/-/ready").await.starts_with("HTTP/1.1 200") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The samples that an expression gives now. The error: Prometheus' own words.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let answer = self.api(&format!("/api/v1/query?query={}", escaped(expression))).await;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// What its API answers.
    pub async fn api(&self, path: &str) -> Value {
        let answer = http(self.port, path).await;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| unchunked(body)).unwrap_or_default();
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

fn said(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A body that may have come in chunks.
fn unchunked(body: &str) -> String {
    if body.starts_with(['{', '[']) {
        return body.to_owned();
    }
    let (mut text, mut rest) = (String::new(), body);
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        if length == 0 {
            break;
        }
        text.push_str(&more[..length]);
        rest = more[length..].trim_start_matches("\r\n");
    }
    text
}
