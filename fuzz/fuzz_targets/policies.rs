//! `assay_fuzzing::policies::policies` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::policies::policies(data);
});
