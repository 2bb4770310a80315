-- ---
-- title = "Events that are neither a use of a key that they name nor a read"
-- ---
-- ## What it holds
-- The rows of `timely_events`, without the column `call`, that are events of CloudTrail itself, or of AWS KMS and change something (keys, grants, aliases, policies), or
-- use a key that the record does not name (a ReEncrypt: lacks one of its two), but for GenerateRandom, which uses none.
-- ## Why
-- They are few, and many questions are about them alone. Those of settled days are apart in the lake already.
SELECT * EXCEPT (is_event, is_call)
FROM settled_uncommon
WHERE is_event
  AND event_time >= horizon_from()
  AND event_time < horizon_until()
