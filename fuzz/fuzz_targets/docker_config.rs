//! `assay_fuzzing::settings::docker_config` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::settings::docker_config(data);
});
