//! `assay_fuzzing::pull_secrets::pull_secret` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::pull_secrets::pull_secret(data);
});
