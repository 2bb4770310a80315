//! The questions over one small lake whose rows can be counted by hand.

use super::lake::{self, session};
use crate::query::{Catalog, Param};

const LAKE: &str = "
    id  shared time account caller principal    session access_key operation       outcome error_code   key  dest alias    via ip       asset asset_type trust   response source
    e01 -      1T08 A       A      role/app     i-1     AKIA1      Decrypt         ok      -            A/k1 -    -        s3  10.0.0.1 b/1   s3-object  service -        kms.amazonaws.com
    e02 -      1T09 A       A      role/app     i-1     AKIA1      Decrypt         ok      -            A/k1 -    -        s3  10.0.0.1 b/2   s3-object  service -        kms.amazonaws.com
    e03 -      2T09 A       A      role/app     i-2     AKIA2      Decrypt         denied  AccessDenied A/k1 -    -        s3  10.0.0.1 b/2   s3-object  service -        kms.amazonaws.com
    e04 -      2T10 A       A      role/app     i-2     AKIA2      Decrypt         dry_run DryRun       A/k1 -    -        s3  10.0.0.1 b/2   s3-object  service -        kms.amazonaws.com
    e05 -      3T00 A       A      role/a_p     i-3     AKIA3      Encrypt         ok      -            A/k1 -    alias/x  -   10.0.0.2 -     -          -       -        kms.amazonaws.com
    e06 -      3T01 A       A      role/app     i-2     AKIA2      ReEncrypt       ok      -            A/k1 A/k2 -        -   10.0.0.1 b/1   s3-object  proved  -        kms.amazonaws.com
    e07 s7     3T02 A       B      acct:B/AROAX op      -          Decrypt         ok      -            A/k2 -    -        -   -        -     -          -       -        kms.amazonaws.com
    e08 s7     3T02 B       B      role/far     op      AKIA8      Decrypt         ok      -            A/k2 -    -        -   10.0.0.8 -     -          -       -        kms.amazonaws.com
    e09 -      4T00 A       A      role/adm     adm     AKIA9      DescribeKey     ok      -            A/k2 -    alias/x  -   10.0.0.9 -     -          -       -        kms.amazonaws.com
    e10 -      4T01 A       A      role/adm     adm     AKIA9      CreateGrant     denied  AccessDenied A/k2 -    -        -   10.0.0.9 -     -          -       -        kms.amazonaws.com
    e11 -      1T07 A       A      user/ann     -       AKIA0      AssumeRole      ok      -            -    -    -        -   10.0.0.1 -     -          -       {\"credentials\":{\"accessKeyId\":\"AKIA1\"},\"arn\":\"i-1\"} sts.amazonaws.com
";

async fn answer(name: &str, given: &[(&str, &str)]) -> String {
    lake::answer(&session(LAKE).await, name, given).await
}

#[tokio::test]
async fn who() {
    insta::assert_snapshot!(answer("who", &[]).await, @r"
    A/k1 role/app AssumedRole Decrypt s3 3 1 2 1T08 2T09 e01
    A/k2 role/far AssumedRole Decrypt - 1 0 0 3T02 3T02 e07
    A/k1 role/app AssumedRole ReEncrypt - 1 0 1 3T01 3T01 e06
    A/k2 role/app AssumedRole ReEncrypt - 1 0 1 3T01 3T01 e06
    A/k1 role/a_p AssumedRole Encrypt - 1 0 0 3T00 3T00 e05
    ");
}

#[tokio::test]
async fn who_of_one_key_one_principal_one_time() {
    assert_eq!(answer("who", &[("key_arn", "A/k2")]).await, answer("who", &[("key_id", "k2")]).await);
    insta::assert_snapshot!(answer("who", &[("key_arn", "A/k2")]).await, @r"
    A/k2 role/far AssumedRole Decrypt - 1 0 0 3T02 3T02 e07
    A/k2 role/app AssumedRole ReEncrypt - 1 0 1 3T01 3T01 e06
    ");
    for (given, calls) in [
        (("principal", "role/app"), 4),
        (("principal", "role/*"), 6),
        (("principal", "*"), 6),
        (("principal", "role/a_p"), 1),
        (("principal", "role/a%"), 0),
        (("principal", "*far"), 1),
        (("key_id", "k1"), 5),
        (("key_arn", "A/none"), 0),
    ] {
        assert_eq!(calls_of(&answer("who", &[given]).await), calls, "{given:?}");
    }
}

#[tokio::test]
async fn since_is_included_and_until_is_not() {
    for (since, until, calls) in [
        ("2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", 1),
        ("2026-01-01T08:00:01Z", "2026-01-01T09:00:01Z", 1),
        ("2026-01-02", "2026-01-03", 1),
        ("2026-01-03T00:00:00+00:00", "2026-01-03T00:00:00.000001Z", 1),
        ("2026-01-02T23:00:00-01:00", "2026-01-04", 3),
        ("-31d", "now", 6),
        ("-30d", "now", 4),
    ] {
        let rows = answer("who", &[("since", since), ("until", until)]).await;
        assert_eq!(calls_of(&rows), calls, "{since} {until}");
    }
}

/// The sum of the column `calls` of `who`, less the second row of a `ReEncrypt`.
fn calls_of(rows: &str) -> u64 {
    let rows = rows.lines().filter(|row| !row.contains("A/k2 role/app"));
    rows.map(|row| row.split(' ').nth(5).unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn who_by_asset() {
    insta::assert_snapshot!(answer("who-by-asset", &[("key_id", "k1")]).await, @r"
    b/2 s3-object service role/app AssumedRole Decrypt s3 2 1 1T09 2T09 e02 A/k1
    b/1 s3-object proved role/app AssumedRole ReEncrypt - 1 0 3T01 3T01 e06 A/k1
    - - - role/a_p AssumedRole Encrypt - 1 0 3T00 3T00 e05 A/k1
    b/1 s3-object service role/app AssumedRole Decrypt s3 1 0 1T08 1T08 e01 A/k1
    ");
}

#[tokio::test]
async fn timeline() {
    insta::assert_snapshot!(answer("timeline", &[("until", "2026-01-03")]).await, @r"
    1T07 AssumeRole ok user/ann - - 10.0.0.1 - - - - - AKIA1 - AKIA0 AssumedRole - A - - - - - - - A eu-west-1 e11 - -
    1T08 Decrypt ok role/app i-1 s3 10.0.0.1 A/k1 - b/1 s3-object - - - AKIA1 AssumedRole - A - - - - - - - A eu-west-1 e01 - -
    1T09 Decrypt ok role/app i-1 s3 10.0.0.1 A/k1 - b/2 s3-object - - - AKIA1 AssumedRole - A - - - - - - - A eu-west-1 e02 - -
    2T09 Decrypt denied role/app i-2 s3 10.0.0.1 A/k1 - b/2 s3-object - - - AKIA2 AssumedRole - A - - - - - - - A eu-west-1 e03 - -
    2T10 Decrypt dry_run role/app i-2 s3 10.0.0.1 A/k1 - b/2 s3-object - - - AKIA2 AssumedRole - A - - - - - - - A eu-west-1 e04 - -
    ");
    for (given, ids) in [
        (&[("key_arn", "A/k2")][..], "e06 e07 e08 e09 e10"),
        (&[("key_id", "k2")], "e06 e07 e08 e09 e10"),
        (&[("session", "i-2")], "e03 e04 e06"),
        (&[("session", "i-1")], "e11 e01 e02"),
        (&[("access_key", "AKIA1")], "e11 e01 e02"),
        (&[("asset", "b/1")], "e01 e06"),
        (&[("asset", "b/*"), ("limit", "2")], "e01 e02"),
        (&[("source_ip", "10.0.0.2")], "e05"),
        (&[("principal", "user/*")], "e11"),
        (&[("limit", "0")], ""),
    ] {
        let rows = answer("timeline", given).await;
        let found: Vec<&str> = rows.lines().filter_map(|row| row.split(' ').nth(27)).collect();
        assert_eq!(found.join(" "), ids, "{given:?}");
    }
}

#[tokio::test]
async fn key_usage() {
    insta::assert_snapshot!(answer("key-usage", &[]).await, @r"
    A/k1 Decrypt 1 2 0
    A/k1 Decrypt 2 1 1
    A/k1 Encrypt 3 1 0
    A/k1 ReEncrypt 3 1 0
    A/k2 Decrypt 3 1 0
    A/k2 ReEncrypt 3 1 0
    ");
}

#[tokio::test]
async fn principal_usage() {
    insta::assert_snapshot!(answer("principal-usage", &[]).await, @r"
    role/app AssumedRole 2 4 1 [direct,s3] 1T08 3T01
    role/far AssumedRole 1 1 0 [direct] 3T02 3T02
    role/a_p AssumedRole 1 1 0 [direct] 3T00 3T00
    ");
}

#[tokio::test]
async fn top_assets() {
    insta::assert_snapshot!(answer("top-assets", &[]).await, @r"
    b/2 s3-object service 2 1 1
    b/1 s3-object proved 1 1 2
    b/1 s3-object service 1 1 1
    ");
    insta::assert_snapshot!(answer("top-assets", &[("key_id", "k2")]).await, @r"
    b/1 s3-object proved 1 1 1
    ");
}

#[tokio::test]
async fn denied() {
    insta::assert_snapshot!(answer("denied", &[]).await, @r"
    role/adm AssumedRole A/k2 CreateGrant denied AccessDenied 1 4T01 4T01 e10
    role/app AssumedRole A/k1 Decrypt denied AccessDenied 1 2T09 2T09 e03
    ");
}

#[tokio::test]
async fn aliases() {
    insta::assert_snapshot!(answer("aliases", &[("alias", "alias/x")]).await, @r"
    alias/x A/k2 A eu-west-1 1 4T00 4T00 - -
    alias/x A/k1 A eu-west-1 1 3T00 3T00 - -
    ");
}

#[tokio::test]
async fn every_query_runs_over_an_empty_lake_and_with_every_parameter_set() {
    let session = session("id\n").await;
    let value = |param: &Param| match (param.kind.name(), param.name.as_str()) {
        ("text", _) => "x",
        ("integer", _) => "3",
        (_, "since") => "-2d",
        _ => "-1d",
    };
    let catalog = Catalog::shipped();
    for query in catalog.questions().chain(catalog.internal()) {
        let given = |is_asked: fn(&Param) -> bool| -> Vec<(&str, &str)> {
            let asked = query.params.iter().filter(|param| is_asked(param));
            asked.map(|param| (param.name.as_str(), value(param))).collect()
        };
        for given in [given(|param| param.required), given(|_| true)] {
            let rows = lake::answer(&session, &query.name, &given).await;
            // What an empty lake lacks is something to say, and so is that a report rests on nothing.
            let says = ["needs", "overview-sources"].contains(&query.name.as_str());
            assert_eq!(rows.is_empty(), !says, "{}: {rows}", query.name);
        }
    }
}
