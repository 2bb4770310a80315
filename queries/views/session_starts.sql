-- ---
-- title = "Every time that AWS STS gave out credentials, each once, with whom it gave them to and whose they are"
-- ---
-- ## What it holds
-- One row per successful AssumeRole, AssumeRoleWithSAML, AssumeRoleWithWebIdentity, AssumeRoot, GetFederationToken and
-- GetSessionToken. `principal`, `session_name`, `session_arn`, `session_id` (`AROA…:name`) and `access_key_id` are what later
-- calls of the session carry; `caller` and the other `caller_` columns say who asked for the credentials, and with which
-- credentials of their own. `expires_at` is what was asked for, or what STS gives when nothing is asked.
-- ## A role of another account
-- is assumed in two logs, as events with one `shared_event_id`: the caller's log names the caller, the role owner's only an
-- account and an opaque id. They are one row, the one that knows more; what it lacks comes from the other. Where only the role
-- owner's log is in the lake, `caller` is `acct:ACCOUNT/ID`.
-- ## What no log has
-- A trail that records only write events has no AssumeRole, since it counts as a read. Console sign-in and the instance
-- metadata service open sessions by other services' events, or AWS's own.
WITH logged AS (
    SELECT
        *,
        coalesce(shared_event_id, event_id) AS call_id,
        (regexp_match(request_parameters, '"roleArn":"([^"]*)"'))[1] AS role_arn,
        (regexp_match(request_parameters, '"targetPrincipal":"([^"]*)"'))[1] AS target,
        (regexp_match(request_parameters, '"sourceIdentity":"([^"]*)"'))[1] AS given_identity,
        TRY_CAST((regexp_match(request_parameters, '"durationSeconds":"?([0-9]{1,6})[^0-9]'))[1] AS BIGINT) AS seconds,
        (regexp_match(response_elements, '"accessKeyId":"([^"]*)"'))[1] AS issued_key,
        (regexp_match(response_elements, '"assumedRoleUser":[{][^}]*"arn":"([^"]*)"'))[1] AS role_session,
        (regexp_match(response_elements, '"assumedRoleId":"([^"]*)"'))[1] AS role_id,
        (regexp_match(response_elements, '"federatedUser":[{][^}]*"arn":"([^"]*)"'))[1] AS federated,
        (regexp_match(response_elements, '"federatedUserId":"([^"]*)"'))[1] AS federated_id,
        -- 2 the caller's own log and the caller in full, 1 one of the two, 0 an account and an opaque id.
        CASE
            WHEN principal_account_id = account_id AND principal NOT LIKE 'acct:%' THEN 2
            WHEN principal_account_id = account_id OR principal NOT LIKE 'acct:%' THEN 1
            ELSE 0
        END AS knows_caller
    FROM events
    WHERE event_source = 'sts.amazonaws.com'
      AND event_name IN (
          'AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot', 'GetFederationToken', 'GetSessionToken'
      )
      AND error_code IS NULL
      AND (original_event_id IS NULL OR original_event_id = event_id)
),
-- Partitioned by the time too, so that a filter on it reaches the scan.
told AS (
    SELECT
        * REPLACE (
            max(role_arn) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS role_arn,
            max(given_identity) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS given_identity,
            max(seconds) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS seconds,
            max(issued_key) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS issued_key,
            max(role_session) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS role_session,
            max(role_id) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS role_id
        ),
        count(*) OVER (PARTITION BY call_id, event_name, event_time, event_date) AS copies,
        row_number() OVER (
            PARTITION BY call_id, event_name, event_time, event_date ORDER BY knows_caller DESC, account_id, event_id
        ) AS place
    FROM logged
)
SELECT
    event_id,
    shared_event_id,
    event_time AS started_at,
    event_date,
    event_name,
    CASE
        WHEN federated IS NOT NULL THEN concat(federated, '|', principal)
        WHEN event_name = 'GetSessionToken' THEN principal
        WHEN target LIKE 'arn:%' THEN target
        WHEN target IS NOT NULL THEN concat('arn:aws:iam::', target, ':root')
        ELSE role_arn
    END AS principal,
    CASE WHEN event_name = 'GetSessionToken' THEN session_name ELSE split_part(role_session, '/', 3) END AS session_name,
    CASE WHEN event_name = 'GetSessionToken' THEN session_arn ELSE coalesce(role_session, federated) END AS session_arn,
    CASE
        WHEN event_name <> 'GetSessionToken' THEN coalesce(role_id, federated_id)
        WHEN session_name IS NULL THEN principal_id
        ELSE concat(principal_id, ':', session_name)
    END AS session_id,
    issued_key AS access_key_id,
    event_time + arrow_cast(
        1000000 * coalesce(seconds, CASE WHEN event_name LIKE 'Get%' THEN 43200 WHEN event_name = 'AssumeRoot' THEN 900 ELSE 3600 END),
        'Duration(Microsecond)'
    ) AS expires_at,
    coalesce(given_identity, source_identity) AS source_identity,
    principal AS caller,
    principal_type AS caller_type,
    principal_id AS caller_id,
    principal_account_id AS caller_account_id,
    session_name AS caller_session_name,
    session_arn AS caller_session_arn,
    access_key_id AS caller_access_key_id,
    session_start AS caller_session_start,
    mfa AS caller_mfa,
    via,
    source_ip,
    user_agent,
    account_id,
    region,
    source_object,
    record_index,
    copies
FROM told
WHERE place = 1
