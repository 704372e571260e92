//! `assay_fuzzing::globs::wildcard` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::globs::wildcard(data);
});
