-- ---
-- title = "Every successful call, and act of KMS, that changed a key or who may use it, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- The rows of `calls` of the classes lifecycle, rotation, access and internal that name a key and succeeded. While detectors run it reaches
-- from the window's end back as far as any of their parameters of the types `days`, `hours` and `minutes` says, and `is_past`
-- is true for what happened before the window began. In other statements it is about all of the logs, and nothing is past.
SELECT
    event_time,
    event_id,
    event_name,
    event_time < window_since() AS is_past,
    key_arn,
    key_alias,
    key_account_id AS account_id,
    key_region AS region,
    principal,
    is_aws,
    via,
    request_parameters,
    response_elements
FROM uncommon_calls
WHERE usage_class IN ('lifecycle', 'rotation', 'access', 'internal')
  AND outcome = 'ok'
  AND key_arn IS NOT NULL
  AND event_time >= window_from()
  AND event_time < window_until()
