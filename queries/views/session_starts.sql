-- ---
-- title = "Every time that AWS STS gave out credentials, each once, with whom it gave them to and whose they are"
-- ---
-- ## What it holds
-- One row per successful AssumeRole, AssumeRoleWithSAML, AssumeRoleWithWebIdentity, AssumeRoot, GetFederationToken and
-- GetSessionToken. `principal`, `session_name`, `session_arn`, `session_id` (`AROA…:name`) and `access_key_id` are what later
-- calls of the session carry; `caller` and the other `caller_` columns say who asked for the credentials, and with which
-- credentials of their own. `expires_at` is as STS says, else what was asked for, else what STS gives when nothing is asked.
-- `principal_tags` are the session's tags, as JSON. For AWS services STS logs no `session_id`; `session_arn` follows from the role and the session's name.
-- ## A role of another account
-- is assumed in two logs, as events with one `shared_event_id`: the caller's log names the caller, the role owner's only an
-- account and an opaque id. The row is the one that names the caller. Where only the role owner's log is in the lake, `caller`
-- is `acct:ACCOUNT/ID`.
-- ## What no log has
-- A trail that records only write events has no AssumeRole, since it counts as a read. Console sign-in and the instance
-- metadata service open sessions by other services' events, or AWS's own.

-- Nothing here groups or sorts, so that a filter on any column reaches the scan, and a lake of any size takes no more memory.
WITH logged AS (
    SELECT
        *,
        json_member(response_elements, 'credentials') AS credentials,
        json_member(response_elements, 'assumedRoleUser') AS assumed,
        json_member(response_elements, 'federatedUser') AS federated,
        json_member(request_parameters, 'targetPrincipal') AS target,
        aws_partition(principal, region) AS partition
    FROM timely_events
    WHERE event_source = 'sts.amazonaws.com'
      AND event_name IN (
          'AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot', 'GetFederationToken', 'GetSessionToken'
      )
      AND error_code IS NULL
),
whole AS (
    SELECT *
    FROM logged
    WHERE original_event_id IS NULL
    UNION ALL
    -- Patches of what is not there.
    SELECT patch.*
    FROM logged AS patch
    LEFT ANTI JOIN events AS patched
        ON patched.event_id = patch.original_event_id
        AND (patched.event_id <> patch.event_id OR patched.original_event_id IS NULL)
    WHERE patch.original_event_id IS NOT NULL
),
told AS (
    SELECT *
    FROM whole
    WHERE (principal NOT LIKE 'acct:%' OR shared_event_id IS NULL) IS NOT FALSE
    UNION ALL
    SELECT opaque.*
    FROM whole AS opaque
    LEFT ANTI JOIN (
        SELECT shared_event_id, event_time
        FROM whole
        WHERE shared_event_id IS NOT NULL AND principal NOT LIKE 'acct:%'
    ) AS named
        ON named.shared_event_id = opaque.shared_event_id AND named.event_time = opaque.event_time
    WHERE opaque.principal LIKE 'acct:%' AND opaque.shared_event_id IS NOT NULL
)
SELECT
    event_id,
    shared_event_id,
    event_time AS started_at,
    event_date,
    event_name,
    CASE
        WHEN event_name = 'GetFederationToken' THEN concat(json_member(federated, 'arn'), '|', principal)
        WHEN event_name = 'GetSessionToken' THEN principal
        WHEN target LIKE 'arn:%' THEN target
        WHEN target IS NOT NULL THEN concat('arn:', partition, ':iam::', target, ':root')
        ELSE json_member(request_parameters, 'roleArn')
    END AS principal,
    CASE
        WHEN event_name = 'GetSessionToken' THEN session_name
        ELSE coalesce(split_part(json_member(assumed, 'arn'), '/', 3), json_member(request_parameters, 'roleSessionName'))
    END AS session_name,
    CASE
        WHEN event_name = 'GetSessionToken' THEN session_arn
        WHEN assumed IS NOT NULL OR federated IS NOT NULL
        THEN coalesce(json_member(assumed, 'arn'), json_member(federated, 'arn'))
        -- For services, STS does not tell the session's id and ARN; the ARN follows from what was asked.
        WHEN event_name LIKE 'AssumeRole%'
        THEN concat(
            replace(split_part(json_member(request_parameters, 'roleArn'), ':role/', 1), ':iam:', ':sts:'),
            ':assumed-role/',
            regexp_replace(split_part(json_member(request_parameters, 'roleArn'), ':role/', 2), '^.*/', ''),
            '/',
            json_member(request_parameters, 'roleSessionName')
        )
    END AS session_arn,
    CASE
        WHEN event_name <> 'GetSessionToken'
        THEN coalesce(json_member(assumed, 'assumedRoleId'), json_member(federated, 'federatedUserId'))
        WHEN session_name IS NULL THEN principal_id
        ELSE concat(principal_id, ':', session_name)
    END AS session_id,
    json_member(credentials, 'accessKeyId') AS access_key_id,
    coalesce(
        spoken_time(json_member(credentials, 'expiration')),
        event_time + arrow_cast(
            1000000 * coalesce(
                TRY_CAST(json_member(request_parameters, 'durationSeconds') AS INT),
                CASE WHEN event_name LIKE 'Get%' THEN 43200 WHEN event_name = 'AssumeRoot' THEN 900 ELSE 3600 END
            ),
            'Duration(Microsecond)'
        )
    ) AS expires_at,
    coalesce(json_member(request_parameters, 'sourceIdentity'), source_identity) AS source_identity,
    principal_tags,
    principal AS caller,
    principal_type AS caller_type,
    principal_id AS caller_id,
    principal_account_id AS caller_account_id,
    session_name AS caller_session_name,
    session_arn AS caller_session_arn,
    access_key_id AS caller_access_key_id,
    session_start AS caller_session_start,
    on_behalf_of AS caller_on_behalf_of,
    mfa AS caller_mfa,
    via,
    source_ip,
    user_agent,
    account_id,
    region,
    source_object,
    record_index
FROM told
