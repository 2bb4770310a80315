//! Cases for the splitter: every form at every chunking, and damage with healthy records around it.

use super::*;

/// Runs the splitter with the bytes arriving `chunk` at a time; records as text, damage as `!why`.
fn split(text: &[u8], chunk: usize) -> Vec<String> {
    let mut splitter = Splitter::default();
    let mut buffer: Vec<u8> = Vec::new();
    let mut arrived = 0;
    let mut seen = Vec::new();
    loop {
        let last = arrived == text.len();
        let (used, step) = splitter.next(&buffer, last);
        match step {
            Step::Record(record) => seen.push(String::from_utf8_lossy(record.bytes).into_owned()),
            Step::Damaged { why, .. } => seen.push(format!("!{why}")),
            Step::More => {
                assert!(!last, "more was asked for after the end");
                buffer.drain(..used);
                assert!(buffer.len() <= RECORD_BYTES_MAX + chunk, "the buffer grows without bound");
                let end = (arrived + chunk).min(text.len());
                buffer.extend_from_slice(&text[arrived..end]);
                arrived = end;
                continue;
            }
            Step::End => return seen,
        }
        buffer.drain(..used);
    }
}

fn every_chunking(text: &[u8]) -> Vec<String> {
    let whole = split(text, text.len().max(1));
    // Each call looks at the whole record so far: a byte at a time is for texts that are short.
    let chunks: &[usize] = if text.len() < 20_000 { &[1, 2, 3, 7, 64, 1000] } else { &[20_011, 65_536] };
    for &chunk in chunks {
        assert_eq!(split(text, chunk), whole, "chunks of {chunk} bytes");
    }
    whole
}

fn record(id: u32) -> String {
    format!(r#"{{"eventID":"{id}","eventSource":"kms.amazonaws.com","eventName":"Decrypt","x":{{"y":[1,{{}}]}}}}"#)
}

#[test]
fn every_form_is_cut_alike() {
    let (a, b) = (record(1), record(2));
    let forms = [
        format!(r#"{{"Records":[{a},{b}]}}"#),
        format!("\u{feff}{{ \"Records\" : [ {a} ,\n {b} ] }}\n"),
        format!(r#"{{"x":{{"Records":[1]}},"y":"Records","Records":[{a},{b}],"z":[{{"q":"]}}"}}],"n":null}}"#),
        format!("[{a},{b}]"),
        format!("{a}\n{b}\n"),
        format!(r#"{{"Records":[{a}]}}{{"Records":[{b}]}}"#),
    ];
    for form in forms {
        assert_eq!(every_chunking(form.as_bytes()), [a.clone(), b.clone()], "{form}");
    }
    assert!(every_chunking(br#"{"Records":[]}"#).is_empty());
    assert!(every_chunking(b" \n").is_empty());
}

#[test]
fn braces_quotes_and_backslashes_in_strings_are_text() {
    let record = r#"{"eventSource":"kms.amazonaws.com","eventName":"Decrypt","a":"}\"]{\\","b\\":"\\\\\""}"#;
    assert_eq!(every_chunking(format!("[{record}]").as_bytes()), [record]);
}

#[test]
fn source_and_name_are_the_records_own() {
    let text =
        br#"{"requestParameters":{"eventSource":"ec2.amazonaws.com"},"eventName":7,"eventSource":"kms.amazonaws.com"}"#;
    let (_, step) = Splitter::default().next(text, true);
    let Step::Record(record) = step else { panic!("{step:?}") };
    assert_eq!((record.source, record.name), (Member::Plain(b"kms.amazonaws.com"), Member::Unclear));
    for unclear in [
        br#"{"eventSource":"ec2.amazonaws.com","eventSource":"kms.amazonaws.com"}"#.as_slice(),
        br#"{"event\u0053ource":"kms.amazonaws.com"}"#,
        br#"{"eventSource":"kms\u002eamazonaws.com"}"#,
        br#"{"eventSource":["kms.amazonaws.com"]}"#,
    ] {
        let (_, step) = Splitter::default().next(unclear, true);
        let Step::Record(record) = step else { panic!("{step:?}") };
        assert_eq!(record.source, Member::Unclear, "{}", String::from_utf8_lossy(unclear));
    }
}

#[test]
fn a_broken_record_leaves_its_neighbours_whole() {
    let (a, b, c) = (record(1), record(2), record(3));
    let broken = [
        r#"{"eventSource":"kms.amazonaws.com","eventName":"Decrypt"#.to_owned(),
        r#"{"eventSource":"kms.amazonaws.com","x":{"eventName":"Decrypt"}"#.to_owned(),
        r#"{"eventSource":"kms.amazonaws.com","x":["eventName"}}"#.to_owned(),
        r#"{"eventSource":"kms.amazonaws.com" oops }"#.to_owned(),
        "7".to_owned(),
        format!(r#"{{"eventSource":"kms.amazonaws.com","deep":{}"#, "[".repeat(10_000)),
        format!(r#"{{"eventSource":"kms.amazonaws.com","long":"{}"}}"#, "x".repeat(300_000)),
    ];
    for broken in broken {
        let text = format!(r#"{{"Records":[{a},{broken},{b},{c}]}}"#);
        let seen = every_chunking(text.as_bytes());
        let healthy: Vec<&String> = seen.iter().filter(|step| !step.starts_with('!')).collect();
        assert_eq!(healthy, [&a, &b, &c], "{}", &broken[..broken.len().min(80)]);
        assert_eq!(seen.len(), 4, "one reject: {seen:.200?}");
    }
}

#[test]
fn a_long_value_that_is_neither_record_nor_wrapper_is_told() {
    let long = format!(r#"{{"Events":[{}],"x":"{}"}}"#, record(1), "x".repeat(300_000));
    assert_eq!(
        every_chunking(format!("{long}\n{}", record(2)).as_bytes()),
        ["!record longer than 256 KiB".into(), record(2)]
    );
    let wrapper = format!(r#"{{"x":"{}","Records":[{}]}}"#, "x".repeat(300_000), record(1));
    assert_eq!(every_chunking(wrapper.as_bytes()), [record(1)]);
}

#[test]
fn an_object_cut_short_keeps_what_came_before() {
    let text = format!(r#"{{"Records":[{},{}]}}"#, record(1), record(2));
    for cut in 12..text.len() - 2 {
        let seen = every_chunking(&text.as_bytes()[..cut]);
        assert!(seen.iter().any(|step| step.starts_with('!')), "cut at {cut}: {seen:?}");
        let whole = [12 + record(1).len(), 12 + 2 * record(1).len() + 1].iter().filter(|end| cut >= **end).count();
        assert_eq!(seen.iter().filter(|step| !step.starts_with('!')).count(), whole, "cut at {cut}");
    }
}

#[test]
fn the_record_behind_many_braces_is_found() {
    for unit in ["{", r#"{"":"#, r#"{"x":["#] {
        for units in [5, 31, 32, 33, 100, 126, 127, 128, 1000, 1001] {
            let text = format!("[{},{}\"{},{}]", record(1), unit.repeat(units), record(2), record(3));
            let seen = every_chunking(text.as_bytes());
            assert_eq!((seen.first(), seen.last()), (Some(&record(1)), Some(&record(3))), "{units} × {unit}");
        }
    }
}

#[test]
fn no_sound_record_is_passed_over_with_the_damage_before_it() {
    let sound: Vec<String> = (0..40).map(record).collect();
    let deep = format!(r#"{{"eventSource":"kms.amazonaws.com","deep":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let cut = r#"{"eventID":"0","requestParameters":{"a":1,"#;
    let text = format!("[{cut}{},{deep},{}]", sound.join(","), record(99));
    let seen = every_chunking(text.as_bytes());
    let healthy: Vec<&String> = seen.iter().filter(|step| !step.starts_with('!')).collect();
    assert!(healthy.into_iter().eq(sound.iter().chain([&record(99)])), "{seen:.300?}");
    // White space or another order of members changes nothing.
    for found in [
        r#"{"eventTime":"t","eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventSource":"kms.amazonaws.com"}"#,
        r#"{"eventName":7, "eventSource":"kms\u002eamazonaws.com"}"#,
    ] {
        assert_eq!(every_chunking(format!("[7,{found}]").as_bytes()).last().map(String::as_str), Some(found));
    }
    for space in ["", "\t"] {
        let nameless =
            format!(r#"{{"userIdentity":{{}},{space}"eventTime":"t","eventSource":"kms.amazonaws.com","x":1}}"#);
        assert_eq!(every_chunking(format!("[7,{nameless}]").as_bytes()), ["!broken JSON"]);
    }
}
