//! Namespaces are what the watch brought, and what it has not brought is read.

use super::*;

impl World {
    async fn env(&self, namespace: &str) -> Option<String> {
        let labels = self.handle.namespaces().labels(namespace).await.ok()?;
        labels.get("env").cloned()
    }
}

#[tokio::test(start_paused = true)]
async fn labels_come_from_the_watch_and_change_with_it() {
    let world = World::new(ApiServer::new([namespace("team", "prod")])).await;
    assert_eq!(world.env("team").await.as_deref(), Some("prod"));

    world.server.put(namespace("team", "dev"));
    world.quiet().await;
    assert_eq!(world.env("team").await.as_deref(), Some("dev"));
    assert_eq!(world.server.count("GET /api/v1/namespaces/team"), 0, "nothing is read");

    world.server.delete("Namespace", "", "team");
    world.quiet().await;
    assert_eq!(world.env("team").await, None);
    assert_eq!(world.server.count("GET /api/v1/namespaces/team"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_the_watch_has_not_brought_is_read() {
    let world = World::new(ApiServer::new([])).await;
    world.quiet().await;
    world.server.refuse("/api/v1/namespaces", 0);
    world.server.disconnect();
    world.quiet().await;
    world.server.put(namespace("new", "prod"));
    assert_eq!(world.env("new").await, None, "nor can it be read");

    world.server.allow();
    assert_eq!(world.env("new").await.as_deref(), Some("prod"));
    assert_eq!(world.server.count("GET /api/v1/namespaces/new"), 2);
}

#[tokio::test(start_paused = true)]
async fn labels_stay_while_the_api_server_is_away() {
    let world = World::new(ApiServer::new([namespace("team", "prod")])).await;
    world.server.refuse("/", 0);
    world.server.disconnect();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.env("team").await.as_deref(), Some("prod"));
}
