//! `assay_fuzzing::signatures::bundle` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::signatures::bundle(data);
});
