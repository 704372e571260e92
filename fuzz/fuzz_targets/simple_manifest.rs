//! `assay_fuzzing::signatures::simple_manifest` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::signatures::simple_manifest(data);
});
