-- ---
-- title = "When STS gave out an access key"
-- params.key = { type = "text", required = true, doc = "the access key id" }
-- ---
-- ## What it answers
-- One row, if its log is in the lake: the event, and its instant. `keytrail chain` asks it for keys that KMS never saw.
SELECT event_id, event_time
FROM timely_events
WHERE event_source = 'sts.amazonaws.com'
  AND strpos(response_elements, concat('"', CAST($key AS VARCHAR), '"')) > 0
  AND json_member(json_member(response_elements, 'credentials'), 'accessKeyId') = $key
ORDER BY event_time, event_id
LIMIT 1
