//! `assay serve` beside an API server: it waits for what the cluster says, and hands reviews back
//! meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::serve::{Addresses, Server};
use crate::support::{Signed, Stage, until, with};

/// What an API server has at each path beside lists, which hold nothing.
pub(crate) type Objects = Arc<BTreeMap<String, Value>>;

/// An API server: watches bring nothing, and what is not there is refused.
pub(crate) async fn serve_cluster(address: SocketAddr, objects: Objects) {
    let listener = TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream, objects.clone()));
    }
}

/// A kubeconfig for the API server at `address`.
pub(crate) fn kubeconfig(address: SocketAddr) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    config.to_string()
}

async fn answer(stream: TcpStream, objects: Objects) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    loop {
        let request = lines.next_line().await.ok()??;
        while !lines.next_line().await.ok()??.is_empty() {}
        if request.contains("watch=true") {
            std::future::pending::<()>().await;
        }
        let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
        let path = request.split(' ').nth(1).unwrap_or_default();
        let is_single = ["/leases", "/secrets/", "/serviceaccounts/"];
        let (status, body) = match objects.get(path) {
            Some(object) => ("200 OK", object.clone()),
            None if is_single.iter().any(|part| path.contains(part)) => {
                ("403 Forbidden", json!({"kind": "Status", "apiVersion": "v1", "code": 403}))
            }
            None => ("200 OK", list),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        write.write_all((head + &body).as_bytes()).await.ok()?;
    }
}

#[tokio::test]
async fn waits_for_the_cluster_and_puts_its_files_beside_what_that_holds() {
    let stage = Stage::start().await;
    stage.folder.write("policies/policy.yaml", &stage.documents());
    let (good, bad) =
        (stage.push("shop/web", Signed::InBundle), stage.push("shop/debug", Signed::Not));
    let Addresses([api_server, ..]) = Addresses::free();
    stage.folder.write("kubeconfig", &kubeconfig(api_server));
    let watches = |text: &str| with(text, "kubernetes: false", "kubernetes: true");
    let mut server = Server::listening(&stage, watches).await;

    let waiting = "waiting for the cluster's policies: ";
    until("the failure", async || {
        let (status, text) = server.readiness().await?;
        assert_eq!(status, 503);
        (text.starts_with(waiting) && text.contains("cannot be reached")).then_some(())
    })
    .await;
    for image in [&good, &bad] {
        assert_eq!(server.post(image).await.status, 503);
    }

    tokio::spawn(serve_cluster(api_server, Objects::default()));
    server.ready().await;
    server.admits(&good).await;
    server.refuses(&bad, "SIGNATURE_NOT_FOUND").await;
    until("no age", async || {
        server.metrics().await.contains("\nassay_snapshot_age_seconds 0\n").then_some(())
    })
    .await;
    stage.folder.write("policies/policy.yaml", &with(&stage.documents(), "rules:", "rulez:"));
    until("the complaint", async || server.log().contains("last good version stays").then_some(()))
        .await;
    let closed =
        with(&stage.documents(), "require: {all: [release-signature]}", "deny: closed today");
    stage.folder.write("policies/policy.yaml", &closed);
    server.refuses(&good, "IMAGE_DENIED: closed today").await;
    assert_eq!(server.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn rejects_a_cluster_that_is_not_configured() {
    let stage = Stage::start().await;
    stage.folder.write("policies/policy.yaml", &stage.documents());
    let mut server = Server::listening(&stage, |text| with(text, "kubernetes: false\n", "")).await;
    server.ready().await;
    server.terminate().await;
    let text = std::fs::read_to_string(stage.folder.path().join("assay.yaml")).unwrap();
    stage.folder.write("assay.yaml", &format!("{text}kubernetes: true\n"));
    let ended = stage.folder.run(&["serve", "--config", "assay.yaml"]).await;
    ended.check_refused("no cluster", &["kubernetes: true, and no cluster is configured"]);
}
