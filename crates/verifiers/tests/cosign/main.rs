//! The cosign verifier against a registry in memory: which signatures count, and what is said of
//! those that do not.
//!
//! The known flaws of other verifiers, as far as signatures by a key can have them (the numbers are
//! those of the project's list of advisories; what is left out is about certificates, identities,
//! transparency logs, timestamps, trusted roots or attestations, none of which this verifier looks
//! at):
//!
//! | | flaw | test |
//! |---|---|---|
//! | N2 | a signature of image A on image B (CVE-2022-36056) | `simple_signing::rejects_a_signature_transplanted_from_another_image`, `bundle::rejects_statements_that_are_no_signature_of_the_image` |
//! | N6 | a good signature over what does not parse (CVE-2026-39395) | `simple_signing::rejects_payloads_that_are_no_signature_of_an_image`, `bundle::rejects_members_that_stand_twice` |
//! | N7 | another predicate type than was asked for | `bundle::rejects_statements_that_are_no_signature_of_the_image` |
//! | N8 | an annotation that belies the payload | `bundle::does_not_take_an_attestation_for_a_signature`, `annotations::does_not_take_them_from_what_is_not_signed` |
//! | N12 | the key's window is ignored (GHSA-wqqc-jjcq-vfxm) | `validity` |
//! | N13 | signatures are counted, not signers (GHSA-9vcr-p3rj-q5q6) | `simple_signing::names_every_key_that_signed` |
//! | N14 | no limits (CVE-2024-29902, CVE-2024-29903) | `limits`, `referrers::looks_at_50_signatures_over_all_referrers`, `platforms::looks_at_32_manifests_and_no_more` |
//! | N15 | another digest at the second look (CVE-2022-47633) | of content, `simple_signing::rejects_a_payload_that_does_not_have_its_digest`; of the image, in `engine` and `registry`: here it is resolved already |
//! | N16 | an envelope that nobody, or a stranger, signed | `bundle::accepts_a_bundle_by_the_key_and_rejects_one_by_another`, `mutation` |
//! | N17 | no signature, or two, in one envelope | `bundle::rejects_bundles_of_another_shape` |
//! | N18 | an attestation as a signature | `bundle::does_not_take_an_attestation_for_a_signature` |
//! | N19 | a bundle of version 0.1 | `bundle::rejects_bundles_of_another_shape`, `bundle::judges_a_referrer_by_its_layer_and_not_by_its_hints` |
//! | N20 | a signature over a bare message | `bundle::rejects_a_signature_over_a_bare_message` |
//! | N29 | members that stand twice | `bundle::rejects_members_that_stand_twice`, `annotations::rejects_an_annotation_that_stands_twice` |
//! | N30 | another `critical.type` | `simple_signing::rejects_payloads_that_are_no_signature_of_an_image` |
//! | N31 | a manifest's signature for its index, or the reverse | `platforms::asks_for_each_manifest_where_the_policy_does`, `platforms::does_not_take_the_signature_of_the_index_for_that_of_a_manifest` |
//! | N32 | a referrer of another subject, a list of foreign manifests | `bundle::rejects_listed_manifests_that_are_not_about_the_image`, `referrers::judges_a_referrer_by_its_subject_and_layers` |
//! | N33 | a layer that does not have its digest | `simple_signing::rejects_a_payload_that_does_not_have_its_digest`, `bundle::rejects_a_bundle_that_does_not_have_its_digest` |
//! | N36 | junk that hides a good one, or costs without bound | `limits::reads_the_likeliest_first_so_that_junk_does_not_hide_a_good_one`, `places` |
//! | N37 | an error in one place as success, or hiding another | `places`, `platforms::is_decided_by_what_is_missing_before_what_could_not_be_read` |
//!
//! Not of keys: N1, N3, N25 to N28 (log entries), N4, N5 (attestations that a policy asks for), N9,
//! N10, N21 to N24, N34 (certificates), N11 (timestamps), N35 (trusted roots).

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod annotations;
mod bundle;
mod data;
mod elsewhere;
mod keys;
mod limits;
mod mutation;
mod places;
mod platforms;
mod real;
mod referrers;
mod simple_signing;
mod validity;
mod world;
