//! `assay_fuzzing::settings::configuration` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::settings::configuration(data);
});
