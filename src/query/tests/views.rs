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
        "both name an alias only: the alias's owner is the key's",
        "id  shared  account key owner alias     principal      caller session ip
         o1  s1      A       -   A     alias/x   acct:B/AROAX   B      opaque  10.9.9.9
         c1  s1      B       -   A     alias/x   role/app       B      i-1     10.0.0.1",
        "o1 A role/app i-1 10.9.9.9 - - false",
    ),
    (
        "the caller's copy names an alias, the owner's the key",
        "id  shared  account key  owner alias     principal      caller session ip
         o1  s1      A       A/k1 A     -         acct:B/AROAX   B      opaque  -
         c1  s1      B       -    A     alias/x   role/app       B      i-1     10.0.0.1",
        "o1 A role/app i-1 10.0.0.1 - - false",
    ),
    (
        "two logs, neither the owner's nor the caller's in full: every column is of one of them",
        "id  shared  account key  principal      caller session ip       asset context
         b1  s1      B       A/k1 acct:X/AROAX   X      opaque  9.9.9.9  zzz   k=v
         b2  s1      C       A/k1 acct:X/AROAX   X      -       1.1.1.1  aaa   -",
        "b2 C acct:X/AROAX - 1.1.1.1 aaa - false",
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

/// The alias-only copy is of the key that the other copy names, so that a question about the key finds the caller.
#[tokio::test]
async fn a_copy_that_names_an_alias_is_of_the_key_that_its_twin_names() {
    let session = session(
        "id  shared  account key  owner alias   principal      caller
         o1  s1      A       A/k1 A     -       acct:B/AROAX   B
         c1  s1      B       -    A     alias/x role/app       B",
    )
    .await;
    let sql =
        "SELECT event_id, key_arn, key_id, key_account_id, key_alias, principal FROM calls WHERE key_arn LIKE '%/k1'";
    assert_eq!(rows(&session, sql).await, "o1 A/k1 k1 A alias/x role/app");
}

/// A copy that lost its id on the way is no call of its own where the whole one is there; where it is not, or another request was
/// made, it is.
#[tokio::test]
async fn an_event_without_an_id_counts_once_beside_its_copy_with_one() {
    let session = session(
        "id     request account key
         e1     r1      A       A/k1
         fp:1   r1      A       A/k1
         fp:2   r2      A       A/k1
         fp:3   -       A       A/k1
         fp:4   r1      A       A/k2",
    )
    .await;
    assert_eq!(rows(&session, "SELECT event_id FROM calls ORDER BY event_id").await, "e1\nfp:2\nfp:3\nfp:4");
}

#[tokio::test]
async fn an_alias_means_what_it_named_then() {
    let session = session(
        "id operation   owner alias   key  time
         e1 CreateAlias A     alias/x A/k1 1T08
         e2 UpdateAlias A     alias/x A/k2 1T10
         e3 DeleteAlias A     alias/x A/k2 1T12
         e4 UpdateAlias A     alias/y A/k3 1T08
         e5 DeleteAlias A     alias/z A/k4 1T08
         e6 CreateAlias A     alias/w A/k5 1T08
         e7 UpdateAlias A     alias/w A/k6 1T08",
    )
    .await;
    let sql = "SELECT alias, key_arn, from_time, until_time, is_told_before, is_told_after FROM alias_targets
        ORDER BY alias, from_time";
    // What alias/y named before is not known; alias/z named k4 as far back as no change is missing. Two changes of one second
    // say nothing of what comes after.
    assert_eq!(
        rows(&session, sql).await,
        "alias/x A/k1 1T08 1T10 true false
         alias/x A/k2 1T10 1T12 true true
         alias/y A/k3 1T08 - true false
         alias/z A/k4 - 1T08 false true"
            .replace("\n         ", "\n")
    );
}

/// The order of what happened in one second is that of a key's life (facts §5.2), whatever the ids are.
#[tokio::test]
async fn the_life_of_a_key_decides_the_order_within_a_second() {
    let last = |table: String| async move {
        let session = session(&table).await;
        rows(&session, "SELECT last_value(event_name ORDER BY event_time, step) FROM key_changes").await
    };
    let (schedule, cancel) = ("ScheduleKeyDeletion", "CancelKeyDeletion");
    let cases: [(&[(&str, &str)], &str); 8] = [
        // Pending through two seconds that each cancel the deletion and schedule it again.
        (
            &[("1T07", schedule), ("1T08", cancel), ("1T08", schedule), ("1T09", cancel), ("1T09", schedule)],
            "ScheduleKeyDeletion",
        ),
        (&[("1T08", "DisableKey"), ("1T08", "ScheduleKeyDeletion")], "ScheduleKeyDeletion"),
        (&[("1T08", "ScheduleKeyDeletion"), ("1T08", "CancelKeyDeletion")], "CancelKeyDeletion"),
        (
            &[("1T07", "ScheduleKeyDeletion"), ("1T08", "CancelKeyDeletion"), ("1T08", "ScheduleKeyDeletion")],
            "ScheduleKeyDeletion",
        ),
        (&[("1T07", "ScheduleKeyDeletion"), ("1T08", "CancelKeyDeletion"), ("1T08", "EnableKey")], "EnableKey"),
        (&[("1T07", "EnableKey"), ("1T08", "DisableKey"), ("1T08", "EnableKey")], "EnableKey"),
        (&[("1T07", "DisableKey"), ("1T08", "DisableKey"), ("1T08", "EnableKey")], "DisableKey"),
        (&[("1T08", "DeleteKey"), ("1T08", "ScheduleKeyDeletion")], "DeleteKey"),
    ];
    for (changes, expected) in cases {
        for ids in [["a", "b", "c", "d", "e"], ["e", "d", "c", "b", "a"]] {
            let lines = changes.iter().zip(ids).map(|((time, name), id)| format!("{id} {name} A/k1 {time}"));
            let table = format!("id operation key time\n{}", lines.collect::<Vec<_>>().join("\n"));
            assert_eq!(last(table).await, expected, "{changes:?} {ids:?}");
        }
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

/// Which of several records of one call stays must never hide the key that another one names.
#[tokio::test]
async fn an_event_of_an_endpoint_repeats_only_what_is_the_same_call() {
    let cases = [
        ("KMS logged it", "v1 AwsVpceEvent r1 A/k1 1T08 -\n e1 AwsApiCall r1 A/k1 1T08 -", "e1"),
        ("KMS logged it, of another key", "v1 AwsVpceEvent r1 A/k1 1T08 -\n e1 AwsApiCall r1 A/k2 1T08 -", "e1 v1"),
        ("KMS logged it without the key", "v1 AwsVpceEvent r1 A/k1 1T08 -\n e1 AwsApiCall r1 - 1T08 -", "e1 v1"),
        ("the request id came again", "v1 AwsVpceEvent r1 A/k1 1T08 -\n e1 AwsApiCall r1 A/k1 1T09 -", "e1 v1"),
        ("two owners of endpoints", "v1 AwsVpceEvent r1 A/k1 1T08 -\n v2 AwsVpceEvent r1 A/k1 1T08 -", "v1"),
        ("two, and the first names no key", "v1 AwsVpceEvent r1 - 1T08 -\n v2 AwsVpceEvent r1 A/k1 1T08 -", "v2"),
        ("it was delivered again", "v1 AwsVpceEvent r1 A/k1 1T08 -\n v0 AwsVpceEvent r1 A/k1 1T08 v1", "v1"),
        ("only its patch is there", "v0 AwsVpceEvent r1 A/k1 1T08 v1", "v0"),
    ];
    for (case, events, expected) in cases {
        let session = session(&format!("id event_type request key time patches\n{events}")).await;
        let ids = rows(&session, "SELECT event_id FROM calls ORDER BY event_id").await.replace('\n', " ");
        assert_eq!(ids, expected, "{case}");
    }
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
