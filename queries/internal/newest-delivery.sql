-- ---
-- title = "When the newest log object of the lake was delivered"
-- ---
-- ## What it answers
-- One row, or none for an empty lake: `delivered_at`, from the object's name. Null if no name contains a plausible time, as
-- is the case for CloudTrail's event history.
SELECT max(CASE WHEN delivered_at < horizon_until() THEN delivered_at END) AS delivered_at
FROM objects
WHERE kind <> 'CloudTrail-NetworkActivity'
HAVING count(*) > 0
