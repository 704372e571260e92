//! `assay_fuzzing::manifests::manifest` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::manifests::manifest(data);
});
