//! `assay_fuzzing::signatures::referrers` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::signatures::referrers(data);
});
