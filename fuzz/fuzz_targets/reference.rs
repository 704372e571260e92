//! `assay_fuzzing::globs::reference` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::globs::reference(data);
});
