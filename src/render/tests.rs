//! What each format makes of every type, and of a stranger's text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, ListBuilder,
    MapBuilder, NullArray, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMicrosecondArray, UInt8Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};

use super::*;

fn write(format: Format, batch: &RecordBatch, width: Option<u16>) -> String {
    let mut out = Vec::new();
    let rows = [io::Result::Ok(batch.clone())];
    write_rows(&mut out, format, &batch.schema(), rows, &RowOptions { width }).unwrap();
    String::from_utf8(out).unwrap()
}

/// Two rows of every type that a query of ours returns: one with values, one of nulls.
fn every_type() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("e1"), None]);
    lists.append_null();
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    maps.keys().append_value("aws:s3:arn");
    maps.values().append_value("b/k");
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    let member = Arc::new(Field::new("n", DataType::Int32, true));
    let members = StructArray::from(vec![(member, Arc::new(Int32Array::from(vec![7, 8])) as ArrayRef)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec![Some("a, \"b\""), None]))),
        ("view", Arc::new(StringViewArray::from(vec![Some("v"), None]))),
        ("symbol", Arc::new(vec![Some("s"), None].into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("calls", Arc::new(Int64Array::from(vec![Some(-9_007_199_254_740_993), None]))),
        ("small", Arc::new(UInt8Array::from(vec![Some(255), None]))),
        ("ratio", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(20_454), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_767_225_600_000_000), None]).with_timezone("UTC"))),
        ("fine", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_767_225_600_250_000), None]))),
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(maps.finish())),
        ("members", Arc::new(members)),
        ("none", Arc::new(NullArray::new(2))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// What an attacker would call a session.
const HOSTILE: [&str; 12] = [
    "=HYPERLINK(\"http://evil\",\"x\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\tTAB",
    "\rCR",
    "＝1+1",
    "\u{1b}[2J\u{1b}]8;;http://evil\u{7}x\u{9b}31m",
    "a\u{202e}gpj.exe\u{2066}\u{200f}",
    "<img src=x onerror=alert(1)> [x](javascript:y) `c` | *b* _i_ key_id ~~s~~ &lt; \\|",
    "line one\r\nline two\u{2028}three",
    "\"quoted\", and 'single'",
];

fn hostile() -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(HOSTILE.to_vec()));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..12).map(|n| -n)));
    RecordBatch::try_from_iter([("session", texts), ("n", numbers)]).unwrap()
}

#[test]
fn every_type_in_json() {
    insta::assert_snapshot!(write(Format::Json, &every_type(), None), @r#"
    [
    {"text":"a, \"b\"","view":"v","symbol":"s","calls":-9007199254740993,"small":255,"ratio":0.5,"flag":true,"day":"2026-01-01","at":"2026-01-01T00:00:00Z","fine":"2026-01-01T00:00:00.250Z","list":["e1",null],"map":{"aws:s3:arn":"b/k"},"members":{"n":7},"none":null},
    {"text":null,"view":null,"symbol":null,"calls":null,"small":null,"ratio":null,"flag":null,"day":null,"at":null,"fine":null,"list":null,"map":null,"members":{"n":8},"none":null}
    ]
    "#);
    let lines = write(Format::Ndjson, &every_type(), None);
    assert_eq!(lines.lines().count(), 2);
    let array: Vec<serde_json::Value> = serde_json::from_str(&write(Format::Json, &every_type(), None)).unwrap();
    let read: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(array, read);
}

#[test]
fn every_type_in_a_table() {
    insta::assert_snapshot!(write(Format::Table, &every_type(), None), @r#"
    text    view  symbol              calls  small  ratio  flag  day         at                    fine                      list  map             members  none
    ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    a, "b"  v     s       -9007199254740993    255    0.5  true  2026-01-01  2026-01-01T00:00:00Z  2026-01-01T00:00:00.250Z  e1,   aws:s3:arn=b/k  n=7      -
    -       -     -                       -      -    NaN  -     -           -                     -                         -     -               n=8      -
    "#);
}

#[test]
fn every_type_in_csv() {
    insta::assert_snapshot!(write(Format::Csv, &every_type(), None), @r#"
    text,view,symbol,calls,small,ratio,flag,day,at,fine,list,map,members,none
    "a, ""b""",v,s,-9007199254740993,255,0.5,true,2026-01-01,2026-01-01T00:00:00Z,2026-01-01T00:00:00.250Z,"[""e1"",null]","{""aws:s3:arn"":""b/k""}","{""n"":7}",
    ,,,,,NaN,,,,,,,"{""n"":8}",
    "#);
}

#[test]
fn every_type_in_markdown() {
    insta::assert_snapshot!(write(Format::Markdown, &every_type(), None), @r#"
    | text | view | symbol | calls | small | ratio | flag | day | at | fine | list | map | members | none |
    | --- | --- | --- | ---: | ---: | ---: | --- | --- | --- | --- | --- | --- | --- | --- |
    | a, "b" | v | s | -9007199254740993 | 255 | 0.5 | true | 2026-01-01 | 2026-01-01T00:00:00Z | 2026-01-01T00:00:00.250Z | e1,  | aws:s3:arn=b/k | n=7 |  |
    |  |  |  |  |  | NaN |  |  |  |  |  |  | n=8 |  |
    "#);
}

#[test]
fn a_strangers_text_in_json_is_exact_and_printable() {
    let json = write(Format::Json, &hostile(), None);
    assert!(!json.contains(|character| clean::acts(character) && character != '\n'), "{json:?}");
    let read: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    for (object, text) in read.iter().zip(HOSTILE) {
        assert_eq!(object["session"], text);
    }
}

#[test]
fn a_strangers_text_in_a_table() {
    insta::assert_snapshot!(write(Format::Table, &hostile(), None), @r#"
    session                                                                              n
    ──────────────────────────────────────────────────────────────────────────────────────
    =HYPERLINK("http://evil","x")                                                        0
    +1+cmd|' /C calc'!A0                                                                -1
    -2+3                                                                                -2
    @SUM(A1)                                                                            -3
    \tTAB                                                                               -4
    \rCR                                                                                -5
    ＝1+1                                                                               -6
    \u{1b}[2J\u{1b}]8;;http://evil\u{7}x\u{9b}31m                                       -7
    a\u{202e}gpj.exe\u{2066}\u{200f}                                                    -8
    <img src=x onerror=alert(1)> [x](javascript:y) `c` | *b* _i_ key_id ~~s~~ &lt; \|   -9
    line one\r\nline two\u{2028}three                                                  -10
    "quoted", and 'single'                                                             -11
    "#);
}

#[test]
fn a_strangers_text_in_csv() {
    insta::assert_snapshot!(write(Format::Csv, &hostile(), None), @r#"
    session,n
    "'=HYPERLINK(""http://evil"",""x"")",0
    '+1+cmd|' /C calc'!A0,-1
    '-2+3,-2
    '@SUM(A1),-3
    '\tTAB,-4
    '\rCR,-5
    '＝1+1,-6
    \u{1b}[2J\u{1b}]8;;http://evil\u{7}x\u{9b}31m,-7
    a\u{202e}gpj.exe\u{2066}\u{200f},-8
    <img src=x onerror=alert(1)> [x](javascript:y) `c` | *b* _i_ key_id ~~s~~ &lt; \|,-9
    line one\r\nline two\u{2028}three,-10
    """quoted"", and 'single'",-11
    "#);
}

#[test]
fn a_strangers_text_in_markdown() {
    insta::assert_snapshot!(write(Format::Markdown, &hostile(), None), @r#"
    | session | n |
    | --- | ---: |
    | =HYPERLINK("http://evil","x") | 0 |
    | +1+cmd\|' /C calc'!A0 | -1 |
    | -2+3 | -2 |
    | @SUM(A1) | -3 |
    | \\tTAB | -4 |
    |  CR | -5 |
    | ＝1+1 | -6 |
    | \\u{1b}\[2J\\u{1b}\]8;;http://evil\\u{7}x\\u{9b}31m | -7 |
    | a\\u{202e}gpj.exe\\u{2066}\\u{200f} | -8 |
    | \<img src=x onerror=alert(1)\> \[x\](javascript:y) \`c\` \| \*b\* \_i\_ key_id \~\~s\~\~ \&lt; \\\| | -9 |
    | line one line two\\u{2028}three | -10 |
    | "quoted", and 'single' | -11 |
    "#);
}

#[test]
fn nothing_written_for_a_person_acts() {
    for format in [Format::Table, Format::Csv, Format::Markdown] {
        for width in [None, Some(80), Some(20), Some(1), Some(0)] {
            let text = write(format, &hostile(), width);
            assert!(
                !text.contains(|character| clean::acts(character) && character != '\n'),
                "{format:?} {width:?} {text:?}"
            );
        }
    }
}

fn who() -> RecordBatch {
    let key = "arn:aws:kms:eu-west-1:111111111111:key/0f0f0f0f-1111-2222-3333-444444444444";
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key_arn", Arc::new(StringArray::from(vec![key, key]))),
        (
            "principal",
            Arc::new(StringArray::from(vec![
                "arn:aws:iam::111111111111:role/service/app",
                "service:logs.amazonaws.com",
            ])),
        ),
        ("operation", Arc::new(StringArray::from(vec!["Decrypt", "GenerateDataKeyWithoutPlaintext"]))),
        ("calls", Arc::new(Int64Array::from(vec![12_345, 7]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn a_table_wraps_to_its_width_and_falls_into_records_below_it() {
    insta::assert_snapshot!(write(Format::Table, &who(), Some(100)), @r"
    key_arn                         principal                       operation                      calls
    ────────────────────────────────────────────────────────────────────────────────────────────────────
    arn:aws:kms:eu-west-1:11111111  arn:aws:iam::111111111111:role  Decrypt                        12345
    1111:key/0f0f0f0f-1111-2222-33  /service/app
    33-444444444444
    arn:aws:kms:eu-west-1:11111111  service:logs.amazonaws.com      GenerateDataKeyWithoutPlainte      7
    1111:key/0f0f0f0f-1111-2222-33                                  xt
    33-444444444444
    ");
    insta::assert_snapshot!(write(Format::Table, &who(), Some(40)), @r"
    key_arn    arn:aws:kms:eu-west-1:1111111
               11111:key/0f0f0f0f-1111-2222-
               3333-444444444444
    principal  arn:aws:iam::111111111111:rol
               e/service/app
    operation  Decrypt
    calls      12345

    key_arn    arn:aws:kms:eu-west-1:1111111
               11111:key/0f0f0f0f-1111-2222-
               3333-444444444444
    principal  service:logs.amazonaws.com
    operation  GenerateDataKeyWithoutPlainte
               xt
    calls      7
    ");
    for width in [20, 40, 60, 100, 160, 300] {
        let text = write(Format::Table, &who(), Some(width));
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}\n{text}");
    }
}

#[test]
fn a_table_of_many_rows_is_laid_out_as_one() {
    let names: Vec<String> = (0..10_000).map(|row| "n".repeat(if row == 9_000 { 40 } else { 1 + row % 7 })).collect();
    let columns: [(&str, ArrayRef); 2] =
        [("name", Arc::new(StringArray::from(names))), ("calls", Arc::new(Int64Array::from_iter_values(0..10_000)))];
    let text = write(Format::Table, &RecordBatch::try_from_iter(columns).unwrap(), None);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10_002);
    // The numbers end where the line does: all lines are as long as the widest name, the gap and the widest number.
    assert!(lines.iter().all(|line| line.chars().count() == 40 + 2 + 5), "{}", lines[..5].join("\n"));
    assert!(
        lines[0].starts_with("name ") && lines[9_002].starts_with(&"n".repeat(40)) && lines[10_001].ends_with(" 9999")
    );
}

#[test]
fn no_rows_and_no_columns_are_still_well_formed() {
    let schema = Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("a", DataType::Int64, true)]);
    let empty = |format, schema: &Schema| {
        let mut out = Vec::new();
        let none: [io::Result<RecordBatch>; 0] = [];
        write_rows(&mut out, format, schema, none, &RowOptions { width: Some(80) }).unwrap();
        String::from_utf8(out).unwrap()
    };
    let written = Format::ALL.map(|format| empty(format, &schema));
    assert_eq!(written, ["a  a\n────\n", "[]\n", "", "a,a\n", "| a | a |\n| --- | ---: |\n"]);
    assert_eq!(empty(Format::Table, &Schema::empty()), "");

    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["x"])), Arc::new(Int64Array::from(vec![1]))];
    let twice = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    assert_eq!(write(Format::Ndjson, &twice, None), "{\"a\":\"x\",\"a_2\":1}\n");
}

#[test]
fn a_format_is_known_by_its_name() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert_eq!(
        "xml".parse::<Format>().unwrap_err().to_string(),
        "\"xml\" is no format; use table, json, ndjson, csv or markdown"
    );
}
