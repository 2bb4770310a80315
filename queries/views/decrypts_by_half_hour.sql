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
    half,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(coalesce(sum(calls) FILTER (WHERE via IS NULL), 0) AS BIGINT) AS direct_calls,
    CAST(coalesce(sum(calls) FILTER (WHERE via IS NULL AND asset_trust IS NOT NULL), 0) AS BIGINT) AS named_calls,
    CAST(coalesce(sum(calls) FILTER (WHERE asset_type IN ('secret', 'ssm-parameter')), 0) AS BIGINT) AS secret_calls,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen
FROM call_counts
WHERE is_call
  AND usage_class = 'decrypt'
  AND outcome = 'ok'
  AND half >= date_trunc('hour', window_since() - hours(1))
GROUP BY ALL
