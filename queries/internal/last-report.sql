-- ---
-- title = "The last report of a series, which the next one goes on from"
-- params.series = { type = "text", default = "default", doc = "which series" }
-- params.before = { type = "timestamp", doc = "the last one whose window ended by this instant" }
-- ---
-- ## What it answers
-- One row, or none: the window of the last report that was written, and the run of the detectors that it tells of. A report that
-- was not written to its end is not here, so that the next one begins where it began.
SELECT made_at, run_at, since, until, lake_version
FROM reports
WHERE series = $series
  AND ($before IS NULL OR until <= $before)
ORDER BY number DESC
LIMIT 1
