//! The values that records are made of, and what stands where they should be.
//!
//! Values are drawn from small pools, so that two places of a record often name the same key, account or session.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::spelling::Node;

/// A strategy for a value.
pub type Nodes = BoxedStrategy<Node>;
/// A strategy for the members of one name: none, one, or two.
pub type Members = BoxedStrategy<Vec<(String, Node)>>;

pub const ACCOUNTS: &[&str] = &["111122223333", "444455556666", "12345", "ANONYMOUS_PRINCIPAL", ""];
pub const REGIONS: &[&str] = &[
    "us-east-1",
    "eu-west-1",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eusc-de-east-1",
    "cnorth",
    "",
];
pub const KEY_IDS: &[&str] =
    &["1234abcd-12ab-34cd-56ef-1234567890ab", "0987dcba-09fe-87dc-65ba-ab0987654321", "mrk-1234abcd12ab34cd56ef"];
const ALIASES: &[&str] = &["alias/project", "alias/aws/s3", "alias/"];
const NUMBERS: &[&str] =
    &["0", "-0", "7", "-1", "1.5", "1.50", "1e2", "1E+2", "0.1e-7", "123456789012", "18446744073709551616"];
/// Texts that look like something.
const ODD: &[&str] = &[
    "",
    " ",
    "true",
    "false",
    "null",
    "arn:",
    "arn:aws",
    "arn:aws:kms:us-east-1:111122223333:key/",
    "arn:aws:kms:us-east-1::key/a:key/b",
    "arn::::",
    ":key/",
    "x:key/y",
    "x:alias/y",
    "a:b:c",
    "kms.amazonaws.com",
    "\"},{\"Records\":[",
    "\\",
    "\u{0}\u{1f}\u{7f}",
    "é/日本/😀",
    "\u{2028}\u{feff}",
];
/// Names of members that are something elsewhere, or nearly so, or nothing.
const NAMES: &[&str] = &[
    "eventTime",
    "eventName",
    "eventSource",
    "eventID",
    "userIdentity",
    "requestParameters",
    "Records",
    "resources",
    "ARN",
    "arn",
    "keyId",
    "encryptionContext",
    "sessionToken",
    "SessionToken",
    "EventName",
    "eventname",
    "eventTime ",
    "apiVersion",
    "managementEvent",
    "eventCategory",
    "a.b",
    "é",
    "",
];

/// One of some texts.
pub fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

/// A text as a value.
pub fn text(texts: impl Strategy<Value = String> + 'static) -> Nodes {
    texts.prop_map(Node::Text).boxed()
}

/// A text of any characters, or one that looks like something.
pub fn odd_text() -> BoxedStrategy<String> {
    let any = vec(any::<char>(), 0..8).prop_map(|characters| characters.into_iter().collect::<String>());
    prop_oneof![3 => one_of(ODD), 2 => any].boxed()
}

/// A text with the escape of half a character in it, which is valid JSON and no text: AWS cuts user agents anywhere.
pub fn half_a_character() -> Nodes {
    let texts =
        &["\"a\\ud83d\"", "\"\\uDE00 b\"", "\"\\ud83d\\ud83d\\ude00\"", "\"\\\\\\ud83d\\n\"", "\"\\ud83d\\u0041\""];
    select(texts).prop_map(Node::spelled).boxed()
}

/// A number, `true`, `false` or `null`.
pub fn plain_scalar() -> Nodes {
    prop_oneof![3 => select(NUMBERS), 1 => select(&["true", "false", "null"])].prop_map(Node::spelled).boxed()
}

/// Any value at all.
pub fn anything() -> Nodes {
    let leaf = prop_oneof![20 => text(odd_text()), 20 => plain_scalar(), 1 => half_a_character()];
    let name = || prop_oneof![5 => one_of(NAMES), 1 => odd_text()];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let list = vec(inner.clone(), 0..4).prop_map(Node::List);
        let object = vec((name(), inner), 0..4).prop_map(Node::Object);
        prop_oneof![list, object]
    })
    .boxed()
}

/// An object of these members.
pub fn object(members: Vec<Members>) -> Nodes {
    members.prop_map(|members| Node::Object(members.into_iter().flatten().collect())).boxed()
}

/// A member that is mostly there and mostly right. It may be absent, be something else, or be there twice.
pub fn member(name: &'static str, value: Nodes) -> Members {
    weighted(name, value, [40, 6, 3, 1])
}

/// A member that is missing as often as not.
pub fn rare(name: &'static str, value: Nodes) -> Members {
    weighted(name, value, [40, 40, 2, 1])
}

/// A member without which there is not much to see.
pub fn vital(name: &'static str, value: Nodes) -> Members {
    weighted(name, value, [200, 2, 3, 2])
}

fn weighted(name: &'static str, value: Nodes, [right, absent, wrong, twice]: [u32; 4]) -> Members {
    let named = move |value: Node| (name.to_owned(), value);
    prop_oneof![
        right => value.clone().prop_map(move |value| vec![named(value)]),
        absent => Just(Vec::new()),
        wrong => anything().prop_map(move |value| vec![named(value)]),
        twice => (value, anything()).prop_map(move |(value, other)| vec![named(value), named(other)]),
    ]
    .boxed()
}

/// Members that nothing knows of. One in a hundred is nested about as deeply as a record may be.
pub fn extras() -> Members {
    let deep = select(&[20_usize, 126, 127, 128, 300]).prop_map(|levels| {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        vec![("extra".to_owned(), Node::Spelled(text))]
    });
    let unknown = vec((prop_oneof![select(&["x", "new", "EventName", "eventtime", "records", ""])], anything()), 0..3)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    prop_oneof![99 => unknown, 1 => deep].boxed()
}

/// A KMS key's ARN.
pub fn key_arn() -> BoxedStrategy<String> {
    (select(&["aws", "aws-cn"]), select(REGIONS), select(ACCOUNTS), select(KEY_IDS))
        .prop_map(|(partition, region, account, id)| format!("arn:{partition}:kms:{region}:{account}:key/{id}"))
        .boxed()
}

/// What an event may name a key by.
pub fn key_name() -> BoxedStrategy<String> {
    let alias_arn = (select(REGIONS), select(ALIASES)).prop_map(|(r, alias)| format!("arn:aws:kms:{r}:12345:{alias}"));
    prop_oneof![
        4 => one_of(KEY_IDS),
        4 => key_arn(),
        2 => one_of(ALIASES),
        2 => alias_arn,
        1 => odd_text(),
    ]
    .boxed()
}

/// An instant as a text, rarely an unreadable one.
pub fn instant() -> BoxedStrategy<String> {
    let readable = (
        (2000..2038_u32, 1..=12_u32, 1..=28_u32),
        (0..24_u32, 0..60_u32, 0..60_u32),
        select(&["", "", "", ".0", ".5", ".123", ".123456", ".1234567", ".999999999"]),
        select(&["Z", "Z", "Z", "z", "+00:00", "-00:00", "+05:30", "-23:59"]),
    )
        .prop_map(|((year, month, day), (hour, minute, second), fraction, zone)| {
            format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
        });
    let unreadable = one_of(&[
        "2020-06-29T23:36:41",
        "2020-06-29",
        "2021-02-29T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-06-29T24:00:00Z",
        "2020-06-29T23:36:41.Z",
        "20200629T233641Z",
        "Apr 12, 2021 18:58:30 PM",
        "",
    ]);
    prop_oneof![60 => readable, 1 => unreadable].boxed()
}
