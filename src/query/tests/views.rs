//! The views, case by case: which events become which rows.

use super::lake::{rows, session};

const CALLS: &str = "SELECT event_id, account_id, principal, session_name, source_ip, asset, encryption_context, failed
                     FROM calls ORDER BY event_id";

const USAGE: &str = "SELECT event_id, key_arn, event_name, key_role, failed FROM usage ORDER BY event_id, key_role";

/// Events, what `calls` makes of them, and why.
const TWINS: &[(&str, &str, &str)] = &[
    (
        "the owner's log alone",
        "id  shared  account key  principal      caller session ip      asset
         o1  s1      A       A/k1 acct:B/AROAX   B      sess    -       obj",
        "o1 A acct:B/AROAX sess - obj - false",
    ),
    (
        "the caller's log alone",
        "id  shared  account key  principal      caller session ip      asset
         c1  s1      B       A/k1 role/app       B      i-1     10.0.0.1 obj",
        "c1 B role/app i-1 10.0.0.1 obj - false",
    ),
    (
        "both: the owner's row, with the caller as the caller's log has it",
        "id  shared  account key  principal      caller session ip      asset context
         o1  s1      A       A/k1 acct:B/AROAX   B      opaque  10.9.9.9 -    -
         c1  s1      B       A/k1 role/app       B      i-1     10.0.0.1 obj  k=v",
        "o1 A role/app i-1 10.9.9.9 obj {k:v} false",
    ),
    (
        "both, the other way round, with ids that sort the other way",
        "id  shared  account key  principal      caller session ip      asset context
         a1  s1      B       A/k1 role/app       B      -       10.0.0.1 obj  k=v
         z1  s1      A       A/k1 acct:B/AROAX   B      opaque  -        mine o=p",
        "z1 A role/app - 10.0.0.1 mine {o:p} false",
    ),
    (
        "the owner's log names the caller in full",
        "id  shared  account key  principal      caller session ip      asset
         o1  s1      A       A/k1 role/short     B      i-1     -        -
         c1  s1      B       A/k1 role/path/app  B      i-1     10.0.0.1 -",
        "o1 A role/path/app i-1 10.0.0.1 - - false",
    ),
    (
        "a service's calls have a shared id and no twin",
        "id  shared  account key  principal      caller session ip      asset
         s1  s1      A       A/k1 service:ct     -      -       ct       a
         s2  s2      A       A/k1 service:ct     -      -       ct       b
         s3  s3      B       A/k1 service:ct     -      -       ct       c",
        "s1 A service:ct - ct a - false
         s2 A service:ct - ct b - false
         s3 B service:ct - ct c - false",
    ),
    (
        "one account logged one action under two event ids",
        "id  shared  account key  principal      caller session ip      asset
         c1  s1      B       A/k1 role/app       B      i-1     10.0.0.1 obj
         c2  s1      B       A/k1 role/app       B      i-1     10.0.0.1 obj
         o1  s1      A       A/k1 acct:B/AROAX   B      opaque  -        -",
        "o1 A role/app i-1 10.0.0.1 obj - false",
    ),
    (
        "three logs tell of one call: owner, caller and a bystander",
        "id  shared  account key  principal      caller session ip      asset
         b1  s1      C       A/k1 acct:B/AROAX   B      opaque  -        -
         c1  s1      B       A/k1 role/app       B      i-1     10.0.0.1 -
         o1  s1      A       A/k1 acct:B/AROAX   B      opaque  -        -",
        "o1 A role/app i-1 10.0.0.1 - - false",
    ),
    (
        "two logs and neither is the owner's: the caller's",
        "id  shared  account key  principal      caller session ip      asset
         b1  s1      C       A/k1 acct:B/AROAX   B      opaque  -        -
         c1  s1      B       A/k1 role/app       B      i-1     10.0.0.1 -",
        "c1 B role/app i-1 10.0.0.1 - - false",
    ),
    (
        "one shared id, and another operation, time or key: another call",
        "id  shared  account key  principal      caller session ip operation   time
         e1  s1      A       A/k1 role/app       A      -       -  Decrypt     1T08
         e2  s1      B       A/k1 role/app       B      -       -  DescribeKey 1T08
         e3  s1      B       A/k1 role/app       B      -       -  Decrypt     1T09
         e4  s1      B       A/k2 role/app       B      -       -  Decrypt     1T08",
        "e1 A role/app - - - - false
         e2 B role/app - - - - false
         e3 B role/app - - - - false
         e4 B role/app - - - - false",
    ),
    (
        "without a key there is no owner, and still one call",
        "id  shared  account key  principal      caller session ip      asset
         x1  s1      A       -    acct:B/AROAX   B      -       -        -
         x2  s1      B       -    role/app       B      -       -        -",
        "x2 B role/app - - - - false",
    ),
    (
        "without a shared id nothing is joined, without an account nothing is lost",
        "id  shared  account key  principal      caller session ip      asset
         n1  -       A       A/k1 role/app       A      -       -        -
         n2  -       A       A/k1 role/app       A      -       -        -
         n3  s9      -       A/k1 -              -      -       -        -",
        "n1 A role/app - - - - false
         n2 A role/app - - - - false
         n3 - unknown - - - - false",
    ),
];

#[tokio::test]
async fn a_cross_account_call_counts_once_and_no_call_is_lost() {
    for (case, events, expected) in TWINS {
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(rows(&session(events).await, CALLS).await, expected.join("\n"), "{case}");
    }
}

#[tokio::test]
async fn what_repeats_another_event_or_is_not_kms_is_no_call() {
    let session = session(
        "id source            patches event_type   operation   outcome key
         e1 kms.amazonaws.com -       AwsApiCall   Decrypt     ok      A/k1
         e2 kms.amazonaws.com e1      AwsApiCall   Decrypt     ok      A/k1
         e3 kms.amazonaws.com -       AwsVpceEvent Decrypt     ok      A/k1
         e4 kms.amazonaws.com -       -            Decrypt     denied  A/k1
         e5 kms.amazonaws.com -       AwsApiCall   Decrypt     dry_run A/k1
         e6 sts.amazonaws.com -       AwsApiCall   AssumeRole  ok      -
         e7 kms.amazonaws.com e0      AwsApiCall   Decrypt     ok      A/k1",
    )
    .await;
    let ids = |view: &str| format!("SELECT event_id FROM {view} ORDER BY event_id");
    assert_eq!(rows(&session, &ids("kms_events")).await.replace('\n', " "), "e1 e2 e4 e5 e7");
    let calls = rows(&session, &ids("calls")).await.replace('\n', " ");
    assert_eq!(calls, "e1 e3 e4 e5 e7", "nothing else tells of e3");
    let used = rows(&session, &ids("usage")).await.replace('\n', " ");
    assert_eq!(used, "e1 e3 e4 e7", "e7 patches what is not there");
}

#[tokio::test]
async fn usage_is_what_touches_key_material_failures_included() {
    let session = session(
        "id operation       outcome      key
         e1 Decrypt         ok           A/k1
         e2 GenerateDataKey denied       A/k1
         e3 Encrypt         key_unusable A/k1
         e4 DescribeKey     ok           A/k1
         e5 CreateGrant     ok           A/k1
         e6 Decrypt         throttled    -",
    )
    .await;
    insta::assert_snapshot!(rows(&session, USAGE).await, @r"
    e1 A/k1 Decrypt - false
    e2 A/k1 GenerateDataKey - true
    e3 A/k1 Encrypt - true
    e6 - Decrypt - true
    ");
}

#[tokio::test]
async fn re_encrypt_is_a_use_of_both_its_keys() {
    let session = session(
        "id shared account caller principal    operation key  dest outcome
         e1 -      A       A      role/app     ReEncrypt A/k1 A/k2 ok
         e2 -      A       A      role/app     ReEncrypt A/k1 A/k1 ok
         e3 -      A       A      role/app     ReEncrypt -    A/k2 denied
         e4 -      A       A      role/app     ReEncrypt A/k1 -    denied
         e5 s5     A       B      acct:B/AROAX ReEncrypt A/k1 C/k9 ok
         e6 s5     B       B      role/far     ReEncrypt A/k1 C/k9 ok
         e7 s5     C       B      acct:B/AROAX ReEncrypt A/k1 C/k9 ok",
    )
    .await;
    insta::assert_snapshot!(rows(&session, USAGE).await, @r"
    e1 A/k2 ReEncrypt destination false
    e1 A/k1 ReEncrypt source false
    e2 A/k1 ReEncrypt source false
    e3 A/k2 ReEncrypt destination true
    e3 - ReEncrypt source true
    e4 A/k1 ReEncrypt - true
    e5 C/k9 ReEncrypt destination false
    e5 A/k1 ReEncrypt source false
    ");
    let columns = "SELECT key_arn, key_id, key_account_id, key_region, principal FROM usage WHERE key_id = 'k9'";
    assert_eq!(rows(&session, columns).await, "C/k9 k9 C eu-west-1 role/far");
    let calls = "SELECT count(*) FROM usage WHERE key_role IS DISTINCT FROM 'destination'";
    assert_eq!(rows(&session, calls).await, "5");
}
