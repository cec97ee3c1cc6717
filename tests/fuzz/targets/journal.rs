//! Journals of names: any bytes, or any lines under right checksums.
#![no_main]

use lab_fuzz::forge;
use lab_objects::{Expected, Key, Move, NameKind, Silent, check};
use lab_schema::Name;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (store, files) = forge::store([]);
    let Some((how, rest)) = data.split_first() else { return };
    let name = Name::new("n").expect("a name");
    let bytes = match std::str::from_utf8(rest) {
        Ok(text) if how % 2 == 1 => {
            forge::journal("n", &text.lines().collect::<Vec<_>>()).into_bytes()
        }
        _ => rest.to_vec(),
    };
    files.put(Key::Name(name.clone()), bytes);
    let names = store.names();
    let journal = names.journal(&name);
    let found = names.get(&name);
    assert_eq!(journal.is_ok(), found.is_ok());
    names.list().expect("one bad journal does not end a listing");
    check(&store, false, &Silent).expect("nor a check");
    // Whatever was there, the name can be set again, and what was sound before stays.
    let m = Move {
        target: None,
        kind: NameKind::Code,
        when_ms: 1,
        who: "\t\\".into(),
        why: "\n\r".into(),
    };
    names.set(&name, Expected::Anything, m.clone()).expect("anything is expected");
    let after = names.journal(&name).expect("it was mended");
    assert_eq!(after.last(), Some(&m));
    if let Ok(before) = journal {
        assert_eq!(after[..after.len() - 1], before[..]);
    }
});
