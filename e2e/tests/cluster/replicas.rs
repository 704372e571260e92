//! Several replicas: all judge, one writes status.

use anyhow::{Result, ensure};
use assay_e2e::{Webhook, until};
use serde_json::json;

use crate::fixture::Fixture;

pub(crate) fn one_of_two_writes_status_and_the_other_takes_over(
    fixture: &mut Fixture,
) -> Result<()> {
    fixture.replica = Some(fixture.webhook.replica()?);
    let replica = fixture.replica.as_mut().into_iter();
    let mut replicas: Vec<&mut Webhook> = replica.chain([&mut fixture.webhook]).collect();
    let holder = || {
        let path = "jsonpath={.spec.holderIdentity}";
        let get = ["get", "lease", "assay-status-writer", "--namespace=assay-system", "--output"];
        fixture.cluster.kubectl(&[&get[..], &[path]].concat())?.succeeded()
    };
    // One that has ended may hold the Lease for a while.
    let (before, writer) = until("a writer", || {
        let holder = holder()?;
        for (index, replica) in replicas.iter().enumerate() {
            if holder.ends_with(&replica.identity_suffix()?) {
                return Ok(Some((holder, index)));
            }
        }
        Ok(None)
    })?;
    replicas[writer].stop();
    let policy = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": "late"},
        "spec": {
            "match": {"namespaces": ["nowhere"]},
            "rules": [{"images": ["**"], "allow": true}],
        },
    });
    fixture.cluster.apply(&policy)?.succeeded()?;
    let wait = ["wait", "--for=condition=Ready", "ciap", "late", "--timeout=60s"];
    fixture.cluster.kubectl(&wait)?.succeeded()?;
    let after = holder()?;
    ensure!(after != before, "{after} still holds the Lease");
    replicas[writer].resume()?;
    if let Some(mut replica) = fixture.replica.take() {
        replica.terminate()?;
    }
    Ok(())
}
