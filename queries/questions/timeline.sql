-- ---
-- title = "What happened, event by event"
-- params.key_arn     = { type = "text", doc = "only events on this key, by its ARN, ReEncrypt's destination included" }
-- params.key_id      = { type = "text", doc = "only events on keys with this id, in any account and Region" }
-- params.alias       = { type = "text", doc = "only calls that name this alias, such as alias/orders, and no key" }
-- params.alias_owner = { type = "text", doc = "only aliases of this account and Region, such as 111122223333/eu-west-1" }
-- params.principal   = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.person      = { type = "text", doc = "only calls for this person: an id of IAM Identity Center, a source identity or the session of an Identity Center role; `*` stands for any characters" }
-- params.session     = { type = "text", doc = "only this session, by its name or its STS ARN, and the STS call that opened it" }
-- params.access_key  = { type = "text", doc = "only calls signed with this access key, and the STS call that issued it" }
-- params.asset       = { type = "text", doc = "only this asset; `*` stands for any characters" }
-- params.source_ip   = { type = "text", doc = "only calls from this address" }
-- params.since       = { type = "timestamp", doc = "only events at or after this instant" }
-- params.until       = { type = "timestamp", doc = "only events before this instant" }
-- params.limit       = { type = "integer", doc = "at most so many of the earliest events; all when not given" }
-- ---
-- ## What it answers
-- KMS events and the events that give them meaning (STS, CloudTrail, S3, RDS, EBS and Secrets Manager settings), oldest
-- first and as they were logged: both copies of a cross-account call, dry runs and patches too. `source_object` is the
-- log object that holds the record, and `record_index` its place there, from 0.
-- ## How a chain of roles is followed
-- `AssumeRole` and its kin say which role was assumed (`assumed_role`) and which access key was issued for it
-- (`issued_access_key`): ask next for the events of that `access_key`. `keytrail chain` follows it back, and
-- `keytrail timeline --chain` does for every row.
SELECT
    event_time,
    event_name,
    outcome,
    principal,
    session_name,
    via,
    source_ip,
    key_arn,
    key_alias,
    asset,
    asset_type,
    CASE WHEN event_source = 'sts.amazonaws.com' THEN json_member(request_parameters, 'roleArn') END
        AS assumed_role,
    CASE WHEN event_source = 'sts.amazonaws.com' THEN json_member(json_member(response_elements, 'credentials'), 'accessKeyId') END
        AS issued_access_key,
    error_message,
    access_key_id,
    principal_type,
    principal_id,
    principal_account_id,
    session_arn,
    session_start,
    source_identity,
    on_behalf_of,
    identity_store,
    mfa,
    shared_event_id,
    account_id,
    region,
    event_id,
    source_object,
    record_index
FROM timely_events
WHERE ($key_arn IS NULL OR key_arn = $key_arn OR dest_key_arn = $key_arn)
  AND ($key_id IS NULL OR key_id = $key_id OR split_part(dest_key_arn, ':key/', 2) = $key_id)
  AND ($alias IS NULL OR ((key_arn IS NULL) IS TRUE AND (key_alias = $alias) IS TRUE))
  AND ($alias_owner IS NULL OR (concat(key_account_id, '/', key_region) = $alias_owner) IS TRUE)
  AND ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($person IS NULL
       OR (on_behalf_of LIKE replace(replace(replace(replace(CAST($person AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE
       OR (source_identity LIKE replace(replace(replace(replace(CAST($person AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE
       OR (principal LIKE '%:role/aws-reserved/sso.amazonaws.com/%' AND session_name LIKE replace(replace(replace(replace(CAST($person AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($session IS NULL
       OR session_name = $session
       OR session_arn = $session
       OR split_part(session_arn, ':federated-user/', 2) = $session
       OR (event_source = 'sts.amazonaws.com'
           AND (strpos(request_parameters, concat('"roleSessionName":"', CAST($session AS VARCHAR), '"')) > 0
                OR strpos(response_elements, concat('"', CAST($session AS VARCHAR), '"')) > 0)))
  AND ($access_key IS NULL
       OR access_key_id = $access_key
       OR (event_source = 'sts.amazonaws.com' AND strpos(response_elements, concat('"', CAST($access_key AS VARCHAR), '"')) > 0))
  AND ($asset IS NULL OR (asset LIKE replace(replace(replace(replace(CAST($asset AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($source_ip IS NULL OR source_ip = $source_ip)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
ORDER BY event_time, event_id, source_object, record_index
LIMIT $limit
