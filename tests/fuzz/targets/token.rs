//! What others send as their token. It opens what it is for, and nothing else does.
#![no_main]

use lab_fuzz::served::SERVED;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = data.split_first() else { return };
    let said = SERVED.spelled(data);
    let header: [(&str, &[u8]); 1] = [("authorization", &said)];
    let (method, path) = match how % 3 {
        0 => ("GET", &b"/one/format"[..]),
        1 => ("GET", &b"/two/format"[..]),
        // Without saying from where.
        _ => ("PUT", &b"/one/names/n"[..]),
    };
    let heard = SERVED.ask(method, path, &header, b"");
    SERVED.is_as_before(&heard);
    let is_text = said.iter().all(|byte| (b' '..127).contains(byte) || *byte == b'\t');
    let text = std::str::from_utf8(&said).ok().filter(|_| is_text).unwrap_or_default();
    let words = text.trim_matches([' ', '\t']).split_once(' ');
    let token = words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim());
    let is = |known: &String| token == Some(known.as_str());
    let mine = is(&SERVED.writer) || is(&SERVED.reader);
    let expected = match how % 3 {
        0 if mine => 200,
        0 if is(&SERVED.stranger) => 404,
        1 if mine => 404,
        1 if is(&SERVED.stranger) => 200,
        2 if is(&SERVED.writer) => 428,
        2 if is(&SERVED.reader) => 403,
        2 if is(&SERVED.stranger) => 404,
        _ => 401,
    };
    let is_no_header = said.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 127);
    assert!(heard.status == expected || (heard.status == 400 && is_no_header), "{}", heard.status);
});
