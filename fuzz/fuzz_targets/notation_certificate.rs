//! `assay_fuzzing::notation::certificate` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::notation::certificate(data);
});
