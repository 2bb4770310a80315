-- ---
-- title = "What the latest check said of each digest"
-- ---
-- ## What it holds
-- One row per digest that `verify` ever came upon or missed, with all columns of `digests`: `state` (valid, invalid,
-- missing, unsigned, key_unknown or unreadable) and `reason`, and how the digest joins the one before (`chain`: linked,
-- start, gap, broken, or outside of what was checked).
SELECT * EXCEPT (latest)
FROM (SELECT *, max(checked_at) OVER (PARTITION BY account_id, region, uri) AS latest FROM digests)
WHERE checked_at = latest
