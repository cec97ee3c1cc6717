//! Stores whose packs are forged block by block, under right checksums.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (store, _) = lab_fuzz::forge::store(lab_fuzz::packs(data));
    lab_fuzz::exercise(&store);
});
