-- ---
-- title = "What each call shows of itself, a row for each trait: operation, key, service, asset, address, hour, …"
-- ---
-- ## What it holds
-- For each row of `calls` and each trait that it has one row: `trait` (`operation`, `principal`, `key`, `service`, `asset`,
-- `address`, `agent`, `error`, `hour`), its `value`, and `detail`: of a key its alias (a ReEncrypt has two keys), of an asset its kind and what the name
-- is worth. `hour` is the day of the week (1 is Monday) and the hour, UTC. Group by trait and value for a profile of whatever a filter
-- leaves; `principal-profile` and `key-profile` do.
WITH listed AS (
    SELECT
        event_id,
        event_time,
        event_date,
        usage_class,
        outcome,
        failed,
        key_arn,
        key_id,
        dest_key_arn,
        principal,
        session_name,
        session_arn,
        source_ip,
        unnest(make_array(
            named_struct('trait', 'all', 'value', '', 'detail', ''),
            named_struct('trait', 'operation', 'value', event_name, 'detail', ''),
            named_struct('trait', 'principal', 'value', principal, 'detail', coalesce(principal_type, '')),
            named_struct('trait', 'key', 'value', key_arn, 'detail', coalesce(key_alias, '')),
            named_struct(
                'trait', 'key',
                'value', CASE WHEN (dest_key_arn IS DISTINCT FROM key_arn) THEN dest_key_arn END,
                'detail', ''
            ),
            named_struct('trait', 'service', 'value', coalesce(via, 'direct'), 'detail', ''),
            named_struct('trait', 'asset', 'value', asset, 'detail', concat_ws(', ', asset_type, asset_trust)),
            named_struct('trait', 'address', 'value', source_ip, 'detail', ''),
            named_struct('trait', 'agent', 'value', user_agent, 'detail', ''),
            named_struct('trait', 'error', 'value', error_code, 'detail', ''),
            named_struct('trait', 'hour', 'value', to_char(event_time, '%u %H'), 'detail', '')
        )) AS shown
    FROM calls
)
SELECT
    * EXCEPT (shown),
    shown['trait'] AS trait,
    shown['value'] AS value,
    nullif(shown['detail'], '') AS detail
FROM listed
WHERE shown['value'] IS NOT NULL
