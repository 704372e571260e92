//! What users of a cluster see, through kubectl, with every part real: the cases below, in order,
//! on one cluster. A case that fails does not keep the others from running.
//!
//! `ASSAY_E2E_CASE=text` runs only the cases whose name contains the text.

mod actions;
mod coverage;
mod fixture;
mod keys;
mod live;
mod monitoring;
mod notation;
mod notation_policies;
mod notation_revocation;
mod outages;
mod pulls;
mod registration;
mod registries;
mod replicas;
mod resources;
mod rollouts;
mod signatures;
mod sizes;
mod tenants;

use fixture::{Fixture, RunFolder};

type Case = (&'static str, fn(&mut Fixture) -> anyhow::Result<()>);

macro_rules! cases {
    ($($case:path,)*) => { &[$((stringify!($case), $case),)*] };
}

/// The cases that stop a part come last; the last one leaves no registration behind.
const CASES: &[Case] = cases![
    resources::api_server_accepts_crds_and_samples,
    resources::api_server_refuses_what_schemas_can_tell,
    signatures::cosign_itself_agrees_on_the_images,
    signatures::admits_signed_images,
    signatures::denies_unsigned_image,
    signatures::denies_wrongly_signed_images,
    actions::warns_and_admits_under_warn,
    actions::admits_silently_and_counts_under_dryrun,
    actions::denies_by_namespace_label_alone,
    coverage::judges_ephemeral_containers,
    coverage::judges_image_volumes,
    coverage::warns_at_deployment_and_denies_its_pods,
    coverage::tells_the_deployment_by_an_event,
    live::a_changed_policy_takes_effect,
    live::a_relabelled_namespace_takes_effect,
    live::a_rotated_and_a_revoked_secret_take_effect,
    tenants::reads_secrets_only_where_their_owner_lets_it,
    tenants::keeps_to_stores_of_the_own_namespace,
    tenants::admits_nothing_by_a_policy_of_the_tenant_alone,
    tenants::lets_owners_of_namespaces_write_their_kinds_alone,
    pulls::reads_private_images_with_the_secrets_of_pods,
    keys::admits_each_kind_of_key_in_each_form,
    notation::agrees_with_notation_go,
    notation::admits_images_of_notation_go,
    notation::admits_images_of_notation_rs,
    notation::finds_signatures_in_each_shape_and_place,
    notation_policies::asks_who_signed_and_for_what,
    notation_policies::asks_for_timestamps,
    notation_policies::lets_signatures_and_certificates_expire,
    notation_policies::takes_trust_policies_as_they_are,
    notation_policies::trusts_stores_of_the_own_namespace,
    notation_policies::tells_when_certificates_of_stores_end,
    notation_revocation::asks_lists,
    notation_revocation::asks_responders,
    notation_revocation::believes_responders_whose_purpose_it_is,
    notation_revocation::asks_lists_where_responders_are_silent,
    registries::reads_private_registry_with_credentials_only,
    registries::answers_in_time_with_registry_slow,
    sizes::judges_review_of_six_mebibytes,
    sizes::refuses_review_past_seven_mebibytes_in_the_review,
    rollouts::exchanges_certificates_under_load,
    rollouts::restarts_replicas_under_load,
    replicas::one_of_two_writes_status_and_the_other_takes_over,
    outages::policies_stay_in_force_without_api_server,
    registration::asks_about_changes_of_images_and_labels_only,
    monitoring::answers_dashboard_and_rules_with_metrics_there_are,
    outages::judges_only_new_images_with_registry_down,
    outages::cluster_goes_on_without_webhook,
];

#[test]
fn cluster() {
    let wanted = std::env::var("ASSAY_E2E_CASE").unwrap_or_default();
    let directory = RunFolder::create().unwrap();
    let mut fixture = Fixture::start(directory.path())
        .unwrap_or_else(|error| panic!("{error:#}\nlogs: {}", directory.path().display()));
    let mut failures = Vec::new();
    for (name, case) in CASES.iter().filter(|(name, _)| name.contains(&wanted)) {
        let result = case(&mut fixture);
        println!("{name}: {}", if result.is_ok() { "ok" } else { "FAILED" });
        failures.extend(result.err().map(|error| format!("{name}: {error:#}")));
    }
    let logs = directory.path().display();
    assert!(failures.is_empty(), "{}\nlogs: {logs}", failures.join("\n\n"));
}
