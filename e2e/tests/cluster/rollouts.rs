//! What changes in a webhook while reviews come in: not one of them fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use assay_e2e::{Balancer, Door, until};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Who posts at once.
const POSTERS: usize = 4;

/// Between two posts of one: enough for the two processors of a small machine.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn exchanges_certificates_under_load(fixture: &mut Fixture) -> Result<()> {
    let Fixture { webhook, cluster, .. } = &*fixture;
    let expiry = || -> Result<Option<String>> {
        let page = webhook.metrics()?;
        let name = "assay_tls_certificate_expiry_timestamp_seconds ";
        Ok(page.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)))
    };
    let before = expiry()?.context("no expiry is exported")?;
    under_load(&cluster.open()?, &signed(fixture), || {
        webhook.write_certificate(cluster, 2101)?;
        until("the new certificate", || Ok(expiry()?.filter(|after| *after != before)))?;
        Ok(())
    })
}

/// As a Deployment's rollout does it. The API server holds on to one connection, which moves on each
/// time: to the replica, to the webhook, to the replica, to the webhook.
pub(crate) fn restarts_replicas_under_load(fixture: &mut Fixture) -> Result<()> {
    let mut replica = fixture.webhook.replica()?;
    let balancer = Balancer::start(&[&replica, &fixture.webhook])?;
    balancer.register(&fixture.cluster)?;
    let (door, pod) = (fixture.cluster.open()?, signed(fixture));
    until("the replica at work", || {
        post(&door, &pod)?;
        Ok(replica.metrics()?.contains("assay_admission_requests_total{").then_some(()))
    })?;
    let result = under_load(&door, &pod, || {
        for restarted in [&mut replica, &mut fixture.webhook] {
            restarted.terminate()?;
            restarted.resume()?;
        }
        replica.terminate()
    });
    fixture.balancer = Some(balancer);
    result
}

/// Does `change` while pods are posted, each of which must be admitted.
fn under_load(door: &Door, pod: &Value, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let is_done = AtomicBool::new(false);
    let posted = scope(|scope| {
        let posters: Vec<_> = (0..POSTERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut posted = 0;
                    while !is_done.load(Ordering::Relaxed) {
                        post(door, pod)?;
                        posted += 1;
                        sleep(PAUSE);
                    }
                    anyhow::Ok(posted)
                })
            })
            .collect();
        let changed = change();
        is_done.store(true, Ordering::Relaxed);
        let mut posted = 0;
        for poster in posters {
            posted += poster.join().map_err(|_| anyhow::anyhow!("a poster panicked"))??;
        }
        changed.map(|()| posted)
    })?;
    ensure!(posted > POSTERS, "{posted} posts are no load");
    Ok(())
}

fn post(door: &Door, pod: &Value) -> Result<()> {
    let (status, text) = door.try_create("api/v1/namespaces/enforced/pods", pod)?;
    ensure!(status == 201, "{status} {text}");
    Ok(())
}

fn signed(fixture: &Fixture) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "posted"},
        "spec": {"containers": [{"name": "web", "image": fixture.images.signed_bundle}]},
    })
}
