//! The Helm chart and the plain manifests: rendered, and held to Kubernetes' schemas and to each other.

use std::path::PathBuf;
use std::process::Stdio;

use pgstrata_tests::program::{go, pgstrata, project, python, run};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// All that can be switched on.
const ALL: &str = "
autoscaling: { enabled: true }
networkPolicy:
  enabled: true
  clients: [{ podSelector: { matchLabels: { app: shop } } }]
  egress: [{ to: [{ podSelector: { matchLabels: { app: postgres } } }], ports: [{ port: 5432 }] }]
serviceMonitor: { enabled: true, labels: { team: data } }
prometheusRule: { enabled: true }
secretFiles: [{ name: server-tls, secret: pgstrata-tls }]
podAnnotations: { a: b }
podLabels: { c: d }
nodeSelector: { disk: ssd }
tolerations: [{ key: spot, operator: Exists }]
imagePullSecrets: [{ name: registry }]
";

/// Everything that can be switched off.
const NONE: &str = "
secrets: []
drainPauseSeconds: 0
podDisruptionBudget: { enabled: false }
serviceAccount: { create: false }
topologySpread: false
resources: {}
";

fn chart() -> PathBuf {
    project().join("deploy/helm/pgstrata")
}

/// The chart with these values.
async fn render(values: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let mut renderer = go("go/render_chart.go", folder.path()).await;
    renderer.arg(chart()).arg("test");
    for (number, values) in values.iter().enumerate() {
        let file = folder.path().join(format!("{number}.yaml"));
        std::fs::write(&file, values).unwrap();
        renderer.arg(file);
    }
    run(renderer).await
}

/// Whether manifests are valid, and what is wrong; what kinds they are.
async fn check(manifests: &str) -> Result<String, String> {
    let mut checker: Command = python("manifests.py");
    checker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = checker.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(manifests.as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[tokio::test]
async fn chart_makes_valid_manifests() {
    let kinds = check(&render(&[]).await).await.unwrap();
    assert_eq!(kinds.lines().count(), 6, "{kinds}");
    let kinds = check(&render(&[ALL]).await).await.unwrap();
    for kind in ["HorizontalPodAutoscaler", "NetworkPolicy", "PrometheusRule", "ServiceMonitor"] {
        assert!(kinds.contains(kind), "{kind} is not in {kinds}");
    }
    let kinds = check(&render(&[NONE]).await).await.unwrap();
    assert_eq!(kinds.lines().collect::<Vec<_>>(), ["ConfigMap", "Deployment", "Service", "Service"]);
}

#[tokio::test]
async fn manifest_that_is_wrong_is_found() {
    let good = render(&[ALL]).await;
    for (part, wrong) in [
        ("containerPort: 6432", "containerPort: many"),
        ("port: metrics }", "port: nobody }"),
        ("targetPort: postgresql", "targetPort: other"),
        ("readOnly: true", "readOnyl: true"),
        ("serviceAccountName: test-pgstrata", "serviceAccountName: nobody"),
        ("configMap: { name: test-pgstrata }", "configMap: { name: gone }"),
        ("terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 30"),
    ] {
        assert!(good.contains(part), "{part}");
        assert!(check(&good.replacen(part, wrong, 1)).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn values_are_held_to_their_schema() {
    let schema = async |values: &str| {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("values.yaml"), values).unwrap();
        let mut checker = python("manifests.py");
        checker.arg(folder.path().join("values.yaml")).arg(chart().join("values.schema.json"));
        checker.stdin(Stdio::null()).output().await.unwrap().status.success()
    };
    let values = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    assert!(schema(&values).await);
    for (part, wrong) in [
        ("replicas: 2", "replicas: none"),
        ("replicas: 2", "replcas: 2"),
        ("    key: user-app", "    kye: user-app"),
    ] {
        assert!(!schema(&values.replace(part, wrong)).await, "{wrong}");
    }
}

/// Each configuration in values and manifests is one that the program takes.
#[tokio::test]
async fn configurations_in_it_are_valid() {
    let folder = TempDir::new().unwrap();
    let files =
        ["helm/pgstrata/values.yaml", "kubernetes/cloudnativepg-values.yaml", "kubernetes/pgstrata.yaml"];
    for (number, name) in files.iter().enumerate() {
        let text = std::fs::read_to_string(project().join("deploy").join(name)).unwrap();
        let mut lines = text.lines().skip_while(|line| !line.ends_with(": |"));
        let start = lines.next().unwrap();
        let indent = start.len() - start.trim_start().len();
        let inner = lines.take_while(|line| line.is_empty() || line.len() - line.trim_start().len() > indent);
        let config: String = inner.map(|line| line.trim_start().to_owned() + "\n").collect();
        // The file of the operator's authority is not here.
        let config = config.replace("{{ include \"pgstrata.fullname\" . }}", "pgstrata");
        let config = config.replace("tls_ca = \"/etc/pgstrata/secrets/db-ca/ca.crt\"\n", "");
        let file = folder.path().join(format!("{number}.toml"));
        std::fs::write(&file, config).unwrap();
        let mut program = pgstrata();
        program.args(["check", "--config"]).arg(&file);
        for name in ["PGSTRATA_APP_PASSWORD", "PGSTRATA_CONTROL_PASSWORD", "PGSTRATA_USER_APP"] {
            program.env(name, "secret");
        }
        assert!(run(program).await.ends_with(": ok\n"), "{name}");
    }
}

#[tokio::test]
async fn plain_manifests_are_those_of_the_chart() {
    let read = |name: &str| std::fs::read_to_string(project().join("deploy").join(name)).unwrap();
    let plain = read("kubernetes/pgstrata.yaml");
    check(&plain).await.unwrap();
    check(&read("kubernetes/cloudnativepg.yaml")).await.unwrap();
    check(&render(&[&read("kubernetes/cloudnativepg-values.yaml")]).await).await.unwrap();
    let rendered = render(&["fullnameOverride: pgstrata"]).await;
    let missing: Vec<&str> = rendered
        .lines()
        .filter(|line| {
            !["# Source:", "helm.sh/", "managed-by", "checksum/", "annotations:", "instance:", "# Another"]
                .iter()
                .any(|own| line.contains(own))
        })
        .filter(|line| !plain.lines().any(|other| other == *line))
        .collect();
    assert!(missing.is_empty(), "not in deploy/kubernetes/pgstrata.yaml: {missing:#?}");
}

/// Helm reads nothing outside of a chart.
#[test]
fn alerts_of_the_chart_are_ours() {
    let copy = std::fs::read_to_string(chart().join("files/alerts.yml")).unwrap();
    assert!(
        copy == include_str!("../../../config/alerts.yml"),
        "cp config/alerts.yml deploy/helm/pgstrata/files/"
    );
    let version = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    assert!(version.contains(&format!("appVersion: \"{}\"", env!("CARGO_PKG_VERSION"))));
}
