-- ---
-- title = "When the newest log object of the lake was delivered"
-- ---
-- ## What it answers
-- One row, or none for an empty lake: `delivered_at`, as the object's name tells it. Null where no name tells any, as in CloudTrail's event history.
SELECT max(delivered_at) AS delivered_at
FROM objects
HAVING count(*) > 0
