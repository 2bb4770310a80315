-- ---
-- title = "Who decrypted with which key in which half hour of the window that a run of the detectors looks at"
-- ---
-- ## What it holds
-- The rows of `decrypts`, counted by key, principal and half hour (`half`, its first instant). While detectors run it is about
-- their window and the hour before it: what began then and goes on in the window can be seen whole. In other
-- statements it is about all of the logs.
-- ## Kinds of calls
-- `direct_calls` are those that came through no AWS service; `named_calls` are those of them that name an asset;
-- `secret_calls` are those, direct or not, whose asset is a secret of Secrets Manager or a parameter of Systems Manager.
SELECT
    key_arn,
    principal,
    home,
    is_aws,
    account_id,
    region,
    date_bin(INTERVAL '30 minutes', event_time) AS half,
    count(*) AS calls,
    count(*) FILTER (WHERE via IS NULL) AS direct_calls,
    count(*) FILTER (WHERE via IS NULL AND asset IS NOT NULL) AS named_calls,
    count(*) FILTER (WHERE asset_type IN ('secret', 'ssm-parameter')) AS secret_calls,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
FROM decrypts
WHERE event_time >= date_trunc('hour', window_since() - hours(1))
  AND event_time < window_until()
GROUP BY key_arn, principal, home, is_aws, account_id, region, 7
