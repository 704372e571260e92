//! `assay_fuzzing::notation::policy` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::notation::policy(data);
});
