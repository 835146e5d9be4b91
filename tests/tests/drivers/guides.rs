//! The code of guides, run by programs that take it from the pages: for one tenant, and for both on one connection.

use pgstrata_tests::program::{node, project, python, run, script};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Stage};
use tokio::process::Command;

/// Runs a program with the URL and the name of each tenant; and with no tenant, `switch`, and the users of each.
async fn guide(mut program: impl FnMut() -> Command) {
    let users = serde_json::json!({ "acme_corp": ACME, "globex": GLOBEX }).to_string();
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(2).hardened()).await;
        let mut one = |tenant| {
            let mut program = program();
            program.arg(stage.url(Some(tenant))).arg(tenant);
            run(program)
        };
        tokio::join!(one("acme_corp"), one("globex"));
        assert_eq!(stage.public_users().await, PUBLIC);
        let stage = Stage::new(Setup::new().strategy(strategy).servers(2).tenant_switch()).await;
        let mut switching = program();
        switching.arg(stage.url(None)).arg("switch").arg(&users);
        run(switching).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn laravel() {
    guide(|| script("php", "laravel.php")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typeorm_guide() {
    guide(|| node("typeorm_guide.js")).await;
}

async fn of_python(page: &'static str) {
    guide(|| {
        let mut program = python("python_guides.py");
        program.arg(page);
        program
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy_guide() {
    of_python("sqlalchemy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn django_guide() {
    of_python("django-tenants").await;
}

/// The block of a guide that begins with a line.
fn block(guide: &str, fence: &str, first: &str) -> String {
    let page = std::fs::read_to_string(project().join("docs/guides").join(guide)).unwrap();
    let (_, rest) = page.split_once(&format!("```{fence}\n{first}\n")).expect("the guide has the block");
    rest.split("\n```").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hibernate_guide() {
    let folder = tempfile::tempdir().unwrap();
    let provider = folder.path().join("TenantConnections.java");
    std::fs::write(&provider, block("hibernate.md", "java", "// TenantConnections.java")).unwrap();
    let driver = "/usr/share/java/postgresql.jar";
    let sources = project().join("tests/drivers/hibernate");
    let mut compiler = Command::new("javac");
    compiler.args(["-cp", driver, "-d"]).arg(folder.path()).arg(&provider);
    compiler.arg(sources.join("MultiTenantConnectionProvider.java")).arg(sources.join("HibernateGuide.java"));
    run(compiler).await;
    let properties = block("hibernate.md", "properties", "# application.properties");
    let url = properties.lines().find_map(|line| line.strip_prefix("spring.datasource.url=")).unwrap();
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(2).tenant_switch()).await;
        let port = stage.port().to_string();
        let mut program = Command::new("java");
        program.arg("-cp").arg(format!("{}:{driver}", folder.path().display()));
        program.args(["app.HibernateGuide", "127.0.0.1", &port]).arg(url.replace("6432", &port));
        program.args(["acme_corp", &ACME.join(","), "globex", &GLOBEX.join(",")]);
        run(program).await;
    }
}
