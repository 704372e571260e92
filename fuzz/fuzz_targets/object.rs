//! `assay_fuzzing::objects::object` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assay_fuzzing::objects::object(data);
});
