-- ---
-- title = "When detectors ran last"
-- ---
-- ## What it answers
-- One row, or none where they never did: the instant of the latest run that was kept. The next one is later, whatever its clock says.
SELECT max(run_at) AS run_at
FROM detections
HAVING count(*) > 0
