//! `assay_fuzzing::reviews::review` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::reviews::review(data);
});
