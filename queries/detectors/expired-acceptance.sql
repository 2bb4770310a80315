-- ---
-- title    = "An accepted finding is no longer accepted"
-- severity = "medium"
-- attack   = []
-- needs    = []
-- message  = "The acceptance of {asset} has expired: {detail}"
-- params.until = { type = "timestamp", required = true, doc = "the instant at which an acceptance must still hold" }
-- ---
-- ## What it does
-- Finds entries of the expectations file that accept findings until an instant which is past at the end of the window.
-- ## Why it matters
-- Someone took a risk for a time, and that time is over. What it hid is reported again, or it went away and the
-- entry is left over.
-- ## False positives
-- None: the file says until when it holds.
-- ## What to do next
-- See whether the reason still holds. Mend what it excused and take the entry out, or have its owner set a new date.
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    CAST(NULL AS VARCHAR) AS principal,
    CAST(NULL AS VARCHAR) AS account_id,
    CAST(NULL AS VARCHAR) AS region,
    arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS first_seen,
    arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS last_seen,
    0 AS events,
    arrow_cast(make_array(), 'List(Utf8)') AS evidence,
    concat(
        'it held until ', max(until), ' (line ', last_value(line ORDER BY until, line), '): ',
        last_value(reason ORDER BY until, line)
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    concat(detector, ', ', coalesce(key, 'any key'), ', ', coalesce(principal, 'any principal')) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM acceptances
GROUP BY detector, key, principal
-- A later entry for the same may have taken over.
HAVING max(until) <= $until
ORDER BY asset
