-- ---
-- title = "The accounts whose logs are in the lake"
-- params.since = { type = "timestamp", required = true, doc = "from what was seen at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "from what was seen before this instant" }
-- ---
-- ## What it answers
-- One row per account: a first list of the organization's, for the expectations file. `links` says, a line each, how an
-- account deals with others' keys as an outsider would: it decrypted with keys of another account, others encrypted with its
-- keys, data was moved to its keys, or it was granted a key. It is null if none of this was seen.
WITH dealings AS (
    SELECT
        key_account_id,
        principal_account_id,
        usage_class,
        CASE WHEN dest_key_arn IS NOT NULL THEN split_part(dest_key_arn, ':', 5) END AS dest_account_id,
        CASE
            WHEN event_name = 'CreateGrant'
            THEN (regexp_match(
                request_parameters,
                '"granteePrincipal":"(?:arn:[a-z-]+:[a-z]+:[a-z0-9-]*:)?([0-9]{12})[:"]'
            ))[1]
        END AS grantee_account_id
    FROM calls
    WHERE outcome = 'ok'
      AND key_account_id IS NOT NULL
      AND principal NOT LIKE 'service:%'
      AND (usage_class IN ('decrypt', 'encrypt', 'generate') OR event_name = 'CreateGrant')
      AND event_time >= $since
      AND event_time < $until
    GROUP BY 1, 2, 3, 4, 5
),
told AS (
    SELECT
        unnest(make_array(
            CASE
                WHEN usage_class = 'decrypt' AND principal_account_id <> key_account_id THEN principal_account_id
            END,
            CASE
                WHEN usage_class IN ('encrypt', 'generate') AND principal_account_id <> key_account_id THEN key_account_id
            END,
            CASE WHEN dest_account_id <> key_account_id THEN dest_account_id END,
            CASE WHEN grantee_account_id <> key_account_id THEN grantee_account_id END
        )) AS account_id,
        unnest(make_array(
            concat('it decrypted with keys of ', key_account_id),
            concat('account ', principal_account_id, ' encrypted with its keys'),
            concat('data under keys of ', key_account_id, ' was moved to its keys'),
            concat('it was granted keys of ', key_account_id)
        )) AS link
    FROM dealings
),
linked AS (
    SELECT account_id, array_sort(array_agg(DISTINCT link)) AS links
    FROM told
    WHERE account_id IS NOT NULL
    GROUP BY account_id
)
SELECT e.account_id, array_to_string(l.links, chr(10)) AS links
FROM (SELECT account_id FROM events WHERE account_id IS NOT NULL GROUP BY account_id) AS e
LEFT JOIN linked AS l ON l.account_id = e.account_id
ORDER BY e.account_id
